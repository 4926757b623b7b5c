#![allow(clippy::unwrap_used)] // a test may fail

use bytes::Bytes;
use proptest::prelude::*;

use super::{Contents, ENTRY, HEAD, Item, Parcel, ParcelError};
use crate::segments::memory::{Region, Span};

fn region(bytes: impl Into<Vec<u8>>) -> Region {
    Region::of_bytes(Bytes::from(bytes.into()))
}

fn bytes_of(region: &Region) -> Vec<u8> {
    region.span().bytes().to_vec()
}

#[test]
fn a_message_of_the_general_kind_is_its_own_body() {
    for message in [&b"\x80\x05N."[..], b"", b"(i1\n."] {
        let contents = Contents::open(&region(message), &[]).unwrap();
        assert_eq!(bytes_of(&contents.body), message);
        assert!(contents.buffers.is_empty());
    }
}

#[test]
fn buffers_are_aligned_and_may_lie_elsewhere() {
    let other = region((0..=99).collect::<Vec<u8>>());
    let items = [
        Item::Copied(Span::of(b"one")),
        Item::Within {
            slot: 1,
            offset: 10,
            len: 5,
        },
        Item::Copied(Span::of(b"")),
        Item::Copied(Span::of(b"three")),
    ];
    let parcel = Parcel::new(&[Span::of(b"bo"), Span::of(b""), Span::of(b"dy")], &items);
    let whole = parcel.to_vec();
    assert_eq!(whole.len() as u64, parcel.len());
    assert!(
        parcel
            .pieces()
            .filter(|(_, p)| p.len() != 2)
            .all(|(at, _)| at % 64 == 0)
    );
    let contents = Contents::open(&region(whole.clone()), &[region(""), other]).unwrap();
    assert_eq!(bytes_of(&contents.body), b"body");
    let buffers: Vec<_> = contents.buffers.iter().map(bytes_of).collect();
    assert_eq!(buffers, [&b"one"[..], &[10, 11, 12, 13, 14], b"", b"three"]);

    let pointer = region(Parcel::pointer(0, parcel.len()));
    let mut longer = whole.clone();
    longer.extend([7; 100]);
    let there = Contents::open(&pointer, &[region(longer), region(vec![0; 20])]).unwrap();
    assert_eq!(bytes_of(&there.body), b"body");
    assert!(parcel.equals(&whole) && !parcel.equals(&whole[1..]));
}

#[test]
fn what_lies_outside_is_refused() {
    let parcel = |slot, offset, len| {
        let item = Item::Within { slot, offset, len };
        region(Parcel::new(&[], &[item]).to_vec())
    };
    let slots = [region(vec![0; 10])];
    assert!(Contents::open(&parcel(0, 0, 10), &slots).is_ok());
    for (slot, offset, len) in [(0, 1, 10), (0, u64::MAX, 1), (0, 1, u64::MAX), (0, 11, 0)] {
        let error = Contents::open(&parcel(slot, offset, len), &slots).unwrap_err();
        assert_eq!(error, ParcelError::Outside { slot, offset, len });
    }
    let error = Contents::open(&parcel(1, 0, 0), &slots).unwrap_err();
    assert_eq!(error, ParcelError::NoSuchSlot { slot: 1, slots: 1 });
}

#[test]
fn pointers_lead_to_parcels_and_only_once() {
    let own = Parcel::new(&[Span::of(b"x")], &[]).to_vec();
    let open = |len, target: Vec<u8>| {
        Contents::open(&region(Parcel::pointer(0, len)), &[region(target)]).map(|_| ())
    };
    assert_eq!(open(own.len() as u64, own.clone()), Ok(()));
    assert!(matches!(open(9999, own), Err(ParcelError::Outside { .. })));
    let chain = Parcel::pointer(0, 24);
    assert_eq!(open(24, chain), Err(ParcelError::NoParcel { kind: 2 }));
    assert_eq!(open(0, Vec::new()), Err(ParcelError::NoParcel { kind: 0 }));
    let slotless = Contents::open(&region(Parcel::pointer(0, 1)), &[]).unwrap_err();
    assert_eq!(slotless, ParcelError::NoSuchSlot { slot: 0, slots: 0 });
}

#[test]
fn a_pointer_weighs_what_it_points_to() {
    assert_eq!(Parcel::weight(b"\x80\x05N."), 4);
    assert_eq!(Parcel::weight(b""), 0);
    assert_eq!(Parcel::weight(&Parcel::pointer(3, 1000)), 1024);
    let whole = Parcel::new(&[Span::of(b"x")], &[]).to_vec();
    assert_eq!(Parcel::weight(&whole), whole.len());
}

#[test]
fn samples_tell_parcels_apart_that_differ_where_they_look() {
    let sampled = |bytes: &[u8]| {
        let mut seen = Vec::new();
        Parcel::new(&[Span::of(bytes)], &[]).sample(|part| seen.extend_from_slice(part));
        seen
    };
    let mut bytes = vec![1; 1_000_000];
    let before = sampled(&bytes);
    assert!(before.len() < 80_000);
    *bytes.last_mut().unwrap() = 2;
    assert_ne!(sampled(&bytes), before);
    assert_ne!(sampled(&bytes[1..]), before);
}

proptest! {
    #[test]
    fn any_parcel_comes_out_as_it_went_in(
        body in prop::collection::vec(any::<u8>(), 0..200),
        buffers in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..6),
    ) {
        let items: Vec<_> = buffers.iter().map(|b| Item::Copied(Span::of(b))).collect();
        let whole = Parcel::new(&[Span::of(&body)], &items).to_vec();
        let contents = Contents::open(&region(whole), &[]).unwrap();
        prop_assert_eq!(bytes_of(&contents.body), body);
        let found: Vec<_> = contents.buffers.iter().map(bytes_of).collect();
        prop_assert_eq!(found, buffers);
    }

    #[test]
    fn garbage_is_refused_or_stays_within_bounds(
        numbers in prop::collection::vec(prop_oneof![0..200_u64, any::<u64>()], 0..20),
        cut in 0..8_usize,
        kind in 1..3_u64,
    ) {
        let mut bytes = kind.to_le_bytes().to_vec();
        bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        bytes.truncate(bytes.len() - cut.min(bytes.len() - 1));
        let slots = [region(vec![0; 100]), region(Parcel::new(&[], &[]).to_vec())];
        if let Ok(contents) = Contents::open(&region(bytes.clone()), &slots) {
            let most = bytes.len().max(100).max(usize::try_from(HEAD + ENTRY).unwrap());
            prop_assert!(contents.body.len() <= most);
            prop_assert!(contents.buffers.iter().all(|buffer| buffer.len() <= most));
        }
    }
}
