//! A worker process on Windows, in a job object that ends with this client.

use std::io;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crate::sync::Mutex;
use process_wrap::std::{ChildWrapper, CommandWrap, JobObject};

use super::{ExitStatus, Pause, Pipes};

/// How often the end of a process is looked for. Its socket tells of most ends
/// at once; this is for the others.
const LOOK: Duration = Duration::from_millis(50);

/// A process with a job object around it and its descendants.
#[derive(Debug)]
pub(crate) struct Process {
    pid: u32,
    child: Mutex<Box<dyn ChildWrapper>>,
    killed_because: Mutex<Option<String>>,
}

impl Process {
    /// Starts `command`.
    pub(super) fn spawn(command: Command) -> io::Result<(Arc<Self>, Pipes)> {
        let mut command = CommandWrap::from(command);
        command.wrap(JobObject);
        let mut child = command.spawn()?;
        let pipes = Pipes {
            stdin: child.stdin().take(),
            stderr: child.stderr().take(),
        };
        let process = Self {
            pid: child.id(),
            child: Mutex::new(child),
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

    /// Kills the process and its descendants at once.
    pub(crate) fn kill(&self, reason: &str) {
        self.killed_because
            .lock()
            .get_or_insert_with(|| reason.to_owned());
        // It may have ended already; that is what was wanted.
        let _ = self.child.lock().start_kill();
    }

    /// There are no signals here: a job that is to end does so with its worker.
    #[allow(clippy::unused_self)]
    pub(crate) fn interrupt(&self) {}

    /// Whether the process has ended.
    pub(super) fn has_ended(&self) -> bool {
        !matches!(self.child.lock().try_wait(), Ok(None))
    }

    /// Waits for the end and kills the descendants. Windows knows no pauses.
    pub(super) fn wait(
        &self,
        _on_pause: &mut dyn FnMut(Pause),
        clear_up: impl FnOnce(),
    ) -> ExitStatus {
        loop {
            let mut child = self.child.lock();
            match child.try_wait() {
                Ok(None) => {}
                Ok(Some(status)) => {
                    let _ = child.start_kill();
                    clear_up();
                    return ExitStatus::from_std(status);
                }
                Err(_) => return ExitStatus::Unknown,
            }
            drop(child);
            std::thread::sleep(LOOK);
        }
    }
}
