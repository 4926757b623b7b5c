//! Hooks for `os.register_at_fork`.

use pp_runtime::fork;
use pyo3::prelude::*;

use crate::log;

/// To be called before a fork.
#[pyfunction]
pub(crate) fn before_fork() {
    log::hold();
    fork::before_fork();
}

/// To be called in the parent after a fork.
#[pyfunction]
pub(crate) fn after_fork_in_parent() {
    fork::after_fork_in_parent();
    log::let_go();
}

/// To be called in the child after a fork: gives up the parent's sockets.
#[pyfunction]
pub(crate) fn after_fork_in_child() {
    fork::after_fork_in_child();
    log::let_go();
}
