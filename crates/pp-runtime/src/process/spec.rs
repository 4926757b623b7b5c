//! What a worker process is started with.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The environment variable that marks a worker and all its descendants. Its
/// value is the path of marks from the outermost server to the worker.
pub const MARK_VARIABLE: &str = "PP_WORKER_MARK";

/// The command that starts a worker process.
#[derive(Debug, Clone)]
pub struct WorkerSpec {
    /// The interpreter.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables to set in addition to this process's own.
    pub env: Vec<(OsString, OsString)>,
}

impl WorkerSpec {
    /// The program and its arguments, and variables to set.
    pub fn new(words: impl IntoIterator<Item = OsString>, env: Vec<(OsString, OsString)>) -> Self {
        let mut words = words.into_iter();
        Self {
            program: PathBuf::from(words.next().unwrap_or_default()),
            args: words.collect(),
            env,
        }
    }

    /// The command for a worker with this mark and this standard input. Standard
    /// output is the client's own; standard error comes through a pipe.
    pub(crate) fn command(&self, mark: &str, stdin: Stdio) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(k, v)| (k, v)))
            .env(MARK_VARIABLE, mark)
            .stdin(stdin)
            .stdout(Stdio::inherit())
            .stderr(Stdio::piped());
        // A group of its own: Ctrl-C reaches the client only, and the worker's
        // children can be killed together with it.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command
    }
}
