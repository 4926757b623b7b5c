//! How long the jobs of a function take.

/// Jobs count for at least this long, in nanoseconds: what a worker spends on
/// taking a job and answering, whatever the job does.
pub(crate) const FLOOR: u64 = 1_000;

/// The samples after the first during which an estimate falls fast: the first run
/// of a function pays for imports and caches that the others find in place.
const EAGER: u8 = 8;

/// How many times longer than expected a run may count at the most. A worker that is
/// preempted while it runs a job of a microsecond reports milliseconds; taken at its
/// word, it would get its next jobs one by one. Where jobs have really become longer,
/// a few of them tell, and meanwhile what waits behind them can be recalled.
const CREDIBLE: u64 = 8;

/// Stands for "not known" and for "4.29 s or longer".
pub(crate) const LONG: u32 = u32::MAX;

/// A moving average that follows longer runs soon and shorter ones slowly.
///
/// Too high an estimate costs a round trip; too low a one leaves jobs waiting
/// behind a long one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Estimate {
    nanos: u64,
    /// What short jobs of it take: follows shorter runs at once and longer ones slowly.
    least: u64,
    samples: u8,
}

/// What is expected of one job, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    /// How long it takes; [`LONG`] if nobody knows.
    pub(crate) time: u32,
    /// How long it takes if it is one of the short ones.
    pub(crate) least: u32,
}

impl Estimate {
    /// Takes in the run time of one job.
    pub(crate) fn observe(&mut self, nanos: u64) {
        let nanos = nanos.max(FLOOR);
        if self.samples == 0 || nanos < self.least {
            self.least = nanos;
        } else {
            self.least += (nanos - self.least).min(self.least) / 4;
        }
        if self.samples == 0 {
            self.nanos = nanos;
        } else if nanos >= self.nanos {
            let nanos = nanos.min(self.nanos.saturating_mul(CREDIBLE));
            self.nanos += (nanos - self.nanos).div_ceil(2);
        } else if self.samples <= EAGER {
            self.nanos -= (self.nanos - nanos) / 2;
        } else {
            self.nanos -= (self.nanos - nanos) / 8;
        }
        self.samples = self.samples.saturating_add(1);
    }

    /// Whether any job has been measured.
    pub(crate) fn is_known(self) -> bool {
        self.samples > 0
    }

    /// The expected run time.
    pub(crate) fn expected(self) -> Expected {
        if !self.is_known() {
            return Expected {
                time: LONG,
                least: 0,
            };
        }
        let nanos = |nanos| u32::try_from(nanos).unwrap_or(LONG);
        Expected {
            time: nanos(self.nanos),
            least: nanos(self.least),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(samples: &[u64]) -> Estimate {
        let mut estimate = Estimate::default();
        for &nanos in samples {
            estimate.observe(nanos);
        }
        estimate
    }

    #[test]
    fn nothing_is_known_before_the_first_run() {
        assert!(!after(&[]).is_known());
        assert_eq!(after(&[]).expected().time, LONG);
        assert_eq!(after(&[5_000]).expected().time, 5_000);
    }

    #[test]
    fn what_short_ones_take_is_known_beside() {
        let mixed = after(&[vec![300_000; 9], vec![200_000_000], vec![350_000; 3]].concat());
        let Expected { time, least } = mixed.expected();
        assert!(time > 500_000 && least < 400_000, "{mixed:?}");
        let longer = after(&[vec![2_000; 20], vec![5_000_000; 200]].concat());
        assert!(longer.expected().least > 4_000_000, "{longer:?}");
    }

    #[test]
    fn long_runs_count_soon() {
        let estimate = after(&[vec![2_000; 100], vec![10_000_000; 7]].concat());
        assert!(estimate.expected().time > 4_000_000, "{estimate:?}");
    }

    #[test]
    fn one_long_run_is_no_new_length() {
        let estimate = after(&[vec![2_000; 100], vec![10_000_000]].concat());
        assert!(estimate.expected().time < 10_000, "{estimate:?}");
        let estimate = after(&[vec![2_000; 100], vec![10_000_000], vec![2_000; 20]].concat());
        assert!(estimate.expected().time < 3_000, "{estimate:?}");
    }

    #[test]
    fn a_slow_first_run_is_soon_forgotten() {
        let estimate = after(&[vec![1_000_000], vec![2_000; 10]].concat());
        assert!(estimate.expected().time < 10_000, "{estimate:?}");
    }

    #[test]
    fn short_runs_count_slowly_later() {
        let estimate = after(&[vec![1_000_000; 20], vec![2_000]].concat());
        assert!(estimate.expected().time > 800_000);
    }

    #[test]
    fn extremes_stay_in_range() {
        assert_eq!(after(&[0]).expected().time, 1_000);
        assert_eq!(
            after(&[u64::MAX, u64::MAX, 0, u64::MAX]).expected().time,
            LONG
        );
    }
}
