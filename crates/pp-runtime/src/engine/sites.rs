//! The machines where jobs ran, by number: a job remembers two bytes of that.

use std::sync::Arc;

use super::record::{HERE, NOWHERE};

/// The names of machines, as users know them.
#[derive(Debug)]
pub(super) struct Sites(Vec<Arc<str>>);

impl Default for Sites {
    fn default() -> Self {
        // `HERE` is the first.
        Self(vec!["local".into()])
    }
}

impl Sites {
    /// The number of the node of that name.
    pub(super) fn number(&mut self, name: &Arc<str>) -> u16 {
        let known = self.0.iter().skip(1).position(|other| other == name);
        let place = known.map_or(self.0.len(), |place| place + 1);
        match u16::try_from(place) {
            Ok(number) if number != NOWHERE => {
                if place == self.0.len() {
                    self.0.push(Arc::clone(name));
                }
                number
            }
            // Beyond 65,000 names, who they were is forgotten.
            _ => NOWHERE,
        }
    }

    /// The name of the machine of this number, if there is one.
    pub(super) fn name(&self, number: u16) -> Option<&Arc<str>> {
        debug_assert_eq!(HERE, 0);
        self.0.get(usize::from(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_number() {
        let mut sites = Sites::default();
        let names: Vec<Arc<str>> = ["a", "b", "local"].map(Arc::from).to_vec();
        let numbers: Vec<u16> = names.iter().map(|name| sites.number(name)).collect();
        assert_eq!(numbers, [1, 2, 3]);
        assert_eq!(sites.number(&names[1]), 2);
        assert_eq!(sites.name(HERE).map(|name| &**name), Some("local"));
        assert_eq!(sites.name(2), Some(&names[1]));
        assert_eq!(sites.name(NOWHERE), None);
    }
}
