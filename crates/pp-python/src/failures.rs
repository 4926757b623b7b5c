//! What the end of a job is in Python: exceptions, and what it printed.

use pp_runtime::{JobFailure, Outcome, Report};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyModule};

use crate::errors::{internal, raise};

pub(crate) fn hooks(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    py.import("pp._outcome")
}

/// Prints what the job printed.
pub(crate) fn print(py: Python<'_>, report: &Report) -> PyResult<()> {
    let output = PyBytes::new(py, report.output());
    hooks(py)?.call_method1("print_output", (output,))?;
    Ok(())
}

/// The exception for an outcome that is not a value.
pub(crate) fn exception_of<'py>(py: Python<'py>, outcome: &Outcome) -> PyResult<Bound<'py, PyAny>> {
    match outcome {
        Outcome::Raised(report) | Outcome::Retriable(report) | Outcome::Unserializable(report) => {
            hooks(py)?.call_method1("restore", (PyBytes::new(py, report.body()),))
        }
        Outcome::Failed(failure) => failure_to_python(py, failure),
        Outcome::Stopped(stopped) => failure_to_python(py, &stopped.failure),
        Outcome::Value(_) => Err(internal("a value was taken for a failure")),
    }
}

pub(crate) fn failure_to_python<'py>(
    py: Python<'py>,
    failure: &JobFailure,
) -> PyResult<Bound<'py, PyAny>> {
    let details = PyDict::new(py);
    let exit = match failure {
        JobFailure::WorkerDied {
            deaths,
            last,
            memory,
        } => {
            details.set_item("deaths", deaths)?;
            details.set_item("memory", memory)?;
            Some(last)
        }
        JobFailure::NoWorker { reason, last } => {
            details.set_item("reason", reason)?;
            last.as_ref()
        }
        JobFailure::NodeLost { losses, node, why } => {
            details.set_item("losses", losses)?;
            details.set_item("node", &**node)?;
            details.set_item("why", &**why)?;
            return hooks(py)?.call_method("node_lost", (), Some(&details));
        }
        JobFailure::NobodyLeft(_) => {
            let error = raise(py, "NodeLost", format!("the job was not run: {failure}"));
            return Ok(error.into_value(py).into_bound(py).into_any());
        }
        JobFailure::Unsatisfiable {
            resource,
            wanted,
            most,
        } => {
            details.set_item("resource", resource.as_deref())?;
            details.set_item("wanted", wanted)?;
            details.set_item("most", most)?;
            return hooks(py)?.call_method("unsatisfiable", (), Some(&details));
        }
        JobFailure::TimedOut(limit) => {
            details.set_item("limit", limit.as_secs_f64())?;
            return hooks(py)?.call_method("timed_out", (), Some(&details));
        }
        JobFailure::DependencyFailed(root) | JobFailure::DependencyCancelled(root) => {
            details.set_item("number", root.number())?;
            details.set_item("name", &*root.name())?;
            let hook = if let JobFailure::DependencyFailed(_) = failure {
                let outcome = root
                    .outcome()
                    .ok_or_else(|| internal("a root has not ended"))?;
                details.set_item("cause", exception_of(py, outcome)?)?;
                "dependency_failed"
            } else {
                "dependency_cancelled"
            };
            return hooks(py)?.call_method(hook, (), Some(&details));
        }
        JobFailure::TooMuch => {
            let error = raise(py, "SerializationError", failure.to_string());
            return Ok(error.into_value(py).into_bound(py).into_any());
        }
        JobFailure::Reported { text } => {
            return Ok(raise(py, "JobError", text.clone())
                .into_value(py)
                .into_bound(py)
                .into_any());
        }
        JobFailure::ServerDestroyed | JobFailure::Cancelled => {
            let class = match failure {
                JobFailure::Cancelled => "JobCancelled",
                _ => "DestroyedServerError",
            };
            let error = raise(py, class, failure.to_string());
            return Ok(error.into_value(py).into_bound(py).into_any());
        }
    };
    if let Some(exit) = exit {
        details.set_item("pid", exit.pid)?;
        details.set_item("exitcode", exit.status.code())?;
        details.set_item("signal", exit.status.signal_name())?;
        details.set_item("stderr", &exit.stderr)?;
        details.set_item("killed_because", &exit.killed_because)?;
        details.set_item("oom_suspected", exit.oom_suspected)?;
    }
    let hook = match failure {
        JobFailure::NoWorker { .. } => "no_worker",
        _ => "worker_died",
    };
    hooks(py)?.call_method(hook, (), Some(&details))
}
