//! What went wrong.

use std::fmt;

use pp_core::InvariantViolation;

/// Something happened that must not, or did not happen that must.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What should hold.
    pub rule: &'static str,
    /// What was found instead.
    pub detail: String,
}

impl Violation {
    pub(crate) fn new(rule: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { rule, detail }
    }

    /// The same, with where and when.
    pub(crate) fn at(mut self, place: &str) -> Self {
        self.detail = format!("{place}: {}", self.detail);
        self
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "broken rule ({}): {}", self.rule, self.detail)
    }
}

impl std::error::Error for Violation {}

impl From<InvariantViolation> for Violation {
    fn from(violation: InvariantViolation) -> Self {
        Self::new(violation.rule, violation.detail)
    }
}
