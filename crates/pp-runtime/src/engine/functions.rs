//! The functions that jobs name: stored once, found by digest, evicted when unused.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use pp_core::FunctionId;
use pp_proto::Digest;

/// Unused functions are kept up to this many, and
const KEPT: usize = 512;
/// up to this many bytes in all.
const KEPT_BYTES: usize = 64 << 20;

/// How many of the oldest are looked at when one is added: the cost stays flat even
/// when millions of jobs hold theirs.
const LOOKS: usize = 16;

/// A serialized function.
#[derive(Debug)]
pub struct Function {
    id: FunctionId,
    digest: Digest,
    blob: Bytes,
    name: Box<str>,
}

impl Function {
    /// Its number, which stands for the digest on a line.
    pub fn id(&self) -> FunctionId {
        self.id
    }

    /// Its name: equal bytes have equal digests.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// What it is called, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The serialized function itself.
    pub fn blob(&self) -> &Bytes {
        &self.blob
    }
}

/// All functions of an engine.
#[derive(Debug, Default)]
pub(super) struct Functions {
    by_digest: HashMap<Digest, Arc<Function>>,
    /// Oldest first, for eviction.
    order: VecDeque<Arc<Function>>,
    by_id: HashMap<FunctionId, Arc<Function>>,
    bytes: usize,
    next_id: u64,
}

impl Functions {
    /// The function with these bytes, known already or new, and those that were
    /// evicted to make room for it. Of several names the first one stays.
    pub(super) fn intern(&mut self, blob: Bytes, name: &str) -> (Arc<Function>, Vec<FunctionId>) {
        let digest = *blake3::hash(&blob).as_bytes();
        if let Some(known) = self.by_digest.get(&digest) {
            return (Arc::clone(known), Vec::new());
        }
        let function = Arc::new(Function {
            id: FunctionId::from_u64(self.next_id),
            digest,
            blob,
            name: name.into(),
        });
        self.next_id += 1;
        self.bytes += function.blob.len();
        self.by_digest.insert(digest, Arc::clone(&function));
        self.by_id.insert(function.id, Arc::clone(&function));
        self.order.push_back(Arc::clone(&function));
        (function, self.evict())
    }

    /// The function with this number.
    pub(super) fn get(&self, id: FunctionId) -> Option<&Arc<Function>> {
        self.by_id.get(&id)
    }

    /// Forgets the oldest functions that nobody holds, if there are too many. Jobs
    /// and submitters hold theirs.
    fn evict(&mut self) -> Vec<FunctionId> {
        // The three tables here hold one reference each.
        const OWN: usize = 3;

        let mut evicted = Vec::new();
        let mut looks = self.order.len().min(LOOKS);
        while looks > 0 && (self.order.len() > KEPT || self.bytes > KEPT_BYTES) {
            looks -= 1;
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            if Arc::strong_count(&oldest) > OWN {
                self.order.push_back(oldest);
                continue;
            }
            self.bytes -= oldest.blob.len();
            self.by_digest.remove(&oldest.digest);
            self.by_id.remove(&oldest.id);
            evicted.push(oldest.id);
        }
        evicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(number: usize) -> Bytes {
        Bytes::from(number.to_le_bytes().to_vec())
    }

    #[test]
    fn equal_bytes_are_one_function() {
        let mut functions = Functions::default();
        let (first, _) = functions.intern(blob(1), "f");
        let (again, _) = functions.intern(blob(1), "f");
        let (other, _) = functions.intern(blob(2), "f");
        assert_eq!(first.id(), again.id());
        assert_ne!(first.id(), other.id());
    }

    #[test]
    fn only_functions_that_nobody_holds_are_evicted_oldest_first() {
        let mut functions = Functions::default();
        let (held, _) = functions.intern(blob(0), "f");
        let second = functions.intern(blob(1), "f").0.id();
        let mut evicted = Vec::new();
        for number in 2..=KEPT {
            evicted.extend(functions.intern(blob(number), "f").1);
        }
        assert_eq!(evicted, vec![second]);
        assert!(functions.get(held.id()).is_some());
        assert!(functions.get(second).is_none());
    }
}
