//! Whether the other side of a link lives, and how far away it is.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// So many measurements are looked back upon: the least of them is the length of the way,
/// the others are what it took to get through a crowd.
const WINDOW: usize = 8;

/// The life of the other side.
#[derive(Debug)]
pub(crate) struct Pulse {
    /// How long it may say nothing before it is taken for dead.
    patience: Duration,
    next_nonce: u64,
    /// The oldest question that was not answered, and when it was asked.
    asked: Option<(u64, Instant)>,
    measured: VecDeque<Duration>,
}

impl Pulse {
    /// `latency` is what a first question and its answer took.
    pub(crate) fn new(patience: Duration, latency: Duration) -> Self {
        Self {
            patience,
            next_nonce: 0,
            asked: None,
            measured: VecDeque::from([latency]),
        }
    }

    /// How long the other side may say nothing.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// How often to ask: often enough that a lost answer or two do not matter, and that
    /// what users are told of nodes is the truth within two seconds.
    pub(crate) fn interval(patience: Duration) -> Duration {
        (patience / 10).clamp(Duration::from_millis(20), Duration::from_millis(500))
    }

    /// The number of the next question, whose answer measures nothing.
    pub(crate) fn number(&mut self) -> u64 {
        let nonce = self.next_nonce;
        self.next_nonce += 1;
        nonce
    }

    /// The number of the next question.
    pub(crate) fn ask(&mut self, now: Instant) -> u64 {
        let nonce = self.number();
        self.asked.get_or_insert((nonce, now));
        nonce
    }

    /// A question was answered.
    pub(crate) fn answered(&mut self, nonce: u64, now: Instant) {
        if let Some((asked, when)) = self.asked
            && asked <= nonce
        {
            if asked == nonce {
                let took = now.saturating_duration_since(when);
                self.measured.push_back(took);
                if self.measured.len() > WINDOW {
                    self.measured.pop_front();
                }
            }
            self.asked = None;
        }
    }

    /// What a message and its answer take when nothing is in the way.
    pub(crate) fn latency(&self) -> Duration {
        self.measured.iter().min().copied().unwrap_or_default()
    }

    /// Whether the other side is to be taken for dead, having been heard last at `heard`.
    pub(crate) fn is_lost(&self, heard: Instant, now: Instant) -> bool {
        now.saturating_duration_since(heard) > self.patience
    }

    /// Whether it has been silent for so long that users should not count on it.
    pub(crate) fn is_doubtful(&self, heard: Instant, now: Instant) -> bool {
        let doubt = self.patience.min(Duration::from_millis(1500));
        now.saturating_duration_since(heard) > doubt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn who_answers_lives() {
        let mut pulse = Pulse::new(5 * SECOND, SECOND);
        let start = Instant::now();
        assert!(!pulse.is_lost(start, start + 5 * SECOND));
        assert!(pulse.is_doubtful(start, start + 2 * SECOND));
        assert!(pulse.is_lost(start, start + 6 * SECOND));
        let nonce = pulse.ask(start);
        pulse.answered(nonce, start + SECOND / 10);
        assert_eq!(pulse.latency(), SECOND / 10);
    }

    #[test]
    fn the_way_is_as_long_as_its_quickest_passage() {
        let mut pulse = Pulse::new(SECOND, Duration::from_micros(300));
        let start = Instant::now();
        for _ in 0..WINDOW - 1 {
            let nonce = pulse.ask(start);
            pulse.answered(nonce, start + SECOND);
        }
        assert_eq!(pulse.latency(), Duration::from_micros(300));
        let nonce = pulse.ask(start);
        pulse.answered(nonce, start + SECOND);
        assert_eq!(pulse.latency(), SECOND, "long ago it was shorter");
    }

    #[test]
    fn a_question_that_measures_nothing_leaves_the_way_as_it_was() {
        let mut pulse = Pulse::new(SECOND, Duration::from_micros(300));
        let now = Instant::now();
        for _ in 0..2 * WINDOW {
            let nonce = pulse.number();
            pulse.answered(nonce, now + SECOND);
        }
        assert_eq!(pulse.latency(), Duration::from_micros(300));
    }

    #[test]
    fn a_late_answer_to_a_later_question_is_no_measurement() {
        let mut pulse = Pulse::new(SECOND, SECOND);
        let now = Instant::now();
        let (first, second) = (pulse.ask(now), pulse.ask(now));
        pulse.answered(second, now);
        assert_eq!(pulse.latency(), SECOND);
        pulse.answered(first, now);
        assert_eq!(pulse.latency(), SECOND);
    }
}
