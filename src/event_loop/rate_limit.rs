//! How much a peer may send in how much time: the setting, and the count that is kept of it.
//!
//! Nothing here knows a socket or reads a clock.

use std::time::{Duration, Instant};

/// How much each peer may send, and what happens when one sends more.
///
/// Without any, a peer may send as fast as it is read, which is once per turn of the loop, up to
/// [`read_buffer_size`](super::Config::read_buffer_size). That keeps it from delaying others for
/// long, but not from having its every message handled.
///
/// * What is counted as a message: each message, whatever its size and number of fragments, and
///   each Ping and Pong, so that a flood of those is held up as well.
/// * What is counted as bytes: all that is read from the connection behind the opening handshake,
///   with headers of frames. So this is also the limit on fragments, of which the smallest takes
///   six.
///
/// What peers are *sent* is not limited so: for that there is the write queue.
///
/// Each peer begins with a full allowance. What it has not used grows back evenly, up to the burst.
///
/// # Examples
///
/// ```
/// use wsloop::{Config, Excess, Rate, RateLimit};
///
/// let chat = RateLimit::new()
///     .messages(Rate::per_second(5).burst(20))
///     .bytes(Rate::per_second(16 << 10).burst(64 << 10))
///     .excess(Excess::Close);
/// let config = Config::new().rate_limit(chat);
/// # let _ = config;
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[must_use = "a limit has no effect until it is set"]
pub struct RateLimit {
    messages: Option<Rate>,
    bytes: Option<Rate>,
    excess: Excess,
}

/// So much per second, and so much at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    per_second: u64,
    burst: u64,
}

/// What happens when a peer sends more than its [`RateLimit`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Excess {
    /// It is not read from until it has an allowance again, within a second, so that TCP holds it
    /// up. The default: whoever is merely eager gets everything across, only later.
    ///
    /// Nothing is lost, and no more is delivered than the limit allows, to the message and to the
    /// byte, but for the bytes that come in one read with the request. Meanwhile the peer counts
    /// neither as silent nor as slow with a message, unless it has sent too many Pings or Pongs in
    /// the middle of one. That it closed or is gone is found out when what it sent before has been
    /// read. If the system tells that sooner, the rest is read for no longer than
    /// [`close_timeout`](super::Config::close_timeout).
    #[default]
    Pause,
    /// It is closed with status code 1008, and what was over the limit is not delivered.
    ///
    /// A burst must then have room for whatever an honest peer sends at once: bytes are counted as
    /// they arrive, and a message has more of them than its payload.
    Close,
}

impl RateLimit {
    /// No limit yet, on anything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Limits messages, Pings and Pongs.
    pub fn messages(mut self, rate: Rate) -> Self {
        self.messages = Some(rate);
        self
    }

    /// Limits bytes.
    pub fn bytes(mut self, rate: Rate) -> Self {
        self.bytes = Some(rate);
        self
    }

    /// Sets what happens to a peer that sends more. Default: [`Excess::Pause`].
    pub fn excess(mut self, excess: Excess) -> Self {
        self.excess = excess;
        self
    }

    /// Whether anything is limited.
    pub(super) fn is_limit(&self) -> bool {
        self.messages.is_some() || self.bytes.is_some()
    }
}

impl Rate {
    /// So much in every second. As much may come at once, unless [`burst`](Self::burst) says
    /// otherwise. 0 counts as 1.
    #[must_use]
    pub const fn per_second(count: u64) -> Self {
        let per_second = if count == 0 { 1 } else { count };
        Self { per_second, burst: per_second }
    }

    /// The same with so much at once, by whoever has not used its allowance before. 0 counts as 1.
    #[must_use]
    pub const fn burst(mut self, count: u64) -> Self {
        self.burst = if count == 0 { 1 } else { count };
        self
    }
}

/// What a peer has left of its allowance.
#[derive(Debug)]
pub(super) struct Meter {
    excess: Excess,
    messages: Option<Bucket>,
    bytes: Option<Bucket>,
    /// When the pause ends that it is in, or was in last.
    pub(super) resumes: Instant,
}

/// How often in a second a peer is read from at most that always sends too much. Each time costs a
/// system call, or a copy of what is still to be held.
const RESUMPTIONS: u64 = 10;

impl Meter {
    pub(super) fn new(limit: RateLimit, now: Instant) -> Self {
        Self {
            excess: limit.excess,
            messages: limit.messages.map(|rate| Bucket::new(rate, now)),
            bytes: limit.bytes.map(|rate| Bucket::new(rate, now)),
            resumes: now,
        }
    }

    /// How many bytes may be read. With [`Excess::Close`] any number: to read more than is allowed
    /// is how to find out.
    pub(super) fn readable(&mut self, now: Instant) -> usize {
        match &mut self.bytes {
            Some(bytes) if self.excess == Excess::Pause => {
                usize::try_from(bytes.room(now)).unwrap_or(usize::MAX)
            }
            Some(_) | None => usize::MAX,
        }
    }

    /// Counts what was read. Returns whether that is within the limit.
    pub(super) fn count_bytes(&mut self, count: usize, now: Instant) -> bool {
        self.bytes.as_mut().is_none_or(|bytes| bytes.take(count as u64, now))
    }

    /// Counts a message. Returns whether that is within the limit.
    pub(super) fn count_message(&mut self, now: Instant) -> bool {
        self.messages.as_mut().is_none_or(|messages| messages.take(1, now))
    }

    /// Whether nothing may be read or handled for now. [`resumes`](Self::resumes) is set then.
    pub(super) fn pauses(&mut self, now: Instant) -> bool {
        if self.excess != Excess::Pause {
            return false;
        }
        let mut resumes = None;
        if let Some(messages) = &mut self.messages
            && messages.room(now) == 0
        {
            resumes = messages.resumes();
        }
        if let Some(bytes) = &mut self.bytes
            && bytes.room(now) == 0
        {
            resumes = resumes.max(bytes.resumes());
        }
        self.resumes = resumes.unwrap_or(now);
        resumes.is_some()
    }
}

/// A bucket that fills with what is counted, and drains evenly.
#[derive(Debug)]
struct Bucket {
    rate: Rate,
    /// What is in it, in billionths: in a nanosecond, as many drain as the rate has per second.
    /// So nothing is ever rounded.
    filled: u128,
    /// When that was so.
    at: Instant,
}

const BILLION: u128 = 1_000_000_000;

impl Bucket {
    fn new(rate: Rate, now: Instant) -> Self {
        Self { rate, filled: 0, at: now }
    }

    /// How much fits in by now.
    fn room(&mut self, now: Instant) -> u64 {
        self.drain(now);
        let room = (self.capacity() - self.filled) / BILLION;
        u64::try_from(room).unwrap_or(u64::MAX)
    }

    /// Puts in as much as fits. Returns whether that was all.
    fn take(&mut self, count: u64, now: Instant) -> bool {
        self.drain(now);
        let filled = self.filled + u128::from(count) * BILLION;
        self.filled = filled.min(self.capacity());
        filled <= self.capacity()
    }

    /// When there is room for as much as is worth going on for, which is within a second.
    fn resumes(&self) -> Option<Instant> {
        let worthwhile = (self.rate.per_second / RESUMPTIONS).max(1);
        self.has_room_at(worthwhile.min(self.rate.burst))
    }

    /// When there is room for so much, if it fits in at all. Not before this was asked last.
    fn has_room_at(&self, count: u64) -> Option<Instant> {
        let wanted = self.capacity().checked_sub(u128::from(count) * BILLION)?;
        let nanos = self.filled.saturating_sub(wanted).div_ceil(self.rate.per_second.into());
        self.at.checked_add(Duration::from_nanos(u64::try_from(nanos).ok()?))
    }

    fn drain(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.at).as_nanos();
        let drained = elapsed.saturating_mul(self.rate.per_second.into());
        self.filled = self.filled.saturating_sub(drained);
        self.at = self.at.max(now);
    }

    fn capacity(&self) -> u128 {
        u128::from(self.rate.burst) * BILLION
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const NANO: Duration = Duration::from_nanos(1);

    #[test]
    fn a_burst_is_allowed_at_once_and_then_the_rate() {
        let start = now();
        let mut bucket = Bucket::new(Rate::per_second(4).burst(10), start);
        assert!((0..10).all(|_| bucket.take(1, start)));
        assert!(!bucket.take(1, start));
        for n in 1..100 {
            let at = start + n * SECOND / 4;
            assert_eq!(bucket.has_room_at(1), Some(at));
            assert_eq!(bucket.room(at - NANO), 0);
            assert_eq!(bucket.room(at), 1);
            assert!(bucket.take(1, at));
        }
    }

    #[test]
    fn what_was_not_used_grows_back_up_to_the_burst() {
        let start = now();
        let mut bucket = Bucket::new(Rate::per_second(4).burst(10), start);
        assert!(bucket.take(10, start));
        assert_eq!(bucket.room(start + SECOND), 4);
        assert_eq!(bucket.room(start + 2 * SECOND), 8);
        assert_eq!(bucket.room(start + 3 * SECOND), 10);
        assert_eq!(bucket.room(start + 1000 * SECOND), 10);
        // Time does not run backwards, and if it did, nothing would come of it.
        assert!(bucket.take(10, start + 1000 * SECOND));
        assert_eq!(bucket.room(start), 0);
        assert_eq!(bucket.room(start + 1000 * SECOND), 0);
    }

    /// At a rate that divides no second, asked at odd times, for long: not one too many or too few.
    #[test]
    fn nothing_is_lost_to_rounding() {
        const PER_SECOND: u32 = 999_983;
        let start = now();
        let mut bucket = Bucket::new(Rate::per_second(PER_SECOND.into()).burst(1000), start);
        assert!(bucket.take(1000, start));
        let (mut at, mut taken) = (start, 0);
        while at < start + 100 * SECOND {
            at += Duration::from_nanos(99_991);
            let room = bucket.room(at);
            assert!(bucket.take(room, at));
            taken += room;
        }
        assert_eq!(u128::from(taken), (at - start).as_nanos() * u128::from(PER_SECOND) / BILLION);
    }

    #[test]
    fn nothing_overflows() {
        let start = now();
        let century = 100 * 365 * 86_400 * SECOND;
        for per_second in [0, 1, u64::MAX] {
            for burst in [0, 1, u64::MAX] {
                let mut bucket = Bucket::new(Rate::per_second(per_second).burst(burst), start);
                let all = burst.max(1);
                assert_eq!(bucket.room(start), all);
                assert_eq!(bucket.take(u64::MAX, start), burst == u64::MAX);
                assert_eq!((bucket.room(start), bucket.take(1, start)), (0, false));
                let refill = Duration::from_nanos(1_000_000_000_u64.div_ceil(per_second.max(1)));
                assert_eq!(bucket.has_room_at(1), Some(start + refill));
                let _ = bucket.has_room_at(u64::MAX);
                assert!(bucket.room(start + century) >= all.min(century.as_secs()));
            }
        }
    }

    #[test]
    fn a_pause_ends_when_messages_and_bytes_are_allowed_again() {
        let start = now();
        let rate = |per_second, burst| Rate::per_second(per_second).burst(burst);
        let limit = RateLimit::new().messages(rate(2, 3)).bytes(rate(10_000, 5000));
        let mut meter = Meter::new(limit, start);
        assert_eq!(meter.readable(start), 5000);
        assert!(!meter.pauses(start));

        assert!(meter.count_bytes(5000, start) && meter.pauses(start));
        assert_eq!(meter.resumes, start + SECOND / 10);
        assert!((0..3).all(|_| meter.count_message(start)) && meter.pauses(start));
        assert_eq!(meter.resumes, start + SECOND / 2);
        assert!(meter.pauses(meter.resumes - NANO));
        assert!(!meter.pauses(start + SECOND / 2));
        assert_eq!(meter.readable(start + SECOND / 2), 5000);
    }

    #[test]
    fn a_pause_is_never_longer_than_a_second() {
        let start = now();
        for (per_second, burst) in [(1, 1), (1, u64::MAX), (u64::MAX, 1), (5, 1 << 20)] {
            let rate = Rate::per_second(per_second).burst(burst);
            let mut meter = Meter::new(RateLimit::new().messages(rate).bytes(rate), start);
            let [messages, bytes] = [&mut meter.messages, &mut meter.bytes];
            messages.iter_mut().chain(bytes).for_each(|bucket| assert!(bucket.take(burst, start)));
            assert!(meter.pauses(start));
            assert!(start < meter.resumes && meter.resumes <= start + SECOND);
            assert!(!meter.pauses(start + SECOND));
        }
    }

    #[test]
    fn whoever_is_to_be_closed_is_not_paused() {
        let start = now();
        let rate = Rate::per_second(1);
        let limit = RateLimit::new().messages(rate).bytes(rate).excess(Excess::Close);
        let mut meter = Meter::new(limit, start);
        assert!(meter.count_message(start) && !meter.count_message(start));
        assert!(meter.count_bytes(1, start) && !meter.count_bytes(1, start));
        assert!(!meter.pauses(start));
        assert_eq!(meter.readable(start), usize::MAX);
    }

    #[test]
    fn what_is_not_limited_is_not_counted() {
        let start = now();
        let mut meter = Meter::new(RateLimit::new(), start);
        assert!(!RateLimit::new().is_limit());
        assert!(meter.count_message(start) && meter.count_bytes(usize::MAX, start));
        assert_eq!(meter.readable(start), usize::MAX);
        assert!(!meter.pauses(start));
    }

    #[expect(clippy::disallowed_methods, reason = "an arbitrary point to count from")]
    fn now() -> Instant {
        Instant::now()
    }
}
