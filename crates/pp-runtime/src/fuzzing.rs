//! Doors for the fuzz targets in `fuzz/`: each feeds what a hostile or broken peer could
//! send to a module that is private otherwise, and gives back what can be checked.

pub use crate::cluster::fuzzing::{fetch_from, give_to};
pub use crate::engine::fuzzing::{Gateway, reported};
pub use crate::net::fuzzing::{
    Stranger, beacon, hear_as_caller, hear_as_host, shake_hands, sign_beacon,
};

use crate::cluster::Settings;

/// Settings as they are sent again, if `bytes` are some.
pub fn settings(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(Settings::decode(bytes)?.encode())
}
