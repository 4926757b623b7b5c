//! Tells whether a callable is in the state in which it was serialized.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple};
use pyo3::{PyTraverseError, PyVisit, intern};

/// What a function is made of: code, defaults, keyword defaults.
type Made = (Py<PyAny>, Py<PyAny>, Py<PyAny>);
/// A namespace, a name, and the value that is there; `None` for nothing.
type Name = (Py<PyDict>, Py<PyString>, Option<Py<PyAny>>);
/// A mapping, and its keys and then its values.
type Mapping = (Py<PyAny>, Py<PyTuple>);

/// What has to be as it was, for a callable to be as it was.
///
/// What is immutable, and what workers import, is recognised by identity: as long as
/// the same objects are found under the same names, the same bytes are right. Here and
/// not in Python, because each submit asks.
#[pyclass(frozen, module = "pp._core")]
pub(crate) struct Guards {
    /// The callable itself is not kept alive: lambdas come and go.
    root: Option<Made>,
    functions: Vec<(Py<PyAny>, Made)>,
    names: Vec<Name>,
    cells: Vec<(Py<PyAny>, Py<PyAny>)>,
    mappings: Vec<Mapping>,
    /// Submodules that must not have been imported since.
    submodules: Vec<Py<PyString>>,
    /// The number of registrations with abstract classes, if any class is met.
    registered: Option<Py<PyAny>>,
    pure: bool,
}

#[pymethods]
impl Guards {
    /// `root`: code, defaults and keyword defaults; `functions`: each with these three;
    /// `names`: namespace, name, and the value or `missing`; `cells`: each with its
    /// content; `mappings`: each with its keys and then its values.
    #[new]
    #[pyo3(signature = (*, root, functions, names, missing, cells, mappings, submodules,
                        registered, pure))]
    #[allow(clippy::too_many_arguments)] // named in Python
    fn new(
        py: Python<'_>,
        root: Option<Made>,
        functions: Vec<(Py<PyAny>, Made)>,
        names: Vec<(Py<PyDict>, Py<PyString>, Py<PyAny>)>,
        missing: &Bound<'_, PyAny>,
        cells: Vec<(Py<PyAny>, Py<PyAny>)>,
        mappings: Vec<Mapping>,
        submodules: Vec<Py<PyString>>,
        registered: Option<Py<PyAny>>,
        pure: bool,
    ) -> Self {
        let value_or_none = |value: Py<PyAny>| (!value.bind(py).is(missing)).then_some(value);
        Self {
            root,
            functions,
            names: names
                .into_iter()
                .map(|(namespace, name, value)| (namespace, name, value_or_none(value)))
                .collect(),
            cells,
            mappings,
            submodules,
            registered,
            pure,
        }
    }

    /// Whether running the callable leaves all that it refers to as it was, so that
    /// what was loaded once can serve many jobs.
    #[getter]
    fn pure(&self) -> bool {
        self.pure
    }

    /// Whether `root`, and all that it refers to, is as it was.
    pub(crate) fn hold(&self, root: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = root.py();
        if let Some(made) = &self.root
            && !is_made_of(root, made)?
        {
            return Ok(false);
        }
        for (function, made) in &self.functions {
            if !is_made_of(function.bind(py), made)? {
                return Ok(false);
            }
        }
        for (namespace, name, value) in &self.names {
            let found = namespace.bind(py).get_item(name)?;
            let is_same = match (found, value) {
                (Some(found), Some(value)) => found.is(value),
                (None, None) => true,
                _ => false,
            };
            if !is_same {
                return Ok(false);
            }
        }
        Ok(self.cells_hold(py)? && self.mappings_hold(py)? && self.world_holds(py)?)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Some((code, defaults, kwdefaults)) = &self.root {
            visit.call(code)?;
            visit.call(defaults)?;
            visit.call(kwdefaults)?;
        }
        for (function, (code, defaults, kwdefaults)) in &self.functions {
            visit.call(function)?;
            visit.call(code)?;
            visit.call(defaults)?;
            visit.call(kwdefaults)?;
        }
        for (namespace, _, value) in &self.names {
            visit.call(namespace)?;
            visit.call(value)?;
        }
        for (cell, value) in &self.cells {
            visit.call(cell)?;
            visit.call(value)?;
        }
        for (mapping, items) in &self.mappings {
            visit.call(mapping)?;
            visit.call(items)?;
        }
        visit.call(&self.registered)
    }
}

impl Guards {
    fn cells_hold(&self, py: Python<'_>) -> PyResult<bool> {
        for (cell, value) in &self.cells {
            match cell.bind(py).getattr(intern!(py, "cell_contents")) {
                Ok(found) if found.is(value) => {}
                Ok(_) => return Ok(false),
                // It was emptied.
                Err(error) if error.is_instance_of::<PyValueError>(py) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn mappings_hold(&self, py: Python<'_>) -> PyResult<bool> {
        for (mapping, items) in &self.mappings {
            let (mapping, items) = (mapping.bind(py), items.bind(py));
            let held = match mapping.cast_exact::<PyDict>() {
                Ok(dict) => dict_has(dict, items),
                Err(_) => proxy_has(mapping, items)?,
            };
            if !held {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether what is not reached through the callable is as it was.
    fn world_holds(&self, py: Python<'_>) -> PyResult<bool> {
        if !self.submodules.is_empty() {
            let modules = py.import(intern!(py, "sys"))?.getattr("modules")?;
            for name in &self.submodules {
                if modules.contains(name)? {
                    return Ok(false);
                }
            }
        }
        match &self.registered {
            Some(then) => {
                static TOKEN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
                let token = TOKEN.import(py, "abc", "get_cache_token")?;
                token.call0()?.eq(then)
            }
            None => Ok(true),
        }
    }
}

fn is_made_of(function: &Bound<'_, PyAny>, made: &Made) -> PyResult<bool> {
    let py = function.py();
    Ok(function.getattr(intern!(py, "__code__"))?.is(&made.0)
        && function.getattr(intern!(py, "__defaults__"))?.is(&made.1)
        && function.getattr(intern!(py, "__kwdefaults__"))?.is(&made.2))
}

/// Whether `dict` has just these keys and values, in that order.
fn dict_has(dict: &Bound<'_, PyDict>, items: &Bound<'_, PyTuple>) -> bool {
    let len = dict.len();
    items.len() == 2 * len
        && dict.iter().enumerate().all(|(index, (key, value))| {
            let is_at = |place, found: &Bound<'_, PyAny>| {
                items
                    .get_borrowed_item(place)
                    .is_ok_and(|item| item.is(found))
            };
            is_at(index, &key) && is_at(len + index, &value)
        })
}

/// The same for what is no dictionary: the attributes of a class.
fn proxy_has(mapping: &Bound<'_, PyAny>, items: &Bound<'_, PyTuple>) -> PyResult<bool> {
    let copy = PyDict::new(mapping.py());
    copy.update(mapping.cast()?)?;
    Ok(dict_has(&copy, items))
}
