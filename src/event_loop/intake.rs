//! The way in: from the socket through handshake and decoder to the handler.
//!
//! What a connection has sent so far is kept here, apart from [`Peers`], so that a message can be
//! lent to a handler which may do to all peers whatever it likes.

mod frames;
mod opening;
#[cfg(feature = "tls")]
mod tls;

use std::io;
use std::sync::Arc;

use self::opening::{fail, refused};
#[cfg(feature = "tls")]
use super::ConnectStep;
use super::asking::{Asking, Outcome};
use super::close::CloseCause;
use super::decoders::{Assembler, DecoderPool};
use super::ending::{NO_CLOSE, finish};
use super::entry::{Entry, Stage};
use super::handler::{Answer, Handler};
use super::inbox::Inbox;
use super::upkeep::find;
use super::{ConnectError, PeerId, Peers};
use crate::handshake::{HeadBuffer, Method, Offer, Refusal, Response};
#[cfg(feature = "deflate")]
use crate::protocol::CloseCode;

/// What has been received, of all connections.
#[derive(Debug)]
pub(super) struct Intake {
    /// By [`PeerId::index`].
    receivers: Vec<Receiver>,
    /// Shared by all: what is in it has been decoded, or put aside, before the next read.
    buffer: Box<[u8]>,
    shared: Shared,
}

/// What connections share, apart from the read buffer.
#[derive(Debug)]
struct Shared {
    decoders: DecoderPool,
    inbox: Arc<Inbox>,
    /// Every request that waits for a decision holds one of these.
    tickets: Arc<()>,
}

/// What has been received on one connection.
#[derive(Debug, Default)]
struct Receiver {
    stage: Receiving,
    /// What was read but may not be decoded yet: the handshake is undecided, or the peer is
    /// congested or throttled.
    held: Box<[u8]>,
}

#[derive(Debug)]
enum Receiving {
    /// The head of a request.
    Head(Box<HeadBuffer>),
    /// A decision about what the request asked for. Meanwhile nothing is read.
    Decision(Box<Undecided>),
    /// A socket. Meanwhile nothing is read.
    Unconnected,
    /// The answer of a server, or of a proxy.
    Answer(Box<Asking>),
    /// Frames, and the decoder that is in the middle of one or of a message. Most connections are
    /// in the middle of nothing most of the time, and share the spare ones. It is kept, too, if
    /// messages to come may refer to those that it has decoded.
    Frames(Option<Box<Assembler>>),
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
    /// Counts it among those that wait. `None` while the handler is asked.
    ticket: Option<Arc<()>>,
}

/// Once this much has arrived after the end, the sender is not going to read our last words either.
const MAX_DISCARDED: usize = 16 << 20;

/// Epoll and kqueue report every arrival as an edge of its own, so that a read which did not fill
/// its buffer left nothing behind. Elsewhere an edge is spent only by a read that would block.
pub(super) const SHORT_READ_IS_LAST: bool = cfg!(unix);

/// Below so many receivers, their memory is not worth giving back.
const KEPT_RECEIVERS: usize = 1024;

impl Intake {
    pub(super) fn new(buffer_size: usize, inbox: &Arc<Inbox>) -> Self {
        let (decoders, tickets) = (DecoderPool::default(), Arc::default());
        let shared = Shared { decoders, inbox: Arc::clone(inbox), tickets };
        let buffer = vec![0; buffer_size].into_boxed_slice();
        Self { receivers: Vec::new(), buffer, shared }
    }

    /// Prepares for what a new connection will send.
    pub(super) fn insert(&mut self, id: PeerId) {
        self.insert_at(id, Receiving::Head(Box::default()));
    }

    /// Prepares for a connection that is to be made.
    pub(super) fn insert_client(&mut self, id: PeerId) {
        self.insert_at(id, Receiving::Unconnected);
    }

    /// Prepares for the answer to what is asked on a connection.
    pub(super) fn expect_answer(&mut self, id: PeerId, asking: Box<Asking>) {
        self.insert_at(id, Receiving::Answer(asking));
    }

    fn insert_at(&mut self, id: PeerId, stage: Receiving) {
        if self.receivers.len() <= id.index() {
            self.receivers.resize_with(id.index() + 1, Receiver::default);
        }
        self.receivers[id.index()].stage = stage;
    }

    /// Forgets a connection. If `last`, there is none left.
    pub(super) fn remove(&mut self, id: PeerId, last: bool) {
        self.receivers[id.index()] = Receiver::default();
        if last && self.receivers.capacity() > KEPT_RECEIVERS {
            self.receivers = Vec::new();
        }
    }

    /// Whether the head of the connection's request is not complete yet.
    pub(super) fn awaits_head(&self, id: PeerId) -> bool {
        let Receiver { stage, held } = &self.receivers[id.index()];
        matches!(stage, Receiving::Head(_)) && held.is_empty()
    }

    /// How many requests wait for a decision.
    pub(super) fn undecided(&self) -> usize {
        self.shared.undecided()
    }

    /// Gives a connection up whose opening handshake is not done: with a refusal, if it has said
    /// anything.
    pub(super) fn turn_away(&mut self, peers: &mut Peers, id: PeerId, refusal: Refusal) {
        let method = match std::mem::take(&mut self.receivers[id.index()]).stage {
            Receiving::Head(head) if head.is_empty() => {
                return drop_silent(peers, id);
            }
            Receiving::Head(head) => head.method(),
            Receiving::Decision(undecided) => undecided.method,
            // Its handler panicked in the middle of the handshake.
            Receiving::Unconnected
            | Receiving::Answer(_)
            | Receiving::Frames(_)
            | Receiving::Nothing(_) => {
                return peers.drop_connection(id, CloseCause::Aborted);
            }
        };
        peers.stats.refused.count(refusal);
        respond(peers, id, &refusal.response(), method);
    }

    /// Ends the wait for the answer to what was asked on a connection.
    pub(super) fn give_up(&mut self, peers: &mut Peers, id: PeerId) {
        #[cfg(feature = "tls")]
        if find(&mut peers.entries, id).is_some_and(|entry| entry.transport.is_handshaking()) {
            return peers.fail_connect(id, ConnectError::TimedOut(ConnectStep::Tls));
        }
        self.end_answer(peers, id, Asking::give_up);
    }

    fn end_answer(
        &mut self,
        peers: &mut Peers,
        id: PeerId,
        end: impl FnOnce(&mut Asking) -> Result<Outcome, ConnectError>,
    ) {
        let receiver = &mut self.receivers[id.index()];
        match std::mem::take(&mut receiver.stage) {
            Receiving::Answer(mut asking) => {
                receiver.stage = match end(&mut asking) {
                    Ok(Outcome::Refused(refusal)) => refused(peers, id, &asking.route, refusal),
                    // It would have been, before.
                    Ok(Outcome::Established(_) | Outcome::Tunnel) => {
                        fail(peers, id, ConnectError::Aborted)
                    }
                    Err(error) => fail(peers, id, error),
                }
            }
            // Its handler panicked when it was told of the opening.
            _ => peers.drop_connection(id, CloseCause::Aborted),
        }
    }

    /// Handles `bytes` before anything that is read from the connection.
    pub(super) fn hold(&mut self, id: PeerId, bytes: Vec<u8>) {
        self.receivers[id.index()].held = bytes.into();
    }

    /// Reads from a connection, once, and handles what arrived.
    ///
    /// Once, so that no peer keeps the others waiting for longer than a buffer full of messages
    /// takes. If there may be more, it goes on the list of those to read from in the next turn.
    pub(super) fn read(
        &mut self,
        peers: &mut Peers,
        handler: &mut (impl Handler + ?Sized),
        id: PeerId,
    ) {
        let Some(entry) = find(&mut peers.entries, id) else { return };
        let Self { receivers, buffer, shared } = self;
        let receiver = &mut receivers[id.index()];
        let undecided = matches!(receiver.stage, Receiving::Decision(_) | Receiving::Unconnected);
        let paused = entry.flags.congested || entry.flags.throttled;
        if paused || entry.flags.dropped || entry.flags.ended || undecided {
            if entry.stage == Stage::Connecting {
                // What there is to read may be why it cannot be connected.
                peers.to_do.settle(entry);
            }
            return;
        }
        if !receiver.held.is_empty() {
            let mut held = std::mem::take(&mut receiver.held);
            peers.to_do.read(entry);
            Reception { peers, handler, shared, id }.receive(receiver, &mut held);
            #[cfg(feature = "deflate")]
            self.make_room(peers, handler);
            return;
        }
        let room = entry.readable(peers.now).min(buffer.len());
        if room == 0 {
            return entry.throttle(&mut peers.to_do, peers.now);
        }
        #[cfg(feature = "tls")]
        let read = match entry.transport.is_tls() {
            true => tls::read(entry, &mut peers.to_do, &mut buffer[..room]),
            false => Some(entry.transport.read(&mut buffer[..room])),
        };
        #[cfg(feature = "tls")]
        let Some(read) = read else { return };
        #[cfg(not(feature = "tls"))]
        let read = entry.transport.read(&mut buffer[..room]);
        match read {
            Ok(0) => self.end_of_stream(peers, handler, id),
            Ok(n) => {
                peers.stats.bytes.received += n as u64;
                if n == room || entry.flags.hung_up || !SHORT_READ_IS_LAST {
                    peers.to_do.read(entry);
                }
                if entry.particulars.is_some() {
                    peers.count_bytes(id, n);
                }
                Reception { peers, handler, shared, id }.receive(receiver, &mut buffer[..n]);
                #[cfg(feature = "deflate")]
                self.make_room(peers, handler);
            }
            // Neither an end nor an error is there: if an event said so, it was about another socket
            // that was being connected for the same peer.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // If it is to be read again, it was not asked for all that it has.
                entry.flags.hung_up &= entry.flags.ready;
            }
            #[cfg(feature = "tls")]
            Err(error) if entry.transport.is_broken() => self.fail_tls(peers, id, error),
            Err(_) if matches!(&receiver.stage, Receiving::Head(head) if head.is_empty()) => {
                drop_silent(peers, id);
            }
            Err(error) => peers.drop_connection(id, CloseCause::Lost(error.kind())),
        }
    }

    /// Ends the compressed messages that have been in progress for longest, until all of them are
    /// within the limit: whoever holds many of them on purpose has not just begun.
    #[cfg(feature = "deflate")]
    #[inline]
    fn make_room(&mut self, peers: &mut Peers, handler: &mut (impl Handler + ?Sized)) {
        if !peers.deflating.agreed_on {
            return;
        }
        let Self { receivers, shared, .. } = self;
        shared.decoders.inflating.compact(|id| receivers.get(id.index())?.place(peers, id));
        while shared.decoders.inflating.bytes() > peers.config.limits.inflating {
            let place = |id: PeerId| receivers.get(id.index())?.place(peers, id);
            let Some(id) = shared.decoders.inflating.pop_oldest(place) else { return };
            // What it takes is given up at once, not when the peer has gone.
            receivers[id.index()] =
                Receiver { stage: Receiving::Nothing(0), ..Receiver::default() };
            if peers.entry(id).is_some_and(Entry::is_peer) {
                Reception { peers, handler, shared, id }
                    .fail(CloseCode::TRY_AGAIN_LATER, CloseCause::InflatingLimit);
            }
        }
    }

    /// Gives up what is not needed to decode what an idle peer may send.
    #[cfg(feature = "deflate")]
    pub(super) fn condense(&mut self, id: PeerId) {
        if let Receiving::Frames(Some(assembler)) = &mut self.receivers[id.index()].stage {
            assembler.decoder.condense();
        }
    }

    /// Notes that the other side has ended its stream.
    fn end_of_stream(
        &mut self,
        peers: &mut Peers,
        handler: &mut (impl Handler + ?Sized),
        id: PeerId,
    ) {
        let Some(entry) = find(&mut peers.entries, id) else { return };
        entry.flags.ended = true;
        if entry.stage == Stage::Opening {
            return self.turn_away(peers, id, Refusal::Incomplete);
        }
        if entry.is_connecting() {
            return self.end_answer(peers, id, Asking::end);
        }
        // What is queued is still written: an endpoint that ended its side may go on reading ours.
        finish(peers, handler, id, NO_CLOSE, CloseCause::EndOfStream);
        peers.linger(id);
    }

    /// Acts on a decision that was deferred, if the connection still waits for it.
    pub(super) fn decide(
        &mut self,
        peers: &mut Peers,
        handler: &mut (impl Handler + ?Sized),
        id: PeerId,
        answer: Answer,
    ) {
        let Some(entry) = find(&mut peers.entries, id).filter(|entry| entry.is_heard()) else {
            return;
        };
        let receiver = &mut self.receivers[id.index()];
        match std::mem::take(&mut receiver.stage) {
            Receiving::Decision(undecided) => {
                peers.to_do.read(entry);
                let mut reception = Reception { peers, handler, shared: &mut self.shared, id };
                receiver.stage = reception.conclude(answer, *undecided);
                reception.peers.count_bytes(id, receiver.held.len());
            }
            other => receiver.stage = other,
        }
    }
}

impl Receiver {
    /// Where among the compressed messages in progress the one of a peer is.
    #[cfg(feature = "deflate")]
    fn place(&self, peers: &Peers, id: PeerId) -> Option<u64> {
        let Receiving::Frames(Some(assembler)) = &self.stage else { return None };
        peers.entry(id).and_then(|_| assembler.share.place())
    }
}

impl Shared {
    fn undecided(&self) -> usize {
        Arc::strong_count(&self.tickets) - 1
    }
}
/// What it takes to handle what a connection sent.
struct Reception<'a, H: ?Sized> {
    peers: &'a mut Peers,
    handler: &'a mut H,
    shared: &'a mut Shared,
    id: PeerId,
}

impl<H: Handler + ?Sized> Reception<'_, H> {
    fn receive(&mut self, receiver: &mut Receiver, mut input: &mut [u8]) {
        while !input.is_empty() {
            if !self.peers.entry(self.id).is_some_and(Entry::is_heard) {
                return self.discard(receiver, input.len());
            }
            // While a handler may be called the stage is taken out. Should the handler panic, and
            // somebody catch that, nobody knows how far the input was handled, and the peer is
            // dropped below.
            match std::mem::take(&mut receiver.stage) {
                Receiving::Head(mut head) => {
                    let mut rest = &*input;
                    let complete = head.receive(&mut rest, &self.peers.config.head);
                    let used = input.len() - rest.len();
                    input = &mut input[used..];
                    receiver.stage = match complete {
                        Ok(false) => Receiving::Head(head),
                        Ok(true) => self.request(&head),
                        Err(refusal) => self.refuse(refusal, head.method()),
                    };
                    if matches!(receiver.stage, Receiving::Frames(_)) {
                        self.peers.count_bytes(self.id, input.len());
                    }
                }
                Receiving::Decision(undecided) => {
                    receiver.stage = Receiving::Decision(undecided);
                    receiver.held = (&*input).into();
                    return;
                }
                Receiving::Unconnected => {
                    receiver.stage = Receiving::Unconnected;
                    return;
                }
                Receiving::Answer(asking) => {
                    let mut rest = &*input;
                    receiver.stage = self.answer(asking, &mut rest);
                    let used = input.len() - rest.len();
                    input = &mut input[used..];
                    if matches!(receiver.stage, Receiving::Frames(_)) {
                        self.peers.count_bytes(self.id, input.len());
                    }
                }
                Receiving::Frames(unfinished) => {
                    let (unfinished, held) = self.decode(unfinished, input);
                    *receiver = Receiver { stage: Receiving::Frames(unfinished), held };
                    return;
                }
                Receiving::Nothing(_) => {
                    return self.peers.drop_connection(self.id, CloseCause::Aborted);
                }
            }
        }
    }

    /// Counts what arrives after the end, which is read only to let the other side read our last
    /// words.
    fn discard(&mut self, receiver: &mut Receiver, n: usize) {
        let before = if let Receiving::Nothing(before) = receiver.stage { before } else { 0 };
        receiver.stage = Receiving::Nothing(before.saturating_add(n));
        if before.saturating_add(n) > MAX_DISCARDED {
            self.peers.drop_connection(self.id, CloseCause::Remote);
        }
    }
}

/// Drops a connection on which no request was begun.
fn drop_silent(peers: &mut Peers, id: PeerId) {
    #[cfg(feature = "tls")]
    if peers.entry(id).is_some_and(|entry| entry.transport.has_begun_tls()) {
        return peers.drop_opening(id, |refused| &mut refused.tls);
    }
    peers.drop_opening(id, |refused| &mut refused.silent);
}

/// Answers an HTTP request, or a connection that did not get so far as to send one.
fn respond(peers: &mut Peers, id: PeerId, response: &Response, method: Method) {
    let mut bytes = Vec::new();
    response.encode(method, peers.clock.date(), &mut bytes);
    peers.respond(id, bytes);
}
