//! What the loop keeps for one connection, apart from what it is receiving.

use std::io;
use std::net::IpAddr;
use std::time::Instant;

use super::ConnectError;
use super::PeerId;
use super::buffers::BufferPool;
use super::clocks::{Clocks, Expired, Wait, sooner};
use super::close::CloseCause;
use super::config::Timeouts;
#[cfg(feature = "deflate")]
use super::contexts::Contexts;
use super::rate_limit::Meter;
use super::reconnect::Link;
use super::streaming::Outgoing;
use super::transport::Transport;
use super::write_queue::{Flushed, WriteQueue};
#[cfg(feature = "deflate")]
use crate::protocol::DeflateParameters;
use crate::protocol::Role;
use crate::protocol::closing::Closing;

/// One connection, from `accept` to `close`.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: PeerId,
    pub(super) transport: Transport,
    pub(super) stage: Stage,
    /// How far the closing handshake has come; means something in [`Stage::Open`].
    pub(super) closing: Closing,
    /// What began the end, once something has.
    pub(super) cause: Option<CloseCause>,
    pub(super) queue: WriteQueue,
    /// How much is to be written up to the end of our Close or response: as long as that advances,
    /// it may take its time.
    pub(super) last_words: usize,
    pub(super) flags: Flags,
    pub(super) clocks: Clocks,
    /// How messages are compressed, if they may be.
    #[cfg(feature = "deflate")]
    pub(super) deflate: Option<DeflateParameters>,
    /// What few connections have.
    pub(super) particulars: Option<Box<Particulars>>,
}

/// What few connections have, so that the others hold no room for it.
#[derive(Debug, Default)]
pub(super) struct Particulars {
    /// The subprotocol that was agreed on.
    pub(super) subprotocol: Option<Box<str>>,
    /// The message that is being sent in fragments.
    pub(super) outgoing: Option<Outgoing>,
    /// Where it comes from, if that is not where its connection does.
    pub(super) client_addr: Option<IpAddr>,
    /// What it may send, if that is limited.
    pub(super) meter: Option<Box<Meter>>,
    /// What it has of its own to compress with.
    #[cfg(feature = "deflate")]
    pub(super) contexts: Option<Box<Contexts>>,
    /// What is known of it, if it is to be replaced when it is lost.
    pub(super) link: Option<Box<Link>>,
    /// Why it does not come about, until the application is told.
    pub(super) failure: Option<Box<ConnectError>>,
}

/// What the application knows of a connection.
///
/// ```text
///  Opening ── 101 ──▶ Open ── on_close ──▶ Over
///     └── refused ────────────────────────▲
///
///  Connecting ── TCP ──▶ Asking ── 101 ──▶ Open ── on_close ──▶ Over
///      ▲  └─── failed ─────┴── on_connect_error ─────────────────▲
///      └────── redirected ─┘
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stage {
    /// Nothing yet, but for `on_request`.
    Opening,
    /// It has asked for it. There is no socket yet, or several of which one will be it.
    Connecting,
    /// The same. The server, or a proxy, has been sent a request.
    Asking,
    /// It was told `on_open`, and is still to be told `on_close`.
    Open,
    /// It is done with it. What is left is to write what is queued, to end our side of the stream,
    /// and to read until the other side has ended too: closing a socket with unread input
    /// makes TCP reset the connection, which would destroy what was written last.
    Over,
}

/// What is the case with a connection, whatever its stage.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flags {
    /// It is on the list of peers to settle.
    pub(super) dirty: bool,
    /// It is on the list of peers to read from without waiting for an event.
    pub(super) ready: bool,
    /// Its queue has been above the mark since it was last at half of it: it is not read from.
    pub(super) congested: bool,
    /// It has sent as much as it may for now: it is not read from.
    pub(super) throttled: bool,
    /// The socket took less than there was, and will say when it takes more.
    pub(super) blocked: bool,
    /// It has said so.
    pub(super) writable: bool,
    /// An event said that the other side ended its stream, or an error is to be fetched.
    /// No other event will, so that a short read means nothing any more.
    pub(super) hung_up: bool,
    /// Reading came to the end of the stream.
    pub(super) ended: bool,
    /// Our side of the stream is ended.
    pub(super) shut: bool,
    /// It is to be dropped without more ado, together with what is queued.
    pub(super) dropped: bool,
    /// This end is the client.
    pub(super) client: bool,
}

impl Entry {
    pub(super) fn new(id: PeerId, transport: Transport, stage: Stage, now: Instant) -> Self {
        Self {
            id,
            transport,
            stage,
            closing: Closing::Open,
            cause: None,
            queue: WriteQueue::default(),
            last_words: 0,
            flags: Flags::default(),
            clocks: Clocks::new(now),
            #[cfg(feature = "deflate")]
            deflate: None,
            particulars: None,
        }
    }

    /// What few connections have, now that this one has some of it.
    pub(super) fn particulars(&mut self) -> &mut Particulars {
        self.particulars.get_or_insert_default()
    }

    /// Whether it was accepted, and its opening handshake is not done.
    pub(super) fn is_opening(&self) -> bool {
        self.stage == Stage::Opening
    }

    /// Whether it is to be a client's, and its opening handshake is not done.
    pub(super) fn is_connecting(&self) -> bool {
        matches!(self.stage, Stage::Connecting | Stage::Asking)
    }

    /// Which of the endpoints this one is.
    pub(super) fn role(&self) -> Role {
        if self.flags.client { Role::Client } else { Role::Server }
    }

    /// What to mask the next frame with, if it is to be masked: RFC 6455 §5.1.
    pub(super) fn masking_key(&self, buffers: &mut BufferPool) -> Option<[u8; 4]> {
        self.flags.client.then(|| buffers.masking_key())
    }

    /// Where it comes from, as far as is known.
    pub(super) fn client_addr(&self) -> Option<IpAddr> {
        let told = self.particulars.as_ref().and_then(|particulars| particulars.client_addr);
        told.or_else(|| self.transport.remote_addr().map(|addr| addr.ip().to_canonical()))
    }

    /// Notes where it comes from.
    pub(super) fn set_client_addr(&mut self, client: Option<IpAddr>) {
        if self.client_addr() != client {
            self.particulars().client_addr = client;
        }
    }

    /// Whether messages can be sent to it.
    pub(super) fn is_open(&self) -> bool {
        self.is_peer() && self.closing.is_open()
    }

    /// Whether the application counts it among its peers.
    pub(super) fn is_peer(&self) -> bool {
        self.stage == Stage::Open && !self.flags.dropped
    }

    /// Whether what it sends is of interest.
    pub(super) fn is_heard(&self) -> bool {
        self.stage != Stage::Over && !self.flags.dropped
    }

    /// Notes that the queue is above the mark.
    pub(super) fn congest(&mut self, now: Instant) {
        self.flags.congested = true;
        self.clocks.paused(now);
    }

    /// Notes that a reason is gone not to read from it. There may be another.
    pub(super) fn resume(&mut self, now: Instant) {
        if !self.flags.congested && !self.flags.throttled {
            self.clocks.resumed(now);
        }
    }

    /// Notes that the end of its stream, or an error, is behind what it sent.
    pub(super) fn hung_up(&mut self, now: Instant) {
        let known = std::mem::replace(&mut self.flags.hung_up, true);
        // A socket that takes nothing has a wait of its own.
        if !known && self.is_open() && !self.flags.blocked {
            self.clocks.waiting = now;
        }
    }

    /// Writes what is queued, as far as the socket takes it.
    ///
    /// # Errors
    ///
    /// Fails if the connection is broken.
    pub(super) fn write(&mut self, buffers: &mut BufferPool, now: Instant) -> io::Result<()> {
        let before = self.queue.len();
        let flushed = self.queue.flush(&mut self.transport, buffers)?;
        #[cfg(feature = "tls")]
        let flushed = match self.transport.is_tls() {
            true => self.send_rest(buffers)?,
            false => flushed,
        };
        // Within TLS, what is queued becomes longer when it is encrypted.
        let written = before.saturating_sub(self.queue.len());
        let was_blocked = std::mem::replace(&mut self.flags.blocked, flushed == Flushed::Blocked);
        if !self.is_open() {
            // Pongs are sent even after Close. Those that the peer asks for then do not extend its
            // time.
            if written > 0 && self.last_words > 0 {
                self.clocks.waiting = now;
            }
            self.last_words = self.last_words.saturating_sub(written);
            return Ok(());
        }
        match flushed {
            Flushed::All if was_blocked => self.clocks.unblocked(now),
            Flushed::Blocked if written > 0 || !was_blocked => self.clocks.waiting = now,
            Flushed::All | Flushed::Blocked => {}
        }
        Ok(())
    }

    /// Sends what is no longer in the queue, but in rustls.
    #[cfg(feature = "tls")]
    #[cold]
    fn send_rest(&mut self, buffers: &mut BufferPool) -> io::Result<Flushed> {
        let unsent = self.transport.tls().map_or(Ok(0), |tls| tls.send_rest())?;
        Ok(self.queue.note_unsent(unsent, buffers))
    }

    /// Ends our side of the stream, if that is still to be done. Returns whether the other side's
    /// end is still to come.
    pub(super) fn hang_up(&mut self) -> bool {
        if self.flags.ended {
            #[cfg(feature = "tls")]
            self.say_goodbye();
            return false;
        }
        // RFC 6455 §7.1.1: the server closes TCP first, so that it is the one to remember the
        // connection afterwards: that would keep us from using the port for as long.
        if self.flags.client && !matches!(self.cause, Some(CloseCause::Violation(_))) {
            return true;
        }
        if !std::mem::replace(&mut self.flags.shut, true) {
            let shut = self.transport.shutdown_write().is_ok();
            #[cfg(feature = "tls")]
            if self.transport.tls().is_some_and(|tls| tls.has_unsent()) {
                self.flags.blocked = true;
            }
            return shut;
        }
        true
    }

    /// Lets the other side know that our side of the stream ends here, and was not cut: RFC 8446
    /// §6.1. It has ended its own, so that if there is no room for that, nobody is waiting for it.
    #[cfg(feature = "tls")]
    fn say_goodbye(&mut self) {
        if let Some(tls) = self.transport.tls() {
            let _ = tls.shutdown_write();
        }
    }

    /// When the present wait is too long, and what then.
    pub(super) fn deadline(&self, timeouts: &Timeouts) -> Option<(Instant, Expired)> {
        let wait = match self.stage {
            // That has a schedule of its own.
            Stage::Connecting => return None,
            Stage::Opening | Stage::Asking => Wait::Handshake,
            Stage::Open if !self.closing.is_open() => Wait::End,
            Stage::Open if self.flags.blocked => Wait::Socket,
            Stage::Open if self.flags.throttled && self.flags.hung_up => Wait::LastAllowance,
            Stage::Open if self.flags.throttled => Wait::Allowance,
            Stage::Open => Wait::Life,
            Stage::Over => Wait::End,
        };
        let deadline = self.clocks.deadline(wait, timeouts);
        if !self.flags.throttled {
            return deadline;
        }
        sooner(deadline, self.resumes().map(|at| (at, Expired::Throttle)))
    }
}
