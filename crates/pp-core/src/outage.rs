//! Whose fault it is that nodes are silent.

use std::time::Duration;

/// Whether nodes are silent because the own line is cut. `nodes` are all of them: on which
/// machine each is, and how long nothing was heard of it.
///
/// It is if they are on several machines and nobody was heard for `limit`: a job runs on one
/// machine and can take down no other. Where all are on one, that may be what happened.
pub fn is_own_outage<M: Clone + PartialEq>(
    nodes: impl IntoIterator<Item = (M, Duration)>,
    limit: Duration,
) -> bool {
    let mut first = None;
    let mut are_several = false;
    for (machine, silence) in nodes {
        if silence < limit {
            return false;
        }
        are_several |= *first.get_or_insert_with(|| machine.clone()) != machine;
    }
    are_several
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(4);
    const LONG: Duration = Duration::from_secs(5);
    const SHORT: Duration = Duration::from_secs(1);

    #[test]
    fn who_hears_nobody_is_cut_off() {
        assert!(is_own_outage([(1, LONG), (2, LIMIT)], LIMIT));
        assert!(is_own_outage([(1, LONG), (1, LONG), (2, LONG)], LIMIT));
    }

    #[test]
    fn who_hears_somebody_is_not() {
        assert!(!is_own_outage([(1, LONG), (2, SHORT), (3, LONG)], LIMIT));
    }

    #[test]
    fn one_machine_may_have_been_taken_down_with_all_its_nodes() {
        assert!(!is_own_outage([(1, LONG)], LIMIT));
        assert!(!is_own_outage([(1, LONG), (1, LONG)], LIMIT));
        assert!(!is_own_outage::<u8>([], LIMIT));
    }
}
