//! How many processors this process may use.

use pyo3::prelude::*;

/// The number of processors that this process may use: what its affinity mask
/// and its cgroup's CPU quota (v1 or v2) leave of the machine's. At least 1.
#[pyfunction]
pub(crate) fn available_cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
