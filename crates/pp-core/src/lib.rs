//! The Parallel Python scheduler: a state machine without I/O, clock, threads
//! or randomness.
//!
//! Events go in by the methods of [`Scheduler`]; decisions come out of
//! [`Scheduler::poll`] as [`Effect`]s, in the order in which they must be
//! carried out. Time is an argument of every event. So every decision can be
//! replayed, and tested under virtual time.
//!
//! A scheduler spreads *jobs* over *executors*. An executor is a worker process, which
//! runs jobs one after another, or a *node*: another scheduler, somewhere else, which works
//! for this one as for a parent (see [`Service`]) and runs several at a time.
//! What a job is, the scheduler does not know: it carries one opaque value `J`
//! per job and hands it back when the job ends.
//!
//! # What it promises
//!
//! * Every job ends exactly once: by [`Scheduler::job_finished`],
//!   [`Scheduler::job_raised`], [`Scheduler::job_failed`] or [`Effect::End`].
//! * No job is sent before all have ended well that it is to begin [after](Terms::after). When
//!   one of these ends otherwise, all that depend on it, directly or not, end in the order of
//!   submission.
//! * A job that a worker runs for longer than it [may](Terms::time_limit) is asked to end, and
//!   ended by force where that does not help; no other job is charged for it.
//! * A job that has raised something is run again as often as was [asked](Terms::retries), and
//!   no more often, whatever becomes of workers and nodes meanwhile.
//! * Of the jobs of one share ([`Terms::share`]) that wait for no other and can start, those of a
//!   higher priority are sent first, and those of one priority in the order of their submission;
//!   but one start in a few goes to the one that was submitted first ([`Config::ageing`]), so
//!   that none starves. A job that comes back, from a dead executor, by a recall or after a
//!   pause, regains its place; so does one that has waited for others. Only jobs that are
//!   suspected of taking nodes down ([`Config::max_node_losses`]) wait for a node without another
//!   such.
//! * Shares whose jobs wait are served in proportion to their weights
//!   ([`Scheduler::set_share`]): what two of them get differs by no more than what as many of
//!   their longest jobs take as are held at a time. One that was idle has saved up nothing.
//! * Executors never come to hold more jobs of a share than its limit.
//! * What jobs [need](Terms::demand) is theirs alone while an executor holds them: of no machine
//!   more is taken than it has, of slots and of [resources](Scheduler::set_supply). One whose
//!   needs nobody can meet now holds up none behind it. But the first in line that lacks
//!   nothing but slots *gathers* them: on one machine nothing behind it in line starts until it
//!   has them, for [`Config::gather`] at a time, with pauses as long, and twice as long each
//!   time. So neither do many narrow jobs starve a wide one, nor does one that never gets its
//!   slots starve the others. Who lacks a resource gathers nothing: a job that needs much of
//!   one may be passed by any number of those that need little of it. A share pays for as many
//!   slots as its jobs take. Of what others take of a machine, the scheduler hears only that
//!   a job was [refused](Scheduler::refused): until something has changed, that machine gets none
//!   that needs the same.
//! * A job whose [data](Terms::data) an executor has waits for that, and is passed meanwhile, as
//!   long as it begins there sooner than elsewhere. Nobody waits for one that leaves, is gone, or
//!   takes much longer than expected.
//! * But for these, no ready executor idles while a job is queued whose share is below its limit
//!   and that it could start, unless it has to for one that needs several slots; and none idles
//!   for longer than [`RecallConfig::threshold`] and [`RecallConfig::slack`] together, and what the
//!   way takes, while another holds a job that it has not started, unless data makes that job
//!   begin sooner there.
//! * No executor holds more jobs than the credit that it granted.
//! * When the last job has ended, no table holds anything of it.
//!
//! # A small example
//!
//! ```
//! use std::time::Duration;
//! use pp_core::{Config, Effect, FunctionId, Scheduler, Time};
//!
//! let mut scheduler = Scheduler::new(Config::default());
//! let now = Time::ZERO;
//! scheduler.resize(1, now);
//! let Some(Effect::Start { executor }) = scheduler.poll() else { unreachable!() };
//! scheduler.executor_ready(executor, 16, now);
//!
//! let job = scheduler.submit(FunctionId::from_u64(1), "data", now)?;
//! assert!(matches!(scheduler.poll(), Some(Effect::SendFunction { .. })));
//! assert_eq!(scheduler.poll(), Some(Effect::Send { executor, job }));
//!
//! let data = scheduler.job_finished(executor, job, Duration::from_micros(5), now);
//! assert_eq!(data, Some("data"));
//! assert!(scheduler.is_empty());
//! # Ok::<(), pp_core::Destroyed<&str>>(())
//! ```

#![forbid(unsafe_code)]

mod aside;
mod buckets;
mod cancel;
mod charges;
mod classes;
mod config;
mod data;
mod demand;
mod dependencies;
mod effect;
mod ends;
mod estimate;
mod executor;
mod executors;
mod function;
mod gathering;
mod held;
mod ids;
mod interrupts;
mod invariants;
mod job;
mod lifecycle;
mod near;
mod nodes;
mod outage;
mod packing;
mod placement;
mod queue;
mod recall;
mod refusals;
mod resize;
mod resources;
mod retries;
mod scheduler;
mod service;
mod shares;
mod sharing;
mod starts;
mod stock;
mod supply;
mod suspects;
mod terms;
mod time;
mod time_limits;
mod view;
mod virtual_time;

pub use config::{BackoffConfig, Config, RecallConfig, WindowConfig};
pub use data::Data;
pub use demand::Demand;
pub use effect::{Charges, Destroyed, Effect, Ending};
pub use ends::Raised;
pub use executor::{ExecutorKind, ExecutorState};
pub use ids::{ExecutorId, FunctionId, JobId, ResourceId, ShareId};
pub use invariants::InvariantViolation;
pub use outage::is_own_outage;
pub use resources::{Lack, Machine};
pub use scheduler::Scheduler;
pub use service::{Answer, Service};
pub use sharing::ShareStats;
pub use stock::Stocked;
pub use supply::Supply;
pub use terms::{Retries, Terms};
pub use time::Time;
pub use view::{ExecutorCounts, ExecutorStats, JobState, JobView};
