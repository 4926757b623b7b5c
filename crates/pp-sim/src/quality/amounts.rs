//! What machines have, and what jobs need of it while they run.

/// How many kinds of resources there are.
pub const KINDS: usize = 3;

/// An amount of each resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amounts {
    /// Slots: how many processors.
    pub slots: u32,
    /// How many GPUs.
    pub gpus: u32,
    /// Gigabytes of memory, where anybody counts these.
    pub memory: u32,
}

impl Amounts {
    /// What an ordinary job needs.
    pub const SLOT: Self = Self {
        slots: 1,
        gpus: 0,
        memory: 0,
    };

    /// All of them.
    pub fn all(self) -> [u64; KINDS] {
        [self.slots, self.gpus, self.memory].map(u64::from)
    }

    /// Whether it is as much as `other` of each.
    pub fn covers(self, other: Self) -> bool {
        let pairs = self.all().into_iter().zip(other.all());
        pairs.into_iter().all(|(one, other)| one >= other)
    }

    /// The sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            slots: self.slots + other.slots,
            gpus: self.gpus + other.gpus,
            memory: self.memory + other.memory,
        }
    }

    /// The difference, 0 at the least.
    #[must_use]
    pub fn less(self, other: Self) -> Self {
        Self {
            slots: self.slots.saturating_sub(other.slots),
            gpus: self.gpus.saturating_sub(other.gpus),
            memory: self.memory.saturating_sub(other.memory),
        }
    }
}
