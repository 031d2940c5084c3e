//! The way in: from the socket through handshake and decoder to the handler.
//!
//! What a connection has sent so far is kept here, apart from [`Peers`], so that a message can be
//! lent to a handler which may do to all peers whatever it likes.

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use super::close::{Close, CloseCause};
use super::entry::{Entry, Stage};
use super::handler::{Answer, Decision, Handler, IncomingRequest};
use super::remote::Inbox;
use super::{Peer, PeerId, Peers};
use crate::handshake::{HeadBuffer, Method, Offer, Refusal, Request, Response};
use crate::protocol::{CloseBody, Decoder, Event, Role, Violation};

/// What has been received, of all connections.
#[derive(Debug)]
pub(super) struct Intake {
    /// By [`PeerId::index`].
    receivers: Vec<Receiver>,
    /// Shared by all: what is in it has been decoded, or put aside, before the next read.
    buffer: Box<[u8]>,
    inbox: Arc<Inbox>,
}

/// What has been received on one connection.
#[derive(Debug, Default)]
struct Receiver {
    stage: Receiving,
    /// What was read but may not be decoded yet: the handshake is undecided, or the peer is congested.
    held: Vec<u8>,
}

#[derive(Debug)]
enum Receiving {
    /// The head of a request.
    Head(Box<HeadBuffer>),
    /// A decision about what the request asked for. Meanwhile nothing is read.
    Decision(Box<Undecided>),
    /// Frames.
    Frames(Decoder),
    /// Nothing that is of interest any more: so many bytes of it.
    Nothing(usize),
}

impl Default for Receiving {
    fn default() -> Self {
        Self::Nothing(0)
    }
}

/// A request that waits for its answer.
#[derive(Debug)]
struct Undecided {
    offer: Option<Offer>,
    method: Method,
}

/// Once this much has arrived after the end, the sender is not going to read our last words either.
const MAX_DISCARDED: usize = 16 << 20;

/// Epoll and kqueue report every arrival as an edge of its own, so that a read which did not fill its buffer
/// left nothing behind. Elsewhere an edge is spent only by a read that would block.
const SHORT_READ_IS_LAST: bool = cfg!(unix);

impl Intake {
    pub(super) fn new(buffer_size: usize, inbox: &Arc<Inbox>) -> Self {
        let buffer = vec![0; buffer_size].into_boxed_slice();
        Self { receivers: Vec::new(), buffer, inbox: Arc::clone(inbox) }
    }

    /// Prepares for what a new connection will send.
    pub(super) fn insert(&mut self, id: PeerId) {
        if self.receivers.len() <= id.index() {
            self.receivers.resize_with(id.index() + 1, Receiver::default);
        }
        let stage = Receiving::Head(Box::default());
        self.receivers[id.index()] = Receiver { stage, held: Vec::new() };
    }

    /// Forgets a connection.
    pub(super) fn remove(&mut self, id: PeerId) {
        self.receivers[id.index()] = Receiver::default();
    }

    /// Whether the connection's opening handshake is not complete yet.
    pub(super) fn awaits_head(&self, id: PeerId) -> bool {
        matches!(self.receivers[id.index()].stage, Receiving::Head(_))
    }

    /// Whether not even the first byte of the connection's opening handshake has arrived.
    pub(super) fn is_silent(&self, id: PeerId) -> bool {
        matches!(&self.receivers[id.index()].stage, Receiving::Head(head) if head.is_empty())
    }

    /// Refuses a connection whose opening handshake is not done: nothing more that it sends is of interest.
    pub(super) fn refuse(&mut self, peers: &mut Peers, id: PeerId, refusal: Refusal) {
        let method = match &self.receivers[id.index()].stage {
            Receiving::Head(head) => head.method(),
            Receiving::Decision(undecided) => undecided.method,
            Receiving::Frames(_) | Receiving::Nothing(_) => return,
        };
        self.remove(id);
        respond(peers, id, &refusal.response(), method);
    }

    /// Handles `bytes` before anything that is read from the connection.
    pub(super) fn hold(&mut self, id: PeerId, bytes: Vec<u8>) {
        self.receivers[id.index()].held = bytes;
    }

    /// Reads from a connection, once, and handles what arrived.
    ///
    /// Once, so that no peer keeps the others waiting for longer than a buffer full of messages takes. If there
    /// may be more, it goes on the list of those to read from in the next turn.
    pub(super) fn read(&mut self, peers: &mut Peers, handler: &mut impl Handler, id: PeerId) {
        let Some(entry) = peers.entries.get_mut(id.index()).filter(|entry| entry.id == id) else {
            return;
        };
        let receiver = &mut self.receivers[id.index()];
        let undecided = matches!(receiver.stage, Receiving::Decision(_));
        if entry.flags.congested || entry.flags.dropped || entry.flags.ended || undecided {
            return;
        }
        if !receiver.held.is_empty() {
            let mut held = std::mem::take(&mut receiver.held);
            peers.to_do.read(entry);
            return receiver.receive(peers, handler, id, &mut held, &self.inbox);
        }
        match entry.transport.read(&mut self.buffer) {
            Ok(0) => end_of_stream(peers, handler, id),
            Ok(n) => {
                if n == self.buffer.len() || entry.flags.hung_up || !SHORT_READ_IS_LAST {
                    peers.to_do.read(entry);
                }
                receiver.receive(peers, handler, id, &mut self.buffer[..n], &self.inbox);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => lost(peers, handler, id, &error),
        }
    }

    /// Acts on a decision that was deferred, if the connection still waits for it.
    pub(super) fn decide(
        &mut self,
        peers: &mut Peers,
        handler: &mut impl Handler,
        id: PeerId,
        answer: Answer,
    ) {
        let Some(entry) = peers.entries.get_mut(id.index()).filter(|entry| entry.id == id) else {
            return;
        };
        let receiver = &mut self.receivers[id.index()];
        if entry.stage != Stage::Opening || !matches!(receiver.stage, Receiving::Decision(_)) {
            return;
        }
        if let Receiving::Decision(undecided) = std::mem::take(&mut receiver.stage) {
            peers.to_do.read(entry);
            receiver.conclude(peers, handler, id, answer, *undecided);
        }
    }
}

impl Receiver {
    fn receive(
        &mut self,
        peers: &mut Peers,
        handler: &mut impl Handler,
        id: PeerId,
        mut input: &mut [u8],
        inbox: &Arc<Inbox>,
    ) {
        while !input.is_empty() {
            let goes_on = |entry: &Entry| entry.stage != Stage::Over && !entry.flags.dropped;
            if !peers.entry(id).is_some_and(goes_on) {
                return self.discard(peers, id, input.len());
            }
            match &mut self.stage {
                Receiving::Head(head) => {
                    let mut rest = &*input;
                    let complete = head.receive(&mut rest, &peers.config.head);
                    let used = input.len() - rest.len();
                    input = &mut input[used..];
                    match complete {
                        Ok(true) => self.request(peers, handler, id, inbox),
                        Ok(false) => {}
                        Err(refusal) => respond(peers, id, &refusal.response(), head.method()),
                    }
                }
                Receiving::Decision(_) => {
                    self.held.extend_from_slice(input);
                    return;
                }
                Receiving::Frames(decoder) => {
                    self.held = decode(decoder, peers, handler, id, input);
                    return;
                }
                Receiving::Nothing(_) => return,
            }
        }
    }

    /// Asks the handler about a request whose head is complete.
    fn request(
        &mut self,
        peers: &mut Peers,
        handler: &mut impl Handler,
        id: PeerId,
        inbox: &Arc<Inbox>,
    ) {
        let Receiving::Head(head) = std::mem::take(&mut self.stage) else {
            unreachable!("a head was just completed");
        };
        let judged = Request::parse(head.head(), &peers.config.head)
            .and_then(|request| Ok((peers.config.policy.judge(&request)?, request)));
        let (offer, request) = match judged {
            Ok(judged) => judged,
            Err(refusal) => return respond(peers, id, &refusal.response(), head.method()),
        };
        let remote_addr = peers.remote_addr(id);
        let incoming =
            IncomingRequest { request: &request, offer: offer.as_ref(), id, remote_addr, inbox };
        let answer = handler.on_request(peers, &incoming);
        let undecided = Undecided { method: request.method(), offer };
        self.conclude(peers, handler, id, answer, undecided);
    }

    /// Does what was decided about a request.
    fn conclude(
        &mut self,
        peers: &mut Peers,
        handler: &mut impl Handler,
        id: PeerId,
        answer: Answer,
        Undecided { offer, method }: Undecided,
    ) {
        match (answer.0, offer) {
            (Decision::Upgrade(acceptance), Some(offer)) => {
                let mut response = Vec::new();
                match offer.accept(&acceptance, &mut response) {
                    Ok(agreement) => {
                        peers.open(id, response, agreement.into_subprotocol());
                        let decoder = Decoder::new(Role::Server);
                        let max_size = peers.config.limits.message_size;
                        self.stage = Receiving::Frames(decoder.max_message_size(max_size));
                        handler.on_open(&mut Peer::new(peers, id));
                    }
                    Err(_) => respond(peers, id, &Refusal::HandlerFailed.response(), method),
                }
            }
            (Decision::Upgrade(_), None) => {
                respond(peers, id, &Refusal::UpgradeRequired.response(), method);
            }
            (Decision::Respond(response), _) => respond(peers, id, &response, method),
            (Decision::Deferred, offer) => {
                self.stage = Receiving::Decision(Box::new(Undecided { offer, method }));
            }
        }
    }

    /// Counts what arrives after the end, which is read only to let the other side read our last words.
    fn discard(&mut self, peers: &mut Peers, id: PeerId, n: usize) {
        let before = if let Receiving::Nothing(before) = self.stage { before } else { 0 };
        self.stage = Receiving::Nothing(before.saturating_add(n));
        if before.saturating_add(n) > MAX_DISCARDED {
            peers.drop_connection(id, CloseCause::Remote);
        }
    }
}

/// Handles what frames say. Returns what is not to be handled before the peer has taken what it was sent.
fn decode(
    decoder: &mut Decoder,
    peers: &mut Peers,
    handler: &mut impl Handler,
    id: PeerId,
    mut input: &mut [u8],
) -> Vec<u8> {
    if let Some(buffer) = peers.buffers.take_assembly() {
        decoder.lend_buffer(buffer);
    }
    let mut held = Vec::new();
    let mut alive = false;
    loop {
        match decoder.next(&mut input) {
            Ok(Some(event)) => alive |= handle(event, peers, handler, id),
            Ok(None) => break,
            Err(violation) => {
                fail(peers, handler, id, violation);
                break;
            }
        }
        // The handler may have done anything to the peer, so it is looked up afresh.
        match peers.entry(id) {
            Some(entry) if entry.is_peer() && !entry.flags.congested => {}
            Some(entry) if entry.is_peer() => {
                held = input.to_vec();
                break;
            }
            _ => break,
        }
    }
    alive |= !decoder.is_between_messages();
    if let Some(buffer) = decoder.reclaim_buffer() {
        peers.buffers.give_assembly(buffer);
    }
    let now = peers.now;
    if alive && let Some(entry) = peers.entry_mut(id) {
        entry.clocks.received = now;
    }
    held
}

/// Handles an event. Returns whether it is a sign of life.
fn handle(event: Event<'_>, peers: &mut Peers, handler: &mut impl Handler, id: PeerId) -> bool {
    let open = peers.entry(id).is_some_and(Entry::is_open);
    match event {
        Event::Message(message) if open => handler.on_message(&mut Peer::new(peers, id), message),
        // Our Close is sent: whoever closes does not wait for more messages.
        Event::Message(_) => {}
        Event::Piece(_) => unreachable!("the loop has messages assembled"),
        Event::Ping(payload) => {
            // §5.5.2: a Pong is due until Close was received, even if ours is sent.
            peers.pong(id, payload);
            if open {
                handler.on_ping(&mut Peer::new(peers, id), payload);
            }
        }
        Event::Pong(payload) if peers.is_keep_alive(id, payload) => {}
        Event::Pong(payload) => {
            if open {
                handler.on_pong(&mut Peer::new(peers, id), payload);
            }
            return false;
        }
        Event::Close(body) => receive_close(peers, handler, id, body),
    }
    true
}

fn receive_close(
    peers: &mut Peers,
    handler: &mut impl Handler,
    id: PeerId,
    body: Option<CloseBody<'_>>,
) {
    let Some(entry) = peers.entry_mut(id) else { return };
    if entry.closing.receive_close() {
        // §5.5.1: "the endpoint typically echos the status code it received".
        peers.push_close(id, body.map(|body| CloseBody { reason: "", ..body }));
    }
    let code = body.map_or(NO_STATUS_RECEIVED, |body| body.code.into());
    let reason = body.map_or("", |body| body.reason);
    finish(peers, handler, id, (code, reason), CloseCause::Remote);
}

/// Fails the connection, RFC 6455 §7.1.7: says why, and handles nothing that follows.
fn fail(peers: &mut Peers, handler: &mut impl Handler, id: PeerId, violation: Violation) {
    let Some(entry) = peers.entry_mut(id) else { return };
    if entry.closing.fail() {
        peers.push_close(id, Some(CloseBody { code: violation.code(), reason: "" }));
    }
    finish(peers, handler, id, NO_CLOSE, CloseCause::Violation(violation));
}

fn end_of_stream(peers: &mut Peers, handler: &mut impl Handler, id: PeerId) {
    if let Some(entry) = peers.entry_mut(id) {
        entry.flags.ended = true;
    }
    // What is queued is still written: an endpoint that ended its side may go on reading ours.
    finish(peers, handler, id, NO_CLOSE, CloseCause::EndOfStream);
    peers.end(id);
}

/// Handles that a socket broke. Nothing can be written to it any more.
pub(super) fn lost(peers: &mut Peers, handler: &mut impl Handler, id: PeerId, error: &io::Error) {
    finish(peers, handler, id, NO_CLOSE, CloseCause::Lost(error.kind()));
    peers.drop_connection(id, CloseCause::Lost(error.kind()));
}

/// Tells the handler that the connection is over, unless it knows or never knew of it.
///
/// If something else began the end, such as a Close of our own, that is the cause, not `cause`.
pub(super) fn finish(
    peers: &mut Peers,
    handler: &mut impl Handler,
    id: PeerId,
    (code, reason): (u16, &str),
    cause: CloseCause,
) {
    let Some(entry) = peers.entry_mut(id).filter(|entry| entry.stage == Stage::Open) else {
        return;
    };
    let cause = *entry.cause.get_or_insert(cause);
    peers.end(id);
    let close = Close { code, reason, clean: code != NO_CLOSE.0, cause };
    handler.on_close(&mut Peer::new(peers, id), close);
}

/// §7.4.1: 1005 "to indicate that no status code was actually present".
const NO_STATUS_RECEIVED: u16 = 1005;

/// What is reported where no Close was received. §7.4.1: 1006 "to indicate that the connection was closed abnormally".
pub(super) const NO_CLOSE: (u16, &str) = (1006, "");

/// Answers an HTTP request, or a connection that did not get so far as to send one.
fn respond(peers: &mut Peers, id: PeerId, response: &Response, method: Method) {
    let mut bytes = Vec::new();
    response.encode(method, wall_clock(), &mut bytes);
    peers.respond(id, bytes);
}

#[expect(clippy::disallowed_methods, reason = "a response says when it was made")]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}
