//! Functions that are known to be serialized as they are now.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use pp_runtime::sync::Mutex;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyTuple};
use pyo3::{Borrowed, PyTraverseError, PyVisit, intern};

use crate::engine::Function;
use crate::guards::Guards;

/// As many functions are remembered. Then all are forgotten: the cache in Python, which
/// is asked for what is not known here, chooses with more care.
const MOST: usize = 256;
/// As many ways to submit one function are.
const MOST_WAYS: usize = 4;

/// One way in which a function was submitted, and what it was serialized to.
struct Way {
    depfuncs: Py<PyTuple>,
    modules: Py<PyTuple>,
    guards: Py<Guards>,
    function: Py<Function>,
    /// Takes the function out of the table when it dies, before another object can be
    /// at its place: so what is found at a place is what was remembered.
    death: Py<PyAny>,
}

#[derive(Default)]
struct Table {
    ways: HashMap<usize, Vec<Way>, BuildHasherDefault<PlaceHasher>>,
    /// The entries in `sys.path` for which all this is right.
    path: Option<Py<PyList>>,
}

/// Callables, by identity, with what they were serialized to: the quick way of `submit`.
/// Whatever is not found here may still be known to the cache in Python.
///
/// Its lock is taken with the GIL held, so whoever has it must not let go of the GIL: no
/// call into Python that may, none to what is made once, and nothing is dropped.
#[pyclass(frozen, module = "pp._core")]
#[derive(Default)]
pub(crate) struct KnownFunctions {
    table: Mutex<Table>,
}

#[pymethods]
impl KnownFunctions {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// Remembers that `func`, submitted with these `depfuncs` and `modules` and the
    /// entries `path` in `sys.path`, is `function` while `guards` hold. `death` is a weak
    /// reference that calls `forget` when `func` dies.
    #[allow(clippy::too_many_arguments)]
    fn remember(
        &self,
        func: &Bound<'_, PyAny>,
        depfuncs: Py<PyTuple>,
        modules: Py<PyTuple>,
        path: Vec<Bound<'_, PyAny>>,
        guards: Py<Guards>,
        function: Py<Function>,
        death: Py<PyAny>,
    ) -> PyResult<()> {
        let (py, place) = (func.py(), place(func));
        let way = Way {
            depfuncs,
            modules,
            guards,
            function,
            death,
        };
        let path = PyList::new(py, path)?;
        let same = self.path(py).filter(|known| has_entries(&path, known));
        let mut table = self.table.lock();
        // Others may have been here meanwhile.
        let same_path = matches!((&same, &table.path), (Some(then), Some(now)) if then.is(now));
        let mut spent = Vec::new();
        let mut old_path = None;
        if !same_path || (table.ways.len() >= MOST && !table.ways.contains_key(&place)) {
            spent.extend(table.ways.drain());
            old_path = table.path.replace(path.unbind());
        }
        let ways = table.ways.entry(place).or_default();
        // What was remembered of the same is outdated.
        let mut outlived: Vec<_> = ways
            .extract_if(.., |old| {
                is_like(old.depfuncs.bind(py), way.depfuncs.bind(py))
                    && is_like(old.modules.bind(py), way.modules.bind(py))
            })
            .collect();
        if ways.len() >= MOST_WAYS {
            outlived.push(ways.remove(0));
        }
        ways.push(way);
        drop(table);
        // What dies here may run any code, so not under the lock.
        drop((outlived, spent, old_path));
        Ok(())
    }

    /// Forgets all about the function that was at this place (its `id`).
    fn forget(&self, place: usize) {
        let spent = self.table.lock().ways.remove(&place);
        drop(spent);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // Only ever locked for a moment without a collection in it.
        let Some(table) = self.table.try_lock() else {
            return Ok(());
        };
        visit.call(&table.path)?;
        for way in table.ways.values().flatten() {
            visit.call(&way.depfuncs)?;
            visit.call(&way.guards)?;
            // It refers to this table, so that `forget` can be called.
            visit.call(&way.death)?;
        }
        Ok(())
    }
}

impl KnownFunctions {
    /// The entries in `sys.path` for which all is right that is known.
    fn path(&self, py: Python<'_>) -> Option<Py<PyList>> {
        let table = self.table.lock();
        table.path.as_ref().map(|path| path.clone_ref(py))
    }

    /// What `func` was serialized to, if that is still right.
    pub(crate) fn find(
        &self,
        func: &Bound<'_, PyAny>,
        depfuncs: &Bound<'_, PyTuple>,
        modules: &Bound<'_, PyTuple>,
    ) -> PyResult<Option<Py<Function>>> {
        let py = func.py();
        // Not under the lock: what is made once, such as a name, is made with the GIL let
        // go, and who takes it then may want the lock.
        let Some(path) = sys_path(py)? else {
            return Ok(None);
        };
        let found = {
            let table = self.table.lock();
            let Some(ways) = table.ways.get(&place(func)) else {
                return Ok(None);
            };
            let way = ways.iter().find(|way| {
                is_like(depfuncs, way.depfuncs.bind(py)) && is_like(modules, way.modules.bind(py))
            });
            match way {
                Some(way) => {
                    let known = table.path.as_ref().map(|path| path.clone_ref(py));
                    (way.guards.clone_ref(py), way.function.clone_ref(py), known)
                }
                None => return Ok(None),
            }
        };
        let (guards, function, known) = found;
        let same_path = known.is_some_and(|known| has_entries(&path, &known));
        let holds = same_path && guards.get().hold(func)?;
        Ok(holds.then_some(function))
    }
}

/// Whether two tuples hold the same objects.
fn is_like(given: &Bound<'_, PyTuple>, known: &Bound<'_, PyTuple>) -> bool {
    let are_same = |(one, other): (Borrowed<'_, '_, PyAny>, Borrowed<'_, '_, PyAny>)| one.is(other);
    // Mostly both are the empty one.
    given.is(known)
        || given.len() == known.len()
            && given
                .iter_borrowed()
                .zip(known.iter_borrowed())
                .all(are_same)
}

/// `sys.path`, if it is a list.
fn sys_path(py: Python<'_>) -> PyResult<Option<Bound<'_, PyList>>> {
    let path = sys_namespace(py)?.get_item(intern!(py, "path"))?;
    Ok(path.and_then(|path| path.cast_into_exact().ok()))
}

/// Whether `path` has just these entries, or equal ones. Asks them if they are other objects: not
/// to be called under the lock.
fn has_entries(path: &Bound<'_, PyList>, known: &Py<PyList>) -> bool {
    path.eq(known).unwrap_or(false)
}

/// The names of `sys`.
pub(crate) fn sys_namespace(py: Python<'_>) -> PyResult<&Bound<'_, PyDict>> {
    static SYS: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    let namespace =
        SYS.get_or_try_init(py, || Ok::<_, PyErr>(py.import("sys")?.dict().unbind()))?;
    Ok(namespace.bind(py))
}

fn place(object: &Bound<'_, PyAny>) -> usize {
    object.as_ptr() as usize
}

/// Spreads the places of objects, which are multiples of 16.
#[derive(Default)]
struct PlaceHasher(u64);

impl Hasher for PlaceHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_usize(usize::from(byte));
        }
    }

    fn write_usize(&mut self, place: usize) {
        // Fibonacci hashing: 2 to the 64th by the golden ratio (Knuth, vol. 3, 6.4).
        self.0 = (self.0 ^ place as u64)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(32);
    }
}
