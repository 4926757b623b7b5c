//! What is chosen at random.

use std::num::NonZeroU32;
use std::time::Duration;

use pp_core::{
    Config, Data, Demand, ExecutorId, FunctionId, JobId, ResourceId, Retries, Terms, WindowConfig,
};

use crate::env::{Env, ms, resource, share, us};
use crate::rng::Rng;

/// Settings with small limits, so that random runs reach them.
pub(crate) fn random_config(rng: &mut Rng) -> Config {
    let mut small = |limit| u32::try_from(rng.below(limit)).expect("it fits");
    let (deaths, jobs, attempts, ahead) = (small(3), small(10), small(4), small(24));
    let (grace, ageing) = (small(3), NonZeroU32::new(small(6)));
    Config {
        max_worker_deaths: NonZeroU32::MIN.saturating_add(deaths),
        jobs_per_executor: NonZeroU32::new(jobs).filter(|jobs| jobs.get() < 4),
        start_attempts: attempts,
        ageing,
        gather: [ms(0), ms(5), ms(10_000)][grace as usize],
        cancel_grace: [ms(0), ms(20), ms(1_000)][grace as usize],
        window: WindowConfig {
            max_ahead: ahead,
            ..WindowConfig::default()
        },
        ..Config::default()
    }
}

/// Functions, by how long their jobs take as a rule in nanoseconds. They are known
/// to err.
const FUNCTIONS: [u64; 5] = [800, 15_000, 250_000, 6_000_000, 90_000_000];

/// Mostly about what is usual for the function, and sometimes anything up to 65 ms.
pub(crate) fn run_time(name: FunctionId, number: u32) -> Duration {
    let usual = FUNCTIONS[usize::try_from(name.as_u64()).expect("it is small")];
    let part = u64::from(number >> 8 & 0xFF);
    match number % 16 {
        0 => some_time(number),
        _ => Duration::from_nanos(usual / 2 + usual * part / 256),
    }
}

/// From nothing to 65 ms, all magnitudes alike.
pub(crate) fn some_time(number: u32) -> Duration {
    us(u64::from(number >> 16) >> (number / 16 % 17))
}

pub(crate) fn choose<T: Copy>(from: &[T], number: usize) -> Option<T> {
    from.get(number % from.len().max(1)).copied()
}

/// Half of the jobs need one slot only.
fn random_demand(number: u32) -> Demand {
    if number.is_multiple_of(2) {
        return Demand::default();
    }
    let amount = |place: u32| u64::from(number >> (8 + 4 * place) & 0xF) % 4;
    Demand {
        slots: [1, 1, 2, 3, 5, 0, 1, 2][(number / 2 % 8) as usize],
        amounts: (0..number / 16 % 3)
            .map(|place| (resource(u64::from(place)), amount(place)))
            .collect(),
    }
}

/// A few of each resource.
pub(crate) fn random_supply(number: u32) -> Vec<(ResourceId, u64)> {
    let amount = |place: u32| u64::from(number >> (4 * place) & 0xF) % 6;
    let places = 0..2;
    places
        .map(|place| (resource(u64::from(place)), amount(place)))
        .collect()
}

/// From nothing to what takes 8 ms to bring, all magnitudes alike.
pub(crate) fn random_bytes(number: u32) -> u64 {
    u64::from(number >> 12) >> (number % 21)
}

impl Env {
    /// What may be asked for a job, after `most` others or fewer.
    pub(crate) fn random_terms(&self, rng: &mut Rng, most: u8) -> Terms {
        let mut known: Vec<_> = self.jobs.keys().copied().collect();
        // What has ended well before counts as met.
        let is_good = |job: &JobId| self.ended[job].is_none() && !self.failed.contains(job);
        let ended = self.ended.keys().rev().take(3).copied();
        known.extend(ended.filter(is_good));
        let mut number = || u32::try_from(rng.next() >> 32).expect("it fits");
        let after = (0..most % 4)
            .filter_map(|_| choose(&known, usize::try_from(number()).expect("it fits")))
            .collect();
        let priorities = [0, 0, 1, -1, 2, i32::MAX, i32::MIN, 0];
        let priority =
            choose(&priorities, usize::try_from(number()).expect("it fits")).unwrap_or(0);
        let share = share(u64::from(number() % 4));
        // Many have nothing but a priority and a share.
        let demand = random_demand(number());
        if number().is_multiple_of(3) {
            return Terms {
                priority,
                share,
                demand,
                ..Terms::default()
            };
        }
        let may_fail = number().is_multiple_of(2);
        let retries = Retries {
            count: if may_fail { number() % 4 } else { 0 },
            pause: some_time(number()),
            max_pause: some_time(number()),
            on_timeout: number().is_multiple_of(2),
        };
        Terms {
            priority,
            share,
            after,
            demand,
            time_limit: number().is_multiple_of(3).then(|| some_time(number())),
            retries,
            data: self.random_data(number()),
        }
    }

    /// What executors may have, some of which are gone.
    fn random_data(&self, number: u32) -> Vec<Data> {
        let holders = (0..number % 3).map(|place| {
            let one = u64::from(number >> (4 + 4 * place)) % u64::from(self.started + 1);
            Data {
                // Few, so that several need the same.
                job: JobId::from_u64(u64::from(number >> 12) % 5),
                executor: ExecutorId::from_u64(one),
                bytes: random_bytes(number),
            }
        });
        holders.collect()
    }
}
