//! The worker's thread that outlives no client.
//!
//! It sleeps on the socket to the client. When the client is gone, however it
//! went, the worker and all that it started are killed, even if the worker is deep
//! in user code and never looks at the socket again.

use std::io;
use std::process;

use crate::channel::WorkerStream;
use crate::process::{Family, MARK_VARIABLE, undertaker};

/// Starts the watchdog on its own handle to the socket.
pub(super) fn start(line: WorkerStream) -> io::Result<()> {
    continue_with_parents_death();
    let mark = std::env::var(MARK_VARIABLE).unwrap_or_default();
    std::thread::Builder::new()
        .name("pp-watchdog".into())
        .stack_size(256 * 1024)
        .spawn(move || {
            wait_for_end(&line);
            end_everything(&mark);
        })?;
    Ok(())
}

/// A worker that is stopped cannot run its watchdog. The client's death continues it.
fn continue_with_parents_death() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Signal, set_parent_process_death_signal};
        // Not KILL: it would come before the watchdog has killed the descendants. If
        // it cannot be set, only stopped workers of killed clients stay.
        let _ = set_parent_process_death_signal(Some(Signal::CONT));
    }
}

/// Returns when the other end of `line` is closed.
#[cfg(unix)]
fn wait_for_end(line: &WorkerStream) {
    use rustix::event::{PollFd, PollFlags, poll};

    loop {
        // No events asked for: bells are for the main thread, a hang-up always tells.
        let mut line = [PollFd::new(line, PollFlags::empty())];
        match poll(&mut line, None) {
            Ok(_) if !line[0].revents().is_empty() => return,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// Returns when the other end of `line`, on which nothing is ever sent, is closed.
#[cfg(windows)]
fn wait_for_end(mut line: &WorkerStream) {
    use std::io::Read;

    let mut nothing = [0u8; 1];
    while let Ok(1) = line.read(&mut nothing) {}
}

/// Kills descendants, group and this process.
fn end_everything(mark: &str) -> ! {
    let mark = last_mark(mark);
    if !kill_family(mark) {
        // What starts children may do so until this process has ended. If there can be
        // no undertaker, nothing more can be done.
        let _ = undertaker::call(mark);
    }
    #[cfg(all(unix, not(target_os = "linux")))]
    {
        use rustix::process::{Signal, getpgrp, getpid, kill_current_process_group};
        // Only the group that the client made for this worker: it leads it.
        if getpgrp() == getpid() {
            let _ = kill_current_process_group(Signal::KILL);
        }
    }
    #[cfg(unix)]
    {
        use rustix::process::{Signal, getpid, kill_process};
        let _ = kill_process(getpid(), Signal::KILL);
    }
    process::abort()
}

/// Kills all that this worker has started; whether it had started nothing. Trackers
/// of shared memory end by themselves once this process has ended.
fn kill_family(mark: &str) -> bool {
    let family = Family::of(&[process::id()], mark);
    family.kill();
    family.has_no_members()
}

/// This worker's own part of the path of marks.
fn last_mark(path: &str) -> &str {
    let body = path.trim_end_matches(';');
    let start = body.rfind(';').map_or(0, |i| i + 1);
    &path[start..]
}

#[cfg(test)]
mod tests {
    use super::last_mark;

    #[test]
    fn the_last_mark_is_this_workers_own() {
        assert_eq!(last_mark("ab.1;"), "ab.1;");
        assert_eq!(last_mark("ab.1;cd.12;"), "cd.12;");
    }
}
