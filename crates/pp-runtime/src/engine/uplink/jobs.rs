//! Jobs of the parent until all of them has come.

use std::sync::Arc;
use std::time::Duration;

use pp_proto::{Payload, Stream};

use super::{CREDIT_MAX, Incomplete, JobLimits, Parting, Uplink, Used, Wish, arriving, protocol};
use crate::blob::Blob;
use crate::engine::resources::{Needs, RESOURCES_MAX};
use crate::segments::Part;

impl Uplink {
    /// The job that comes next uses a segment.
    pub(super) fn note_use(&mut self, job: u64, segment: Used) -> Result<(), Parting> {
        let (next, segments) = self.used.get_or_insert_with(|| (job, Vec::new()));
        if *next != job || segments.len() >= arriving::STREAMS_MAX {
            return Err(Parting::Unexpected("use of a segment"));
        }
        if let Used::Kept(kept) = segment
            && self.kept.get(kept).is_none()
        {
            return Err(Parting::Unexpected("use of what is not kept"));
        }
        segments.push(segment);
        Ok(())
    }

    /// Something is asked for the job that comes next.
    pub(super) fn note_terms(
        &mut self,
        job: u64,
        time_limit_ns: u64,
        slots: u32,
        priority: i32,
    ) -> Result<(), Parting> {
        if self.limited.is_some() {
            return Err(Parting::Unexpected("second terms for a job"));
        }
        let limits = JobLimits {
            time_limit: (time_limit_ns > 0).then(|| Duration::from_nanos(time_limit_ns)),
            priority,
            needs: Needs {
                slots,
                amounts: Vec::new(),
            },
        };
        self.limited = Some((job, limits));
        Ok(())
    }

    /// The job that comes next needs some of a resource.
    pub(super) fn note_need(
        &mut self,
        job: u64,
        resource: &str,
        amount: u64,
    ) -> Result<(), Parting> {
        let limited = self.limited.as_mut();
        let (_, limits) = limited
            .filter(|(next, limits)| *next == job && limits.needs.amounts.len() < RESOURCES_MAX)
            .ok_or(Parting::Unexpected("need of a job"))?;
        limits.needs.amounts.push((resource.into(), amount));
        Ok(())
    }

    pub(super) fn job(
        &mut self,
        job: u64,
        function: u64,
        args: Payload<'_>,
        wishes: &mut Vec<Wish>,
    ) -> Result<(), Parting> {
        if self.service.holds(job) || self.incomplete.contains_key(&job) {
            return Err(Parting::Unexpected("second job of the same number"));
        }
        if self.service.len() + self.incomplete.len() >= CREDIT_MAX as usize {
            return Err(Parting::Unexpected("job beyond what was granted"));
        }
        let parts = match self.used.take() {
            Some((next, parts)) if next == job => parts,
            Some(_) => return Err(Parting::Unexpected("job before the one that was announced")),
            None => Vec::new(),
        };
        let limits = match self.limited.take() {
            Some((next, limits)) if next == job => limits,
            Some(_) => return Err(Parting::Unexpected("job before the one that was announced")),
            None => JobLimits::default(),
        };
        let args = match args.whole() {
            Some(whole) => Some(Blob::from(whole)),
            None => self.begin(Stream::Job(job), args)?.map(Blob::from),
        };
        let incomplete = Incomplete {
            function,
            args,
            parts,
            limits,
        };
        self.go_on(job, incomplete, wishes)
    }

    /// Runs a job if all of it has come, gives it back if something will not come, or lets it
    /// wait.
    pub(super) fn go_on(
        &mut self,
        job: u64,
        incomplete: Incomplete,
        wishes: &mut Vec<Wish>,
    ) -> Result<(), Parting> {
        let Some(incomplete) = self.try_run(job, incomplete, wishes) else {
            return Ok(());
        };
        if let Some(segment) = self.lacking(&incomplete) {
            return self.give_back(job, segment).map_err(protocol);
        }
        self.incomplete.insert(job, incomplete);
        Ok(())
    }

    /// Runs a job if all of it has come; else gives it back.
    fn try_run(
        &mut self,
        job: u64,
        mut incomplete: Incomplete,
        wishes: &mut Vec<Wish>,
    ) -> Option<Incomplete> {
        let Some(function) = self.functions.get(&incomplete.function).map(Arc::clone) else {
            return Some(incomplete);
        };
        let parts: Option<Vec<Part>> = incomplete
            .parts
            .iter()
            .map(|&used| match used {
                Used::Sent(segment) => self.arriving.get(segment).cloned(),
                Used::Kept(segment) => self.kept.get(segment).cloned(),
            })
            .collect();
        let Some(parts) = parts else {
            return Some(incomplete);
        };
        let Some(args) = incomplete.args.take() else {
            return Some(incomplete);
        };
        wishes.push(Wish::Run {
            job,
            function,
            args: args.with_parts(parts),
            limits: incomplete.limits,
        });
        None
    }

    /// Runs those of the jobs that have waited for something which have waited for nothing
    /// else.
    pub(super) fn retry(
        &mut self,
        wishes: &mut Vec<Wish>,
        has_waited: impl Fn(&Incomplete) -> bool,
    ) {
        let mut ready: Vec<u64> = self
            .incomplete
            .iter()
            .filter(|(_, job)| has_waited(job))
            .map(|(&number, _)| number)
            .collect();
        ready.sort_unstable();
        for job in ready {
            if let Some(incomplete) = self.incomplete.remove(&job)
                && let Some(incomplete) = self.try_run(job, incomplete, wishes)
            {
                self.incomplete.insert(job, incomplete);
            }
        }
    }

    /// A job is not wanted any more, or not here. No more of its arguments follows.
    pub(super) fn call_off(
        &mut self,
        job: u64,
        wish: Wish,
        wishes: &mut Vec<Wish>,
    ) -> Result<(), Parting> {
        if self.incomplete.remove(&job).is_some() {
            self.kept.job_left(job);
            self.assembler.discard(Stream::Job(job));
            return self.answer_recall(job, true).map_err(protocol);
        }
        wishes.push(wish);
        Ok(())
    }
}
