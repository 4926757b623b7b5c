//! How many processors, and how much memory, this process may use.

use pyo3::prelude::*;

/// The number of processors that this process may use: what its affinity mask
/// and its cgroup's CPU quota (v1 or v2) leave of the machine's. At least 1.
#[pyfunction]
pub(crate) fn available_cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// How many bytes of memory this process may use: what its cgroup leaves of the machine's.
#[pyfunction]
pub(crate) fn usable_memory() -> u64 {
    pp_runtime::usable_memory()
}
