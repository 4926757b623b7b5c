//! What there is, and what of it is taken: amounts, and single devices.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Amounts;

/// What a resource is called of which each whole one is a device with a name.
pub(crate) const GPU: &str = "gpu";

/// How much of a resource one device is.
const WHOLE: u64 = 1_000;

#[derive(Debug)]
pub(super) struct Shelf {
    free: BTreeMap<Arc<str>, u64>,
    devices: Vec<Device>,
}

#[derive(Debug)]
struct Device {
    /// None if there are said to be more than have names.
    name: Option<Arc<str>>,
    free: u64,
}

/// Thousandths of which device.
#[derive(Debug, Default)]
pub(super) struct Parts(Vec<(usize, u64)>);

impl Shelf {
    pub(super) fn new(supply: &[(Arc<str>, u64)], gpus: &[Arc<str>]) -> Self {
        let mut free: BTreeMap<Arc<str>, u64> = BTreeMap::new();
        for (name, amount) in supply {
            let sum = free.entry(Arc::clone(name)).or_default();
            *sum = sum.saturating_add(*amount);
        }
        let said = free.get(GPU).map_or(0, |amount| amount.div_ceil(WHOLE));
        // Nobody has as many as to make this large.
        let said = usize::try_from(said.min(1 << 16)).unwrap_or(0);
        let devices = (0..said.max(gpus.len())).map(|place| Device {
            name: gpus.get(place).cloned(),
            free: WHOLE,
        });
        Self {
            devices: devices.collect(),
            free,
        }
    }

    /// What there is not enough of, or not in one piece.
    pub(super) fn lacks(&self, amounts: &Amounts) -> Vec<Arc<str>> {
        let lacking = amounts.iter().filter(|(name, amount)| {
            let free = self.free.get(name).copied().unwrap_or(0);
            free < *amount || **name == *GPU && self.pick(*amount).is_none()
        });
        lacking.map(|(name, _)| Arc::clone(name)).collect()
    }

    /// Takes all of it, if it is there.
    pub(super) fn take(&mut self, amounts: &Amounts) -> Option<Parts> {
        if !self.lacks(amounts).is_empty() {
            return None;
        }
        let gpus = amounts.iter().find(|(name, _)| **name == *GPU);
        let parts = gpus.and_then(|&(_, amount)| self.pick(amount));
        let parts = parts.unwrap_or_default();
        for (name, amount) in amounts {
            if let Some(free) = self.free.get_mut(name) {
                *free -= amount;
            }
        }
        for &(device, part) in &parts.0 {
            self.devices[device].free -= part;
        }
        Some(parts)
    }

    pub(super) fn give_back(&mut self, amounts: &Amounts, parts: &Parts) {
        for (name, amount) in amounts {
            if let Some(free) = self.free.get_mut(name) {
                *free += amount;
            }
        }
        for &(device, part) in &parts.0 {
            self.devices[device].free += part;
        }
    }

    /// Devices that have so much: whole ones that nobody uses, and the rest of one that others use
    /// already, if there is enough of it.
    fn pick(&self, amount: u64) -> Option<Parts> {
        let whole = usize::try_from(amount / WHOLE).ok()?;
        let devices = || self.devices.iter().enumerate();
        let unused = devices().filter(|(_, device)| device.free == WHOLE);
        let mut parts: Vec<_> = unused
            .take(whole)
            .map(|(place, _)| (place, WHOLE))
            .collect();
        if parts.len() < whole {
            return None;
        }
        let rest = amount % WHOLE;
        if rest > 0 {
            let is_left = |place| !parts.iter().any(|&(taken, _)| taken == place);
            let fits = devices().filter(|&(place, device)| device.free >= rest && is_left(place));
            let (place, _) = fits.min_by_key(|&(place, device)| (device.free, place))?;
            parts.push((place, rest));
        }
        Some(Parts(parts))
    }

    /// What the devices are called, with commas.
    pub(super) fn device_names(&self, parts: &Parts) -> String {
        let devices = parts.0.iter().filter_map(|&(place, _)| {
            let device = self.devices.get(place)?;
            device.name.as_deref()
        });
        devices.collect::<Vec<_>>().join(",")
    }
}
