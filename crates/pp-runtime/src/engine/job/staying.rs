//! Results that stay where they are made, because other jobs need them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Content, Job, Kept, Origin};
use crate::blob::Blob;
use crate::engine::asked::Asked;
use crate::engine::outcome::{Outcome, Report};
use crate::engine::recipe::{DEPTH_MAX, Recipe, depth_of};
use crate::engine::record::Record;
use crate::segments::Parcel;

/// No other job is known to need its result.
pub(super) const ALONE: u8 = 0;
/// One does, and
const FEEDS: u8 = 1;
/// who runs it knows that.
const TOLD: u8 = 2;
/// It is wanted here, whoever else needs it.
const WANTED: u8 = 3;

impl Job {
    /// Its result is an argument of another job.
    pub(in crate::engine) fn set_feeds(&self) {
        let (from, to) = (ALONE, FEEDS);
        // Otherwise it is known.
        let _ = self
            .feeds
            .compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Its executor is told that its result is an argument of others. False if it was before, or
    /// if that is not so.
    pub(in crate::engine) fn tell_once(&self) -> bool {
        let (from, to) = (FEEDS, TOLD);
        self.feeds
            .compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    /// Whether its result had best stay where it is made, for others.
    pub(in crate::engine) fn is_to_stay(&self) -> bool {
        let feeds = self.feeds.load(Ordering::Relaxed);
        if !matches!(feeds, FEEDS | TOLD) || self.origin == Origin::Uplink {
            return false;
        }
        let depth = self.if_asked(|asked| depth_of(&asked.inputs));
        depth.is_none_or(|depth| depth <= DEPTH_MAX)
    }

    /// The jobs whose results are among its arguments, unless it has ended well.
    pub fn inputs(&self) -> Vec<Arc<Self>> {
        match &self.pending.lock().content {
            Content::Asked(both) => both.1.inputs.clone(),
            Content::Failed(failed) => failed.inputs.clone(),
            _ => Vec::new(),
        }
    }

    /// Whether all results that are among its arguments are here, and were never anywhere else.
    pub(in crate::engine) fn has_inputs_here(&self) -> bool {
        let is_here = |input: &Arc<Self>| match input.outcome() {
            Some(Outcome::Value(report)) => !report.is_kept(),
            _ => false,
        };
        self.if_asked(|asked| asked.inputs.iter().all(is_here))
            .unwrap_or(true)
    }

    /// Its result is wanted here, by a callback: it is not to stay where it is made.
    pub fn want_here(&self) {
        self.feeds.store(WANTED, Ordering::Relaxed);
    }

    /// Whether some of its result has to be brought before it can be read.
    pub fn is_away(&self) -> bool {
        self.outcome()
            .and_then(Outcome::report)
            .is_some_and(Report::is_away)
    }

    /// Whether some of its result is nowhere any more.
    pub(in crate::engine) fn is_lost(&self) -> bool {
        let report = self.outcome().and_then(Outcome::report);
        report.is_some_and(|report| report.away().any(|away| away.is_lost()))
    }

    /// Whether it has been ended from outside: another one like it may succeed.
    pub(in crate::engine) fn is_called_off(&self) -> bool {
        self.outcome().and_then(Outcome::failure).is_some()
    }

    /// All of its result is here: it need not be made again.
    pub(in crate::engine) fn forget_recipe(&self) {
        let mut pending = self.pending.lock();
        if let Content::Kept(kept) = &mut pending.content {
            let recipe = kept.recipe.take();
            drop(pending);
            drop(recipe);
        }
    }

    /// How many bytes its result is that are kept here for it.
    pub(in crate::engine) fn result_weight(&self) -> u64 {
        let report = self.outcome().and_then(Outcome::report);
        report.map_or(0, |report| Parcel::weight(report.body()) as u64)
    }

    /// How its result was made, if that lies at a node.
    pub(in crate::engine) fn recipe(&self) -> Option<Arc<Recipe>> {
        match &self.pending.lock().content {
            Content::Kept(kept) => kept.recipe.clone(),
            _ => None,
        }
    }

    /// The job that has its result now, or will have it: another one, if it was lost.
    pub(in crate::engine) fn remade(&self) -> Option<Arc<Self>> {
        match &self.pending.lock().content {
            Content::Kept(kept) => kept.remade.clone(),
            _ => None,
        }
    }

    /// Its result was lost, and `job` makes it anew.
    pub(in crate::engine) fn set_remade(&self, job: Arc<Self>) {
        let mut pending = self.pending.lock();
        if let Content::Kept(kept) = &mut pending.content {
            let before = kept.remade.replace(job);
            drop(pending);
            drop(before);
        }
    }

    /// What is kept of it at its end if its result lies at a node.
    pub(super) fn kept(&self, record: Record, args: Blob, asked: Option<Asked>) -> Content {
        let share = self.group.share();
        Content::Kept(Box::new(Kept {
            record,
            recipe: Some(Arc::new(Recipe::new(&self.function, share, args, asked))),
            remade: None,
        }))
    }
}
