//! The queue of a share, against one that is plain to see.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const PRIORITIES: [i32; 6] = [0, 0, 1, -1, i32::MAX, i32::MIN];

#[derive(Clone, Copy, Debug)]
enum Step {
    Push(usize),
    Pop,
    /// The job that left so many pops ago comes back.
    GiveBack(usize),
    /// A job that waits ends.
    Remove(usize),
    TakeAll,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        24 => (0..PRIORITIES.len()).prop_map(Step::Push),
        18 => Just(Step::Pop),
        6 => (0..8_usize).prop_map(Step::GiveBack),
        6 => any::<usize>().prop_map(Step::Remove),
        1 => Just(Step::TakeAll),
    ]
}

/// All jobs that wait, and nothing more.
#[derive(Default)]
struct Model {
    waiting: BTreeMap<JobId, i32>,
    starts: u32,
}

impl Model {
    fn has_choice(&self) -> bool {
        let first = self.waiting.values().next();
        self.waiting.values().any(|other| Some(other) != first)
    }

    fn front(&self, ageing: Option<NonZeroU32>) -> Option<(JobId, i32)> {
        let all = self.waiting.iter().map(|(&job, &priority)| (job, priority));
        let goes_by_age = ageing.is_some_and(|every| self.starts + 1 == every.get());
        if goes_by_age && self.has_choice() {
            all.min()
        } else {
            all.min_by_key(|&(job, priority)| (Reverse(priority), job))
        }
    }

    fn pop(&mut self, job: JobId, ageing: Option<NonZeroU32>) {
        if let Some(every) = ageing
            && self.has_choice()
        {
            self.starts = (self.starts + 1) % every.get();
        }
        self.waiting.remove(&job);
    }
}

proptest! {
    #[test]
    fn it_gives_what_a_plain_one_gives(
        every in 0_u32..5,
        steps in prop::collection::vec(any_step(), 1..300),
    ) {
        let ageing = NonZeroU32::new(every);
        let (mut queue, model) = (Queue::default(), RefCell::new(Model::default()));
        let is_live = |job| model.borrow().waiting.contains_key(&job);
        let mut gone = Vec::new();
        let mut next = 0;
        for step in steps {
            match step {
                Step::Push(priority) => {
                    let (job, priority) = (JobId::from_u64(next), PRIORITIES[priority]);
                    next += 1;
                    model.borrow_mut().waiting.insert(job, priority);
                    queue.push(job, priority);
                }
                Step::Pop => {
                    if let Some(front) = queue.front(ageing, is_live) {
                        queue.pop(front, ageing);
                        model.borrow_mut().pop(front.0, ageing);
                        gone.push(front);
                    }
                }
                Step::GiveBack(back) => {
                    if back < gone.len() {
                        let (job, priority) = gone.remove(gone.len() - 1 - back);
                        model.borrow_mut().waiting.insert(job, priority);
                        queue.give_back(job, priority);
                    }
                }
                Step::Remove(number) => {
                    let len = model.borrow().waiting.len().max(1);
                    let entry = model.borrow().waiting.iter().nth(number % len)
                        .map(|(&job, &priority)| (job, priority));
                    if let Some((job, priority)) = entry {
                        model.borrow_mut().waiting.remove(&job);
                        queue.remove(job, priority, is_live);
                    }
                }
                Step::TakeAll => {
                    let mut all = queue.take_all(is_live);
                    all.sort_unstable();
                    let model = std::mem::take(&mut *model.borrow_mut());
                    prop_assert_eq!(all, model.waiting.into_keys().collect::<Vec<_>>());
                    prop_assert!(queue.is_bare());
                }
            }
            prop_assert_eq!(queue.len(), model.borrow().waiting.len());
            prop_assert_eq!(queue.front(ageing, is_live), model.borrow().front(ageing));
            prop_assert_eq!(queue.fault(), None);
            let is_over = model.borrow().waiting.is_empty();
            prop_assert!(!is_over || queue.is_bare());
        }
    }
}

/// Names of ended jobs are dropped before they outnumber the others.
#[test]
fn ended_jobs_of_a_priority_leave_nothing_behind() {
    let mut queue = Queue::default();
    let id = JobId::from_u64;
    (0..1_000).for_each(|n| queue.push(id(n), 5));
    for n in (0..999).rev() {
        queue.remove(id(n), 5, |job| job < id(n) || job == id(999));
        let live = queue.len();
        assert!(queue.names().count() <= 2 * live);
    }
    assert_eq!(queue.front(None, |job| job == id(999)), Some((id(999), 5)));
}
