//! How long is left.

use std::time::{Duration, Instant};

/// A point in time after which nobody waits any more, or none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(Option<Instant>);

impl Deadline {
    /// Waits are as long as they take.
    pub(super) const NEVER: Self = Self(None);

    /// Makes one that is `time` from now.
    pub(super) fn after(time: Duration) -> Self {
        Self(now().checked_add(time))
    }

    /// Returns how long is left, or `None` if there is no end to it.
    ///
    /// That is a millisecond at least, also when the time is up: no timeout of a socket may be zero.
    pub(super) fn left(self) -> Option<Duration> {
        Some(self.0?.saturating_duration_since(now()).max(MOMENT))
    }

    /// Returns whether the time is up.
    pub(super) fn is_over(self) -> bool {
        self.0.is_some_and(|end| end <= now())
    }

    /// Returns the earlier of the two.
    pub(super) fn or(self, other: Self) -> Self {
        match (self.0, other.0) {
            (Some(a), Some(b)) => Self(Some(a.min(b))),
            (a, b) => Self(a.or(b)),
        }
    }
}

/// The shortest wait there is.
pub(super) const MOMENT: Duration = Duration::from_millis(1);

#[expect(clippy::disallowed_methods, reason = "whoever blocks has to know for how long")]
fn now() -> Instant {
    Instant::now()
}
