//! What must hold between engines, and when all is over.

use std::collections::BTreeMap;

use pp_core::{JobState, ShareId};

use crate::engine::Engine;
use crate::host::Power;
use crate::message::Message;
use crate::net::{Link, NODE, PARENT};
use crate::pulse::interval;
use crate::simulation::Simulation;
use crate::violation::Violation;

/// How many engines there are at the most from a client to a worker.
const DEPTH: u64 = 4;

/// How much later than the rules say something may happen, in nanoseconds: messages take
/// their time.
const SLACK: u64 = 2_000_000_000;

impl Simulation {
    fn living(&self) -> impl Iterator<Item = &Engine> {
        self.engines.iter().flatten().map(|engine| &**engine)
    }

    /// Looks at everything.
    pub(crate) fn audit(&self) -> Result<(), Violation> {
        for engine in self.living() {
            let checked = engine.scheduler.check_invariants();
            checked.map_err(Violation::from)?;
            self.check_deserted(engine)?;
        }
        self.check_limits()?;
        self.check_links()?;
        self.check_callers()
    }

    /// Whoever works for a client that is gone must have noticed.
    fn check_deserted(&self, engine: &Engine) -> Result<(), Violation> {
        let hosts = &self.world.hosts;
        let gone_since = hosts.get(engine.client).and_then(|host| host.gone_since);
        let Some(gone_since) = gone_since else {
            return Ok(());
        };
        let thawed = hosts.iter().map(|host| host.frozen_until).max();
        let patience = self.world.settings.patience;
        let bound = DEPTH * (patience + 2 * interval(patience)) + SLACK;
        let since = gone_since.max(thawed.unwrap_or(0));
        let is_late = self.world.now > since + bound;
        let runs = engine.workers.values().any(|worker| worker.runs.is_some());
        if !(is_late && runs) {
            return Ok(());
        }
        let detail = format!(
            "engine {} runs jobs of client {}, which is gone since {gone_since}",
            engine.id, engine.client
        );
        Err(Violation::new("nobody works for the dead", detail))
    }

    /// Jobs are at the node, or on their way to it or back.
    fn check_links(&self) -> Result<(), Violation> {
        for link in self.world.net.links.iter().flatten() {
            if link.open == [true; 2] {
                self.check_link(link)?;
            }
        }
        Ok(())
    }

    fn check_link(&self, link: &Link) -> Result<(), Violation> {
        let (Some(parent), Some(node)) =
            (self.engine(link.ends[PARENT]), self.engine(link.ends[NODE]))
        else {
            return Ok(());
        };
        let stats = parent.scheduler.executor_stats(link.executor);
        let (Some(stats), Some(uplink)) = (stats, &node.uplink) else {
            return Ok(());
        };
        let is_job = |message: &Message| matches!(message, Message::Job { .. });
        // What a node gives back may have ended already, of what it was charged with.
        let is_end = |message: &Message| match *message {
            Message::Result { job, .. }
            | Message::Recalled {
                job,
                recalled: true,
            } => parent.scheduler.data(job).is_some(),
            _ => false,
        };
        let count = |end: usize, is_meant: &dyn Fn(&Message) -> bool| {
            let messages = link.lanes[end].messages.iter();
            messages.filter(|(_, message)| is_meant(message)).count()
        };
        let (there, to, back) = (
            uplink.service.len(),
            count(PARENT, &is_job),
            count(NODE, &is_end),
        );
        // A reset has thrown away what was on the way; its ends will hear of it.
        let is_closing = count(PARENT, &|message| *message == Message::Closed) > 0
            || count(NODE, &|message| *message == Message::Closed) > 0;
        if is_closing || there + to + back == stats.held {
            return Ok(());
        }
        let detail = format!(
            "engine {} counts {} at {}; engine {} has {there}, {to} go there, {back} back",
            parent.id, stats.held, link.executor, node.id
        );
        Err(Violation::new("jobs are here, there or on the way", detail))
    }

    /// No client has more jobs of a share with executors than it allows.
    fn check_limits(&self) -> Result<(), Violation> {
        let mut held: BTreeMap<(u32, ShareId), u32> = BTreeMap::new();
        for entry in &self.world.book.entries {
            let (Some(id), None) = (entry.id, entry.outcome) else {
                continue;
            };
            let engine = self.engine_of_client(entry.client as usize);
            let job = engine.and_then(|engine| self.engine(engine)?.scheduler.job(id));
            let waits = |state| {
                matches!(
                    state,
                    JobState::Queued | JobState::Waiting | JobState::Paused
                )
            };
            if job.is_some_and(|job| !waits(job.state)) {
                let share = ShareId::from_u64(entry.spec.share);
                *held.entry((entry.client, share)).or_default() += 1;
            }
        }
        for ((client, share), held) in held {
            let engine = self.engine_of_client(client as usize);
            let engine = engine.and_then(|engine| self.engine(engine));
            let limit = engine.and_then(|engine| engine.limits.get(&share));
            if limit.is_some_and(|&limit| held > limit) {
                let detail =
                    format!("{held} jobs of {share} of client {client}, {limit:?} allowed");
                return Err(Violation::new("shares keep to their limits", detail));
            }
        }
        Ok(())
    }

    /// Each job that has not ended is known to the engine of its client.
    fn check_callers(&self) -> Result<(), Violation> {
        for (number, entry) in self.world.book.entries.iter().enumerate() {
            let (Some(id), None) = (entry.id, entry.outcome) else {
                continue;
            };
            let engine = self.engine_of_client(entry.client as usize);
            let work = engine.and_then(|engine| self.engine(engine)?.scheduler.data(id));
            if work.is_none_or(|work| work.number() != number) {
                let detail = format!("job {number} of client {}, {id}", entry.client);
                return Err(Violation::new("no job is lost", detail));
            }
        }
        Ok(())
    }

    /// Looks whether anything is left after all jobs have ended and the network is quiet.
    pub(crate) fn check_quiet(&self) -> Result<(), Violation> {
        self.audit()?;
        for engine in self.living() {
            let has_jobs = engine
                .uplink
                .as_ref()
                .is_some_and(|up| !up.service.is_empty());
            let runs = engine.workers.values().any(|worker| {
                worker.runs.is_some() || !worker.waiting.is_empty() || !worker.written.is_empty()
            });
            if !engine.scheduler.is_empty() || has_jobs || runs {
                let (id, host) = (engine.id, engine.host);
                let queued = engine.scheduler.queued();
                let outstanding = engine.scheduler.outstanding();
                let detail = format!(
                    "engine {id} on host {host}: {queued} queued, {outstanding} outstanding, \
                     {has_jobs} for the parent, {runs} with workers"
                );
                return Err(Violation::new("nothing is left at the end", detail));
            }
        }
        let mut hosts = self.world.hosts.iter();
        let left = hosts.position(|host| host.power != Power::On && !host.engines.is_empty());
        match left {
            Some(host) => {
                let detail = format!("engines on host {host}, which is off");
                Err(Violation::new("nothing is left at the end", detail))
            }
            None => Ok(()),
        }
    }

    /// The first job that has not ended, for who wonders why a run does not end.
    pub(crate) fn stuck(&self) -> Violation {
        let mut entries = self.world.book.entries.iter().enumerate();
        let open = entries.find(|(_, entry)| entry.outcome.is_none());
        let detail = open.map_or_else(String::new, |(number, entry)| {
            let engine = self.engine_of_client(entry.client as usize);
            let engine = engine.and_then(|engine| self.engine(engine));
            let state = entry.id.and_then(|id| engine?.scheduler.job(id));
            let state = state.map(|job| (job.state, job.losses, job.deaths));
            format!(
                "job {number} of client {}: {state:?}, {entry:?}",
                entry.client
            )
        });
        Violation::new("all jobs end", detail)
    }
}
