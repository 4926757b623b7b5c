//! A worker process on Unix.

use std::io;
use std::process::{Child, Command};
use std::sync::Arc;

use crate::sync::Mutex;
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};

use super::{ExitStatus, Pause, Pipes};

/// A process that leads its own group.
#[derive(Debug)]
pub(crate) struct Process {
    pid: u32,
    /// Taken once the process is reaped: from then on its number may be anybody's.
    child: Mutex<Option<Child>>,
    killed_because: Mutex<Option<String>>,
}

impl Process {
    /// Starts `command`.
    pub(super) fn spawn(mut command: Command) -> io::Result<(Arc<Self>, Pipes)> {
        let mut child = command.spawn()?;
        let pipes = Pipes {
            stdin: child.stdin.take(),
            stderr: child.stderr.take(),
        };
        let process = Self {
            pid: child.id(),
            child: Mutex::new(Some(child)),
            killed_because: Mutex::new(None),
        };
        Ok((Arc::new(process), pipes))
    }

    /// The process's identifier.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Why this client killed it, if it did.
    pub(crate) fn killed_because(&self) -> Option<String> {
        self.killed_because.lock().clone()
    }

    /// Kills the process at once, stopped or not. What it has started goes when its
    /// end is noticed.
    pub(crate) fn kill(&self, reason: &str) {
        let child = self.child.lock();
        if child.is_some() {
            self.killed_because
                .lock()
                .get_or_insert_with(|| reason.to_owned());
            if let Some(pid) = self.raw_pid() {
                // It may have ended already; that is what was wanted.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }

    /// Lets the process look whether the job that it runs is to end.
    pub(crate) fn interrupt(&self) {
        let child = self.child.lock();
        if child.is_some()
            && let Some(pid) = self.raw_pid()
        {
            // What does not listen ignores this one.
            let _ = kill_process(pid, Signal::URG);
        }
    }

    /// Whether the process has ended; it may not be reaped yet.
    pub(super) fn has_ended(&self) -> bool {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        self.raw_pid()
            .is_none_or(|pid| !matches!(waitid(WaitId::Pid(pid), look), Ok(None)))
    }

    /// Waits for the end, tells of pauses meanwhile, clears up, kills what is left
    /// of the process group, and reaps. To be called by one thread, once.
    pub(super) fn wait(
        &self,
        on_pause: &mut dyn FnMut(Pause),
        clear_up: impl FnOnce(),
    ) -> ExitStatus {
        if let Some(pid) = self.raw_pid() {
            wait_for_end(pid, on_pause);
        }
        // The zombie still holds the number, so the group is surely ours.
        clear_up();
        let mut child = self.child.lock();
        if let Some(pid) = self.raw_pid() {
            // Usually there is nothing left of it.
            let _ = kill_process_group(pid, Signal::KILL);
        }
        child
            .take()
            .and_then(|mut child| child.wait().ok())
            .map_or(ExitStatus::Unknown, ExitStatus::from_std)
    }

    fn raw_pid(&self) -> Option<Pid> {
        i32::try_from(self.pid).ok().and_then(Pid::from_raw)
    }
}

/// Returns when the process has ended, or is not ours to wait for.
fn wait_for_end(pid: Pid, on_pause: &mut dyn FnMut(Pause)) {
    let pauses = WaitIdOptions::STOPPED | WaitIdOptions::CONTINUED;
    loop {
        // NOWAIT: reaping comes later, after the group was killed.
        let all = WaitIdOptions::EXITED | pauses | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(pid), all) {
            Ok(Some(status)) if status.stopped() || status.trapped() || status.continued() => {}
            Err(Errno::INTR) => continue,
            Ok(_) | Err(_) => return,
        }
        // A pause that was seen must be taken, or it is reported again. By now it may
        // be another one; what is taken is what counts.
        match waitid(WaitId::Pid(pid), pauses | WaitIdOptions::NOHANG) {
            Ok(Some(status)) if status.continued() => on_pause(Pause::Continued),
            Ok(Some(_)) => on_pause(Pause::Stopped),
            Ok(None) | Err(_) => {}
        }
    }
}
