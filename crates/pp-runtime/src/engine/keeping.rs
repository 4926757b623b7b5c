//! Results that lie at nodes: they are brought when somebody needs them here, used by jobs where
//! they are, or got from there by other nodes; one that is lost is made again.

use std::sync::Arc;

use pp_core::{ExecutorId, JobId};

use super::aside::Missing;
use super::groups::Group;
use super::job::{Job, Origin};
use super::node::{Node, Parting};
use super::nodes::with_node;
use super::outcome::{JobFailure, Outcome, Report};
use super::recipe::Recipe;
use super::record::Ran;
use super::shared::Shared;
use super::state::State;
use crate::blob::Blob;
use crate::segments::{Away, Discard, Part};

/// Why a job is not sent.
#[derive(Debug)]
pub(super) enum NotReady {
    /// All of these have to come before.
    Missing(Vec<Missing>),
    /// It cannot run.
    Failed(Box<JobFailure>),
}

impl Shared {
    /// The message of a job for an executor, if all that it needs is there or can be got by
    /// it.
    pub(super) fn prepare(
        &self,
        state: &mut State,
        executor: ExecutorId,
        job: &Job,
    ) -> Result<Blob, NotReady> {
        let mut missing = Vec::new();
        if job.origin() == Origin::HereOnTerms && !job.has_inputs_here() {
            for input in job.inputs() {
                self.look_for(state, (executor, job.number()), &input, &mut missing)?;
            }
        }
        if !missing.is_empty() {
            missing.sort_unstable();
            missing.dedup();
            return Err(NotReady::Missing(missing));
        }
        let Some(args) = job.args() else {
            return Err(NotReady::Failed(Box::new(JobFailure::TooMuch)));
        };
        Ok(args)
    }

    /// Adds to `missing` what of an input has to come before the executor can have it.
    fn look_for(
        &self,
        state: &mut State,
        (executor, job): (ExecutorId, u64),
        input: &Arc<Job>,
        missing: &mut Vec<Missing>,
    ) -> Result<(), NotReady> {
        let source = self.source_of(state, input, |source| source.number() < job);
        let report = match source.outcome() {
            None => {
                missing.push(Missing::Result(source.number()));
                return Ok(());
            }
            Some(Outcome::Value(report)) => report,
            Some(_) => {
                let failure = JobFailure::DependencyFailed(source);
                return Err(NotReady::Failed(Box::new(failure)));
            }
        };
        for away in report.away() {
            if !state.can_have(executor, away) {
                state.fetch(away);
                missing.push(Missing::Content(away.name()));
            }
        }
        Ok(())
    }

    /// The job that has the result of another, or makes it again: where it was lost; or where that
    /// was tried and called off, if it is to be tried `anew`.
    pub(super) fn source_of(
        &self,
        state: &mut State,
        job: &Arc<Job>,
        anew: impl FnOnce(&Job) -> bool,
    ) -> Arc<Job> {
        let source = job.remade().unwrap_or_else(|| Arc::clone(job));
        let is_wanted = source.is_lost() || source.is_called_off() && anew(&source);
        if !is_wanted || state.destroyed {
            return source;
        }
        // Without a recipe it has never been away.
        let Some(recipe) = job.recipe() else {
            return source;
        };
        let again = self.make(state, &recipe);
        job.set_remade(Arc::clone(&again));
        again
    }

    fn make(&self, state: &mut State, recipe: &Arc<Recipe>) -> Arc<Job> {
        if let Some(again) = recipe.latest()
            && !again.is_lost()
            && !again.is_called_off()
        {
            return again;
        }
        let asked = recipe.asked(&mut |input| self.make(state, input));
        for input in &asked.inputs {
            input.set_feeds();
        }
        // Nobody waits for it by itself, but it counts in the share of its group.
        let group = Arc::new(Group::of_share(recipe.share()));
        let job = Arc::new(Job::asked(
            Arc::clone(recipe.function()),
            recipe.args().clone(),
            group,
            self.born.elapsed(),
            asked,
        ));
        job.set_feeds();
        tracing::info!(
            function = recipe.function().name(),
            "a result was lost with its node and is made again"
        );
        // Open, as long as the server was not destroyed.
        state.has_remakes |= self.inbox.put(Arc::clone(&job)).is_some();
        recipe.set_latest(&job);
        job
    }
}

impl State {
    /// Whether an executor has what lies at a node, or can get it without our help.
    fn can_have(&self, executor: ExecutorId, away: &Away) -> bool {
        let node = self.links.nodes.get(&executor);
        away.content().is_some() || node.is_some_and(|node| node.can_have(away))
    }

    /// Asks for what lies at a node, once.
    fn fetch(&mut self, away: &Away) {
        let home = *away.home();
        with_node(self, ExecutorId::from_u64(home.node), |node| {
            node.fetch(home.segment)
        });
    }

    /// A node has sent what it keeps.
    pub(super) fn take_brought(&mut self, node: ExecutorId, away: &Away, content: Part) {
        away.bring(content);
        if let Some(job) = self.aside.take_brought(away.name())
            && !job.is_away()
        {
            job.forget_recipe();
        }
        self.note_came(Missing::Content(away.name()));
        self.go_on_leaving(node);
    }

    /// A node that is to go has no jobs any more; it goes once what it keeps, and somebody still
    /// refers to, is here.
    pub(super) fn let_go(&mut self, id: ExecutorId) {
        let kept = self.links.nodes.get(&id).map(Node::kept_there);
        for away in kept.unwrap_or_default() {
            self.fetch(&away);
        }
        if let Some(node) = self.links.nodes.get_mut(&id) {
            node.is_leaving = true;
        }
        self.go_on_leaving(id);
    }

    fn go_on_leaving(&mut self, id: ExecutorId) {
        let node = self.links.nodes.get_mut(&id);
        if node.is_some_and(Node::may_leave) {
            with_node(self, id, Node::shut_down);
            self.links.condemned.push((id, Parting::Left));
        }
    }

    /// Tells nodes what they need not keep any longer.
    pub(super) fn discard_kept(&mut self) {
        for Discard { name, home } in self.links.discards.take() {
            let node = ExecutorId::from_u64(home.node);
            with_node(self, node, |node| node.discard(home.segment));
            self.forget_content(name);
            self.go_on_leaving(node);
        }
    }

    /// Brings a result here that has stayed at a node, if that takes less to keep than what it was
    /// made of.
    pub(super) fn bring_if_dear(&mut self, job: &Arc<Job>) {
        let Some(recipe) = job.recipe() else {
            return;
        };
        let Some(report) = job.outcome().and_then(Outcome::report) else {
            return;
        };
        if recipe.outweighs(report.away_size()) {
            self.bring(job, report);
        }
    }

    /// Asks for what of a result is away; the last of it. What it was made of is forgotten when
    /// all has come.
    pub(super) fn bring(&mut self, job: &Arc<Job>, report: &Report) -> Option<Missing> {
        let mut last = None;
        for away in report.away().filter(|away| away.content().is_none()) {
            self.fetch(away);
            self.aside.note_brought(away.name(), job);
            last = Some(Missing::Content(away.name()));
        }
        last
    }

    /// A node is gone, and with it what it kept.
    pub(super) fn lose_kept(&mut self, kept: Vec<Arc<Away>>) {
        for away in kept {
            away.lose();
            self.forget_content(away.name());
        }
    }

    /// What lay at a node will not come.
    fn forget_content(&mut self, name: u64) {
        self.aside.take_brought(name);
        self.note_came(Missing::Content(name));
    }

    /// Something has come, or will not come: who waits for it looks again.
    pub(super) fn note_came(&mut self, one: Missing) {
        if self.aside.is_empty() {
            return;
        }
        self.woken.extend(self.aside.take_watchers(one));
        let now = self.now();
        for job in self.aside.came(one) {
            self.scheduler.resume(job, now);
        }
    }

    /// A job that was to be sent waits for something, or cannot run.
    pub(super) fn not_ready(&mut self, executor: ExecutorId, job: JobId, why: NotReady) {
        let now = self.now();
        match why {
            NotReady::Failed(failure) => {
                self.take_result(executor, job, Outcome::Failed(failure), Ran::NOT, now);
            }
            NotReady::Missing(missing) => {
                if self.scheduler.set_aside(executor, job, now) {
                    self.aside.put(job, &missing);
                }
            }
        }
    }

    /// A node gives a job back because it cannot get one of its inputs.
    pub(super) fn take_lack(
        &mut self,
        node: ExecutorId,
        job: JobId,
        segment: u64,
    ) -> Result<(), Parting> {
        let Some(entry) = self.links.nodes.get_mut(&node) else {
            return Ok(());
        };
        let was_there = entry.lacks(job, segment)?;
        let now = self.now();
        if was_there && self.scheduler.set_aside(node, job, now) {
            // Where it goes next, it is looked for in another way.
            self.scheduler.resume(job, now);
        }
        Ok(())
    }

    /// Of a job that returned at a node: what of its result stays there.
    pub(super) fn note_kept(&mut self, node: ExecutorId, job: JobId, report: &Report) {
        let bytes = report.away_size();
        if bytes > 0 {
            self.scheduler.result_stays(node, job, bytes);
        }
    }

    /// Lets results that a new job needs stay where they are made, if they are being made at
    /// nodes.
    pub(super) fn keep_inputs(&mut self, inputs: &[Arc<Job>]) {
        for input in inputs {
            if input.outcome().is_some() {
                continue;
            }
            let id = JobId::from_u64(input.number());
            // Also while it is asked back: it may have begun.
            let holder = self.scheduler.job(id).and_then(|job| job.state.executor());
            if let Some(executor) = holder
                && self.links.nodes.contains_key(&executor)
                && input.tell_once()
                && input.is_to_stay()
            {
                with_node(self, executor, |node| node.keep(id));
            }
        }
    }
}
