//! What a client wants of the nodes that work for it.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The settings of a session, as they travel in `Configure`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// A job that took down this many workers fails.
    pub(crate) max_worker_deaths: NonZeroU32,
    /// A job during which this many nodes were lost fails: for gateways.
    pub(crate) max_node_losses: NonZeroU32,
    /// A worker that ran this many jobs is replaced.
    pub(crate) max_jobs_per_worker: Option<NonZeroU32>,
    /// How long a cancelled job may go on after it was asked to end.
    pub(crate) cancel_grace: Duration,
    /// For the workers' Python side; opaque here.
    pub(crate) python: Vec<u8>,
}

impl Settings {
    pub(crate) fn encode(&self) -> Vec<u8> {
        // Plain data always has an encoding.
        postcard::to_allocvec(self).unwrap_or_default()
    }

    /// None if it is none: another release has another one.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_arrive_as_they_were_sent() {
        let settings = Settings {
            max_worker_deaths: NonZeroU32::MIN,
            max_node_losses: NonZeroU32::MAX,
            max_jobs_per_worker: None,
            cancel_grace: Duration::from_millis(1500),
            python: b"pickle".to_vec(),
        };
        assert_eq!(Settings::decode(&settings.encode()), Some(settings));
        assert_eq!(Settings::decode(b"\0"), None);
    }
}
