//! How a worker process ended, in words that help.

use std::fmt;

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExitStatus {
    /// It called exit with this code.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
    /// Somebody else in this process collected its status.
    Unknown,
}

/// All that is known about the end of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// The process's identifier.
    pub pid: u32,
    /// How it ended.
    pub status: ExitStatus,
    /// The last lines that it wrote to standard error.
    pub stderr: String,
    /// Why this client killed it, if it did.
    pub killed_because: Option<String>,
    /// Whether the kernel's out-of-memory killer was at work meanwhile.
    pub oom_suspected: bool,
}

impl ExitStatus {
    /// From what the standard library reports.
    pub(crate) fn from_std(status: std::process::ExitStatus) -> Self {
        #[cfg(unix)]
        if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
            return Self::Signal(signal);
        }
        status.code().map_or(Self::Unknown, Self::Code)
    }

    /// The exit code, if it exited.
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Code(code) => Some(*code),
            _ => None,
        }
    }

    /// The signal's number, if one ended it.
    pub fn signal(&self) -> Option<i32> {
        match self {
            Self::Signal(number) => Some(*number),
            _ => None,
        }
    }

    /// The signal's name, if one ended it.
    pub fn signal_name(&self) -> Option<String> {
        self.signal().map(signal_name)
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(number) => write!(f, "signal {}", signal_name(*number)),
            Self::Unknown => f.write_str("an unknown status (collected by other code)"),
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker process {} ended with {}", self.pid, self.status)?;
        if let Some(reason) = &self.killed_because {
            write!(f, " (killed: {reason})")?;
        }
        Ok(())
    }
}

/// The name of a signal, or `signal N` for one without.
fn signal_name(number: i32) -> String {
    #[cfg(unix)]
    if let Some(name) = rustix::process::Signal::from_named_raw(number).and_then(named) {
        return name.to_owned();
    }
    format!("signal {number}")
}

#[cfg(unix)]
fn named(signal: rustix::process::Signal) -> Option<&'static str> {
    use rustix::process::Signal;
    const NAMES: [(Signal, &str); 20] = [
        (Signal::ABORT, "SIGABRT"),
        (Signal::ALARM, "SIGALRM"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::HUP, "SIGHUP"),
        (Signal::ILL, "SIGILL"),
        (Signal::INT, "SIGINT"),
        (Signal::KILL, "SIGKILL"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::PROF, "SIGPROF"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::SYS, "SIGSYS"),
        (Signal::TERM, "SIGTERM"),
        (Signal::TRAP, "SIGTRAP"),
        (Signal::USR1, "SIGUSR1"),
        (Signal::USR2, "SIGUSR2"),
        (Signal::VTALARM, "SIGVTALRM"),
        (Signal::XCPU, "SIGXCPU"),
        (Signal::XFSZ, "SIGXFSZ"),
    ];
    NAMES
        .iter()
        .find(|(known, _)| *known == signal)
        .map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_code_or_signal_and_the_reason_for_a_kill() {
        let mut exit = Exit {
            pid: 42,
            status: ExitStatus::Code(3),
            stderr: String::new(),
            killed_because: None,
            oom_suspected: false,
        };
        assert_eq!(exit.to_string(), "worker process 42 ended with exit code 3");
        exit.killed_because = Some("of a test".into());
        exit.status = ExitStatus::Unknown;
        assert!(exit.to_string().ends_with("(killed: of a test)"));
        assert_eq!(exit.status.code(), None);
    }

    #[cfg(unix)]
    #[test]
    fn signals_go_by_name_where_they_have_one() {
        assert_eq!(signal_name(9), "SIGKILL");
        assert_eq!(signal_name(11), "SIGSEGV");
        assert_eq!(signal_name(50), "signal 50");
    }
}
