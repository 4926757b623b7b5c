//! The extension module `pp._core`: the engine and the worker loop for Python.
//!
//! Everything here is private to the package `pp`, which gives it its public face.

mod big;
#[allow(unsafe_code)]
mod buffers;
mod cluster;
mod cpus;
mod engine;
mod errors;
mod failures;
mod gathering;
mod group;
mod guards;
mod job;
mod known;
mod log;
mod pickling;
mod pieces;
mod plain;
mod refs;
mod slots;
mod submitter;
mod terms;
mod untracked;
mod waiting;
mod watch;
mod worker;

use pyo3::prelude::*;

/// The Rust core of Parallel Python.
#[pymodule]
#[pyo3(name = "_core")]
fn core_module(module: &Bound<'_, PyModule>) -> PyResult<()> {
    pp_runtime::fork::watch(log::hold, log::let_go)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("DEFAULT_PORT", pp_runtime::DEFAULT_PORT)?;
    module.add_class::<cluster::Daemon>()?;
    module.add_class::<engine::Engine>()?;
    module.add_class::<engine::Function>()?;
    module.add_class::<group::Group>()?;
    module.add_class::<guards::Guards>()?;
    module.add_class::<job::Job>()?;
    module.add_class::<known::KnownFunctions>()?;
    module.add_class::<submitter::Submitter>()?;
    module.add_class::<terms::Terms>()?;
    module.add_class::<refs::Ref>()?;
    module.add_class::<watch::Watch>()?;
    module.add_class::<worker::WorkerSession>()?;
    module.add_function(wrap_pyfunction!(refs::resolve_ref, module)?)?;
    module.add_function(wrap_pyfunction!(slots::resolve_input, module)?)?;
    module.add_function(wrap_pyfunction!(slots::load_message, module)?)?;
    module.add_function(wrap_pyfunction!(worker::undertake, module)?)?;
    module.add_function(wrap_pyfunction!(cpus::available_cpus, module)?)?;
    module.add_function(wrap_pyfunction!(cpus::usable_memory, module)?)?;
    module.add_function(wrap_pyfunction!(cluster::expand_node, module)?)?;
    module.add_function(wrap_pyfunction!(log::start_log, module)?)?;
    module.add_function(wrap_pyfunction!(log::set_log_level, module)?)?;
    module.add_function(wrap_pyfunction!(log::next_log, module)?)?;
    module.add_function(wrap_pyfunction!(log::close_log, module)?)?;
    Ok(())
}
