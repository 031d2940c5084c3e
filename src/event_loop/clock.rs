//! The one place that time comes from.

use std::time::{Duration, Instant, SystemTime};

/// What a loop takes its time from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Clock {
    /// The system's clocks.
    System,
    /// A clock that stands still until it is told how much time has passed.
    Manual {
        /// Where it began. Nothing but differences can be told of it.
        start: Instant,
        now: Instant,
    },
}

/// How long a turn takes by a manual clock: so little that nothing is late for it.
///
/// It may not be nothing. What is set in a turn fires in a later one, and only the time tells them
/// apart.
const TURN: Duration = Duration::from_nanos(1);

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "an arbitrary point to count from")]
    pub(super) fn manual() -> Self {
        let start = Instant::now();
        Self::Manual { start, now: start }
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that time comes from")]
    #[inline(always)] // As are those below: a turn is short, and reads the clock twice.
    pub(super) fn now(&self) -> Instant {
        match self {
            Self::System => Instant::now(),
            Self::Manual { now, .. } => *now,
        }
    }

    /// Says when a turn begins that does so now.
    #[inline(always)]
    pub(super) fn begin_turn(&mut self) -> Instant {
        self.advance(TURN);
        self.now()
    }

    /// Lets time pass, unless it does so by itself.
    #[inline(always)]
    pub(super) fn advance(&mut self, time: Duration) {
        if let Self::Manual { now, .. } = self {
            *now += time;
        }
    }

    /// The time of day. A manual clock begins where that of Unix does.
    #[expect(clippy::disallowed_methods, reason = "a response says when it was made")]
    pub(super) fn date(&self) -> SystemTime {
        match self {
            Self::System => SystemTime::now(),
            Self::Manual { start, now } => SystemTime::UNIX_EPOCH + (*now - *start),
        }
    }
}
