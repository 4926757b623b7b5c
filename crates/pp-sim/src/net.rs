//! Links between engines, and the ways that their messages take.

use std::collections::{BTreeMap, VecDeque};

use pp_core::ExecutorId;

use crate::message::Message;
use crate::queue::{Event, Queue};
use crate::rng::Rng;

/// The end of a link at which the parent is.
pub(crate) const PARENT: usize = 0;
/// The end at which the node is.
pub(crate) const NODE: usize = 1;

/// The size of a message without a payload, in bytes.
const HEADER: u64 = 32;

/// A way between two machines.
#[derive(Clone, Debug)]
pub struct Path {
    /// How long a message takes in one direction, in nanoseconds.
    pub delay: u64,
    /// How much longer it may take.
    pub jitter: u64,
    /// How many of a thousand messages are lost, and sent again after
    /// [`retry`](Self::retry). Those behind wait for them.
    pub loss: u64,
    /// How long it takes to notice that a message was lost.
    pub retry: u64,
    /// Bytes per second that go through each link; 0: any number.
    pub rate: u64,
}

impl Path {
    /// A way without faults.
    pub const fn new(delay: u64) -> Self {
        Self {
            delay,
            jitter: 0,
            loss: 0,
            retry: 200_000_000,
            rate: 0,
        }
    }
}

/// One direction of a link: what was sent arrives in order.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    pub(crate) messages: VecDeque<(u64, Message)>,
    /// When the last message arrives.
    last: u64,
    /// When the last message has left.
    free: u64,
    /// Its messages have met a partition, and wait for its end.
    pub(crate) stalled: bool,
}

/// A connection between a parent and a node.
#[derive(Debug)]
pub(crate) struct Link {
    /// The engines at its ends.
    pub(crate) ends: [usize; 2],
    /// The machines on which these are.
    pub(crate) hosts: [usize; 2],
    /// Whether the ends still use it.
    pub(crate) open: [bool; 2],
    /// What each end has sent.
    pub(crate) lanes: [Lane; 2],
    /// When each end last heard the other.
    pub(crate) heard: [u64; 2],
    pub(crate) path: usize,
    /// The parent's name for the node.
    pub(crate) executor: ExecutorId,
    /// Whether an end that is not used any more has answered so.
    pub(crate) refused: bool,
}

/// All ways and links.
#[derive(Debug, Default)]
pub(crate) struct Net {
    pub(crate) paths: Vec<Path>,
    /// How many partitions each of them is in, by its number.
    blocks: BTreeMap<usize, u32>,
    pub(crate) links: Vec<Option<Box<Link>>>,
    pub(crate) sent: u64,
}

/// The size of a message, in bytes. `size`: that of the job that it carries.
fn size_of(message: &Message, size: u32) -> u64 {
    match message {
        Message::Job { .. } => HEADER + u64::from(size),
        _ => HEADER,
    }
}

impl Net {
    pub(crate) fn link(&self, link: usize) -> Option<&Link> {
        self.links.get(link)?.as_deref()
    }

    pub(crate) fn link_mut(&mut self, link: usize) -> Option<&mut Link> {
        self.links.get_mut(link)?.as_deref_mut()
    }

    /// Whether nothing gets through on a way.
    pub(crate) fn is_blocked(&self, path: usize) -> bool {
        self.blocks.contains_key(&path)
    }

    /// Nothing gets through on a way from now on.
    pub(crate) fn block(&mut self, path: usize) {
        *self.blocks.entry(path).or_default() += 1;
    }

    /// One partition of a way ends. True if it was the last.
    pub(crate) fn unblock(&mut self, path: usize) -> bool {
        let Some(blocks) = self.blocks.get_mut(&path) else {
            return false;
        };
        *blocks -= 1;
        let is_over = *blocks == 0;
        if is_over {
            self.blocks.remove(&path);
        }
        is_over
    }

    /// What one end of a link has sent does not get through.
    pub(crate) fn stall(&mut self, link: usize, from: usize) {
        if let Some(entry) = self.link_mut(link) {
            entry.lanes[from].stalled = true;
        }
    }

    /// Whether all that one end of a link has said has left it.
    pub(crate) fn is_clear(&self, link: usize, from: usize, now: u64) -> bool {
        self.link(link)
            .is_some_and(|link| link.lanes[from].free <= now)
    }

    /// Connects two engines that are `hosts` apart on a way.
    pub(crate) fn connect(
        &mut self,
        ends: [usize; 2],
        hosts: [usize; 2],
        path: usize,
        executor: ExecutorId,
        now: u64,
    ) -> usize {
        self.links.push(Some(Box::new(Link {
            ends,
            hosts,
            open: [true; 2],
            lanes: [Lane::default(), Lane::default()],
            heard: [now; 2],
            path,
            executor,
            refused: false,
        })));
        self.links.len() - 1
    }

    /// Sends a message from one end of a link. `size`: that of the job in it.
    pub(crate) fn send(
        &mut self,
        (link, from): (usize, usize),
        message: Message,
        size: u32,
        now: u64,
        rng: &mut Rng,
        queue: &mut Queue,
    ) {
        let Some(Some(entry)) = self.links.get_mut(link) else {
            return;
        };
        self.sent += 1;
        let Some(path) = self.paths.get(entry.path) else {
            return;
        };
        let lane = &mut entry.lanes[from];
        let mut arrives = now + path.delay;
        let size = size_of(&message, size).saturating_mul(1_000_000_000);
        if let Some(takes) = size.checked_div(path.rate) {
            lane.free = lane.free.max(now) + takes;
            arrives = lane.free + path.delay;
        }
        if path.jitter > 0 {
            arrives += rng.below(path.jitter);
        }
        if path.loss > 0 && rng.chance(path.loss) {
            arrives += path.retry;
        }
        lane.last = lane.last.max(arrives);
        lane.messages.push_back((lane.last, message));
        if lane.messages.len() == 1 && !lane.stalled {
            queue.push(lane.last, Event::Arrive { link, from });
        }
    }

    /// Takes out what has arrived, and plans for the rest.
    pub(crate) fn arrived(
        &mut self,
        (link, from): (usize, usize),
        into: &mut Vec<Message>,
        now: u64,
        queue: &mut Queue,
    ) {
        let Some(entry) = self.link_mut(link) else {
            return;
        };
        let lane = &mut entry.lanes[from];
        while let Some(&(time, message)) = lane.messages.front()
            && time <= now
        {
            lane.messages.pop_front();
            into.push(message);
        }
        if let Some(&(time, _)) = lane.messages.front() {
            queue.push(time, Event::Arrive { link, from });
        }
    }

    /// One end does not use a link any more. True if neither does.
    pub(crate) fn close(&mut self, link: usize, end: usize) -> bool {
        let Some(entry) = self.link_mut(link) else {
            return true;
        };
        entry.open[end] = false;
        let is_over = entry.open == [false; 2];
        if is_over && let Some(place) = self.links.get_mut(link) {
            *place = None;
        }
        is_over
    }

    /// The machine at one end of a link is dead: what it would have had to send again
    /// never arrives.
    pub(crate) fn truncate(&mut self, link: usize, from: usize, now: u64) {
        let Some(entry) = self.links.get_mut(link).and_then(Option::as_mut) else {
            return;
        };
        let Some(path) = self.paths.get(entry.path) else {
            return;
        };
        let lane = &mut entry.lanes[from];
        let latest = now + path.delay + path.jitter;
        let is_lost = lane.stalled;
        // One at least stays: its arrival has been planned.
        let kept = lane.messages.iter().take_while(|(time, _)| *time <= latest);
        let kept = if is_lost { 0 } else { kept.count().max(1) };
        lane.messages.truncate(kept);
        lane.last = lane.messages.back().map_or(now, |(time, _)| *time);
    }

    /// What a partition has stalled goes on its way again, some time after its end.
    pub(crate) fn release(&mut self, path: usize, now: u64, rng: &mut Rng, queue: &mut Queue) {
        let retry = self.paths.get(path).map_or(0, |path| path.retry);
        for (link, entry) in self.links.iter_mut().enumerate() {
            let Some(entry) = entry.as_mut().filter(|entry| entry.path == path) else {
                continue;
            };
            for (from, lane) in entry.lanes.iter_mut().enumerate() {
                if !std::mem::take(&mut lane.stalled) || lane.messages.is_empty() {
                    continue;
                }
                let due = now + rng.below(retry.max(1)) + 1;
                for (time, _) in &mut lane.messages {
                    *time = (*time).max(due);
                }
                lane.last = lane.last.max(due);
                queue.push(due, Event::Arrive { link, from });
            }
        }
    }
}
