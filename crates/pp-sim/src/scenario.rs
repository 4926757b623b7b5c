//! Clusters and faults from a seed.

use crate::S;
use crate::author::{Author, Menace};
use crate::book::{Kind, Outcome};
use crate::report::Report;
use crate::simulation::Simulation;
use crate::violation::Violation;

/// How large scenarios get.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// The most clients.
    pub clients: u32,
    /// The most nodes that clients know; there are others behind some of them.
    pub nodes: u32,
    /// The most workers of a node.
    pub workers: u32,
    /// The most jobs of a client.
    pub jobs: u32,
    /// The most faults.
    pub faults: u32,
    /// Within how many nanoseconds they happen, at the most.
    pub horizon: u64,
    /// As [`Settings::check_every`](crate::Settings::check_every).
    pub check_every: u64,
}

impl Size {
    /// For thousands of seeds.
    pub const SMALL: Self = Self {
        clients: 2,
        nodes: 3,
        workers: 4,
        jobs: 60,
        faults: 6,
        horizon: 6 * S,
        check_every: 1,
    };
    /// For long runs.
    pub const LARGE: Self = Self {
        clients: 4,
        nodes: 12,
        workers: 16,
        jobs: 20_000,
        faults: 200,
        horizon: 200 * S,
        check_every: 64,
    };
}

/// The longest that a scenario may take, in virtual nanoseconds, beyond its faults.
pub(crate) const LIMIT: u64 = 7_200 * S;

/// A scenario that was made up.
#[derive(Debug)]
pub struct Scenario {
    simulation: Simulation,
    menace: Menace,
}

impl Scenario {
    /// The scenario of a seed.
    pub fn new(seed: u64, size: Size) -> Result<Self, Violation> {
        let mut author = Author::new(seed, size);
        author.topology();
        author.supplies();
        author.jobs();
        author.faults();
        Ok(Self {
            simulation: author.setup.start()?,
            menace: author.menace,
        })
    }

    /// Lets it run to its end, and looks at what has become of the jobs.
    pub fn play(&mut self) -> Result<Report, Violation> {
        self.simulation.run(LIMIT)?;
        self.simulation.rest()?;
        self.check_outcomes()?;
        Ok(self.simulation.report())
    }

    /// The run.
    pub fn simulation(&mut self) -> &mut Simulation {
        &mut self.simulation
    }

    /// No job ended in a way that nothing in the scenario explains.
    fn check_outcomes(&self) -> Result<(), Violation> {
        let Menace {
            nodes,
            workers,
            starts,
            clients,
            cancels,
            limits,
        } = self.menace;
        // Where messages are lost, a node may be given up that is well.
        let nodes = nodes || self.simulation.world.counts.losses > 0;
        for (number, entry) in self.simulation.world.book.entries.iter().enumerate() {
            let kind = entry.spec.kind;
            let spreads = |outcome: Outcome| {
                let others = entry.after.iter();
                let mut others = others.filter_map(|&other| self.simulation.outcome(other));
                others.any(|other| other.of_dependants() == Some(outcome))
            };
            let is_explained = match entry.outcome {
                None | Some(Outcome::GivenUp) => false,
                Some(Outcome::Done) => match kind {
                    Kind::Good => entry.begun > 0,
                    Kind::Raises(times) => entry.raised == times && entry.begun > times,
                    Kind::KillsWorker | Kind::KillsNode => false,
                },
                // It may have been cancelled while it ran.
                Some(Outcome::Raised) => {
                    entry.raised > 0 && (entry.is_exhausted() || entry.is_cancelled)
                }
                Some(Outcome::WorkerDied) => workers,
                Some(Outcome::NodeLost) => nodes,
                Some(Outcome::StartFailed) => starts,
                Some(Outcome::Cancelled) => entry.is_cancelled,
                Some(Outcome::TimedOut) => {
                    entry.overdue > 0 && (!entry.spec.outlives_timeout || entry.is_exhausted())
                }
                Some(outcome @ (Outcome::DependencyFailed | Outcome::DependencyCancelled)) => {
                    entry.begun == 0 && spreads(outcome)
                }
                // A machine that could hold it may have been away.
                Some(Outcome::Unsatisfiable) => entry.spec.is_demanding(),
                Some(Outcome::Destroyed) => clients,
            };
            let is_quiet = !(nodes || workers || starts || clients || cancels || limits);
            if !is_explained || is_quiet && entry.begun > 1 + entry.raised {
                let detail = format!("job {number}: {entry:?}, {:?}", self.menace);
                return Err(Violation::new("jobs end for a reason", detail));
            }
        }
        Ok(())
    }
}
