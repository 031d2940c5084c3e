//! What arrives in frames: each event to its callback.

use super::super::clocks::Pong;
use super::super::close::CloseCause;
use super::super::decoders::Assembler;
use super::super::ending::{NO_CLOSE, NO_STATUS_RECEIVED, finish};
use super::super::handler::Handler;
use super::super::upkeep::find;
use super::super::{Peer, Peers};
use super::Reception;
use crate::protocol::{CloseBody, CloseCode, Decoder, Event, Role};

/// What was among the events of an input.
#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    /// A sign of life.
    alive: bool,
    /// The end of a message, or a piece of one.
    message: bool,
    /// How much was inflated up to the last event, in bytes or what takes as long.
    #[cfg(feature = "deflate")]
    work: u64,
}

/// How much is inflated for a peer in one turn, in bytes, and compressed in answer, before the others
/// have theirs: what takes about a millisecond. A read may hold a thousand times as much as its size,
/// or a thousand messages to answer.
#[cfg(feature = "deflate")]
const MAX_WORK: u64 = 1 << 20;

impl<H: Handler + ?Sized> Reception<'_, H> {
    /// Handles what frames say. Returns the decoder if it is in the middle of something or has
    /// a context, and what is not to be handled in this turn.
    pub(super) fn decode(
        &mut self,
        kept: Option<Box<Assembler>>,
        mut input: &mut [u8],
    ) -> (Option<Box<Assembler>>, Box<[u8]>) {
        let Some(entry) = self.peers.entry(self.id) else { return (None, Box::default()) };
        let role = entry.role();
        let mut assembler = kept.unwrap_or_else(|| {
            let assembler = self.shared.decoders.take(role, &self.peers.config);
            #[cfg(feature = "deflate")]
            let assembler = match entry.deflate() {
                Some(agreed) => assembler.prepare(agreed),
                None => assembler,
            };
            assembler
        });
        #[cfg(feature = "deflate")]
        if assembler.decoder.inflates() {
            self.shared.decoders.lend(&mut assembler);
        }
        let heard = self.handle_all(&mut assembler.decoder, &mut input);
        #[cfg(feature = "deflate")]
        if assembler.decoder.inflates() {
            self.count_inflated(&mut assembler, heard);
        }

        let Peers { entries, to_do, now, .. } = &mut *self.peers;
        // Once the connection is over the decoder may have ended too, and is no good for another.
        let Some(entry) = find(entries, self.id).filter(|entry| entry.is_peer()) else {
            return (None, Box::default());
        };
        let decoder = &assembler.decoder;
        if heard.alive || !decoder.is_between_messages() {
            entry.clocks.received = *now;
        }
        if !decoder.is_in_message() {
            entry.clocks.message = None;
        } else if heard.message || entry.clocks.message.is_none() {
            // The one that is in progress began in this input, or went on.
            entry.clocks.message = Some(*now);
            to_do.settle(entry);
        }
        if !input.is_empty() && !entry.flags.congested && !entry.flags.throttled {
            // The others have their turn first.
            to_do.read(entry);
        }
        (self.keep(role, assembler), (&*input).into())
    }

    /// Gives back a decoder that need not be kept for the peer.
    fn keep(&mut self, role: Role, assembler: Box<Assembler>) -> Option<Box<Assembler>> {
        let is_any_peers = assembler.decoder.is_between_messages();
        #[cfg(feature = "deflate")]
        let is_any_peers = is_any_peers && !assembler.decoder.has_context();
        if is_any_peers {
            self.shared.decoders.give(role, assembler);
            return None;
        }
        #[cfg(feature = "deflate")]
        let assembler = self.shared.decoders.reclaim(assembler);
        Some(assembler)
    }

    /// Notes what was inflated, and ends what takes far more than its share of the limit.
    #[cfg(feature = "deflate")]
    fn count_inflated(&mut self, assembler: &mut Assembler, heard: Heard) {
        let work = heard.work + assembler.decoder.take_work();
        // Pings and Pongs are heard from those as well who have nothing else to say.
        if work > 0 && assembler.decoder.has_context() {
            self.peers.use_contexts(self.id);
        }
        let before = assembler.share.place();
        assembler.count();
        let inflating = &mut self.shared.decoders.inflating;
        if assembler.share.place().is_some() && (heard.message || before.is_none()) {
            inflating.begin(self.id, &mut assembler.share);
        }
        // What is no larger than others makes room for itself, once this is done.
        let limit = self.peers.config.limits.inflating;
        if inflating.bytes() > limit && assembler.share.is_large(limit) {
            self.fail(CloseCode::TRY_AGAIN_LATER, CloseCause::InflatingLimit);
        }
    }

    /// Handles events until `input` is used up, the peer is congested or throttled, or it is over.
    fn handle_all(&mut self, decoder: &mut Decoder, input: &mut &mut [u8]) -> Heard {
        let mut heard = Heard::default();
        #[cfg(feature = "deflate")]
        self.peers.deflating.forget_work();
        loop {
            match decoder.next(input) {
                Ok(Some(event)) => {
                    heard.message |= matches!(event, Event::Message(_) | Event::Piece(_));
                    heard.alive |= self.handle(event);
                }
                Ok(None) => return heard,
                Err(violation) => {
                    self.fail(violation.code(), CloseCause::Violation(violation));
                    return heard;
                }
            }
            // The handler may have done anything to the peer, so it is looked up afresh.
            let entry = self.peers.entry(self.id).filter(|entry| entry.is_peer());
            if entry.is_none_or(|entry| entry.flags.congested || entry.flags.throttled) {
                return heard;
            }
            #[cfg(feature = "deflate")]
            if self.peers.deflating.agreed_on {
                heard.work += decoder.take_work();
                if heard.work + self.peers.deflating.work() > MAX_WORK {
                    return heard;
                }
            }
        }
    }

    /// Handles an event. Returns whether it is a sign of life.
    fn handle(&mut self, event: Event<'_>) -> bool {
        let Some(entry) = self.peers.entry_mut(self.id) else { return false };
        let mut open = entry.is_open();
        if entry.particulars.is_some() && open && counts(&event) {
            open = self.peers.count_message(self.id);
        }
        match event {
            Event::Message(message) if open => {
                self.peers.stats.messages.received += 1;
                self.handler.on_message(&mut Peer::new(self.peers, self.id), message);
            }
            Event::Piece(piece) if open => {
                self.peers.stats.messages.received += u64::from(piece.last);
                self.handler.on_piece(&mut Peer::new(self.peers, self.id), piece);
            }
            // Our Close is sent: whoever closes does not wait for more messages.
            Event::Message(_) | Event::Piece(_) => {}
            Event::Ping(payload) => {
                // §5.5.2: a Pong is due until Close was received, even if ours is sent.
                self.peers.pong(self.id, payload);
                if open {
                    self.handler.on_ping(&mut Peer::new(self.peers, self.id), payload);
                }
            }
            Event::Pong(payload) => return self.receive_pong(payload),
            Event::Close(body) => self.receive_close(body),
        }
        true
    }

    fn receive_pong(&mut self, payload: &[u8]) -> bool {
        let Peers { entries, to_do, .. } = &mut *self.peers;
        let Some(entry) = find(entries, self.id) else { return false };
        let pong = entry.clocks.receive_pong(payload);
        if pong != Pong::Unsolicited {
            // The next Ping may be due before what is armed: deadlines move later, but for this
            // one.
            to_do.settle(entry);
        }
        if pong != Pong::Own && entry.is_open() {
            self.handler.on_pong(&mut Peer::new(self.peers, self.id), payload);
        }
        pong != Pong::Unsolicited
    }

    fn receive_close(&mut self, body: Option<CloseBody<'_>>) {
        let Some(entry) = self.peers.entry_mut(self.id) else { return };
        if entry.closing.receive_close() {
            // §5.5.1: "the endpoint typically echos the status code it received".
            self.peers.push_close(self.id, body.map(|body| CloseBody { reason: "", ..body }));
        }
        let code = body.map_or(NO_STATUS_RECEIVED, |body| body.code.into());
        let reason = body.map_or("", |body| body.reason);
        finish(self.peers, self.handler, self.id, (code, reason), CloseCause::Remote);
        self.peers.linger(self.id);
    }

    /// Fails the connection, §7.1.7: says why, and handles nothing that follows.
    pub(super) fn fail(&mut self, code: CloseCode, cause: CloseCause) {
        let Some(entry) = self.peers.entry_mut(self.id) else { return };
        if entry.closing.fail() {
            self.peers.push_close(self.id, Some(CloseBody { code, reason: "" }));
        }
        finish(self.peers, self.handler, self.id, NO_CLOSE, cause);
        self.peers.linger(self.id);
    }
}

/// Whether the rate of such events is limited. Of Close there is only one.
fn counts(event: &Event<'_>) -> bool {
    match event {
        Event::Message(_) | Event::Ping(_) | Event::Pong(_) => true,
        Event::Piece(piece) => piece.last,
        Event::Close(_) => false,
    }
}
