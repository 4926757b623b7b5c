//! Everything that engines share: time, machines, the network and the book.

use pp_core::{Config, Time};

use crate::book::Book;
use crate::host::Host;
use crate::message::Message;
use crate::net::Net;
use crate::queue::{Event, Queue};
use crate::report::Counts;
use crate::rng::Rng;
use crate::trace::Trace;

/// What holds for all engines.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long an end of a link may be silent, in nanoseconds, before the other gives it
    /// up.
    pub patience: u64,
    /// What a sleeping worker takes to begin a job that is sent to it.
    pub wake_up: u64,
    /// What it takes to see that a worker has finished a job.
    pub notice: u64,
    /// What a worker takes to start.
    pub start_time: u64,
    /// What it takes to end a worker.
    pub kill_time: u64,
    /// After how many events of an engine it is looked at thoroughly; 0 for never.
    pub check_every: u64,
    /// The settings of all schedulers.
    pub core: Config,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            patience: 5_000_000_000,
            wake_up: 40_000,
            notice: 10_000,
            start_time: 60_000_000,
            kill_time: 1_000_000,
            check_every: 1,
            core: Config::default(),
        }
    }
}

/// Everything but the engines.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) queue: Queue,
    pub(crate) rng: Rng,
    pub(crate) hosts: Vec<Host>,
    pub(crate) net: Net,
    pub(crate) book: Book,
    pub(crate) settings: Settings,
    pub(crate) counts: Counts,
    pub(crate) trace: Trace,
}

impl World {
    /// The time, as schedulers know it.
    pub(crate) fn time(&self) -> Time {
        Time::from_nanos(self.now)
    }

    pub(crate) fn plan(&mut self, after: u64, event: Event) {
        self.queue.push(self.now.saturating_add(after), event);
    }

    /// Sends a message from one end of a link, unless that is closed.
    pub(crate) fn say(&mut self, link: usize, from: usize, message: Message) {
        let is_open = self.net.link(link).is_some_and(|link| link.open[from]);
        if is_open {
            self.transmit(link, from, message);
        }
    }

    fn transmit(&mut self, link: usize, from: usize, message: Message) {
        let size = match message {
            Message::Job { number, .. } => self.book.spec(number).map_or(0, |spec| spec.size),
            _ => 0,
        };
        let (now, rng, queue) = (self.now, &mut self.rng, &mut self.queue);
        self.net.send((link, from), message, size, now, rng, queue);
    }

    /// One end of a link is closed; the other one hears of it if `is_told`.
    pub(crate) fn hang_up(&mut self, link: usize, end: usize, is_told: bool) {
        if is_told {
            self.say(link, end, Message::Closed);
        }
        self.net.close(link, end);
    }

    /// Somebody speaks to an end that is not there any more: the machine says so, once.
    pub(crate) fn refuse(&mut self, link: usize, end: usize) {
        let Some(entry) = self.net.link_mut(link) else {
            return;
        };
        if !std::mem::replace(&mut entry.refused, true) {
            self.transmit(link, end, Message::Closed);
        }
    }

    /// A node is to divide its workers again, when all that happens now has happened.
    pub(crate) fn plan_share(&mut self, host: usize) {
        let Some(entry) = self.hosts.get_mut(host) else {
            return;
        };
        if !std::mem::replace(&mut entry.share_is_planned, true) {
            self.plan(1_000, Event::Share { host });
        }
    }

    /// What a way takes to a machine and back.
    pub(crate) fn round_trip(&self, path: usize) -> u64 {
        self.net.paths.get(path).map_or(0, |path| 2 * path.delay)
    }
}
