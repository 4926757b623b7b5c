//! A process that clears up after a worker that cannot do so itself.
//!
//! When its client has died, a worker kills all that it has started, then itself.
//! But what runs in it may start children as fast as they are killed; a pool of
//! `multiprocessing` does. Then somebody must look once more after its end: a fresh
//! process, started by the same command as the worker itself.

use std::env;
use std::io;
use std::process::{Command, Stdio};

use super::MARK_VARIABLE;

/// Tells the undertaker, in its environment, which worker is to end: `PID MARK`.
const VARIABLE: &str = "PP_UNDERTAKE";

/// Starts an undertaker for this worker.
pub(crate) fn call(mark: &str) -> io::Result<()> {
    let mut command = Command::new(env::current_exe()?);
    command
        .args(env::args_os().skip(1))
        .env(VARIABLE, format!("{} {mark}", std::process::id()))
        // It must neither carry the mark that it looks for nor be in the group.
        .env_remove(MARK_VARIABLE)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().map(drop)
}

/// If this process was started as an undertaker: waits for the end of the worker,
/// kills what is left of its family, and says true. Otherwise false, at once.
pub fn undertake() -> bool {
    let Ok(task) = env::var(VARIABLE) else {
        return false;
    };
    if let Some((pid, mark)) = task.split_once(' ')
        && let Ok(pid) = pid.parse()
    {
        wait_for_end(pid);
        super::kill_all(&[pid], mark);
    }
    true
}

/// Returns when process `pid` has ended, or seems not to.
#[cfg(target_os = "linux")]
fn wait_for_end(pid: u32) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    const PATIENCE: Timespec = Timespec {
        tv_sec: 5,
        tv_nsec: 0,
    };
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let Some(Ok(process)) = raw.map(|raw| pidfd_open(raw, PidfdFlags::empty())) {
        // Whatever it says, clearing up can only help.
        let _ = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&PATIENCE));
    }
}

/// Families are not found elsewhere, so there is nothing to wait for.
#[cfg(not(target_os = "linux"))]
fn wait_for_end(_pid: u32) {}
