//! How much memory something takes.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, with a count of what is held.
struct Meter;

#[global_allocator]
static METER: Meter = Meter;

fn grow(len: usize) {
    let held = HELD.fetch_add(len, Relaxed) + len;
    MOST.fetch_max(held, Relaxed);
}

// SAFETY: whatever is asked is handed to the system's allocator as it is.
unsafe impl GlobalAlloc for Meter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: as our caller vouches for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: as our caller vouches for.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as our caller vouches for.
        unsafe { System.dealloc(place, layout) }
    }
}

/// Does `work`, which may hold at most `most` bytes at any time more than were held before.
///
/// # Panics
/// It holds more.
pub fn at_most<T>(most: usize, work: impl FnOnce() -> T) -> T {
    let before = HELD.load(Relaxed);
    MOST.store(before, Relaxed);
    let result = work();
    let took = MOST.load(Relaxed).saturating_sub(before);
    assert!(
        took <= most,
        "{took} bytes were held where {most} are the most"
    );
    result
}
