//! A worker's standard error: passed on at once, and its end kept for reports.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::process::ChildStderr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use crate::sync::Mutex;

/// How much of the end is kept, in bytes.
const KEPT: usize = 16 * 1024;
/// How many lines of it a report shows.
const LINES: usize = 20;
/// A thread that only copies bytes needs little stack.
const STACK: usize = 128 * 1024;

/// Reads a worker's standard error until it closes.
#[derive(Debug)]
pub(super) struct StderrTail {
    kept: Arc<Mutex<VecDeque<u8>>>,
    closed: Receiver<()>,
}

impl StderrTail {
    /// Starts reading in a thread, which ends when all writers have gone.
    pub(super) fn start(pipe: ChildStderr) -> io::Result<Self> {
        let kept = Arc::new(Mutex::new(VecDeque::new()));
        let (until_closed, closed) = channel();
        let keep = Arc::clone(&kept);
        std::thread::Builder::new()
            .name("pp-stderr".into())
            .stack_size(STACK)
            .spawn(move || {
                copy(pipe, &keep);
                drop(until_closed);
            })?;
        Ok(Self { kept, closed })
    }

    /// The last lines, after waiting at most `patience` for the pipe to close.
    pub(super) fn finish(&self, patience: Duration) -> String {
        match self.closed.recv_timeout(patience) {
            Ok(()) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
        let bytes: Vec<u8> = self.kept.lock().iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }
}

fn copy(mut pipe: ChildStderr, kept: &Mutex<VecDeque<u8>>) {
    let mut buffer = [0u8; 4096];
    loop {
        match pipe.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => {
                let bytes = &buffer[..count];
                {
                    let mut kept = kept.lock();
                    kept.extend(bytes);
                    let surplus = kept.len().saturating_sub(KEPT);
                    kept.drain(..surplus);
                }
                // Nobody can be told that standard error is closed.
                let _ = io::stderr().write_all(bytes);
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
