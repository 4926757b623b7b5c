//! What is remembered of a job after its end.

use std::time::Duration;

/// The site of a job that ran nowhere.
pub(super) const NOWHERE: u16 = u16::MAX;
/// The site that is this machine.
pub(super) const HERE: u16 = 0;

/// How a job ran, for the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ran {
    pub(super) run_time: Duration,
    /// The process that ran it; 0 if there was none.
    pub(super) worker: u32,
    /// The machine, as [`Sites`](super::sites::Sites) numbers them.
    pub(super) site: u16,
    /// How often it was begun.
    pub(super) attempts: u32,
}

impl Ran {
    /// It did not, or nobody knows.
    pub(super) const NOT: Self = Self {
        run_time: Duration::ZERO,
        worker: 0,
        site: NOWHERE,
        attempts: 0,
    };
}

/// Where and when a job ran, in few bytes: it takes the place of the job's arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    ended: [u8; 6],
    run_time: [u8; 8],
    attempts: [u8; 2],
    worker: [u8; 4],
    site: [u8; 2],
}

impl Record {
    /// `ended`: when it ended, from the engine's birth on.
    pub(super) fn new(ended: Duration, ran: Ran) -> Self {
        let run_time = u64::try_from(ran.run_time.as_nanos()).unwrap_or(u64::MAX);
        let attempts = u16::try_from(ran.attempts).unwrap_or(u16::MAX);
        Self {
            ended: micros(ended),
            run_time: run_time.to_ne_bytes(),
            attempts: attempts.to_ne_bytes(),
            worker: ran.worker.to_ne_bytes(),
            site: ran.site.to_ne_bytes(),
        }
    }

    pub(super) fn ended(&self) -> Duration {
        duration(self.ended)
    }

    /// How it ran; of many attempts it is only known that they were many.
    pub(super) fn ran(&self) -> Ran {
        Ran {
            run_time: Duration::from_nanos(u64::from_ne_bytes(self.run_time)),
            worker: u32::from_ne_bytes(self.worker),
            site: u16::from_ne_bytes(self.site),
            attempts: u16::from_ne_bytes(self.attempts).into(),
        }
    }
}

/// A time in microseconds, in six bytes: enough for nine years.
pub(super) fn micros(time: Duration) -> [u8; 6] {
    let whole = time.as_secs().saturating_mul(1_000_000);
    let micros = whole.saturating_add(time.subsec_micros().into());
    let mut bytes = [0; 6];
    for (to, from) in bytes
        .iter_mut()
        .zip(micros.min((1 << 48) - 1).to_le_bytes())
    {
        *to = from;
    }
    bytes
}

/// The time that [`micros`] made six bytes of.
pub(super) fn duration(bytes: [u8; 6]) -> Duration {
    let mut all = [0; 8];
    for (to, from) in all.iter_mut().zip(bytes) {
        *to = from;
    }
    Duration::from_micros(u64::from_le_bytes(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_what_was_said() {
        let ended = Duration::from_micros(1 << 40);
        let ran = Ran {
            run_time: Duration::from_nanos(77),
            worker: 4_000_000,
            site: 9,
            attempts: 3,
        };
        let record = Record::new(ended, ran);
        assert_eq!((record.ended(), record.ran()), (ended, ran));
        assert_eq!(duration(micros(Duration::MAX)).as_secs() / 86_400 / 365, 8);
    }
}
