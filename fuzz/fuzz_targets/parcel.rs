//! The parcels that bodies and buffers lie in, and pointers to them.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use pp_fuzz::meter;
use pp_runtime::{Contents, Item, Parcel, Region, Span};

#[derive(Debug, Arbitrary)]
enum Buffer<'a> {
    Copied(&'a [u8]),
    Within { slot: u8, offset: u16, len: u16 },
}

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    message: &'a [u8],
    slots: Vec<&'a [u8]>,
    body: &'a [u8],
    buffers: Vec<Buffer<'a>>,
    /// Bytes of a parcel that is right, and what they are changed to.
    flips: Vec<(u16, u8)>,
}

fuzz_target!(|input: Input<'_>| {
    let slots: Vec<Region> = input.slots.iter().map(|slot| region(slot)).collect();
    open(input.message, &slots);
    let items: Vec<Item<'_>> = input.buffers.iter().map(item).collect();
    let mut whole = Parcel::new(&[Span::of(input.body)], &items).to_vec();
    if let Some(contents) = open(&whole, &slots) {
        assert_eq!(contents.body.as_ref(), input.body);
        assert_eq!(contents.buffers.len(), input.buffers.len());
        for (found, buffer) in contents.buffers.iter().zip(&input.buffers) {
            assert_eq!(Some(found.as_ref()), expected(buffer, &input.slots));
        }
    }
    for (place, byte) in input.flips {
        let place = usize::from(place) % whole.len();
        whole[place] ^= byte;
    }
    open(&whole, &slots);
    let pointer = Parcel::pointer(0, whole.len() as u64);
    open(&pointer, &[region(&whole)]);
});

fn region(bytes: &[u8]) -> Region {
    Region::of_bytes(bytes.to_vec().into())
}

fn item<'a>(buffer: &Buffer<'a>) -> Item<'a> {
    match *buffer {
        Buffer::Copied(bytes) => Item::Copied(Span::of(bytes)),
        Buffer::Within { slot, offset, len } => Item::Within {
            slot: slot.into(),
            offset: offset.into(),
            len: len.into(),
        },
    }
}

fn expected<'a>(buffer: &Buffer<'a>, slots: &[&'a [u8]]) -> Option<&'a [u8]> {
    match *buffer {
        Buffer::Copied(bytes) => Some(bytes),
        Buffer::Within { slot, offset, len } => {
            let (start, len) = (usize::from(offset), usize::from(len));
            slots.get(usize::from(slot))?.get(start..start + len)
        }
    }
}

/// What is referred to is read, all of it.
fn open(message: &[u8], slots: &[Region]) -> Option<Contents> {
    let room = 4096 + 8 * (message.len() + slots.iter().map(Region::len).sum::<usize>());
    let message = region(message);
    let contents = meter::at_most(room, || Contents::open(&message, slots)).ok()?;
    for part in contents.buffers.iter().chain([&contents.body]) {
        std::hint::black_box(
            part.as_ref()
                .iter()
                .map(|&byte| u64::from(byte))
                .sum::<u64>(),
        );
    }
    Some(contents)
}
