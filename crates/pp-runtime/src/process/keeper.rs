//! A thread per worker that starts the process, waits for its end, and clears up.
//!
//! Blocking in `waitid` costs nothing while all is well, and tells of an end or a
//! stop at once.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::stderr::StderrTail;
use super::{Exit, Pause, Process, ServerMark, WorkerSpec, kill_all, oom};
use crate::channel::{Invitation, ParentBell};
use crate::shm::Segment;

/// How long the last words on standard error are waited for, once everything that
/// could still write them was killed.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// A keeper mostly sleeps; scanning for leftovers needs little stack.
const STACK: usize = 256 * 1024;

/// Where a keeper reports. Calls come from the keeper's thread, in this order:
/// `started`, then pauses, then `ended`; or `not_started` alone.
pub(crate) trait KeeperEvents: Send + 'static {
    /// The process runs, and its line stands.
    fn started(&self, process: Arc<Process>, bell: ParentBell, segment: Segment);
    /// The process was stopped, or goes on.
    fn paused(&self, pause: Pause);
    /// The process could not be started.
    fn not_started(&self, error: io::Error);
    /// The process has ended and nothing of it is left.
    fn ended(&self, exit: Exit);
}

/// Starts worker `number` and its keeper.
pub(crate) fn keep(
    spec: Arc<WorkerSpec>,
    mark: &ServerMark,
    number: u64,
    events: impl KeeperEvents,
) -> io::Result<JoinHandle<()>> {
    let mark = mark.clone();
    std::thread::Builder::new()
        .name("pp-keeper".into())
        .stack_size(STACK)
        .spawn(move || run(&spec, &mark, number, &events))
}

fn run(spec: &WorkerSpec, mark: &ServerMark, number: u64, events: &impl KeeperEvents) {
    let oom_before = oom::kills_so_far();
    let started = start(spec, &mark.path(number), events);
    let (process, stderr) = match started {
        Ok(parts) => parts,
        Err(error) => return events.not_started(error),
    };
    let status = process.wait(&mut |pause| events.paused(pause), || {
        kill_all(&[process.pid()], &mark.of_worker(number));
    });
    let stderr = stderr.finish(LAST_WORDS);
    events.ended(Exit {
        pid: process.pid(),
        status,
        stderr,
        killed_because: process.killed_because(),
        oom_suspected: oom::kills_so_far() > oom_before,
    });
}

fn start(
    spec: &WorkerSpec,
    mark: &str,
    events: &impl KeeperEvents,
) -> io::Result<(Arc<Process>, StderrTail)> {
    let mut invitation = Invitation::new()?;
    let stdin = invitation.stdin();
    let (process, pipes) = Process::spawn(spec.command(mark, stdin))?;
    let complete = || {
        let stderr = pipes
            .stderr
            .ok_or_else(|| io::Error::other("the worker has no standard error"))?;
        let stderr = StderrTail::start(stderr)?;
        let line = invitation.accept(pipes.stdin, &|| process.has_ended())?;
        Ok((stderr, line))
    };
    match complete() {
        Ok((stderr, (bell, segment))) => {
            events.started(Arc::clone(&process), bell, segment);
            Ok((process, stderr))
        }
        Err(error) => {
            process.kill("its line could not be set up");
            process.wait(&mut |_| {}, || {});
            Err(error)
        }
    }
}
