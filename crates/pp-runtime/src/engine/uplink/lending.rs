//! Results that stay at this node, and what other nodes lend to it.

use pp_proto::{EncodeError, FromExecutor, Ticket};

use super::{Incomplete, Lent, Loan, Parting, Uplink, Used, Wish, arriving, protocol};
use crate::engine::answers::add_content;
use crate::net::Lane;
use crate::segments::Part;

impl Uplink {
    /// The result of a job is to stay here. One that runs is known when all wishes before this
    /// have been granted; one that is not whole may be so, and be taken out, before that.
    pub(super) fn note_wish_to_keep(&mut self, job: u64, wishes: &mut Vec<Wish>) {
        if self.incomplete.contains_key(&job) {
            self.kept.want(job);
        } else {
            wishes.push(Wish::Keep(job));
        }
    }

    /// The same, when a job that has come before runs here.
    pub(in crate::engine) fn note_keep(&mut self, job: u64) {
        if self.service.holds(job) {
            self.kept.want(job);
        }
    }

    /// Sends what is kept.
    pub(super) fn send_kept(&mut self, segment: u64) -> Result<(), Parting> {
        let part = self.kept.get(segment);
        let part = part.ok_or(Parting::Unexpected("wish for what is not kept"))?;
        let mut lane = Lane::default();
        add_content(&mut lane, segment, part).map_err(protocol)?;
        self.dirty = true;
        self.link.outbox.lock().open(lane);
        Ok(())
    }

    /// A segment is to be got from another node.
    pub(super) fn note_loan(
        &mut self,
        segment: u64,
        size: u64,
        ticket: Ticket,
        place: &str,
    ) -> Result<(), Parting> {
        if self.lent.get(&segment) == Some(&Lent::Coming)
            || self.lent.len() >= arriving::STREAMS_MAX
        {
            return Err(Parting::Unexpected("second loan of a segment"));
        }
        self.lent.insert(segment, Lent::Coming);
        self.loans.push(Loan {
            segment,
            size,
            ticket,
            place: place.into(),
        });
        Ok(())
    }

    /// A segment has come from another node, or does not come.
    pub(in crate::engine) fn take_loan(
        &mut self,
        segment: u64,
        part: Option<Part>,
        wishes: &mut Vec<Wish>,
    ) -> Result<(), Parting> {
        if self.lent.get(&segment) != Some(&Lent::Coming) {
            // The parent has dropped it meanwhile, or sends it.
            return Ok(());
        }
        if let Some(part) = part {
            self.lent.remove(&segment);
            self.arriving.put(segment, part);
            self.retry(wishes, |job| job.uses(segment));
            return Ok(());
        }
        self.lent.insert(segment, Lent::Failed);
        let jobs = self.incomplete.iter().filter(|(_, job)| job.uses(segment));
        let mut jobs: Vec<u64> = jobs.map(|(&job, _)| job).collect();
        jobs.sort_unstable();
        for job in jobs {
            if let Some(incomplete) = self.incomplete.remove(&job) {
                self.go_on(job, incomplete, wishes)?;
            }
        }
        Ok(())
    }

    /// What will not come of a job, the arguments of which have come: those are not to come for
    /// a job that is not here any more.
    pub(super) fn lacking(&self, job: &Incomplete) -> Option<u64> {
        job.args.as_ref()?;
        job.parts.iter().find_map(|used| match used {
            Used::Sent(segment) if self.lent.get(segment) == Some(&Lent::Failed) => Some(*segment),
            _ => None,
        })
    }

    /// Gives a job back that uses what does not come.
    pub(super) fn give_back(&mut self, job: u64, segment: u64) -> Result<(), EncodeError> {
        self.kept.job_left(job);
        self.say(&FromExecutor::Lacks { job, segment })
    }
}
