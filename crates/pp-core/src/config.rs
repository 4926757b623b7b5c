//! What can be set, and the reasons for the defaults.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

/// The settings of a [`Scheduler`](crate::Scheduler).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// A job ends with [`Ending::WorkerDied`](crate::Ending::WorkerDied) when this
    /// many executors have died while running it. Default 3: once may be the
    /// machine's fault and twice bad luck.
    pub max_worker_deaths: NonZeroU32,
    /// A job ends with [`Ending::NodeLost`](crate::Ending::NodeLost) when this many nodes
    /// have been lost while holding it. Default 3. Nobody can tell which job took a node
    /// down, so all that it held are counted; a job that the next loss would end is never
    /// with another such job on one node.
    pub max_node_losses: NonZeroU32,
    /// An executor is replaced after this many jobs; `None` for never. Default
    /// `None`. `Some(1)` gives each job a fresh process.
    pub jobs_per_executor: Option<NonZeroU32>,
    /// After this many executors in a row that died before they began a job, and
    /// with none ready, queued jobs end with
    /// [`Ending::StartFailed`](crate::Ending::StartFailed). Default 3; 0 counts
    /// as 1.
    pub start_attempts: u32,
    /// The pauses between starts that fail.
    pub start_backoff: BackoffConfig,
    /// How long a cancelled job may go on after it was [asked to end](
    /// crate::Effect::Interrupt), before its worker is killed. Default 1 s; zero: it is not
    /// asked.
    pub cancel_grace: Duration,
    /// One start in so many, of those where jobs of several priorities wait in a share, goes to
    /// the one that has waited longest, so that none starves. Default 16: that takes a
    /// sixteenth from the urgent ones. `None`: never.
    pub ageing: Option<NonZeroU32>,
    /// For how long executors are kept idle, the first time, for a job that needs several
    /// slots of one machine while others wait that need one. Default 10 s: what others do not
    /// get meanwhile, they get afterwards; each time it is twice as long.
    pub gather: Duration,
    /// How many bytes of data come from one executor to another in a second. Default
    /// 125,000,000, a network of 1 Gbit/s: on a faster one, jobs wait longer for the executor
    /// that has their data than they need to, and on a slower one not long enough.
    pub transfer_rate: NonZeroU64,
    /// How far jobs are sent ahead.
    pub window: WindowConfig,
    /// When jobs that were sent ahead are taken back.
    pub recall: RecallConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_worker_deaths: NonZeroU32::MIN.saturating_add(2),
            max_node_losses: NonZeroU32::MIN.saturating_add(2),
            jobs_per_executor: None,
            start_attempts: 3,
            start_backoff: BackoffConfig::default(),
            cancel_grace: Duration::from_secs(1),
            ageing: NonZeroU32::new(16),
            gather: Duration::from_secs(10),
            transfer_rate: NonZeroU64::MIN.saturating_add(124_999_999),
            window: WindowConfig::default(),
            recall: RecallConfig::default(),
        }
    }
}

/// The pauses between starts of executors that fail.
///
/// The first failure is repaired at once. After the second the pause is `first`,
/// and it doubles with each further one up to `max`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackoffConfig {
    /// Default 50 ms, about what it costs to start an interpreter: trying again
    /// takes half of the time of one core at the most.
    pub first: Duration,
    /// Default 5 s: by then trying again costs about one hundredth of one core,
    /// and an executor comes back soon after its trouble is over.
    pub max: Duration,
}

impl Default for BackoffConfig {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(50),
            max: Duration::from_secs(5),
        }
    }
}

/// How far jobs are sent ahead of the one that an executor runs.
///
/// Jobs of a function that has not been measured yet are never sent ahead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowConfig {
    /// The most jobs ahead of the running one, however short they are. Default
    /// 256: more gains nothing measurable, and costs memory in the executor.
    pub max_ahead: u32,
    /// An executor gets more while it holds less expected work than this. Default
    /// 6 ms. Where all processors are busy, a thread that wakes up may have to wait for
    /// one as long as the system lets others run, 3 to 4 ms on Linux; an executor must
    /// not run dry meanwhile. What waits too long where it is, is recalled.
    pub horizon: Duration,
    /// An executor gets the first job ahead for each that it runs only if that is
    /// expected to begin within this. A worker begins it after the one that it runs, a node
    /// of eight slots after an eighth of that. Default 20 ms: for longer jobs the
    /// wake-up is less than half a percent, and a job that waits behind them could
    /// run elsewhere.
    pub single_ahead: Duration,
}

impl Default for WindowConfig {
    fn default() -> Self {
        Self {
            max_ahead: 256,
            horizon: Duration::from_millis(6),
            single_ahead: Duration::from_millis(20),
        }
    }
}

/// When jobs that were sent ahead and not started are taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecallConfig {
    /// An idle executor takes jobs over at once if they would wait longer than
    /// this where they are. Default 50 us, about what it takes to wake the idle
    /// one: jobs that start sooner than that gain nothing by moving.
    pub threshold: Duration,
    /// How much later than expected a job may start while an executor idles.
    /// Default 200 us: estimates of short jobs err by about as much.
    pub slack: Duration,
    /// Jobs are taken back from an executor that has finished nothing for this
    /// long (at most twice this long), even if nobody idles: it runs a job that
    /// turned out long. Default 40 ms, above [`WindowConfig::single_ahead`], so
    /// that it happens to wrong estimates only.
    pub stall: Duration,
}

impl Default for RecallConfig {
    fn default() -> Self {
        Self {
            threshold: Duration::from_micros(50),
            slack: Duration::from_micros(200),
            stall: Duration::from_millis(40),
        }
    }
}
