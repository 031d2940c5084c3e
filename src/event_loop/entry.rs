//! What the loop keeps for one connection, apart from what it is receiving.

use std::net::SocketAddr;
use std::time::Instant;

use super::PeerId;
use super::close::CloseCause;
use super::config::Timeouts;
use super::transport::Transport;
use super::write_queue::WriteQueue;
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
    pub(super) flags: Flags,
    pub(super) clocks: Clocks,
    pub(super) remote_addr: Option<SocketAddr>,
    pub(super) subprotocol: Option<Box<str>>,
}

/// What the application knows of a connection.
///
/// ```text
///  Opening ── 101 ──▶ Open ── on_close ──▶ Over
///     └── refused ────────────────────────▲
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stage {
    /// Nothing yet, but for `on_request`.
    Opening,
    /// It was told `on_open`, and is still to be told `on_close`.
    Open,
    /// It is done with it. What is left is to write what is queued, to end our side of the stream,
    /// and to read until the other side has ended too: closing a socket with unread input
    /// makes TCP reset the connection, which would destroy what was written last.
    Over,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flags {
    /// It is on the list of peers to settle.
    pub(super) dirty: bool,
    /// It is on the list of peers to read from without waiting for an event.
    pub(super) ready: bool,
    /// Its queue has been above the mark since it was last at half of it: it is not read from.
    pub(super) congested: bool,
    /// The socket took less than there was.
    pub(super) blocked: bool,
    /// An event said that the other side ended its stream, or an error is to be fetched.
    /// No other event will, so that a short read means nothing any more.
    pub(super) hung_up: bool,
    /// Reading came to the end of the stream.
    pub(super) ended: bool,
    /// Our side of the stream is ended.
    pub(super) shut: bool,
    /// It is to be dropped without more ado, together with what is queued.
    pub(super) dropped: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks {
    /// When the peer last gave a sign of life.
    pub(super) received: Instant,
    /// When the wait that is going on began: for the head, for the socket to take a byte, for the
    /// other side's Close, for the end of the stream.
    pub(super) waiting: Instant,
    /// When the loop will next look at the deadlines.
    pub(super) armed: Option<Instant>,
    /// The payload of our Ping that is not answered yet.
    pub(super) ping: Option<u32>,
}

/// A wait that took too long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Expired {
    Handshake,
    Silence,
    Idle,
    Write,
    Close,
}

impl Entry {
    pub(super) fn new(
        id: PeerId,
        transport: Transport,
        remote_addr: Option<SocketAddr>,
        now: Instant,
    ) -> Self {
        Self {
            id,
            transport,
            stage: Stage::Opening,
            closing: Closing::Open,
            cause: None,
            queue: WriteQueue::default(),
            flags: Flags::default(),
            clocks: Clocks { received: now, waiting: now, armed: None, ping: None },
            remote_addr,
            subprotocol: None,
        }
    }

    /// Whether messages can be sent to it.
    pub(super) fn is_open(&self) -> bool {
        self.stage == Stage::Open && self.closing.is_open() && !self.flags.dropped
    }

    /// Whether the application counts it among its peers.
    pub(super) fn is_peer(&self) -> bool {
        self.stage == Stage::Open && !self.flags.dropped
    }

    /// Ends our side of the stream, if that is still to be done. Returns whether the other side's end is still to come.
    pub(super) fn hang_up(&mut self) -> bool {
        if self.flags.ended {
            return false;
        }
        if !std::mem::replace(&mut self.flags.shut, true) {
            return self.transport.shutdown_write().is_ok();
        }
        true
    }

    /// The wait that ends first, and when.
    pub(super) fn deadline(&self, timeouts: &Timeouts) -> Option<(Instant, Expired)> {
        let after = |start: Instant, wait| start.checked_add(wait);
        match self.stage {
            Stage::Opening => {
                after(self.clocks.waiting, timeouts.handshake).map(|at| (at, Expired::Handshake))
            }
            Stage::Over => {
                after(self.clocks.waiting, timeouts.close).map(|at| (at, Expired::Close))
            }
            Stage::Open if !self.closing.is_open() => {
                after(self.clocks.waiting, timeouts.close).map(|at| (at, Expired::Close))
            }
            // A peer that is not read from cannot give signs of life. Whether it is there shows in
            // what it takes.
            Stage::Open if self.flags.blocked => {
                let write = timeouts.write?;
                after(self.clocks.waiting, write).map(|at| (at, Expired::Write))
            }
            Stage::Open => {
                let ping = timeouts.ping_interval.filter(|_| self.clocks.ping.is_none());
                let silence = ping.and_then(|wait| after(self.clocks.received, wait));
                let idle = timeouts.idle.and_then(|wait| after(self.clocks.received, wait));
                let silence = silence.map(|at| (at, Expired::Silence));
                let idle = idle.map(|at| (at, Expired::Idle));
                silence.into_iter().chain(idle).min_by_key(|(at, _)| *at)
            }
        }
    }
}
