//! What a node has of the big things that jobs refer to: each is sent once, and again if the
//! node had to make room.

use std::collections::HashMap;

use pp_core::JobId;

use crate::segments::{Part, WeakPart};

/// The books about one node.
#[derive(Debug, Default)]
pub(super) struct Contents {
    known: HashMap<u64, Known>,
    /// What jobs refer to that are there.
    of_jobs: HashMap<JobId, Vec<u64>>,
}

#[derive(Debug)]
struct Known {
    part: WeakPart,
    /// How many of the jobs there refer to it.
    jobs: usize,
    way: Way,
}

/// How the node has got a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It was sent, or is to be. Of jobs that came before that, so many may still be given back
    /// for want of it.
    Sent { late: usize },
    /// It is to get it from another node.
    Lent,
    /// It does not get it there.
    Failed,
}

/// What a node means that lacks a content.
#[derive(Debug)]
pub(super) enum Lack {
    /// It has not got this from another node.
    Lent(Part),
    /// It has been sent meanwhile.
    Late,
    /// The job is not there any more.
    Over,
    /// It should have it.
    Wrong,
}

impl Contents {
    /// A job that refers to `part` goes there; whether the content has to go before.
    pub(super) fn refer(&mut self, job: JobId, part: &Part) -> bool {
        let name = part.content_name();
        self.of_jobs.entry(job).or_default().push(name);
        let way = match part.away() {
            Some(away) if away.content().is_none() => Way::Lent,
            _ => Way::Sent { late: 0 },
        };
        let mut is_new = false;
        let known = self.known.entry(name).or_insert_with(|| {
            is_new = true;
            Known {
                part: part.downgrade(),
                jobs: 0,
                way,
            }
        });
        if known.way == Way::Failed {
            is_new = true;
            known.way = match way {
                Way::Sent { .. } => Way::Sent { late: known.jobs },
                other => other,
            };
        }
        known.jobs += 1;
        is_new
    }

    /// A job is not there any more.
    pub(super) fn job_left(&mut self, job: JobId) {
        if self.of_jobs.is_empty() {
            return;
        }
        for name in self.of_jobs.remove(&job).unwrap_or_default() {
            if let Some(known) = self.known.get_mut(&name) {
                known.jobs -= 1;
            }
        }
    }

    /// The node does not have a content, and gives a job back that refers to it.
    pub(super) fn lacks(&mut self, job: JobId, name: u64) -> Lack {
        let Some(names) = self.of_jobs.get(&job) else {
            return Lack::Over;
        };
        if !names.contains(&name) {
            return Lack::Wrong;
        }
        self.job_left(job);
        let Some(known) = self.known.get_mut(&name) else {
            return Lack::Wrong;
        };
        match &mut known.way {
            Way::Sent { late: 0 } => Lack::Wrong,
            Way::Sent { late } => {
                *late -= 1;
                Lack::Late
            }
            Way::Lent | Way::Failed => {
                known.way = Way::Failed;
                known.part.upgrade().map_or(Lack::Over, Lack::Lent)
            }
        }
    }

    /// The node has dropped a content to make room. What is to be sent again, because a job
    /// that is there, or on its way, may need it.
    pub(super) fn dropped_there(&mut self, name: u64) -> Option<Part> {
        let needed = self.known.get(&name).filter(|known| known.jobs > 0);
        let part = needed.and_then(|known| known.part.upgrade());
        if part.is_none() {
            self.known.remove(&name);
        }
        part
    }

    /// Takes out those that nobody refers to any more: the node is to drop them.
    pub(super) fn take_gone(&mut self) -> Vec<u64> {
        let is_gone = |known: &Known| known.jobs == 0 && known.part.is_gone();
        let gone: Vec<u64> = self
            .known
            .iter()
            .filter(|(_, known)| is_gone(known))
            .map(|(&name, _)| name)
            .collect();
        for name in &gone {
            self.known.remove(name);
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::segments::{Away, Carried, Home, Pool};

    fn part(pool: &Arc<Pool>) -> Part {
        Part::Carried(Arc::new(Carried::new(pool, vec![1; 10].into())))
    }

    fn job(number: u64) -> JobId {
        JobId::from_u64(number)
    }

    #[test]
    fn each_content_goes_once_until_nobody_refers_to_it() {
        let pool = Pool::new(Some(0));
        let mut contents = Contents::default();
        let one = part(&pool);
        let name = one.content_name();
        assert!(contents.refer(job(1), &one));
        assert!(!contents.refer(job(2), &one));
        drop(one);
        contents.job_left(job(1));
        assert!(contents.take_gone().is_empty(), "a job there needs it");
        contents.job_left(job(2));
        assert_eq!(contents.take_gone(), [name]);
        assert!(contents.take_gone().is_empty());
    }

    #[test]
    fn what_a_node_has_not_got_from_another_one_is_sent_once() {
        let pool = Pool::new(Some(0));
        let mut contents = Contents::default();
        let home = Home {
            node: 9,
            segment: 0,
            ticket: [0; 16],
            place: None,
        };
        let away = Arc::new(Away::new(77, home, 10, Arc::default()));
        let part = Part::Away(Arc::clone(&away));
        assert!(contents.refer(job(1), &part), "it is told where it is");
        assert!(!contents.refer(job(2), &part) && !contents.refer(job(3), &part));
        assert!(matches!(contents.lacks(job(4), 77), Lack::Over));
        assert!(matches!(contents.lacks(job(1), 78), Lack::Wrong));
        assert!(matches!(contents.lacks(job(1), 77), Lack::Lent(_)));
        away.bring(self::part(&pool));
        assert!(contents.refer(job(1), &part), "it is sent");
        // These are given back before that has come.
        assert!(matches!(contents.lacks(job(2), 77), Lack::Late));
        assert!(!contents.refer(job(2), &part), "it is there");
        assert!(matches!(contents.lacks(job(3), 77), Lack::Late));
        assert!(matches!(contents.lacks(job(2), 77), Lack::Wrong));
    }

    #[test]
    fn what_a_node_has_dropped_goes_again_when_it_is_needed() {
        let pool = Pool::new(Some(0));
        let mut contents = Contents::default();
        let one = part(&pool);
        let name = one.content_name();
        contents.refer(job(1), &one);
        let again = contents.dropped_there(name).map(|part| part.content_name());
        assert_eq!(again, Some(name), "at once: the job may wait for it");
        contents.job_left(job(1));
        assert!(contents.dropped_there(name).is_none());
        assert!(contents.refer(job(2), &one), "with the next job");
        assert!(contents.dropped_there(99).is_none());
    }
}
