//! Connections are made, and nodes divide their workers among those who are connected.

use std::time::Duration;

use crate::engine::{Engine, Uplink};
use crate::host::{Power, Role};
use crate::queue::Event;
use crate::shares::{Claim, divide};
use crate::simulation::Simulation;
use crate::violation::Violation;

/// How long a machine may take to answer a connection at all.
const CONNECT_TIME: u64 = 3_000_000_000;

impl Simulation {
    /// Whether a machine can be connected to, over a way; else how long it takes to see
    /// that it cannot.
    fn reachable(&self, host: usize, path: usize) -> Result<(), u64> {
        let Some(host) = self.world.hosts.get(host) else {
            return Err(CONNECT_TIME);
        };
        if self.world.net.is_blocked(path)
            || host.power == Power::Off
            || host.is_frozen(self.world.now)
        {
            return Err(CONNECT_TIME);
        }
        if host.power == Power::Down || host.is_leaving {
            return Err(self.world.round_trip(path));
        }
        Ok(())
    }

    pub(crate) fn dial(&mut self, engine: usize, mind: usize) -> Result<(), Violation> {
        let Some(entry) = self.engine(engine).and_then(|entry| entry.minds.get(mind)) else {
            return Ok(());
        };
        let (host, path) = (entry.host, entry.path);
        match self.reachable(host, path) {
            Ok(()) => {
                let takes = 2 * self.world.round_trip(path);
                self.world.plan(takes, Event::Connect { engine, mind });
                Ok(())
            }
            Err(after) => self.with(engine, |engine, world| {
                engine.not_reached(mind, after, world);
            }),
        }
    }

    /// A connection is made: the node opens a session, and the parent uses it.
    pub(crate) fn connect(&mut self, engine: usize, mind: usize) -> Result<(), Violation> {
        let Some(entry) = self.engine(engine) else {
            return Ok(());
        };
        let (home, client) = (entry.host, entry.client);
        let Some((host, path)) = entry.minds.get(mind).map(|mind| (mind.host, mind.path)) else {
            return Ok(());
        };
        if let Err(after) = self.reachable(host, path) {
            return self.with(engine, |engine, world| {
                engine.not_reached(mind, after, world);
            });
        }
        let latency = self.world.round_trip(path);
        let joined = self.with(engine, |engine, world| {
            let took = Duration::from_nanos(latency);
            engine.scheduler.node_joined(0, 0, took, world.time())
        })?;
        let Some(executor) = joined else {
            return Ok(());
        };
        let session = self.engines.len();
        let now = self.world.now;
        let net = &mut self.world.net;
        let link = net.connect([engine, session], [home, host], path, executor, now);
        self.with(engine, |engine, world| {
            engine.joined(executor, (link, mind), latency, world);
        })?;
        self.open_session(session, host, client, link)
    }

    fn open_session(
        &mut self,
        id: usize,
        host: usize,
        client: usize,
        link: usize,
    ) -> Result<(), Violation> {
        let mut session = Engine::new(id, host, client, &self.world);
        session.uplink = Some(Uplink {
            link,
            ..Uplink::default()
        });
        session.stock_up(&self.world);
        session.plan_beat(&mut self.world);
        for mind in 0..session.minds.len() {
            self.world.plan(0, Event::Dial { engine: id, mind });
        }
        self.engines.push(Some(Box::new(session)));
        if let Some(host) = self.world.hosts.get_mut(host) {
            host.engines.push(id);
        }
        self.world.plan_share(host);
        self.with(id, |_, _| ())
    }

    /// Divides a node's workers among its sessions.
    pub(crate) fn share(&mut self, host: usize) -> Result<(), Violation> {
        let Some(entry) = self.world.hosts.get_mut(host) else {
            return Ok(());
        };
        entry.share_is_planned = false;
        if entry.role != Role::Node {
            return Ok(());
        }
        let (total, all) = (entry.workers, entry.engines.clone());
        let claims: Vec<Claim> = all
            .iter()
            .filter_map(|&engine| self.engine(engine))
            .map(|engine| Claim {
                weight: 1,
                is_waiting: false,
                is_busy: engine.is_busy,
                has: u32::try_from(engine.scheduler.worker_counts().total()).unwrap_or(u32::MAX),
            })
            .collect();
        for (engine, share) in all.into_iter().zip(divide(total, &claims)) {
            self.with(engine, |engine, world| {
                let share = (share.workers, share.slots);
                if engine.scheduler.is_destroyed() || engine.share == Some(share) {
                    return;
                }
                let before = engine.share.replace(share);
                if before.is_none_or(|(workers, _)| workers != share.0) {
                    engine.scheduler.resize(share.0, world.time());
                }
            })?;
        }
        Ok(())
    }
}
