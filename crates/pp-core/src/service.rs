//! Working for a parent: the jobs that it has sent here, by its own numbers.

use std::collections::{BTreeMap, HashMap};

use crate::time::Time;
use crate::{JobId, JobState, Scheduler};

/// What the parent is to be told when a job of its has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// How it has ended.
    End,
    /// That it is given back, as was asked for.
    GivenBack,
    /// That it was cancelled, as was asked for, and how it ran if it did.
    Cancelled,
}

/// What the parent wants of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wish {
    /// To have it back, unless it has begun.
    Back,
    /// That it ends.
    End,
}

/// The jobs of a parent, which is a scheduler for which this one is an executor.
///
/// The parent asks for jobs back. Whether one has begun may be known at once, or only when
/// executors here have answered: so look for [`begun`](Self::begun) whenever all effects
/// have been carried out.
#[derive(Debug, Default)]
pub struct Service {
    jobs: HashMap<u64, JobId>,
    /// What was asked of jobs, for which the parent waits for an answer.
    asked: BTreeMap<u64, Wish>,
}

impl Service {
    /// Takes a job that the parent calls `number`; false if it has another one of the same
    /// number here.
    pub fn accept(&mut self, number: u64, job: JobId) -> bool {
        self.jobs.insert(number, job).is_none()
    }

    /// Whether the parent has a job of this number here.
    pub fn holds(&self, number: u64) -> bool {
        self.jobs.contains_key(&number)
    }

    /// Whether the parent wants this job back.
    pub fn is_asked_back(&self, number: u64) -> bool {
        self.asked.get(&number) == Some(&Wish::Back)
    }

    fn ask(&mut self, number: u64, wish: Wish) {
        let asked = self.asked.entry(number).or_insert(wish);
        *asked = wish.max(*asked);
    }

    /// The parent wants a job back unless it has begun. If it is not here any more, its end
    /// was told.
    pub fn recall<J>(&mut self, number: u64, scheduler: &mut Scheduler<J>, now: Time) {
        if let Some(&job) = self.jobs.get(&number) {
            self.ask(number, Wish::Back);
            scheduler.give_back(job, now);
        }
    }

    /// The parent wants a job to end, wherever it is.
    pub fn cancel<J>(&mut self, number: u64, scheduler: &mut Scheduler<J>, now: Time) {
        if let Some(&job) = self.jobs.get(&number) {
            self.ask(number, Wish::End);
            scheduler.cancel(job, now);
        }
    }

    /// A job has ended, by being cancelled or otherwise: what the parent is to be told.
    pub fn ended(&mut self, number: u64, is_cancelled: bool) -> Answer {
        self.jobs.remove(&number);
        match self.asked.remove(&number) {
            Some(Wish::Back) if is_cancelled => Answer::GivenBack,
            Some(Wish::End) if is_cancelled => Answer::Cancelled,
            _ => Answer::End,
        }
    }

    /// Takes out the jobs that were asked for and have begun: the parent is to be told that
    /// they stay.
    pub fn begun<J>(&mut self, scheduler: &Scheduler<J>) -> Vec<u64> {
        if self.asked.is_empty() {
            return Vec::new();
        }
        let jobs = &self.jobs;
        let is_begun = |number: &u64| {
            let job = jobs.get(number).and_then(|&job| scheduler.job(job));
            job.is_none_or(|job| matches!(job.state, JobState::Sent { .. }))
        };
        let begun: Vec<u64> = self.asked.keys().copied().filter(is_begun).collect();
        for number in &begun {
            self.asked.remove(number);
        }
        begun
    }

    /// Whether the parent has no job here.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// How many jobs the parent has here.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Config, Effect, Ending, FunctionId, Raised, Retries, Terms};

    const NOW: Time = Time::ZERO;

    fn scheduler_with_node() -> (Scheduler<u64>, crate::ExecutorId) {
        let mut scheduler = Scheduler::new(Config::default());
        let node = scheduler.node_joined(1, 10, Duration::ZERO, NOW).unwrap();
        (scheduler, node)
    }

    fn submit(scheduler: &mut Scheduler<u64>, service: &mut Service, number: u64) -> JobId {
        let job = scheduler
            .submit(FunctionId::from_u64(1), number, NOW)
            .unwrap();
        assert!(service.accept(number, job));
        job
    }

    fn ends(scheduler: &mut Scheduler<u64>) -> Vec<(u64, Ending)> {
        let effects = std::iter::from_fn(|| scheduler.poll());
        effects
            .filter_map(|effect| match effect {
                Effect::End { data, ending, .. } => Some((data, ending)),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn what_waits_is_given_back_and_what_has_begun_stays() {
        let (mut scheduler, node) = scheduler_with_node();
        let mut service = Service::default();
        let running = submit(&mut scheduler, &mut service, 70);
        submit(&mut scheduler, &mut service, 71);
        for number in [70, 71, 99] {
            service.recall(number, &mut scheduler, NOW);
        }
        assert_eq!(ends(&mut scheduler), [(71, Ending::Cancelled)]);
        assert_eq!(service.ended(71, true), Answer::GivenBack);
        assert_eq!(service.begun(&scheduler), [], "nobody knows yet");
        scheduler.recall_answered(node, running, false, NOW);
        assert_eq!(service.begun(&scheduler), [70]);
        assert_eq!(service.begun(&scheduler), [], "it is told once");
        assert_eq!(service.ended(70, false), Answer::End);
        assert!(service.is_empty());
    }

    #[test]
    fn what_waits_for_others_or_pauses_is_given_back() {
        let (mut scheduler, node) = scheduler_with_node();
        let mut service = Service::default();
        let mut submit = |number, terms: &Terms| {
            let function = FunctionId::from_u64(1);
            let job = scheduler.submit_with(function, terms, number, NOW).unwrap();
            assert!(service.accept(number, job));
            job
        };
        let retries = Retries {
            count: 1,
            pause: Duration::from_secs(1),
            ..Retries::default()
        };
        let running = submit(
            70,
            &Terms {
                retries,
                ..Terms::default()
            },
        );
        let after = vec![running];
        submit(
            71,
            &Terms {
                after,
                ..Terms::default()
            },
        );
        service.recall(71, &mut scheduler, NOW);
        assert_eq!(ends(&mut scheduler), [(71, Ending::Cancelled)]);
        assert_eq!(service.ended(71, true), Answer::GivenBack);
        let raised = scheduler.job_raised(node, running, Duration::ZERO, NOW);
        assert_eq!(raised, Raised::Again);
        service.recall(70, &mut scheduler, NOW);
        assert_eq!(ends(&mut scheduler), [(70, Ending::Cancelled)]);
        assert_eq!(service.ended(70, true), Answer::GivenBack);
        assert!(scheduler.is_empty() && service.is_empty());
    }

    #[test]
    fn what_is_to_end_does_not_come_back() {
        let (mut scheduler, _) = scheduler_with_node();
        let mut service = Service::default();
        submit(&mut scheduler, &mut service, 70);
        for number in [71, 72, 73] {
            submit(&mut scheduler, &mut service, number);
        }
        service.recall(71, &mut scheduler, NOW);
        assert!(service.is_asked_back(71));
        service.cancel(72, &mut scheduler, NOW);
        service.recall(73, &mut scheduler, NOW);
        service.cancel(73, &mut scheduler, NOW);
        service.recall(73, &mut scheduler, NOW);
        assert!(!service.is_asked_back(72) && !service.is_asked_back(73));
        assert_eq!(ends(&mut scheduler).len(), 3);
        let answers = [71, 72, 73].map(|number| service.ended(number, true));
        let wanted = [Answer::GivenBack, Answer::Cancelled, Answer::Cancelled];
        assert_eq!(answers, wanted);
    }

    #[test]
    fn an_end_of_its_own_is_an_answer_too() {
        let (mut scheduler, node) = scheduler_with_node();
        let mut service = Service::default();
        let job = submit(&mut scheduler, &mut service, 5);
        service.cancel(5, &mut scheduler, NOW);
        scheduler.job_finished(node, job, Duration::ZERO, NOW);
        assert_eq!(service.ended(5, false), Answer::End);
        assert_eq!((service.begun(&scheduler), service.len()), (vec![], 0));
    }
}
