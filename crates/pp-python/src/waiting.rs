//! Waiting with the GIL released, and Ctrl-C still heard.

use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// How often the main thread looks for signals while it waits. Short enough to
/// feel prompt, long enough to cost nothing.
const SIGNAL_PERIOD: Duration = Duration::from_millis(50);
/// Other threads get no signals, so they sleep on.
const LONG: Duration = Duration::from_secs(3600);

/// Calls `wait` with stretches of time, the GIL released, until it says true,
/// `timeout` is over, or a signal handler raises. Says whether `wait` did.
pub(crate) fn wait_with_signals(
    py: Python<'_>,
    timeout: Option<Duration>,
    wait: impl Fn(Duration) -> bool + Sync,
) -> PyResult<bool> {
    let period = if on_main_thread(py)? {
        SIGNAL_PERIOD
    } else {
        LONG
    };
    let deadline = timeout.and_then(|t| Instant::now().checked_add(t));
    loop {
        let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
        let stretch = left.map_or(period, |left| left.min(period));
        if py.detach(|| wait(stretch)) {
            return Ok(true);
        }
        py.check_signals()?;
        if left.is_some_and(|left| left <= period) {
            return Ok(false);
        }
    }
}

fn on_main_thread(py: Python<'_>) -> PyResult<bool> {
    static THREADING: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let threading = THREADING
        .get_or_try_init(py, || py.import("threading").map(Bound::unbind))?
        .bind(py);
    let main = threading.call_method0("main_thread")?.getattr("ident")?;
    threading.call_method0("get_ident")?.eq(main)
}
