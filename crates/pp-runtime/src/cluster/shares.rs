//! Who may use how many of a node's workers.
//!
//! Sessions that have work share the workers equally, or by their weights. A session that
//! is to give some up finishes what they run first; until then another one may start only
//! as many as there are free, but one in any case: nobody waits for another's long jobs. One that
//! only waits for something else that others have keeps one, too.

/// One session, as far as its share is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    /// How much of the node it is to have, beside others.
    pub(super) weight: u32,
    /// Whether it has work.
    pub(super) is_busy: bool,
    /// Whether it has jobs that lack what others have, beside workers.
    pub(super) is_waiting: bool,
    /// How many workers it has at the moment, those that are to leave among them.
    pub(super) has: u32,
}

/// What a session gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    /// How many workers it may have now.
    pub(super) workers: u32,
    /// How many it would have if it had work: so many jobs may be sent to it.
    pub(super) slots: u32,
}

/// Divides `total` workers among sessions.
pub(super) fn divide(total: u32, claims: &[Claim]) -> Vec<Share> {
    let busy: Vec<usize> = (0..claims.len()).filter(|&n| claims[n].is_busy).collect();
    let parts = split(total, claims, &busy);
    let mut shares: Vec<Share> = (0..claims.len())
        .map(|number| {
            let slots = match busy.iter().position(|&n| n == number) {
                Some(place) => parts[place],
                None => prospect(total, claims, &busy, number),
            };
            Share { workers: 0, slots }
        })
        .collect();
    let mut free = total.saturating_sub(claims.iter().map(|claim| claim.has).sum());
    for &number in &busy {
        let (has, slots) = (claims[number].has, shares[number].slots);
        // What it has above its share is to leave; what it lacks, it gets as others leave.
        let more = slots.saturating_sub(has).min(free);
        free -= more;
        shares[number].workers = (has.min(slots) + more).max(1.min(slots));
    }
    for number in (0..claims.len()).filter(|number| !busy.contains(number)) {
        // Those who rest keep what nobody else wants; who is alone is likely to work soon.
        let kept = match (busy.is_empty(), claims.len()) {
            (true, 1) => u32::MAX,
            (true, _) => claims[number].has.max(1),
            // When it is its turn, it cannot wait for a worker to start.
            (false, _) => u32::from(claims[number].is_waiting),
        };
        shares[number].workers = kept.min(shares[number].slots);
    }
    shares
}

/// Divides `total` by weight, so that each gets one at the least.
fn split(total: u32, claims: &[Claim], among: &[usize]) -> Vec<u32> {
    let weights: u64 = among
        .iter()
        .map(|&n| u64::from(claims[n].weight.max(1)))
        .sum();
    let mut parts: Vec<u32> = Vec::with_capacity(among.len());
    let (mut so_far, mut given) = (0_u64, 0_u64);
    for &number in among {
        // Rounded as a running sum, so that all of it is given and nobody gets the rest
        // of everybody.
        so_far += u64::from(claims[number].weight.max(1));
        let until = (u64::from(total) * so_far).div_ceil(weights);
        parts.push(u32::try_from(until - given).unwrap_or(u32::MAX));
        given = until;
    }
    if total > 0 {
        for part in &mut parts {
            *part = (*part).max(1);
        }
    }
    parts
}

/// What a session would get if it had work.
fn prospect(total: u32, claims: &[Claim], busy: &[usize], number: usize) -> u32 {
    let mut among = busy.to_vec();
    among.push(number);
    split(total, claims, &among).last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(has: u32) -> Claim {
        Claim {
            weight: 1,
            is_busy: true,
            is_waiting: false,
            has,
        }
    }

    fn idle(has: u32) -> Claim {
        Claim {
            is_busy: false,
            ..busy(has)
        }
    }

    fn workers(total: u32, claims: &[Claim]) -> Vec<u32> {
        divide(total, claims)
            .iter()
            .map(|share| share.workers)
            .collect()
    }

    fn slots(total: u32, claims: &[Claim]) -> Vec<u32> {
        divide(total, claims)
            .iter()
            .map(|share| share.slots)
            .collect()
    }

    #[test]
    fn who_is_alone_has_all() {
        assert_eq!(workers(8, &[busy(0)]), [8]);
        assert_eq!(slots(8, &[idle(0)]), [8]);
        assert_eq!(
            workers(8, &[busy(3), idle(5)]),
            [3, 0],
            "the others leave first"
        );
        assert_eq!(workers(8, &[busy(3), idle(0)]), [8, 0]);
    }

    #[test]
    fn a_newcomer_gets_one_at_once_and_the_rest_as_others_leave() {
        assert_eq!(workers(8, &[busy(8), busy(0)]), [4, 1]);
        assert_eq!(workers(8, &[busy(6), busy(1)]), [4, 2]);
        assert_eq!(workers(8, &[busy(4), busy(2)]), [4, 4]);
        assert_eq!(slots(8, &[busy(8), busy(0)]), [4, 4]);
    }

    #[test]
    fn who_waits_for_what_others_have_keeps_a_worker() {
        let waits = Claim {
            is_waiting: true,
            ..idle(4)
        };
        assert_eq!(workers(8, &[busy(4), waits]), [4, 1]);
        assert_eq!(workers(8, &[idle(1), waits]), [1, 4]);
    }

    #[test]
    fn weights_count() {
        let heavy = Claim {
            weight: 3,
            ..busy(0)
        };
        assert_eq!(slots(8, &[heavy, busy(0)]), [6, 2]);
        let light = Claim {
            weight: 0,
            ..busy(0)
        };
        assert_eq!(slots(8, &[light, busy(0)]), [4, 4]);
    }

    #[test]
    fn everybody_gets_one_and_all_is_given() {
        assert_eq!(slots(2, &[busy(0); 5]), [1; 5]);
        for (total, sessions) in [(7, 2), (10, 3), (64, 7), (3, 3)] {
            let given = slots(total, &vec![busy(0); sessions]);
            assert_eq!(given.iter().sum::<u32>(), total);
            assert!(given.iter().max().unwrap() - given.iter().min().unwrap() <= 1);
        }
        assert_eq!(slots(0, &[busy(0); 2]), [0, 0]);
    }

    #[test]
    fn who_rests_keeps_what_nobody_wants() {
        assert_eq!(workers(8, &[idle(0)]), [8]);
        assert_eq!(workers(8, &[idle(8), idle(0)]), [8, 1]);
        assert_eq!(slots(8, &[idle(8), idle(0)]), [8, 8]);
        assert_eq!(slots(8, &[busy(8), idle(0)]), [8, 4]);
    }
}
