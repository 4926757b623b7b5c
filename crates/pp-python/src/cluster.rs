//! Nodes and the node daemon for Python.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pp_runtime::{
    Caller, CertificateFiles, ClusterConfig, Daemon as RuntimeDaemon, DaemonConfig, DaemonError,
    Host, Identity, IdentityError, PythonVersion, Secret, Target, Uses, WorkerSpec, parse,
};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;

use crate::engine::shared_names;
use crate::errors::raise;

/// The files of the user's own authority, the certificate and its key.
pub(crate) type Certificates = (PathBuf, PathBuf, PathBuf);

/// What users write as one node, written out: the names of all the nodes that it stands
/// for. Raises `ValueError` if it is none.
#[pyfunction]
pub(crate) fn expand_node(name: &str) -> PyResult<Vec<String>> {
    let targets = parse(name).map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok(targets.iter().map(Target::name).collect())
}

pub(crate) fn targets(names: &[String]) -> PyResult<Vec<Target>> {
    let mut all = Vec::new();
    for name in names {
        let targets = parse(name).map_err(|error| PyValueError::new_err(error.to_string()))?;
        all.extend(targets);
    }
    all.sort();
    all.dedup();
    Ok(all)
}

/// What a server proves by that it belongs to the cluster.
pub(crate) fn identity(
    py: Python<'_>,
    secret: Option<Vec<u8>>,
    certificates: Option<Certificates>,
    uses: Uses,
) -> PyResult<Identity> {
    let made = py.detach(|| -> Result<Identity, IdentityError> {
        let secret = secret.map(Secret::new).transpose()?;
        match (certificates, secret) {
            (Some((authority, certificate, key)), secret) => {
                let files = CertificateFiles {
                    authority,
                    certificate,
                    key,
                };
                Identity::of_certificates(&files, uses, secret.as_ref())
            }
            (None, Some(secret)) => Identity::of_secret(&secret),
            (None, None) => Err(pp_runtime::SecretError::Empty.into()),
        }
    });
    made.map_err(|error| raise(py, "AuthenticationError", error.to_string()))
}

/// What a server says of itself to the nodes that it dials, and which those are.
pub(crate) fn cluster_config(
    targets: Vec<Target>,
    identity: Identity,
    name: String,
    python: PythonVersion,
    patience: Duration,
) -> PyResult<ClusterConfig> {
    let caller = Caller {
        python,
        patience,
        route: vec![random_id()?],
        name,
    };
    Ok(ClusterConfig::new(targets, identity, caller))
}

/// A number that tells this server from all others.
fn random_id() -> PyResult<[u8; 16]> {
    pp_runtime::random_id().map_err(|error| PyOSError::new_err(error.to_string()))
}

/// A node of a cluster.
#[pyclass(frozen, module = "pp._core")]
pub(crate) struct Daemon {
    inner: RuntimeDaemon,
}

#[pymethods]
impl Daemon {
    /// Starts to listen. `command` and `env` start a worker.
    #[new]
    #[pyo3(signature = (listen, command, env, *, name, python, workers, secret, certificates,
                        discovery, behind, dial, weights, supply, gpus, shared_memory, cache,
                        restart))]
    #[allow(clippy::too_many_arguments)] // a constructor; named in Python
    #[allow(clippy::needless_pass_by_value)] // arguments from Python are owned
    fn new(
        py: Python<'_>,
        listen: Vec<(String, u16)>,
        command: Vec<OsString>,
        env: Vec<(OsString, OsString)>,
        name: String,
        python: PythonVersion,
        workers: u32,
        secret: Option<Vec<u8>>,
        certificates: Option<Certificates>,
        discovery: Option<u16>,
        behind: Vec<String>,
        dial: Vec<String>,
        weights: Vec<(String, u32)>,
        supply: Vec<(String, u64)>,
        gpus: Vec<String>,
        shared_memory: Option<u64>,
        cache: Option<u64>,
        restart: bool,
    ) -> PyResult<Self> {
        let worker = WorkerSpec::new(command, env);
        let uses = Uses {
            dials: !behind.is_empty() || !dial.is_empty(),
            listens: true,
        };
        let config = DaemonConfig {
            listen: addresses(&listen)?,
            host: Host {
                node: random_id()?,
                name,
                python,
            },
            identity: identity(py, secret, certificates, uses)?,
            workers,
            worker,
            restart,
            supply: shared_names(supply),
            gpus: gpus.into_iter().map(Arc::from).collect(),
            shared_memory,
            cache,
            discovery,
            behind: targets(&behind)?,
            dial: targets(&dial)?,
            weights,
        };
        let inner = py
            .detach(|| RuntimeDaemon::start(config))
            .map_err(|error| match error {
                DaemonError::Listen { source, .. } if source.raw_os_error().is_some() => {
                    PyOSError::new_err((source.raw_os_error(), error_text(&listen, &source)))
                }
                other => PyOSError::new_err(other.to_string()),
            })?;
        Ok(Self { inner })
    }

    /// Where it listens: pairs of address and port.
    #[getter]
    fn addresses(&self) -> Vec<(String, u16)> {
        let all = self.inner.addresses().iter();
        all.map(|address| (address.ip().to_string(), address.port()))
            .collect()
    }

    /// Its clients: (name, address, workers, jobs that wait or run, jobs that were
    /// finished, seconds that those ran, seconds since it came).
    fn sessions(&self, py: Python<'_>) -> Vec<(String, String, u32, usize, u64, f64, f64)> {
        let all = py.detach(|| self.inner.sessions());
        all.into_iter()
            .map(|session| {
                (
                    session.name,
                    session.peer.to_string(),
                    session.workers,
                    session.pending,
                    session.jobs,
                    session.run_time.as_secs_f64(),
                    session.age.as_secs_f64(),
                )
            })
            .collect()
    }

    /// What was done since the start, also for clients that have gone: how many came, jobs
    /// that were finished, seconds that those ran.
    fn done(&self, py: Python<'_>) -> (u64, u64, f64) {
        let done = py.detach(|| self.inner.done());
        let totals = done.totals;
        (done.clients, totals.jobs, totals.run_time.as_secs_f64())
    }

    /// Lets nobody in any more, and waits up to `timeout` seconds until all clients have
    /// gone; whether they have.
    fn drain(&self, py: Python<'_>, timeout: f64) -> bool {
        let patience = Duration::try_from_secs_f64(timeout).unwrap_or_default();
        py.detach(|| self.inner.drain(patience))
    }

    /// Ends at once. Returns when nothing is left.
    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.inner.stop());
    }
}

fn error_text(listen: &[(String, u16)], source: &std::io::Error) -> String {
    let places: Vec<_> = listen
        .iter()
        .map(|(host, port)| format!("{host}:{port}"))
        .collect();
    format!("cannot listen on {}: {source}", places.join(", "))
}

fn addresses(listen: &[(String, u16)]) -> PyResult<Vec<SocketAddr>> {
    listen
        .iter()
        .map(|(host, port)| {
            let address = host.parse();
            address
                .map(|ip| SocketAddr::new(ip, *port))
                .map_err(|_| PyValueError::new_err(format!("{host:?} is no address")))
        })
        .collect()
}
