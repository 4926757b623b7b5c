//! Machines, and what happens to them.

use super::Amounts;
use crate::US;

/// One machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// How many jobs it runs at a time.
    pub slots: u32,
    /// How many GPUs it has.
    pub gpus: u32,
    /// Gigabytes of memory that jobs may ask for.
    pub memory: u32,
    /// How fast it is, in percent.
    pub speed: u64,
    /// What a message to it or from it takes, in nanoseconds.
    pub delay: u64,
}

impl Machine {
    /// All that it has.
    pub fn has(&self) -> Amounts {
        Amounts {
            slots: self.slots,
            gpus: self.gpus,
            memory: self.memory,
        }
    }
}

/// What happens to a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It is so fast from now on, in percent, also with what it runs.
    Speed(u64),
    /// It is gone, with all that it runs and holds.
    Leaves,
    /// It comes. One of which this is the first thing that happens is not there before.
    Joins,
}

/// Something that happens to a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub at: u64,
    /// To which.
    pub machine: usize,
    /// What.
    pub what: What,
}

/// Machines around the one from which jobs come, which runs none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// All that ever are there.
    pub machines: Vec<Machine>,
    /// Bytes per second that go into and out of each machine.
    pub rate: u64,
    /// What a slot takes to begin a job if it had none.
    pub wake_up: u64,
    /// What happens, in order.
    pub changes: Vec<Change>,
}

impl Cluster {
    /// So many machines of so many slots, as fast as ordinary ones and at various distances,
    /// with ten gigabits per second between them.
    pub fn ordinary(count: usize, slots: u32) -> Self {
        let delays = [100 * US, 200 * US, 500 * US, 150 * US];
        let machine = |number: usize| Machine {
            slots,
            gpus: 0,
            memory: 0,
            speed: 100,
            delay: delays[number % delays.len()],
        };
        Self {
            machines: (0..count).map(machine).collect(),
            rate: 1_250_000_000,
            wake_up: 40 * US,
            changes: Vec::new(),
        }
    }

    /// Whether a machine is there from the beginning.
    pub fn is_there_at_first(&self, machine: usize) -> bool {
        let mut of_it = self.changes.iter().filter(|it| it.machine == machine);
        of_it.next().is_none_or(|first| first.what != What::Joins)
    }

    /// How fast the fastest machine ever is, in percent.
    pub fn fastest(&self) -> u64 {
        let later = self.changes.iter().filter_map(|change| match change.what {
            What::Speed(speed) => Some(speed),
            What::Leaves | What::Joins => None,
        });
        let first = self.machines.iter().map(|machine| machine.speed);
        first.chain(later).max().unwrap_or(100).max(1)
    }

    /// How many jobs run at a time, from when on, and what they do together: in percent of
    /// an ordinary slot.
    pub fn capacity(&self) -> Vec<Capacity> {
        self.capacity_by(|_, machine| machine.slots.into())
    }

    /// The same of anything else than slots, of which `count` says how much a machine counts for.
    pub fn capacity_by(&self, count: impl Fn(usize, &Machine) -> u64) -> Vec<Capacity> {
        let mut speeds: Vec<u64> = self.machines.iter().map(|it| it.speed).collect();
        let mut there: Vec<bool> = (0..speeds.len())
            .map(|number| self.is_there_at_first(number))
            .collect();
        let mut steps = vec![self.sum(0, &speeds, &there, &count)];
        for change in &self.changes {
            match change.what {
                What::Speed(speed) => speeds[change.machine] = speed,
                What::Leaves => there[change.machine] = false,
                What::Joins => there[change.machine] = true,
            }
            steps.push(self.sum(change.at, &speeds, &there, &count));
        }
        steps
    }

    fn sum(
        &self,
        from: u64,
        speeds: &[u64],
        there: &[bool],
        count: impl Fn(usize, &Machine) -> u64,
    ) -> Capacity {
        let mut capacity = Capacity {
            from,
            slots: 0,
            speed: 0,
        };
        let all = self.machines.iter().enumerate().zip(speeds).zip(there);
        for (((number, machine), speed), _) in all.filter(|(_, there)| **there) {
            let count = count(number, machine);
            capacity.slots += count;
            capacity.speed += count * speed;
        }
        capacity
    }
}

/// What all machines can do from some moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// From when on.
    pub from: u64,
    /// How many jobs run at a time.
    pub slots: u64,
    /// How fast all slots are together, in percent of an ordinary one.
    pub speed: u64,
}
