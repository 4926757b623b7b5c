//! Failures of jobs, as a node reports them to its parent.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::outcome::JobFailure;
use crate::process::{Exit, ExitStatus};

/// What travels. New kinds go to the end.
#[derive(Debug, Serialize, Deserialize)]
enum Reported {
    WorkerDied {
        deaths: u32,
        last: ReportedExit,
        memory: u64,
    },
    NodeLost {
        losses: u32,
        node: String,
        why: String,
    },
    Other {
        text: String,
    },
    TimedOut {
        limit_ns: u64,
    },
    Unsatisfiable {
        resource: Option<String>,
        wanted: u64,
        most: u64,
    },
}

#[derive(Debug, Serialize, Deserialize)]
struct ReportedExit {
    pid: u32,
    code: Option<i32>,
    signal: Option<i32>,
    stderr: String,
    killed_because: Option<String>,
    oom_suspected: bool,
}

impl From<&Exit> for ReportedExit {
    fn from(exit: &Exit) -> Self {
        Self {
            pid: exit.pid,
            code: exit.status.code(),
            signal: exit.status.signal(),
            stderr: exit.stderr.clone(),
            killed_because: exit.killed_because.clone(),
            oom_suspected: exit.oom_suspected,
        }
    }
}

impl From<ReportedExit> for Exit {
    fn from(exit: ReportedExit) -> Self {
        let status = match (exit.code, exit.signal) {
            (Some(code), _) => ExitStatus::Code(code),
            (None, Some(signal)) => ExitStatus::Signal(signal),
            (None, None) => ExitStatus::Unknown,
        };
        Self {
            pid: exit.pid,
            status,
            stderr: exit.stderr,
            killed_because: exit.killed_because,
            oom_suspected: exit.oom_suspected,
        }
    }
}

/// Whether a job has ended because its parent wanted it back.
pub(super) fn is_withdrawal(failure: &JobFailure) -> bool {
    matches!(failure, JobFailure::Cancelled)
}

/// The bytes that stand for a failure.
pub(super) fn encode(failure: &JobFailure) -> Vec<u8> {
    let reported = match failure {
        JobFailure::WorkerDied {
            deaths,
            last,
            memory,
        } => Reported::WorkerDied {
            deaths: *deaths,
            last: ReportedExit::from(&**last),
            memory: *memory,
        },
        JobFailure::Unsatisfiable {
            resource,
            wanted,
            most,
        } => Reported::Unsatisfiable {
            resource: resource.as_deref().map(str::to_owned),
            wanted: *wanted,
            most: *most,
        },
        JobFailure::NodeLost { losses, node, why } => Reported::NodeLost {
            losses: *losses,
            node: node.to_string(),
            why: why.to_string(),
        },
        JobFailure::TimedOut(limit) => Reported::TimedOut {
            limit_ns: u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX),
        },
        other => Reported::Other {
            text: other.to_string(),
        },
    };
    // Plain data always has an encoding.
    postcard::to_allocvec(&reported).unwrap_or_default()
}

/// The failure that a node has reported.
pub(super) fn decode(bytes: &[u8]) -> JobFailure {
    match postcard::from_bytes(bytes) {
        Ok(Reported::WorkerDied {
            deaths,
            last,
            memory,
        }) => JobFailure::WorkerDied {
            deaths,
            last: Arc::new(last.into()),
            memory,
        },
        Ok(Reported::Unsatisfiable {
            resource,
            wanted,
            most,
        }) => JobFailure::Unsatisfiable {
            resource: resource.map(Arc::from),
            wanted,
            most,
        },
        Ok(Reported::NodeLost { losses, node, why }) => JobFailure::NodeLost {
            losses,
            node: node.into(),
            why: why.into(),
        },
        Ok(Reported::TimedOut { limit_ns }) => JobFailure::TimedOut(Duration::from_nanos(limit_ns)),
        Ok(Reported::Other { text }) => JobFailure::Reported { text },
        Err(error) => JobFailure::Reported {
            text: format!("the node reports a failure that cannot be read: {error}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_read_as_they_were_reported() {
        let last = Arc::new(Exit {
            pid: 7,
            status: ExitStatus::Signal(11),
            stderr: "oh".into(),
            killed_because: None,
            oom_suspected: true,
        });
        let without = JobFailure::NodeLost {
            losses: 3,
            node: "node-1".into(),
            why: "silence".into(),
        };
        let died = JobFailure::WorkerDied {
            deaths: 3,
            last,
            memory: 7,
        };
        let late = JobFailure::TimedOut(Duration::from_millis(1500));
        for failure in [died, without, late, JobFailure::Cancelled] {
            let again = decode(&encode(&failure));
            assert_eq!(again.to_string(), failure.to_string());
        }
        assert!(decode(b"\xff").to_string().contains("cannot be read"));
    }
}
