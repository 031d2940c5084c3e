//! What a loop has done so far, in numbers.
//!
//! Each is kept by adding to it where the thing happens, on state that is at hand there: always on,
//! at no cost worth a switch, and nothing is kept for each peer.

use std::fmt;

use super::close::CloseCause;
use super::{PeerId, Peers, SendStatus};
use crate::handshake::{Refusal, Response};
use crate::protocol::CloseCode;

/// What a loop has done so far, and holds now, in numbers: see [`Peers::stats`].
///
/// A copy, which does not change. What is counted only ever grows, from 0 when the loop is made, and
/// will not overflow: rates are for whoever takes two of these. What there is *now* is said to be
/// so.
///
/// Its `Display` is one line for a log, in which what never occurred is left out: causes, and
/// connections to servers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Connections, now and ever.
    pub connections: ConnectionStats,
    /// Connections that were not let in, by cause.
    pub refused: RefusalStats,
    /// Calls of [`on_close`](super::Handler::on_close), by cause.
    pub closed: CloseStats,
    /// Text and binary messages.
    pub messages: MessageStats,
    /// Bytes on the wire: of handshakes, of frames with their headers, of HTTP responses. What TCP
    /// and IP add to them is not counted.
    pub bytes: ByteStats,
}

/// Connections, now and ever.
///
/// Whoever was accepted is in the middle of the opening handshake or has left it in one of three
/// ways: `accepted` is the sum of `opening`, `opened - connected`, `answered` and
/// [`RefusalStats::total`]. What was begun to connect is under way or has come to one of two ends:
/// `begun` is the sum of `connecting`, `connected` and `failed`.
/// Whoever was opened is closed once: when nothing is `ending`, `opened` is the sum of `open` and
/// [`CloseStats::total`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ConnectionStats {
    /// Now: those in the middle of their opening handshake.
    pub opening: u64,
    /// Now: those that are peers, as [`Peers::len`] says.
    pub open: u64,
    /// Now: those that are no peers any more, or never were, and still take a descriptor: to be
    /// sent our last words, and to be read to their end.
    pub ending: u64,
    /// Those that listeners accepted, or that were [adopted](super::EventLoop::adopt).
    pub accepted: u64,
    /// Those that became peers, accepted or connected: calls of
    /// [`on_open`](super::Handler::on_open).
    pub opened: u64,
    /// Requests that the handler answered with an HTTP response of its own whose status is below
    /// 400, such as a page or a redirect.
    pub answered: u64,
    /// Now: those that this loop is [connecting](Peers::connect), until their opening handshake is
    /// done.
    pub connecting: u64,
    /// Those that it began to connect. To follow a redirection is not to begin anew.
    pub begun: u64,
    /// Those that it connected, and which became peers by that.
    pub connected: u64,
    /// Those that did not come about: calls of
    /// [`on_connect_error`](super::Handler::on_connect_error).
    pub failed: u64,
}

/// Connections that were not let in, each by one cause.
///
/// The causes are grouped by who has to do something about them. A [`Refusal`] that the handler
/// answers with counts like one of the loop's own.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct RefusalStats {
    /// What was sent is no HTTP request, or none that this server takes: too large, another
    /// protocol, another method. Status 400, 405, 413, 414, 417, 431, 501 or 505.
    pub malformed: u64,
    /// An HTTP request that asks for no upgrade, or not properly. Status 426, or 400 if it was
    /// about the key, the subprotocols or the extensions.
    pub not_websocket: u64,
    /// From an origin that is not trusted, or for a host that is not served. Status 403 or 421, and
    /// 400 for two origins.
    pub origin: u64,
    /// The handler answered with a status of 400 or above, or with [`Refusal::NotFound`].
    pub application: u64,
    /// The handler could not answer: it panicked, forgot a deferred decision, or made an invalid
    /// answer. Status 500, if any.
    pub failed: u64,
    /// A deferred decision was not made in time. Status 503.
    pub undecided: u64,
    /// There was no room: as many requests as
    /// [`max_handshakes`](super::Config::max_handshakes) waited for deferred decisions. Status 503.
    pub overloaded: u64,
    /// The oldest of too many that had not sent their request, dropped to make room for another:
    /// the sign of a flood.
    pub gave_way: u64,
    /// The head of the request was not complete in time, though begun. Status 408.
    pub timed_out: u64,
    /// The client left before its request was complete, though begun. Status 400, if it ended its
    /// side in good order.
    pub incomplete: u64,
    /// Not a byte was received, until the client left or its time was up: port scans, and load
    /// balancers that look whether somebody listens.
    pub silent: u64,
    /// No TLS connection came about, though something was received: it is no TLS, or not in time, the
    /// client does not trust our certificate, or we do not trust its.
    pub tls: u64,
    /// The loop was shutting down. Status 503.
    pub shutting_down: u64,
}

/// Calls of [`on_close`](super::Handler::on_close), each by one [`CloseCause`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct CloseStats {
    /// [`CloseCause::Remote`]: the remote endpoint sent Close.
    pub remote: u64,
    /// [`CloseCause::Local`]: the application closed.
    pub local: u64,
    /// [`CloseCause::Aborted`]: the application aborted.
    pub aborted: u64,
    /// [`CloseCause::Shutdown`]: the loop was shutting down.
    pub shutdown: u64,
    /// [`CloseCause::Violation`] with a message over the limit, status code 1009: a client that
    /// expects a higher [`max_message_size`](super::Config::max_message_size).
    pub message_too_big: u64,
    /// [`CloseCause::Violation`] of any other rule, status codes 1002 and 1007: a client that is
    /// broken.
    pub violation: u64,
    /// [`CloseCause::QueueFull`]: the peer was too slow to read.
    pub queue_full: u64,
    /// [`CloseCause::IdleTimeout`]: nothing was heard from the peer.
    pub idle_timeout: u64,
    /// [`CloseCause::MessageTimeout`]: a message took too long to arrive.
    pub message_timeout: u64,
    /// [`CloseCause::InflatingLimit`]: too much had to be inflated at a time.
    pub inflating_limit: u64,
    /// [`CloseCause::RateLimit`]: the peer sent more than it may.
    pub rate_limit: u64,
    /// [`CloseCause::WriteTimeout`]: the peer took nothing.
    pub write_timeout: u64,
    /// [`CloseCause::EndOfStream`]: the stream ended without a Close.
    pub end_of_stream: u64,
    /// [`CloseCause::Lost`]: the connection broke.
    pub lost: u64,
}

/// Text and binary messages.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct MessageStats {
    /// Messages that were received and handed to [`on_message`](super::Handler::on_message), or to
    /// [`on_piece`](super::Handler::on_piece) to the last piece.
    pub received: u64,
    /// Messages that were queued for a peer. One that is broadcast to ten peers counts ten times, and
    /// one that is sent in fragments when the last of them is queued.
    /// Whether a peer got them all is known only if it was not closed before.
    pub sent: u64,
    /// Messages, fragments and Pings that were not queued because the peer's queue was full. What is
    /// sent to peers that are closing or gone is not counted.
    pub dropped: u64,
}

/// Bytes on the wire. Of what is within TLS, the bytes of WebSocket and HTTP are counted, but while
/// they wait for sockets, when it is those of TLS.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ByteStats {
    /// Bytes that were read from sockets, whatever became of them. What another server had read of
    /// an [adopted](super::EventLoop::adopt) connection is not among them.
    pub received: u64,
    /// Bytes that sockets took. Whether they arrived, nobody knows.
    pub sent: u64,
    /// Now: bytes that wait for sockets to take them, of all connections together. What is shared
    /// by several counts for each, though it is in memory once.
    pub queued: u64,
}

impl Peers {
    /// What the loop has done so far, in numbers.
    ///
    /// Costs as much as copying it. From another thread, ask with
    /// [`Remote::run`](super::Remote::run).
    ///
    /// # Examples
    ///
    /// Prometheus reads its metrics on the port of the WebSocket server:
    ///
    /// ```
    /// use std::fmt::Write;
    /// use wsloop::{Answer, Handler, IncomingRequest, Message, Peer, Peers, Response};
    ///
    /// struct Measured;
    ///
    /// impl Handler for Measured {
    ///     fn on_request(&mut self, peers: &mut Peers, request: &IncomingRequest<'_>) -> Answer {
    ///         match request.path() {
    ///             "/metrics" => Response::text(200, metrics(peers)).into(),
    ///             _ => request.upgrade(),
    ///         }
    ///     }
    ///
    ///     fn on_message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) {
    ///         peer.send(message);
    ///     }
    /// }
    ///
    /// fn metrics(peers: &Peers) -> String {
    ///     let stats = peers.stats();
    ///     let mut text = format!("ws_peers {}\n", stats.connections.open);
    ///     let _ = writeln!(text, "ws_queued_bytes {}", stats.bytes.queued);
    ///     let _ = writeln!(text, "ws_received_messages_total {}", stats.messages.received);
    ///     for (cause, count) in stats.closed.causes() {
    ///         let _ = writeln!(text, "ws_closed_total{{cause=\"{cause}\"}} {count}");
    ///     }
    ///     text
    /// }
    /// # let event_loop = &mut wsloop::EventLoop::new()?;
    /// # assert!(metrics(event_loop.peers()).contains("ws_closed_total{cause=\"lost\"} 0\n"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn stats(&self) -> Stats {
        let mut stats = self.stats;
        let connections = &mut stats.connections;
        (connections.opening, connections.open) = (self.opening as u64, self.open as u64);
        connections.connecting = self.connecting as u64;
        let there = self.entries.len() as u64;
        connections.ending =
            there - connections.opening - connections.connecting - connections.open;
        stats.bytes.sent = self.buffers.ledger.written;
        stats.bytes.queued = self.buffers.ledger.queued as u64;
        stats
    }

    /// Notes what became of a message of the application's.
    pub(super) fn count_sent(&mut self, status: SendStatus) -> SendStatus {
        self.stats.messages.sent += u64::from(status != SendStatus::Dropped);
        status
    }

    /// Drops a connection whose opening handshake is not done, without a response. `cause` picks
    /// what to count that as.
    pub(super) fn drop_opening(
        &mut self,
        id: PeerId,
        cause: impl FnOnce(&mut RefusalStats) -> &mut u64,
    ) {
        if self.entry(id).is_some_and(|entry| entry.is_opening()) {
            *cause(&mut self.stats.refused) += 1;
            self.over(id);
        }
        self.drop_connection(id, CloseCause::Aborted);
    }
}

impl Stats {
    /// Notes a response of the application's own.
    pub(super) fn count_response(&mut self, response: &Response) {
        match response.status() {
            ..400 => self.connections.answered += 1,
            400.. => self.refused.application += 1,
        }
    }
}

impl RefusalStats {
    /// All of them together.
    pub fn total(&self) -> u64 {
        self.causes().map(|(_, count)| count).sum()
    }

    /// Each cause by the name of its field, and how often it occurred.
    pub fn causes(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        [
            ("malformed", self.malformed),
            ("not_websocket", self.not_websocket),
            ("origin", self.origin),
            ("application", self.application),
            ("failed", self.failed),
            ("undecided", self.undecided),
            ("overloaded", self.overloaded),
            ("gave_way", self.gave_way),
            ("timed_out", self.timed_out),
            ("incomplete", self.incomplete),
            ("silent", self.silent),
            ("tls", self.tls),
            ("shutting_down", self.shutting_down),
        ]
        .into_iter()
    }

    /// Notes that a connection is answered with a refusal.
    pub(super) fn count(&mut self, refusal: Refusal) {
        let counter = match refusal {
            Refusal::LineEnd
            | Refusal::EmptyLines
            | Refusal::Tls
            | Refusal::PlainText
            | Refusal::RequestLine
            | Refusal::Field
            | Refusal::TargetTooLong
            | Refusal::HeadTooLarge
            | Refusal::TooManyFields
            | Refusal::HttpVersion
            | Refusal::UnknownMethod
            | Refusal::Method
            | Refusal::Target
            | Refusal::Host
            | Refusal::ContentLength
            | Refusal::TransferEncoding
            | Refusal::UnknownTransferCoding
            | Refusal::Content
            | Refusal::Expectation => &mut self.malformed,
            Refusal::Version
            | Refusal::UnsupportedVersion
            | Refusal::Key
            | Refusal::Subprotocols
            | Refusal::Extensions
            | Refusal::UpgradeRequired => &mut self.not_websocket,
            Refusal::MisdirectedRequest | Refusal::RepeatedOrigin | Refusal::Origin => {
                &mut self.origin
            }
            Refusal::NotFound => &mut self.application,
            Refusal::HandlerFailed | Refusal::Abandoned => &mut self.failed,
            Refusal::Undecided => &mut self.undecided,
            Refusal::Overloaded => &mut self.overloaded,
            Refusal::Timeout => &mut self.timed_out,
            Refusal::Incomplete => &mut self.incomplete,
            Refusal::ShuttingDown => &mut self.shutting_down,
        };
        *counter += 1;
    }

    /// Notes that a connection is dropped without a response, once something was received.
    pub(super) fn count_dropped(&mut self, cause: CloseCause) {
        match cause {
            CloseCause::Lost(_) => self.incomplete += 1,
            CloseCause::Shutdown => self.shutting_down += 1,
            // All that is left is a handler that panicked.
            _ => self.failed += 1,
        }
    }
}

impl CloseStats {
    /// All of them together.
    pub fn total(&self) -> u64 {
        self.causes().map(|(_, count)| count).sum()
    }

    /// Each cause by the name of its field, and how often it occurred.
    pub fn causes(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        [
            ("remote", self.remote),
            ("local", self.local),
            ("aborted", self.aborted),
            ("shutdown", self.shutdown),
            ("message_too_big", self.message_too_big),
            ("violation", self.violation),
            ("queue_full", self.queue_full),
            ("idle_timeout", self.idle_timeout),
            ("message_timeout", self.message_timeout),
            ("inflating_limit", self.inflating_limit),
            ("rate_limit", self.rate_limit),
            ("write_timeout", self.write_timeout),
            ("end_of_stream", self.end_of_stream),
            ("lost", self.lost),
        ]
        .into_iter()
    }

    /// Notes that the application is told of an end.
    pub(super) fn count(&mut self, cause: CloseCause) {
        let counter = match cause {
            CloseCause::Remote => &mut self.remote,
            CloseCause::Local => &mut self.local,
            CloseCause::Aborted => &mut self.aborted,
            CloseCause::Shutdown => &mut self.shutdown,
            CloseCause::Violation(violation) if violation.code() == CloseCode::MESSAGE_TOO_BIG => {
                &mut self.message_too_big
            }
            CloseCause::Violation(_) => &mut self.violation,
            CloseCause::QueueFull => &mut self.queue_full,
            CloseCause::IdleTimeout => &mut self.idle_timeout,
            CloseCause::MessageTimeout => &mut self.message_timeout,
            CloseCause::InflatingLimit => &mut self.inflating_limit,
            CloseCause::RateLimit => &mut self.rate_limit,
            CloseCause::WriteTimeout => &mut self.write_timeout,
            CloseCause::EndOfStream => &mut self.end_of_stream,
            CloseCause::Lost(_) => &mut self.lost,
        };
        *counter += 1;
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connections, refused, closed, messages, bytes } = self;
        let ConnectionStats { opening, open, ending, accepted, opened, answered, .. } = connections;
        write!(f, "connections: {open} open, {opening} opening, {ending} ending; ")?;
        write!(f, "{accepted} accepted, {opened} opened, {answered} answered, ")?;
        write!(f, "{} refused", refused.total())?;
        write_causes(f, refused.causes())?;
        write!(f, ", {} closed", closed.total())?;
        write_causes(f, closed.causes())?;
        let ConnectionStats { connecting, begun, connected, failed, .. } = connections;
        if *begun > 0 {
            write!(
                f,
                "; clients: {connecting} connecting, {begun} begun, {connected} connected, "
            )?;
            write!(f, "{failed} failed")?;
        }
        let MessageStats { received, sent, dropped } = messages;
        write!(f, "; messages: {received} received, {sent} sent, {dropped} dropped")?;
        let ByteStats { received, sent, queued } = bytes;
        write!(f, "; bytes: {received} received, {sent} sent, {queued} queued")
    }
}

/// Writes the causes that occurred: ` (malformed 2, silent 1)`.
fn write_causes(
    f: &mut fmt::Formatter<'_>,
    causes: impl Iterator<Item = (&'static str, u64)>,
) -> fmt::Result {
    let mut before = " (";
    for (cause, count) in causes.filter(|&(_, count)| count > 0) {
        write!(f, "{before}{cause} {count}")?;
        before = ", ";
    }
    if before == ", " { f.write_str(")") } else { Ok(()) }
}
