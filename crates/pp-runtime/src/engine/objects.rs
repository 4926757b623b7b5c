//! What users have put into the server for many jobs, by content.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use bytes::Bytes;

use crate::segments::{Parcel, Part};
use crate::sync::Mutex;

/// BLAKE3 of a parcel's shape and of samples of it.
type Print = [u8; 32];

/// Something that was put into the server.
#[derive(Debug)]
pub struct Object {
    part: Part,
    size: u64,
}

impl Object {
    /// Where it is.
    pub fn part(&self) -> &Part {
        &self.part
    }

    /// Its bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
}

/// The objects that somebody still refers to.
///
/// Equal content is kept once. Reading all of it for a digest would take longer than
/// copying it does, so the digest is one of samples; where it is known already, all is
/// compared.
#[derive(Debug, Default)]
pub(super) struct Objects(Mutex<HashMap<Print, Vec<Weak<Object>>>>);

impl Objects {
    /// The object with the content of `parcel`; `store` makes it if there is none.
    pub(super) fn find_or(&self, parcel: &Parcel<'_>, store: impl FnOnce() -> Part) -> Arc<Object> {
        let print = fingerprint(parcel);
        let known: Vec<_> = {
            let mut objects = self.0.lock();
            objects.retain(|_, alike| {
                alike.retain(|object| object.strong_count() > 0);
                !alike.is_empty()
            });
            let alike = objects.get(&print).map_or(&[][..], Vec::as_slice);
            alike.iter().filter_map(Weak::upgrade).collect()
        };
        // Not under the lock: comparing takes as long as reading all of it.
        if let Some(same) = known.into_iter().find(|object| object.is(parcel)) {
            return same;
        }
        let object = Arc::new(Object {
            part: store(),
            size: parcel.len(),
        });
        let mut objects = self.0.lock();
        objects
            .entry(print)
            .or_default()
            .push(Arc::downgrade(&object));
        object
    }
}

impl Object {
    /// Whether it has the content of `parcel`.
    fn is(&self, parcel: &Parcel<'_>) -> bool {
        let Ok(size) = usize::try_from(self.size) else {
            return false;
        };
        // A segment that is used again may have held more before.
        let content: Option<Bytes> = self.part.content().ok();
        let content = content.as_ref().and_then(|content| content.get(..size));
        self.size == parcel.len() && content.is_some_and(|content| parcel.equals(content))
    }
}

fn fingerprint(parcel: &Parcel<'_>) -> Print {
    let mut hasher = blake3::Hasher::new();
    parcel.sample(|bytes| {
        hasher.update(bytes);
    });
    *hasher.finalize().as_bytes()
}
