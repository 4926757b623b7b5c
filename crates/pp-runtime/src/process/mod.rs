//! Worker processes: how they are started, watched, killed and cleaned up after.

mod exit;
mod family;
mod keeper;
mod mark;
mod oom;
mod spec;
mod stderr;
pub(crate) mod undertaker;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

pub use exit::{Exit, ExitStatus};
pub(crate) use family::{Family, kill_all};
pub(crate) use keeper::{KeeperEvents, keep};
pub(crate) use mark::ServerMark;
pub use spec::{MARK_VARIABLE, WorkerSpec};
pub use undertaker::undertake;
#[cfg(unix)]
pub(crate) use unix::Process;
#[cfg(windows)]
pub(crate) use windows::Process;

/// The pipes of a process that was just started.
#[derive(Debug)]
struct Pipes {
    stdin: Option<std::process::ChildStdin>,
    stderr: Option<std::process::ChildStderr>,
}

/// What a watched process does, other than ending. Windows does not tell.
#[cfg_attr(windows, allow(dead_code))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pause {
    /// A signal such as SIGSTOP stopped it.
    Stopped,
    /// It goes on.
    Continued,
}
