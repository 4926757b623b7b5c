//! Doors to what nodes say to each other.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::runtime::Builder;

use super::data::Limits;
use super::giving::give;
use super::imports::fetch;
use crate::exports::Exports;
use crate::segments::{Carried, Part, Pool};

/// Room for all that either side says: nobody ever waits for the other to read.
const ROOM: usize = 4 << 20;

/// A node gets `size` bytes from one that says `said`, and no more; what it has got.
pub fn fetch_from(said: &[u8], size: u64) -> Option<Vec<u8>> {
    let pool = Pool::new(Some(0));
    let work = async {
        let (mut near, mut far) = duplex(ROOM);
        far.write_all(said).await.ok()?;
        far.shutdown().await.ok()?;
        let patience = Duration::from_secs(10);
        fetch(&mut near, [7; 16], size, &pool, patience).await.ok()
    };
    let runtime = Builder::new_current_thread().enable_time().build().ok()?;
    let got = runtime.block_on(work)?;
    Some(got.content().ok()?.to_vec())
}

/// A node that gives `content` hears `said`, in which its ticket may be; what it says.
pub fn give_to(said: impl FnOnce([u8; 16]) -> Vec<u8>, content: &[u8]) -> Option<Vec<u8>> {
    let pool = Pool::new(Some(0));
    let exports = Exports::default();
    let carried = Carried::new(&pool, content.to_vec().into());
    let said = said(exports.offer(Part::Carried(Arc::new(carried))).ok()?);
    let work = async {
        let (near, mut far) = duplex(ROOM);
        far.write_all(&said).await.ok()?;
        far.shutdown().await.ok()?;
        // It always ends: nothing more is said.
        let _ = give(near, &exports, Limits::default()).await;
        let mut heard = Vec::new();
        far.read_to_end(&mut heard).await.ok()?;
        Some(heard)
    };
    let runtime = Builder::new_current_thread().enable_time().build().ok()?;
    runtime.block_on(work)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may fail

    use pp_proto::{FromExecutor, Payload, Stream, Tail, ToExecutor, limits};
    use proptest::prelude::*;

    use super::*;

    fn answer(content: &[u8], head: usize) -> Vec<u8> {
        let body = Payload::new(content.len() as u64, &content[..head]).unwrap();
        let mut said = Vec::new();
        let carry = FromExecutor::Carry { segment: 0, body };
        carry.encode(&mut said).unwrap();
        let mut tail = Tail::new(Stream::Segment(0), content, head);
        while tail.encode(100, &mut said) > 0 {}
        said
    }

    fn wish(ticket: [u8; 16]) -> Vec<u8> {
        let mut said = Vec::new();
        ToExecutor::Get { ticket }.encode(&mut said).unwrap();
        said
    }

    proptest! {
        #[test]
        fn what_is_got_has_the_size_that_it_should(
            content in prop::collection::vec(any::<u8>(), 0..400),
            head in any::<prop::sample::Index>(),
            place in any::<prop::sample::Index>(),
            byte in any::<u8>(),
            cut in any::<prop::sample::Index>(),
        ) {
            let head = head.index(content.len() + 1);
            let right = answer(&content, head);
            let size = content.len() as u64;
            prop_assert_eq!(fetch_from(&right, size), Some(content.clone()));
            prop_assert_eq!(fetch_from(&right, size + 1), None);
            let mut wrong = right.clone();
            *place.get_mut(&mut wrong) = byte;
            if let Some(got) = fetch_from(&wrong, size) {
                prop_assert_eq!(got.len(), content.len());
            }
            let cut = cut.index(right.len());
            prop_assert_eq!(fetch_from(&right[..cut], size), None);
        }

        #[test]
        fn nothing_is_given_without_the_ticket(
            content in prop::collection::vec(any::<u8>(), 1..400),
            place in 0..16_usize,
            change in 1..=255_u8,
            rest in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let said = |mut ticket: [u8; 16]| {
                ticket[place] ^= change;
                [wish(ticket), rest.clone()].concat()
            };
            let heard = give_to(said, &content).unwrap();
            let fault = FromExecutor::decode(&heard[4..]).unwrap();
            prop_assert_eq!(fault.name(), "Fault");
            let twice = |ticket| [wish(ticket), wish(ticket), rest.clone()].concat();
            let heard = give_to(twice, &content).unwrap();
            let right = answer(&content, content.len());
            prop_assert!(heard.starts_with(&[&*right, &right].concat()));
            let mut decoder = pp_proto::FrameDecoder::new(limits::FRAME_MAX);
            let mut input = heard.as_slice();
            while let Some(body) = decoder.next(&mut input).unwrap() {
                FromExecutor::decode(body).unwrap();
            }
        }
    }
}
