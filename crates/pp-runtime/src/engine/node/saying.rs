//! What is said to a node.

use std::time::Duration;

use bytes::Bytes;
use pp_core::{FunctionId, JobId};
use pp_proto::{Digest, EncodeError, Payload, Stream, ToExecutor};

use super::Node;
use crate::blob::Blob;
use crate::engine::resources::Needs;
use crate::segments::{Away, Part};

impl Node {
    pub(in crate::engine) fn say(&self, message: &ToExecutor<'_>) -> Result<(), EncodeError> {
        self.link.outbox.lock().send(|out| message.encode(out))
    }

    pub(in crate::engine) fn send_function(
        &mut self,
        id: FunctionId,
        digest: Digest,
        blob: Bytes,
    ) -> Result<(), EncodeError> {
        let body = Payload::of(&blob);
        let head = body.head().len();
        let function = id.as_u64();
        let message = ToExecutor::Function {
            function,
            digest,
            body,
        };
        self.say(&message)?;
        let stream = Stream::Function(function);
        self.link.outbox.lock().send_rest(stream, blob, head);
        Ok(())
    }

    pub(in crate::engine) fn send_job(
        &mut self,
        id: JobId,
        function: FunctionId,
        args: Blob,
    ) -> Result<(), EncodeError> {
        for part in args.parts() {
            self.send_part(id, part)?;
        }
        let payload = Payload::of(&args);
        let head = payload.head().len();
        let message = ToExecutor::Job {
            job: id.as_u64(),
            ticket: 0,
            function: function.as_u64(),
            args: payload,
        };
        self.say(&message)?;
        if head < args.len() {
            let stream = Stream::Job(id.as_u64());
            let mut outbox = self.link.outbox.lock();
            outbox.send_rest(stream, args.into_bytes(), head);
        }
        Ok(())
    }

    /// Says what is asked for the job that is sent next, if that is more than the usual.
    pub(in crate::engine) fn send_terms(
        &mut self,
        job: JobId,
        time_limit: Option<Duration>,
        priority: i32,
        needs: Option<&Needs>,
    ) -> Result<(), EncodeError> {
        if time_limit.is_none() && priority == 0 && needs.is_none() {
            return Ok(());
        }
        let job = job.as_u64();
        // 0 would be none.
        let nanos = time_limit.map_or(0, |limit| {
            u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX).max(1)
        });
        self.say(&ToExecutor::Terms {
            job,
            time_limit_ns: nanos,
            slots: needs.map_or(1, |needs| needs.slots),
            priority,
        })?;
        for (resource, amount) in needs.map_or(&[][..], |needs| &needs.amounts) {
            let amount = *amount;
            self.say(&ToExecutor::Need {
                job,
                resource,
                amount,
            })?;
        }
        Ok(())
    }

    /// Sends what a job needs beside its arguments, once.
    fn send_part(&mut self, job: JobId, part: &Part) -> Result<(), EncodeError> {
        if let Some(home) = part.away().map(|away| away.home())
            && self.kept.is_home(home)
        {
            let (job, segment) = (job.as_u64(), home.segment);
            return self.say(&ToExecutor::UseKept { job, segment });
        }
        if self.contents.refer(job, part) {
            self.provide(part)?;
        }
        let (job, segment) = (job.as_u64(), part.content_name());
        self.say(&ToExecutor::Use { job, segment })
    }

    /// Sends a content, or says where the node gets it.
    pub(super) fn provide(&mut self, part: &Part) -> Result<(), EncodeError> {
        match part.away() {
            Some(away) if away.content().is_none() => self.lend(away),
            _ => self.carry(part),
        }
    }

    fn lend(&mut self, away: &Away) -> Result<(), EncodeError> {
        let home = away.home();
        let place = home
            .place
            .map_or_else(String::new, |place| place.to_string());
        self.say(&ToExecutor::Borrow {
            segment: away.name(),
            size: away.size(),
            ticket: home.ticket,
            place: &place,
        })
    }

    /// Sends a content.
    fn carry(&mut self, part: &Part) -> Result<(), EncodeError> {
        // What cannot be mapped is sent empty: the job then fails, and says of what.
        let content = part.content().unwrap_or_else(|error| {
            tracing::error!(%error, "a large argument cannot be read");
            Bytes::new()
        });
        let segment = part.content_name();
        let body = Payload::new(content.len() as u64, &[]).unwrap_or_default();
        self.say(&ToExecutor::Carry { segment, body })?;
        let stream = Stream::Segment(segment);
        self.link.outbox.lock().send_rest(stream, content, 0);
        Ok(())
    }

    /// What is in the result of a job is to stay there.
    pub(in crate::engine) fn keep(&mut self, job: JobId) -> Result<(), EncodeError> {
        self.kept.want(job);
        self.say(&ToExecutor::Keep { job: job.as_u64() })
    }

    /// Asks for what it keeps, once.
    pub(in crate::engine) fn fetch(&mut self, segment: u64) -> Result<(), EncodeError> {
        if self.kept.ask(segment) {
            self.say(&ToExecutor::Fetch { segment })?;
        }
        Ok(())
    }

    /// It need not keep a segment any longer.
    pub(in crate::engine) fn discard(&mut self, segment: u64) -> Result<(), EncodeError> {
        self.kept.forget(segment);
        self.say(&ToExecutor::Discard { segment })
    }

    /// Lets the node forget the contents that nobody refers to any more.
    pub(in crate::engine) fn drop_contents(&mut self) -> Result<(), EncodeError> {
        for segment in self.contents.take_gone() {
            // What has not gone out would come after the message, and stay for ever.
            self.link.outbox.lock().withdraw(Stream::Segment(segment));
            self.say(&ToExecutor::Drop { segment })?;
        }
        Ok(())
    }

    pub(in crate::engine) fn forget(&mut self, function: FunctionId) -> Result<(), EncodeError> {
        let function = function.as_u64();
        let stream = Stream::Function(function);
        self.link.outbox.lock().withdraw(stream);
        self.say(&ToExecutor::Forget { function })
    }

    pub(in crate::engine) fn recall(&mut self, job: JobId) -> Result<(), EncodeError> {
        let job = job.as_u64();
        self.link.outbox.lock().withdraw(Stream::Job(job));
        self.say(&ToExecutor::Recall { job })
    }

    pub(in crate::engine) fn cancel(&mut self, job: JobId) -> Result<(), EncodeError> {
        let job = job.as_u64();
        self.link.outbox.lock().withdraw(Stream::Job(job));
        self.say(&ToExecutor::Cancel { job })
    }

    pub(in crate::engine) fn ping(&mut self, nonce: u64) -> Result<(), EncodeError> {
        self.say(&ToExecutor::Ping { nonce })
    }

    pub(in crate::engine) fn shut_down(&mut self) -> Result<(), EncodeError> {
        self.say(&ToExecutor::Shutdown)
    }
}
