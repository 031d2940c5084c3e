//! To connect again when a connection was lost, or did not come about: RFC 6455 §7.2.3.

use std::time::{Duration, Instant};

use super::ConnectError;
use super::close::CloseCause;
use super::connect::Connect;
use super::entry::Entry;
use super::handler::Handler;
use super::{PeerId, Peers};
use crate::handshake::{ProxyError, ResponseError, ServerRefusal};

/// When to connect again, and when not: see [`Connect::reconnect`].
///
/// The loop waits before it does, by RFC 6455 §7.2.3: for a random time, that a server which comes
/// back is not met by everyone at once; and for up to twice as long with each attempt, within
/// bounds. When a connection has lasted as long as the longest delay, it begins from the shortest
/// again.
///
/// It connects again if that may help:
///
/// * after an error of the network, of the resolver, or a timeout;
/// * after a refusal with status 408, 425, 429, or from 500 on (but 501 and 505). The delay then
///   begins after what `Retry-After` says in seconds, up to an hour: not all who were told so come
///   at that very moment. Not so after 401, 403, 404 and the others, or after an answer that is
///   none: these are the same next time;
/// * after a connection was lost or became silent, or was closed with status code 1001, 1005 or
///   from 1011 to 1014. With 1000 and those of applications, the server means it; after the others,
///   one of both sides is broken.
///
/// It does not when the application closed, aborted or shut down.
#[derive(Clone, Debug)]
#[must_use = "it has no effect before it is handed to `Connect::reconnect`"]
pub struct Reconnect {
    first: Duration,
    longest: Duration,
    attempts: Option<u32>,
    after_any_close: bool,
}

/// What the loop does to [reconnect](Reconnect), as
/// [`Handler::on_reconnect`](super::Handler::on_reconnect) is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Retry {
    /// The connection that was lost, or did not come about.
    pub lost: PeerId,
    /// The one that is to come in its place. To give it up, [`abort`](Peers::abort) it.
    pub id: PeerId,
    /// How many there were before it since the last that lasted, and itself: 1 for the first.
    pub attempt: u32,
    /// How long it waits before it begins.
    pub delay: Duration,
}

/// What is known of a connection that is to be replaced when it is lost.
#[derive(Debug)]
pub(super) struct Link {
    connect: Connect,
    attempt: u32,
    opened: Option<Instant>,
}

/// What a server may ask for at most. Most likely a longer time is an error.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

impl Default for Reconnect {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { first: seconds(5), longest: seconds(60), attempts: None, after_any_close: false }
    }
}

impl Reconnect {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how long the first delay may be, and how long any may. Default: 5 s, as RFC 6455 §7.2.3
    /// suggests, and 60 s.
    ///
    /// Each delay is a random part of its bound, which doubles from one attempt to the next.
    pub fn delays(mut self, first: Duration, longest: Duration) -> Self {
        (self.first, self.longest) = (first, longest);
        self
    }

    /// Sets how often in a row to try, until a connection lasts. Default: without end.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.attempts = Some(attempts);
        self
    }

    /// Connects again whichever status code the server closed with, 1000 included.
    pub fn after_any_close(mut self) -> Self {
        self.after_any_close = true;
        self
    }

    /// How long to wait before an attempt, counted from 1, which is not to begin before `earliest`;
    /// `chance` is any number, as likely as any other.
    fn delay(&self, attempt: u32, earliest: Duration, chance: u32) -> Duration {
        let factor = 1_u32.checked_shl(attempt - 1).unwrap_or(u32::MAX);
        let bound = self.first.saturating_mul(factor).min(self.longest);
        let seconds = bound.as_secs_f64() * (f64::from(chance) / f64::from(u32::MAX));
        // The longest there is, rounded to a float, is longer than that.
        earliest.saturating_add(Duration::try_from_secs_f64(seconds).unwrap_or(bound))
    }
}

impl Connect {
    /// Connects again whenever that may help: see [`Reconnect`] for when that is.
    ///
    /// What is connected in place of another is a peer of its own, with an id of its own, which
    /// [`on_reconnect`](super::Handler::on_reconnect) tells. That is called right after
    /// [`on_connect_error`](super::Handler::on_connect_error) or
    /// [`on_close`](super::Handler::on_close); if it is not, the loop leaves it at that.
    ///
    /// # Examples
    ///
    /// A feed that is lost at times, and found again:
    ///
    /// ```no_run
    /// use wsloop::handshake::{ClientRequest, WsUrl};
    /// use wsloop::{Connect, ConnectError, EventLoop, Handler, Message, Peer, PeerId, Peers};
    /// use wsloop::{Reconnect, Retry};
    ///
    /// struct Feed;
    ///
    /// impl Handler for Feed {
    ///     fn on_open(&mut self, peer: &mut Peer<'_>) {
    ///         peer.send("subscribe");
    ///     }
    ///
    ///     fn on_message(&mut self, _: &mut Peer<'_>, message: Message<'_>) {
    ///         println!("{message:?}");
    ///     }
    ///
    ///     fn on_connect_error(&mut self, _: &mut Peers, _: PeerId, error: ConnectError) {
    ///         eprintln!("no feed: {error}");
    ///     }
    ///
    ///     fn on_reconnect(&mut self, _: &mut Peers, retry: Retry) {
    ///         eprintln!("trying again in {:?}", retry.delay);
    ///     }
    /// }
    ///
    /// let request = ClientRequest::new(WsUrl::parse("ws://feed.example/prices")?);
    /// let mut event_loop = EventLoop::new()?;
    /// event_loop.connect_with(Connect::new(request).reconnect(Reconnect::new()))?;
    /// event_loop.run(&mut Feed)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reconnect(mut self, reconnect: Reconnect) -> Self {
        self.reconnect = Some(reconnect);
        self
    }
}

impl Link {
    /// What is to be known of a connection, if it is to be replaced.
    pub(super) fn of(connect: &Connect) -> Option<Box<Self>> {
        connect.reconnect.as_ref()?;
        Some(Box::new(Self { connect: connect.clone(), attempt: 0, opened: None }))
    }
}

impl Entry {
    /// Notes when it was opened, if it matters how long it lasts.
    pub(super) fn note_opened(&mut self, now: Instant) {
        if let Some(link) = self.particulars.as_mut().and_then(|few| few.link.as_mut()) {
            link.opened = Some(now);
        }
    }

    /// What is known of it, if it is to be replaced. That is asked once.
    pub(super) fn take_link(&mut self) -> Option<Box<Link>> {
        self.particulars.as_mut()?.link.take()
    }
}

/// What is to be done about a connection that is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Again {
    /// To leave it at that.
    Never,
    /// To connect again, but not before so much time has passed.
    NotBefore(Duration),
}

impl Again {
    const SOON: Self = Self::NotBefore(Duration::ZERO);

    fn when(it: bool) -> Self {
        if it { Self::SOON } else { Self::Never }
    }

    /// What to do about a connection that did not come about.
    pub(super) fn after_error(error: &ConnectError) -> Self {
        match error {
            ConnectError::Resolve(_)
            | ConnectError::Connect(_)
            | ConnectError::TimedOut(_)
            | ConnectError::Lost(_)
            | ConnectError::Response(ResponseError::NoResponse | ResponseError::Incomplete) => {
                Self::SOON
            }
            ConnectError::Refused(refusal) | ConnectError::ProxyRefused(refusal) => {
                Self::after_refusal(refusal)
            }
            ConnectError::Proxy(error) => Self::when(may_heal(*error)),
            ConnectError::Response(_)
            | ConnectError::Redirect(_)
            | ConnectError::Url(_)
            | ConnectError::ProxyUrl(_)
            | ConnectError::TlsUnavailable
            | ConnectError::TooManyConnections
            | ConnectError::NoRandomness(_)
            | ConnectError::Aborted
            | ConnectError::ShuttingDown => Self::Never,
            #[cfg(feature = "tls")]
            ConnectError::NoRoots(_) | ConnectError::Tls { .. } => Self::Never,
        }
    }

    fn after_refusal(refusal: &ServerRefusal) -> Self {
        if !matches!(refusal.status(), 408 | 425 | 429 | 500 | 502..=504 | 506..) {
            return Self::Never;
        }
        // RFC 9110 §10.2.3. It may be a date as well, which takes a clock that both agree on.
        let seconds = refusal.head().field("Retry-After").and_then(|field| field.parse().ok());
        let after = seconds.map_or(Duration::ZERO, Duration::from_secs);
        Self::NotBefore(after.min(MAX_RETRY_AFTER))
    }

    /// What to do about a connection that is closed. `code` is the server's, if it has sent one.
    fn after_close(cause: CloseCause, code: u16, after_any: bool) -> Self {
        Self::when(match cause {
            CloseCause::Remote => after_any || matches!(code, 1001 | 1005 | 1011..=1014),
            CloseCause::Local
            | CloseCause::Aborted
            | CloseCause::Shutdown
            | CloseCause::Violation(_) => false,
            CloseCause::QueueFull
            | CloseCause::RateLimit
            | CloseCause::IdleTimeout
            | CloseCause::MessageTimeout
            | CloseCause::InflatingLimit
            | CloseCause::WriteTimeout
            | CloseCause::EndOfStream
            | CloseCause::Lost(_) => true,
        })
    }
}

/// Whether what a proxy says may be another thing next time.
fn may_heal(error: ProxyError) -> bool {
    match error {
        ProxyError::Response(ResponseError::NoResponse | ResponseError::Incomplete)
        | ProxyError::Incomplete => true,
        // General failure, network or host unreachable, connection refused, time expired.
        ProxyError::SocksReply(reply) => matches!(reply, 1 | 3..=6),
        _ => false,
    }
}

impl Link {
    /// What to do about the connection, now that it is closed.
    pub(super) fn after_close(&self, cause: CloseCause, code: u16) -> Again {
        let after_any = self.connect.reconnect.as_ref().is_some_and(|it| it.after_any_close);
        Again::after_close(cause, code, after_any)
    }
}

/// Connects again in place of a connection that is over, and tells the handler.
pub(super) fn reconnect(
    peers: &mut Peers,
    handler: &mut (impl Handler + ?Sized),
    lost: PeerId,
    link: Box<Link>,
    again: Again,
) {
    let Again::NotBefore(earliest) = again else { return };
    let Link { connect, mut attempt, opened } = *link;
    let Some(reconnect) = &connect.reconnect else { return };
    let lasted = opened.map(|opened| peers.now.saturating_duration_since(opened));
    if lasted.is_some_and(|lasted| lasted >= reconnect.longest) {
        attempt = 0;
    }
    attempt = attempt.saturating_add(1);
    if reconnect.attempts.is_some_and(|most| attempt > most) {
        return;
    }
    let chance = u32::from_ne_bytes(peers.buffers.masking_key());
    let delay = reconnect.delay(attempt, earliest, chance);
    let Some(id) = peers.connect_later(&connect, delay) else { return };
    if let Some(entry) = peers.entry_mut(id) {
        entry.particulars().link = Some(Box::new(Link { connect, attempt, opened: None }));
    }
    handler.on_reconnect(peers, Retry { lost, id, attempt, delay });
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::ZERO;

    #[test]
    fn those_who_were_told_to_wait_do_not_come_all_at_once() {
        let (reconnect, minute) = (Reconnect::new(), Duration::from_secs(60));
        let delays = [0, u32::MAX].map(|chance| reconnect.delay(1, minute, chance).as_secs());
        assert_eq!(delays, [60, 65]);
    }

    #[test]
    fn delays_are_random_parts_of_a_bound_that_doubles() {
        let reconnect = Reconnect::new();
        let bounds =
            [1, 2, 3, 4, 5, 6, 100, u32::MAX].map(|n| reconnect.delay(n, SOON, u32::MAX).as_secs());
        assert_eq!(bounds, [5, 10, 20, 40, 60, 60, 60, 60]);
        assert_eq!(reconnect.delay(9, SOON, 0), Duration::ZERO);
        let half = reconnect.delay(1, SOON, u32::MAX / 2).as_secs_f64();
        assert!((half - 2.5).abs() < 0.001, "{half}");
        let never = Reconnect::new().delays(Duration::MAX, Duration::MAX);
        assert!(never.delay(2, SOON, u32::MAX / 2) > Duration::from_secs(1 << 40));
        assert_eq!(never.delay(1, SOON, u32::MAX), Duration::MAX);
    }

    #[test]
    fn after_a_close_it_depends_on_who_meant_what() {
        let again = |cause, code| Again::after_close(cause, code, false) == Again::SOON;
        let remote: Vec<u16> =
            (1000..5000).filter(|code| again(CloseCause::Remote, *code)).collect();
        assert_eq!(remote, [1001, 1005, 1011, 1012, 1013, 1014]);
        assert!(Again::after_close(CloseCause::Remote, 1000, true) == Again::SOON);
        for cause in [CloseCause::Local, CloseCause::Aborted, CloseCause::Shutdown] {
            assert_eq!(Again::after_close(cause, 1006, true), Again::Never);
        }
        assert!(again(CloseCause::EndOfStream, 1006) && again(CloseCause::IdleTimeout, 1006));
    }
}
