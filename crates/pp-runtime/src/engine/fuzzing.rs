//! Doors to what an authenticated peer can reach: both ends of a link in use.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use mio::Poll;
use rustls::ServerConnection;
use tokio::sync::oneshot;

use super::config::EngineConfig;
use super::job::{Job, Origin};
use super::node::Parting;
use super::shared::Shared;
use super::{Function, reported as codec};
use crate::blob::Blob;
use crate::fork::Unshared;
use crate::net::{Host, Identity, Link, Reached, Secret};
use crate::process::WorkerSpec;

/// Shared memory that what is sent may fill.
const SHARED_MEMORY: u64 = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(3600);

static IDENTITY: LazyLock<Option<Identity>> = LazyLock::new(|| {
    let secret = [b"pp2-".as_slice(), &[b'a'; 52]].concat();
    Identity::of_secret(&Secret::new(secret).ok()?).ok()
});

/// What a node's report of a failure says, and how it would be reported again.
pub fn reported(bytes: &[u8]) -> (String, Vec<u8>) {
    let failure = codec::decode(bytes);
    (failure.to_string(), codec::encode(&failure))
}

/// A server without workers that has a parent above it and a node below, as a gateway has:
/// the same code as in use, without threads, and without sockets that anybody reads.
#[derive(Debug)]
pub struct Gateway {
    shared: Arc<Shared>,
    _poll: Poll,
    parent: Line,
    node: Line,
    submitted: u64,
}

/// A link, and who minds it.
#[derive(Debug)]
struct Line {
    link: Arc<Link>,
    parting: oneshot::Receiver<Parting>,
    _far: TcpStream,
}

impl Line {
    /// Why the link is not used any more, if it is not.
    fn parted(&mut self) -> Option<String> {
        Some(self.parting.try_recv().ok()?.to_string())
    }
}

impl Gateway {
    /// One that has just met both.
    ///
    /// # Errors
    /// The system has no means for it.
    pub fn new() -> io::Result<Self> {
        let worker = WorkerSpec {
            program: "/nonexistent".into(),
            args: Vec::new(),
            env: Vec::new(),
        };
        let config = EngineConfig {
            shared_memory: Some(SHARED_MEMORY),
            ..EngineConfig::new(worker, Vec::new().into())
        };
        let poll = Poll::new()?;
        let shared = Shared::new(config, &poll)?;
        let (link, far) = connect()?;
        let parent = Line {
            parting: shared.serve(Arc::clone(&link), PATIENCE)?,
            link,
            _far: far,
        };
        let (link, far) = connect()?;
        let reached = Reached {
            link: Arc::clone(&link),
            host: Host {
                node: [1; 16],
                name: "node".to_owned(),
                python: (3, 11, 0),
            },
            latency: Duration::ZERO,
        };
        let parting = shared.join(&"node".into(), reached);
        let node = Line {
            parting: parting.map_err(io::Error::other)?,
            link,
            _far: far,
        };
        Ok(Self {
            shared,
            _poll: poll,
            parent,
            node,
            submitted: 0,
        })
    }

    /// The parent says `bytes`; why it is not worked for any more, if that is the end of it.
    pub fn hear_parent(&mut self, bytes: &[u8]) -> Option<String> {
        self.parent.link.pretend(bytes);
        self.take_in();
        self.parent.parted()
    }

    /// The node says `bytes`; why it is not used any more, if that is the end of it.
    pub fn hear_node(&mut self, bytes: &[u8]) -> Option<String> {
        self.node.link.pretend(bytes);
        self.take_in();
        self.node.parted()
    }

    /// A job of this server's own, for the node.
    pub fn submit(&mut self, function: &[u8], args: &[u8]) {
        let mut state = self.shared.lock();
        let function: Arc<Function> = state.intern(function.to_vec().into(), "");
        let group = Arc::clone(&self.shared.all);
        self.shared.inbox.count(&group);
        let args = Blob::from(args);
        let job = Job::new(function, args, group, Duration::ZERO, Origin::Here);
        job.set_number(self.submitted);
        self.submitted += 1;
        let now = state.now();
        state.submit(Arc::new(job), now);
        self.shared.settle(&mut state);
    }

    /// It is time to ask whether the node lives.
    pub fn beat(&mut self) {
        let mut state = self.shared.lock();
        state.links.next_beat = Some(Instant::now());
        self.shared.beat(&mut state);
        self.shared.settle(&mut state);
    }

    fn take_in(&mut self) {
        let mut state = self.shared.lock();
        self.shared.take_in_all(&mut state);
        self.shared.beat(&mut state);
        state.pool.expire();
        self.shared.settle(&mut state);
        drop(state);
        self.shared.pool.bury();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.shared.begin_destruction();
        self.shared.close();
        self.shared.pool.shut();
    }
}

/// A link whose other end says nothing by itself. What is written to it is kept where it
/// waits for a handshake that does not come.
fn connect() -> io::Result<(Arc<Link>, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let far = TcpStream::connect(listener.local_addr()?)?;
    let (near, _) = listener.accept()?;
    // Closed at once, or thousands of ports would wait for a minute.
    for stream in [&near, &far] {
        socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO))?;
    }
    let identity = IDENTITY
        .as_ref()
        .ok_or_else(|| io::Error::other("there is no identity"))?;
    let connection = ServerConnection::new(identity.server()).map_err(io::Error::other)?;
    let link = Link::new(Unshared::new(near), connection.into()).map_err(io::Error::other)?;
    Ok((link, far))
}

#[cfg(test)]
mod tests {
    use pp_proto::{FromExecutor, Payload, Status, ToExecutor};

    use super::*;

    /// More than the default of an assembler, and what a machine of 40 processors holds.
    const MANY: u64 = 10_000;

    fn by_parent(message: &ToExecutor<'_>) -> Vec<u8> {
        let mut frame = Vec::new();
        message.encode(&mut frame).unwrap();
        frame
    }

    fn job(job: u64) -> Vec<u8> {
        by_parent(&ToExecutor::Job {
            job,
            ticket: 0,
            function: 0,
            args: Payload::new(100_000, b"").unwrap(),
        })
    }

    #[test]
    fn all_jobs_of_a_large_node_may_have_large_results_at_the_same_time() {
        let mut gateway = Gateway::new().unwrap();
        for job in 0..MANY {
            let result = FromExecutor::Result {
                job,
                status: Status::Value,
                run_ns: 1,
                worker: 0,
                attempts: 0,
                output_len: 0,
                errors_len: 0,
                body: Payload::new(100_000, b"").unwrap(),
            };
            let mut frame = Vec::new();
            result.encode(&mut frame).unwrap();
            assert_eq!(gateway.hear_node(&frame), None);
        }
    }

    #[test]
    fn all_jobs_for_a_large_node_may_have_large_arguments_at_the_same_time() {
        let mut gateway = Gateway::new().unwrap();
        for number in 0..MANY {
            assert_eq!(gateway.hear_parent(&job(number)), None);
        }
    }

    #[test]
    fn uses_of_segments_are_those_of_the_job_that_comes_next() {
        let uses = |job| by_parent(&ToExecutor::Use { job, segment: 0 });
        let heard = |frames: &[Vec<u8>]| {
            let mut gateway = Gateway::new().unwrap();
            gateway.hear_parent(&frames.concat())
        };
        assert_eq!(heard(&[uses(1), uses(1), job(1), uses(2), job(2)]), None);
        assert!(
            heard(&[uses(1), uses(2)])
                .unwrap()
                .contains("unexpected use")
        );
        assert!(
            heard(&[uses(1), job(2)])
                .unwrap()
                .contains("unexpected job")
        );
    }
}
