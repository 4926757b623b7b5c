//! Which peers understand each other.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The first bytes of every `Hello`: whoever else talks to us is found out at once.
pub const MAGIC: [u8; 4] = *b"pp/2";

/// The version that this crate speaks.
pub const CURRENT: Version = Version { major: 2, minor: 0 };

/// A version of the protocol; it counts apart from releases of the package.
///
/// The major number grows when an old peer could misunderstand a new one, the minor
/// number when the new one merely knows more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version {
    /// Must be equal on both sides.
    pub major: u16,
    /// The smaller of the two sides' is spoken.
    pub minor: u16,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The two sides have no version in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the other side speaks protocol version {theirs} and this side {ours}: \
     install the same release of parallel-python on both"
)]
pub struct VersionMismatch {
    /// What this side speaks.
    pub ours: Version,
    /// What the other side said in its `Hello`.
    pub theirs: Version,
}

/// The version that two sides speak with each other: both come to the same answer.
///
/// # Errors
/// [`VersionMismatch`] if the major numbers differ.
pub const fn negotiate(ours: Version, theirs: Version) -> Result<Version, VersionMismatch> {
    if ours.major != theirs.major {
        return Err(VersionMismatch { ours, theirs });
    }
    Ok(if ours.minor < theirs.minor {
        ours
    } else {
        theirs
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn version(major: u16, minor: u16) -> Version {
        Version { major, minor }
    }

    #[test]
    fn the_smaller_minor_is_spoken_whoever_has_it() {
        for (ours, theirs) in [(3, 5), (5, 3), (3, 3)] {
            assert_eq!(
                negotiate(version(2, ours), version(2, theirs)),
                Ok(version(2, 3))
            );
        }
    }

    #[test]
    fn another_major_is_refused_and_the_error_names_both() {
        let error = negotiate(version(2, 9), version(3, 0)).unwrap_err();
        assert_eq!(
            error,
            VersionMismatch {
                ours: version(2, 9),
                theirs: version(3, 0)
            }
        );
        let text = error.to_string();
        assert!(
            text.contains("version 3.0") && text.contains("side 2.9"),
            "{text}"
        );
    }
}
