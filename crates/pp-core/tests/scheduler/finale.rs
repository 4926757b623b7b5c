//! How a random run ends.

use pp_core::ExecutorState;

use crate::env::{Env, Phase, resource, us};

impl Env {
    /// Lets everything work as it should until the last job has ended, then shuts down.
    pub(crate) fn finale(&mut self) {
        self.catch_up();
        if !self.destroyed {
            self.resize(4);
            self.set_supply(&[(resource(0), 3), (resource(1), 3)]);
            self.end_hopeless();
            let held_up = self.limits.iter().filter(|&(_, &limit)| limit == 0);
            let held_up: Vec<_> = held_up.map(|(&share, _)| share).collect();
            for share in held_up {
                self.set_share(share, 1, Some(1));
            }
        }
        while !self.jobs.is_empty() {
            self.step_to_the_end();
            // Retries and dependants may have come.
            self.end_hopeless();
        }
        self.advance(us(1_000_000));
        assert!(
            self.scheduler.is_empty(),
            "something is left: {:?}",
            self.scheduler
        );
        self.destroy();
        let ids: Vec<_> = self.workers.keys().copied().collect();
        for executor in ids {
            let state = self
                .scheduler
                .executor_stats(executor)
                .map(|stats| stats.state);
            assert_eq!(state, Some(ExecutorState::Killing));
            self.die(executor);
        }
        assert_eq!(self.scheduler.worker_counts().total(), 0);
        assert_eq!(self.scheduler.next_deadline(), None);
        assert!(self.scheduler.is_empty());
    }

    /// Everybody does one thing that he can do.
    fn step_to_the_end(&mut self) {
        let ids: Vec<_> = self.workers.keys().copied().collect();
        for executor in ids {
            let Some(worker) = self.workers.get(&executor) else {
                continue;
            };
            match worker.phase {
                Phase::Starting => self.become_ready(executor, 4),
                Phase::Leaving => self.exit(executor),
                Phase::Dying => self.die(executor),
                Phase::Ready if !worker.asked.is_empty() => self.answer(executor),
                Phase::Ready if worker.credit == 0 => self.credit(executor, 1),
                Phase::Ready if !worker.held.is_empty() => {
                    self.run(executor, us(3));
                }
                Phase::Ready => {}
            }
        }
        for job in self.aside() {
            self.resume(job);
        }
        self.try_refused();
        self.advance(us(100));
    }
}
