//! Results of jobs as arguments of others: one message for a worker.
//!
//! The message is a table, the results' own messages, and the arguments' one, in a row. All
//! numbers are `u32`, little-endian: how many results there are, and for each the length of its
//! message and how many parts it refers to. Parts go along in this order: those of the
//! arguments, then those of each result. The first byte, 3, tells it from other messages: see
//! [`parcel`](crate::segments).

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::job::Job;
use super::outcome::Outcome;
use crate::blob::Blob;

/// The first byte.
const KIND: u8 = 3;
/// Bytes of a number, and of what is said of one result.
const NUMBER: usize = 4;
const ENTRY: usize = 2 * NUMBER;

/// What claims to be such a message is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message with results of other jobs is damaged: it ends after {len} bytes")]
pub struct InputsError {
    /// How many bytes there are.
    pub len: usize,
}

/// The results that a job gets, and its arguments, as they were sent.
#[derive(Debug)]
pub struct Inputs {
    /// The message of each result, and which of the parts are its.
    pub results: Vec<(Bytes, Range<usize>)>,
    /// The message of the arguments.
    pub args: Bytes,
}

impl Inputs {
    /// Whether a message is one of these.
    pub fn is_one(message: &[u8]) -> bool {
        message.first() == Some(&KIND)
    }

    /// Takes a message apart that has `parts` parts.
    ///
    /// # Errors
    /// It is damaged.
    pub fn open(message: &Bytes, parts: usize) -> Result<Self, InputsError> {
        let damaged = InputsError { len: message.len() };
        let count = number(message, 1).ok_or(damaged)?;
        let mut begin = count
            .checked_mul(ENTRY)
            .and_then(|table| table.checked_add(1 + NUMBER))
            .filter(|&begin| begin <= message.len())
            .ok_or(damaged)?;
        let mut bodies = Vec::with_capacity(count);
        for entry in 0..count {
            let at = 1 + NUMBER + entry * ENTRY;
            let len = number(message, at).ok_or(damaged)?;
            let slots = number(message, at + NUMBER).ok_or(damaged)?;
            let end = begin.checked_add(len).ok_or(damaged)?;
            if end > message.len() {
                return Err(damaged);
            }
            bodies.push((message.slice(begin..end), slots));
            begin = end;
        }
        let slots = bodies.iter().map(|&(_, slots)| slots);
        let all = slots.into_iter().try_fold(0_usize, usize::checked_add);
        let first = all.and_then(|all| parts.checked_sub(all));
        let mut first = first.ok_or(damaged)?;
        let results = bodies.into_iter().map(|(body, slots)| {
            let range = first..first + slots;
            first += slots;
            (body, range)
        });
        Ok(Self {
            results: results.collect(),
            args: message.slice(begin..),
        })
    }
}

fn number(message: &[u8], at: usize) -> Option<usize> {
    let bytes = message.get(at..)?.first_chunk::<NUMBER>()?;
    usize::try_from(u32::from_le_bytes(*bytes)).ok()
}

/// The message of a job that gets the results of `inputs`; `None` if one of these has not
/// returned, or if it is too much for one message.
pub(super) fn compose(args: &Blob, inputs: &[Arc<Job>]) -> Option<Blob> {
    let mut table = vec![KIND];
    table.extend(u32::try_from(inputs.len()).ok()?.to_le_bytes());
    let (mut bodies, mut parts) = (Vec::new(), args.parts().to_vec());
    for input in inputs {
        let again = input.remade();
        let source = again.as_ref().unwrap_or(input);
        let Some(Outcome::Value(report)) = source.outcome() else {
            return None;
        };
        let its_parts = report.parts();
        table.extend(u32::try_from(report.body().len()).ok()?.to_le_bytes());
        table.extend(u32::try_from(its_parts.len()).ok()?.to_le_bytes());
        bodies.extend_from_slice(report.body());
        parts.extend_from_slice(its_parts);
    }
    table.append(&mut bodies);
    table.extend_from_slice(args);
    Some(Blob::from(table.as_slice()).with_parts(parts))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::functions::Functions;
    use super::super::groups::Group;
    use super::super::job::Origin;
    use super::super::outcome::Report;
    use super::super::record::{Ran, Record};
    use super::*;
    use crate::segments::{Carried, Part, Pool};

    fn ended(body: &[u8], parts: Vec<Part>) -> Arc<Job> {
        let (function, _) = Functions::default().intern(b"function".to_vec().into(), "f");
        let group = Arc::new(Group::default());
        group.job_submitted();
        let job = Job::new(
            function,
            Blob::default(),
            group,
            Duration::ZERO,
            Origin::Here,
        );
        let report = Report::new(Blob::from(body).with_parts(parts), 0, 0).unwrap();
        job.end(
            Outcome::Value(report),
            Record::new(Duration::ZERO, Ran::NOT),
        );
        Arc::new(job)
    }

    #[test]
    fn results_and_arguments_come_out_as_they_went_in() {
        let pool = Pool::new(Some(0));
        let part = || Part::Carried(Arc::new(Carried::new(&pool, vec![1; 10].into())));
        let inputs = [
            ended(b"one", vec![part(), part()]),
            ended(b"", Vec::new()),
            ended(&[7; 100], vec![part()]),
        ];
        let args = Blob::from(&b"arguments"[..]).with_parts(vec![part()]);
        let message = compose(&args, &inputs).unwrap();
        assert!(Inputs::is_one(&message) && !Inputs::is_one(&args));
        let parts = message.parts().len();
        let opened = Inputs::open(&message.clone().into_bytes(), parts).unwrap();
        assert_eq!(&opened.args[..], b"arguments");
        let bodies: Vec<_> = opened.results.iter().map(|(body, _)| body.len()).collect();
        let ranges: Vec<_> = opened.results.into_iter().map(|(_, range)| range).collect();
        assert_eq!((bodies, ranges), (vec![3, 0, 100], vec![1..3, 3..3, 3..4]));
    }

    #[test]
    fn damaged_messages_are_refused() {
        let message = compose(&Blob::from(&b"a"[..]), &[ended(b"one", Vec::new())]).unwrap();
        let whole = message.into_bytes();
        for len in 0..whole.len() - 1 {
            assert!(Inputs::open(&whole.slice(..len), 0).is_err(), "{len}");
        }
        let mut many = whole.to_vec();
        many[1..5].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(Inputs::open(&many.into(), 0).is_err());
        let mut parts = whole.to_vec();
        parts[9..13].copy_from_slice(&5_u32.to_le_bytes());
        assert!(Inputs::open(&parts.into(), 4).is_err());
    }
}
