//! How long a connection has waited, and for how long it may.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use super::config::Timeouts;

/// When things last happened on a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks {
    /// The peer gave a sign of life.
    pub(super) received: Instant,
    /// The wait that is going on began: for the request, for the answer to our Ping, for the socket
    /// to take a byte, for the end.
    pub(super) waiting: Instant,
    /// The entry among the loop's deadlines, if there is one.
    pub(super) armed: Option<Instant>,
    /// The message that is not complete yet began to arrive.
    pub(super) message: Option<Instant>,
    /// The peer has not been read from since, as it is congested or throttled.
    unread: Option<Instant>,
    /// The Ping of the loop's own that is not answered yet.
    ping: Option<NonZeroU32>,
    /// Whether a Ping of the application's is not answered yet.
    asked: bool,
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wait {
    /// The rest of an opening handshake, or the decision about it.
    Handshake,
    /// A sign of life.
    Life,
    /// The socket to take more of what is queued. Pings are stuck behind that.
    Socket,
    /// Its being read from again. Until then it cannot give a sign of life.
    Allowance,
    /// The same, and then the end of its stream, which has been reported already.
    LastAllowance,
    /// The other side's Close, or the end of its stream.
    End,
}

/// A wait that took too long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Expired {
    /// The opening handshake is not complete.
    Handshake,
    /// Nothing has been heard of the peer for so long that it is to be sent a Ping.
    Silence,
    /// Nothing has been heard of it even then.
    Idle,
    /// The message that it began is not complete.
    Message,
    /// It took nothing of what is queued.
    Write,
    /// It was not read from, and is to be again.
    Throttle,
    /// It has hung up, and is still held up with what it sent before.
    Gone,
    /// It did not end.
    Close,
}

/// How the payload of our Pings begins, lest they are taken for the application's.
pub(super) const PING_TAG: [u8; 4] = *b"wsl\0";

impl Clocks {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            received: now,
            waiting: now,
            armed: None,
            message: None,
            unread: None,
            ping: None,
            asked: false,
        }
    }

    /// When the wait is too long, and what then.
    pub(super) fn deadline(&self, wait: Wait, timeouts: &Timeouts) -> Option<(Instant, Expired)> {
        let waiting = |timeout| self.waiting.checked_add(timeout);
        match wait {
            Wait::Handshake => Some((waiting(timeouts.handshake)?, Expired::Handshake)),
            Wait::Socket => {
                let write = timeouts.write.and_then(waiting).map(|at| (at, Expired::Write));
                sooner(write, self.message(timeouts.message))
            }
            Wait::Allowance => self.message(timeouts.message),
            Wait::LastAllowance => {
                let gone = waiting(timeouts.close).map(|at| (at, Expired::Gone));
                sooner(gone, self.message(timeouts.message))
            }
            Wait::End => Some((waiting(timeouts.close)?, Expired::Close)),
            Wait::Life => {
                let life = self.life(timeouts.ping_interval, timeouts.idle);
                sooner(life, self.message(timeouts.message))
            }
        }
    }

    /// A message cannot go on while the peer is not read from.
    fn message(&self, timeout: Option<Duration>) -> Option<(Instant, Expired)> {
        let began = self.message.filter(|_| self.unread.is_none())?;
        Some((began.checked_add(timeout?)?, Expired::Message))
    }

    /// With Pings, the peer has the rest of its time from when the Ping was sent, so that it can
    /// answer even if the loop was busy elsewhere and comes late to both.
    fn life(
        &self,
        interval: Option<Duration>,
        idle: Option<Duration>,
    ) -> Option<(Instant, Expired)> {
        let silent_since = |timeout| self.received.checked_add(timeout);
        match (interval, self.ping, idle) {
            (Some(interval), None, idle) if idle.is_none_or(|idle| interval < idle) => {
                Some((silent_since(interval)?, Expired::Silence))
            }
            (Some(interval), Some(_), Some(idle)) => {
                let answer_due = self.waiting.checked_add(idle.saturating_sub(interval))?;
                Some((silent_since(idle)?.max(answer_due), Expired::Idle))
            }
            (_, _, idle) => Some((silent_since(idle?)?, Expired::Idle)),
        }
    }

    /// Notes that a Ping of our own is sent, and returns its payload.
    pub(super) fn send_ping(&mut self, count: NonZeroU32, now: Instant) -> [u8; 8] {
        (self.ping, self.waiting) = (Some(count), now);
        ping_payload(count)
    }

    /// Notes that the application sent a Ping.
    pub(super) fn asked(&mut self) {
        self.asked = true;
    }

    /// Notes that the peer has taken what it was sent. What it was to answer was stuck behind that.
    pub(super) fn unblocked(&mut self, now: Instant) {
        (self.received, self.waiting) = (now, now);
    }

    /// Notes that the peer is not read from any more.
    pub(super) fn paused(&mut self, now: Instant) {
        self.unread.get_or_insert(now);
    }

    /// Notes that the peer is read from again. Meanwhile it could not give a sign of life, nor go
    /// on with a message: for both it has as much time left as before.
    pub(super) fn resumed(&mut self, now: Instant) {
        if let Some(since) = self.unread.take() {
            let unread = now.saturating_duration_since(since);
            for at in [Some(&mut self.received), self.message.as_mut()].into_iter().flatten() {
                *at = at.checked_add(unread).map_or(now, |later| later.min(now));
            }
        }
    }

    /// Says what a Pong is, RFC 6455 §5.5.3.
    pub(super) fn receive_pong(&mut self, payload: &[u8]) -> Pong {
        if self.ping.is_some_and(|count| ping_payload(count) == payload) {
            self.ping = None;
            return Pong::Own;
        }
        if !std::mem::take(&mut self.asked) {
            return Pong::Unsolicited;
        }
        // Of several Pings, a peer may answer the latest alone.
        self.ping = None;
        Pong::Asked
    }
}

/// The sooner of two deadlines, or the one that there is.
pub(super) fn sooner(
    one: Option<(Instant, Expired)>,
    other: Option<(Instant, Expired)>,
) -> Option<(Instant, Expired)> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if other.0 < one.0 { other } else { one }),
        (one, other) => one.or(other),
    }
}

/// What a Pong answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Pong {
    /// The loop's own Ping.
    Own,
    /// A Ping of the application's.
    Asked,
    /// Nothing. It shows that something is there, but not that it hears us.
    Unsolicited,
}

fn ping_payload(count: NonZeroU32) -> [u8; 8] {
    let mut payload = [0; 8];
    payload[..4].copy_from_slice(&PING_TAG);
    payload[4..].copy_from_slice(&count.get().to_be_bytes());
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    const HANDSHAKE: Duration = Duration::from_secs(10);
    const PING: Option<Duration> = Some(Duration::from_secs(30));
    const IDLE: Option<Duration> = Some(Duration::from_secs(60));
    const CLOSE: Duration = Duration::from_secs(5);

    /// What comes due, in seconds after `clocks` began.
    #[track_caller]
    fn check(
        clocks: Clocks,
        start: Instant,
        wait: Wait,
        [ping_interval, idle, write]: [Option<Duration>; 3],
        expected: Option<(u64, Expired)>,
    ) {
        let timeouts = Timeouts {
            connect: HANDSHAKE,
            handshake: HANDSHAKE,
            ping_interval,
            idle,
            message: Some(Duration::from_secs(20)),
            write,
            close: CLOSE,
        };
        let deadline = clocks.deadline(wait, &timeouts);
        assert_eq!(deadline.map(|(at, expired)| ((at - start).as_secs(), expired)), expected);
    }

    #[test]
    fn each_wait_has_its_timeout() {
        let start = now();
        let clocks = Clocks::new(start);
        let timeouts = [PING, IDLE, IDLE];
        check(clocks, start, Wait::Handshake, timeouts, Some((10, Expired::Handshake)));
        check(clocks, start, Wait::End, timeouts, Some((5, Expired::Close)));
        check(clocks, start, Wait::Allowance, timeouts, None);
        check(clocks, start, Wait::LastAllowance, timeouts, Some((5, Expired::Gone)));
        check(clocks, start, Wait::Socket, timeouts, Some((60, Expired::Write)));
        check(clocks, start, Wait::Socket, [PING, IDLE, None], None);
        check(clocks, start, Wait::Life, timeouts, Some((30, Expired::Silence)));
        check(clocks, start, Wait::Life, [None, IDLE, None], Some((60, Expired::Idle)));
        check(clocks, start, Wait::Life, [PING, None, None], Some((30, Expired::Silence)));
        check(clocks, start, Wait::Life, [None, None, None], None);
        // A Ping that would come too late is not sent.
        check(clocks, start, Wait::Life, [IDLE, PING, None], Some((30, Expired::Idle)));
    }

    #[test]
    fn a_message_has_its_time_whatever_life_there_is_in_the_peer() {
        let start = now();
        let mut clocks = Clocks::new(start);
        clocks.message = Some(start);
        clocks.received = start + Duration::from_secs(19);
        check(clocks, start, Wait::Life, [PING, IDLE, None], Some((20, Expired::Message)));
        check(clocks, start, Wait::Life, [None, None, None], Some((20, Expired::Message)));
        // A peer that is slow to read can go on sending.
        clocks.unblocked(start + Duration::from_secs(10));
        check(clocks, start, Wait::Socket, [None, None, IDLE], Some((20, Expired::Message)));
        // While it is not read from, it cannot.
        clocks.paused(start + Duration::from_secs(15));
        clocks.paused(start + Duration::from_secs(16));
        check(clocks, start, Wait::Socket, [None, None, None], None);
        clocks.resumed(start + Duration::from_secs(50));
        check(clocks, start, Wait::Life, [None, None, None], Some((55, Expired::Message)));
    }

    #[test]
    fn the_time_in_which_a_peer_is_not_read_from_is_not_counted() {
        let start = now();
        let mut clocks = Clocks::new(start);
        clocks.paused(start + Duration::from_secs(10));
        check(clocks, start, Wait::Allowance, [PING, IDLE, IDLE], None);
        clocks.resumed(start + Duration::from_secs(11));
        check(clocks, start, Wait::Life, [None, IDLE, None], Some((61, Expired::Idle)));
        check(clocks, start, Wait::Life, [PING, IDLE, None], Some((31, Expired::Silence)));
        // Nor is it counted twice if there was a sign of life meanwhile.
        clocks.paused(start + Duration::from_secs(20));
        clocks.received = start + Duration::from_secs(25);
        clocks.resumed(start + Duration::from_secs(30));
        check(clocks, start, Wait::Life, [None, IDLE, None], Some((90, Expired::Idle)));
    }

    #[test]
    fn a_wait_without_end_is_no_wait() {
        let start = now();
        let forever = Some(Duration::MAX);
        check(Clocks::new(start), start, Wait::Life, [forever, None, None], None);
        check(Clocks::new(start), start, Wait::Life, [None, forever, None], None);
        check(Clocks::new(start), start, Wait::Socket, [None, None, forever], None);
    }

    #[test]
    fn after_a_ping_the_peer_has_the_rest_of_its_time_however_late_that_was_sent() {
        let start = now();
        for (sent, expected) in [(30, 60), (31, 61), (1000, 1030)] {
            let mut clocks = Clocks::new(start);
            clocks.send_ping(NonZeroU32::new(1).unwrap(), start + Duration::from_secs(sent));
            check(clocks, start, Wait::Life, [PING, IDLE, None], Some((expected, Expired::Idle)));
        }
        let mut clocks = Clocks::new(start);
        clocks.send_ping(NonZeroU32::new(1).unwrap(), start);
        check(clocks, start, Wait::Life, [PING, None, None], None);
    }

    #[test]
    fn a_ping_that_was_stuck_in_the_queue_counts_from_when_it_was_written() {
        let start = now();
        let mut clocks = Clocks::new(start);
        clocks.send_ping(NonZeroU32::new(1).unwrap(), start + Duration::from_secs(30));
        clocks.unblocked(start + Duration::from_secs(100));
        check(clocks, start, Wait::Life, [PING, IDLE, None], Some((160, Expired::Idle)));
    }

    #[test]
    fn pongs_are_told_apart() {
        let start = now();
        let mut clocks = Clocks::new(start);
        let own = clocks.send_ping(NonZeroU32::new(7).unwrap(), start);
        assert_eq!(clocks.receive_pong(b"whatever"), Pong::Unsolicited);
        assert_eq!(clocks.receive_pong(&own), Pong::Own);
        assert_eq!(clocks.receive_pong(&own), Pong::Unsolicited);

        // The answer to a later Ping is one to all before it.
        let own = clocks.send_ping(NonZeroU32::new(8).unwrap(), start);
        clocks.asked();
        assert_eq!(clocks.receive_pong(b"whatever"), Pong::Asked);
        assert_eq!(clocks.receive_pong(&own), Pong::Unsolicited);
        check(clocks, start, Wait::Life, [PING, IDLE, None], Some((30, Expired::Silence)));
    }

    #[expect(clippy::disallowed_methods, reason = "an arbitrary point to count from")]
    fn now() -> Instant {
        Instant::now()
    }
}
