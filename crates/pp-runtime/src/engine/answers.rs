//! How the parent is told of the ends of its jobs.

use bytes::Bytes;
use pp_core::Answer;
use pp_proto::{EncodeError, FromExecutor, Payload, Status, Stream, Ticket, limits};

use super::outcome::{Outcome, Printed, Report};
use super::record::Ran;
use super::reported;
use super::uplink::Uplink;
use crate::net::Lane;
use crate::segments::Part;

/// What is said of a result beside its body.
#[derive(Debug, Clone, Copy)]
struct Head {
    job: u64,
    status: Status,
    run_ns: u64,
    worker: u32,
    attempts: u32,
}

impl Head {
    fn with(self, (output_len, errors_len): (usize, usize), body: Payload<'_>) -> FromExecutor<'_> {
        FromExecutor::Result {
            job: self.job,
            status: self.status,
            run_ns: self.run_ns,
            worker: self.worker,
            attempts: self.attempts,
            output_len: output_len as u64,
            errors_len: errors_len as u64,
            body,
        }
    }
}

impl Uplink {
    /// Tells how a job has ended.
    pub(super) fn tell_end(
        &mut self,
        job: u64,
        outcome: &Outcome,
        ran: Ran,
    ) -> Result<(), EncodeError> {
        let stays = self.kept.job_left(job);
        let is_withdrawn = outcome.failure().is_some_and(reported::is_withdrawal);
        let answer = self.service.ended(job, is_withdrawn);
        let was_cancelled = answer == Answer::Cancelled;
        if answer == Answer::GivenBack || was_cancelled && ran.worker == 0 {
            return self.answer_recall(job, true);
        }
        let head = Head {
            job,
            status: if was_cancelled {
                Status::Stopped
            } else {
                outcome.status()
            },
            run_ns: u64::try_from(ran.run_time.as_nanos()).unwrap_or(u64::MAX),
            worker: ran.worker,
            attempts: ran.attempts,
        };
        if let Some(failure) = outcome.failure() {
            let printed = outcome.report().map(Report::printed).unwrap_or_default();
            let body = if was_cancelled {
                Vec::new()
            } else {
                reported::encode(failure)
            };
            let body = body.into();
            return self.tell_result(head, body, printed, (&[], false));
        }
        let Some(report) = outcome.report() else {
            return Ok(());
        };
        let (body, parts) = report.message();
        self.tell_result(head, body, report.printed(), (parts, stays))
    }

    fn tell_result(
        &mut self,
        head: Head,
        body: Bytes,
        printed: Printed<'_>,
        (parts, stays): (&[Part], bool),
    ) -> Result<(), EncodeError> {
        self.dirty = true;
        let placed: Vec<_> = parts.iter().map(|part| self.place(part, stays)).collect();
        let size = body.len() + printed.bytes.len();
        let is_small = size <= limits::INLINE_MAX && placed.iter().all(|(_, kept)| kept.is_some());
        if !is_small {
            let lane = lane(head, body, printed, parts, &placed)?;
            self.link.outbox.lock().open(lane);
            return Ok(());
        }
        let mut scratch = Vec::new();
        let payload = Payload::of_parts(&[&body, printed.bytes], &mut scratch);
        let message = head.with(printed.lengths(), payload);
        self.link.outbox.lock().send(|out| {
            for (segment, kept) in &placed {
                if let Some(kept) = kept {
                    say_kept(*segment, kept).encode(out)?;
                }
                let (job, segment) = (head.job, *segment);
                FromExecutor::Place { job, segment }.encode(out)?;
            }
            message.encode(out)
        })
    }

    /// What a part of a result is called, and what it is kept for; `stays`: it is, if there is
    /// room.
    fn place(&mut self, part: &Part, stays: bool) -> Placed {
        let segment = self.next_segment;
        self.next_segment += 1;
        let kept = if stays {
            self.kept.keep(segment, part)
        } else {
            None
        };
        (segment, kept)
    }
}

/// What a part of a result is called; and if it is kept, for which ticket, and its size.
type Placed = (u64, Option<(Ticket, u64)>);

fn say_kept(segment: u64, &(ticket, size): &(Ticket, u64)) -> FromExecutor<'static> {
    FromExecutor::Kept {
        segment,
        size,
        ticket,
    }
}

/// A large result and what it refers to, one after the other.
fn lane(
    head: Head,
    body: Bytes,
    printed: Printed<'_>,
    parts: &[Part],
    placed: &[Placed],
) -> Result<Lane, EncodeError> {
    let job = head.job;
    let mut lane = Lane::default();
    for (part, (segment, kept)) in parts.iter().zip(placed) {
        let segment = *segment;
        match kept {
            Some(kept) => lane.send(|out| say_kept(segment, kept).encode(out))?,
            None => add_content(&mut lane, segment, part)?,
        }
        lane.send(|out| FromExecutor::Place { job, segment }.encode(out))?;
    }
    let whole = if printed.bytes.is_empty() {
        body
    } else {
        Bytes::from([&body[..], printed.bytes].concat())
    };
    let payload = Payload::of(&whole);
    let sent = payload.head().len();
    lane.send(|out| head.with(printed.lengths(), payload).encode(out))?;
    lane.send_rest(Stream::Job(job), whole, sent);
    Ok(lane)
}

/// Adds a segment with what is in it.
pub(super) fn add_content(lane: &mut Lane, segment: u64, part: &Part) -> Result<(), EncodeError> {
    let content = part.content().unwrap_or_else(|error| {
        tracing::error!(%error, "a large result cannot be read");
        Bytes::new()
    });
    let body = Payload::new(content.len() as u64, &[]).unwrap_or_default();
    let carry = FromExecutor::Carry { segment, body };
    lane.send(|out| carry.encode(out))?;
    lane.send_rest(Stream::Segment(segment), content, 0);
    Ok(())
}
