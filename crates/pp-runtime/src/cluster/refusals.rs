//! What is written about those who are not let in: enough to see what is wrong, and no more,
//! however many come and however often.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::net::HandshakeError;
use crate::sync::Mutex;

/// So many lines are written
const LINES: u32 = 20;
/// in this time; then they are only counted.
const LINES_TIME: Duration = Duration::from_secs(10);
/// The same of the same machine is written once in this time: who is refused tries again.
const AGAIN: Duration = Duration::from_secs(60);

/// Who was refused lately.
#[derive(Debug)]
pub(super) struct Refusals(Mutex<Log>);

#[derive(Debug)]
struct Log {
    since: Instant,
    lines: u32,
    left_out: u64,
    /// What was written in the last minute: as many as there may be lines.
    told: HashMap<(IpAddr, String), Told>,
}

#[derive(Debug)]
struct Told {
    at: Instant,
    repeats: u64,
}

/// What is to be done about a refusal.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It is written; the same has happened so often since it was written last.
    Tell { repeats: u64 },
    /// It was written a moment ago.
    Repeated,
    /// There is too much to write; whether it is the first for which that is so.
    LeftOut { is_first: bool },
}

impl Refusals {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Log {
            since: Instant::now(),
            lines: 0,
            left_out: 0,
            told: HashMap::new(),
        })))
    }

    /// Writes why somebody was refused, unless there was too much of that lately. To be
    /// called in a runtime.
    pub(super) fn tell(self: &Arc<Self>, peer: SocketAddr, error: &HandshakeError) {
        let reason = error.to_string();
        let verdict = self.0.lock().judge(peer.ip(), &reason, Instant::now());
        match verdict {
            Verdict::Tell { repeats: 0 } => {
                tracing::warn!(%peer, reason, "connection refused");
            }
            Verdict::Tell { repeats } => {
                tracing::warn!(%peer, reason, repeats, "connection refused");
            }
            Verdict::LeftOut { is_first: true } => {
                // Nobody may come any more who would be a reason to say so.
                let refusals = Arc::clone(self);
                tokio::spawn(async move {
                    sleep(LINES_TIME).await;
                    refusals.tell_left_out();
                });
            }
            Verdict::Repeated | Verdict::LeftOut { is_first: false } => {
                tracing::debug!(%peer, reason, "connection refused");
            }
        }
    }

    fn tell_left_out(&self) {
        let count = std::mem::take(&mut self.0.lock().left_out);
        tracing::warn!(count, "more connections were refused than are told of here");
    }
}

impl Log {
    fn judge(&mut self, peer: IpAddr, reason: &str, now: Instant) -> Verdict {
        let lately = |at: Instant, time: Duration| now.saturating_duration_since(at) < time;
        let key = (peer, reason.to_owned());
        if let Some(told) = self.told.get_mut(&key)
            && lately(told.at, AGAIN)
        {
            told.repeats += 1;
            return Verdict::Repeated;
        }
        if !lately(self.since, LINES_TIME) {
            self.since = now;
            self.lines = 0;
        }
        if self.lines == LINES {
            self.left_out += 1;
            let is_first = self.left_out == 1;
            return Verdict::LeftOut { is_first };
        }
        self.lines += 1;
        let repeats = self.told.remove(&key).map_or(0, |told| told.repeats);
        self.told.retain(|_, told| lately(told.at, AGAIN));
        let told = Told {
            at: now,
            repeats: 0,
        };
        self.told.insert(key, told);
        Verdict::Tell { repeats }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u32) -> IpAddr {
        std::net::Ipv4Addr::from(number).into()
    }

    fn log(now: Instant) -> Log {
        Log {
            since: now,
            lines: 0,
            left_out: 0,
            told: HashMap::new(),
        }
    }

    #[test]
    fn the_same_is_told_once_in_a_minute() {
        let start = Instant::now();
        let mut log = log(start);
        let second = Duration::from_secs(1);
        let tell = |repeats| Verdict::Tell { repeats };
        assert_eq!(log.judge(peer(1), "a circle", start), tell(0));
        for n in 1..60 {
            let now = start + second * n;
            assert_eq!(log.judge(peer(1), "a circle", now), Verdict::Repeated);
        }
        // Another machine, and another reason, are news.
        assert_eq!(log.judge(peer(2), "a circle", start), tell(0));
        assert_eq!(log.judge(peer(1), "a stranger", start), tell(0));
        let later = start + AGAIN;
        assert_eq!(log.judge(peer(1), "a circle", later), tell(59));
        assert_eq!(log.judge(peer(1), "a circle", later), Verdict::Repeated);
    }

    #[test]
    fn strangers_are_told_of_but_not_for_ever() {
        let start = Instant::now();
        let mut log = log(start);
        for n in 0..LINES {
            assert_eq!(log.judge(peer(n), "", start), Verdict::Tell { repeats: 0 });
        }
        for n in 0..15 {
            let is_first = n == 0;
            let verdict = log.judge(peer(LINES + n), "", start);
            assert_eq!(verdict, Verdict::LeftOut { is_first });
        }
        assert_eq!((log.lines, log.left_out), (LINES, 15));
        let later = start + LINES_TIME;
        let verdict = log.judge(peer(1_000), "", later);
        assert_eq!(verdict, Verdict::Tell { repeats: 0 });
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let start = Instant::now();
        let mut log = log(start);
        for n in 0..100_000 {
            log.judge(peer(n), "", start + Duration::from_millis(10) * n);
        }
        assert!(log.told.len() <= 7 * 20, "{}", log.told.len());
    }
}
