//! What machines have, and jobs need.

use super::Author;
use crate::S;
use crate::book::JobSpec;
use crate::scenario::LIMIT;

/// How often a client gives up what no machine could hold.
const PATIENCE: u64 = 20 * S;

impl Author {
    /// Gives machines some of each resource.
    pub(crate) fn supplies(&mut self) {
        for host in 0..self.clients.len() + self.nodes.len() {
            let amounts = [self.rng.between(0, 4), self.rng.between(0, 2) * 10];
            self.setup.supply(host, amounts);
        }
    }

    /// Lets some jobs of a client need more than a slot.
    pub(super) fn settle_needs(&mut self, client: usize, jobs: &mut [JobSpec]) {
        if self.rng.chance(500) {
            return;
        }
        let (per_mille, is_wide) = (self.rng.between(20, 1000), self.rng.chance(700));
        for job in jobs {
            if !self.rng.chance(per_mille) {
                continue;
            }
            if is_wide && self.rng.chance(500) {
                job.slots = self.rng.count(1, 4);
            }
            if self.rng.chance(600) {
                job.amounts = [self.rng.between(0, 3), self.rng.between(0, 12)];
            }
        }
        for time in 1..LIMIT / PATIENCE {
            self.setup
                .end_hopeless(client, self.horizon + time * PATIENCE);
        }
    }
}
