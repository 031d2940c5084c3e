//! What the loop does with peers, and applications cannot: let them in, answer them, end them.

use std::num::NonZeroU32;

use slab::Slab;

use super::close::CloseCause;
use super::entry::{Entry, Stage};
use super::to_do::ToDo;
use super::transport::Transport;
use super::{ConnectError, PeerId, Peers};
use crate::protocol::{CloseBody, Header, Opcode};
/// Below so many entries, their memory is not worth giving back.
const KEPT_ENTRIES: usize = 1024;

impl Peers {
    /// Makes a place for a connection that was accepted.
    pub(super) fn insert(&mut self, transport: Transport) -> PeerId {
        let id = self.insert_at(Stage::Opening, transport);
        self.opening += 1;
        id
    }

    /// Makes a place for a connection.
    pub(super) fn insert_at(&mut self, stage: Stage, transport: Transport) -> PeerId {
        self.generation = self.generation.wrapping_add(1);
        let vacancy = self.entries.vacant_entry();
        let id = PeerId::new(vacancy.key(), self.generation);
        let entry = vacancy.insert(Entry::new(id, transport, stage, self.now));
        self.to_do.settle(entry);
        id
    }

    /// How many connections are in the middle of their opening handshake.
    pub(super) fn opening(&self) -> usize {
        self.opening
    }

    /// Closes the socket and forgets the peer. Whoever it was, `on_close` has been called.
    pub(super) fn remove(&mut self, id: PeerId) {
        if self.entry(id).is_some() {
            self.over(id);
            let mut entry = self.entries.remove(id.index());
            entry.queue.clear(&mut self.buffers);
            if self.entries.is_empty() && self.entries.capacity() > KEPT_ENTRIES {
                self.entries = Slab::new();
            }
        }
    }

    pub(super) fn entry(&self, id: PeerId) -> Option<&Entry> {
        self.entries.get(id.index()).filter(|entry| entry.id == id)
    }

    pub(super) fn entry_mut(&mut self, id: PeerId) -> Option<&mut Entry> {
        find(&mut self.entries, id)
    }

    /// Notes that the peer's opening handshake is done.
    pub(super) fn open(&mut self, id: PeerId, subprotocol: Option<Box<str>>) {
        let Self { entries, config, to_do, now, open, opening, connecting, stats, .. } = self;
        let entry = &mut entries[id.index()];
        match entry.stage {
            Stage::Opening => *opening -= 1,
            Stage::Connecting | Stage::Asking => {
                *connecting -= 1;
                stats.connections.connected += 1;
            }
            Stage::Open | Stage::Over => unreachable!("a handshake is done once"),
        }
        entry.stage = Stage::Open;
        if subprotocol.is_some() {
            entry.particulars().subprotocol = subprotocol;
        }
        (entry.clocks.received, entry.clocks.waiting) = (*now, *now);
        entry.limit(config.rate_limit, *now);
        *open += 1;
        stats.connections.opened += 1;
        if entry.flags.client {
            entry.note_opened(*now);
            to_do.connected.push(id);
        }
        to_do.settle(entry);
    }

    /// Sends bytes that are no frame: a part of an opening handshake.
    pub(super) fn say(&mut self, id: PeerId, bytes: Vec<u8>) {
        let Self { entries, buffers, to_do, .. } = self;
        if !bytes.is_empty() {
            let entry = &mut entries[id.index()];
            entry.queue.push_opaque(bytes, buffers);
            to_do.settle(entry);
        }
    }

    /// Answers an HTTP request, which is the end of the connection.
    pub(super) fn respond(&mut self, id: PeerId, response: Vec<u8>) {
        let Self { entries, buffers, .. } = self;
        entries[id.index()].queue.push_opaque(response, buffers);
        self.over(id);
        self.linger(id);
    }

    /// Notes that the application has no more to do with the connection.
    pub(super) fn over(&mut self, id: PeerId) {
        self.topics.leave_all(id);
        let Self { entries, buffers, now, open, opening, connecting, .. } = self;
        if let Some(entry) = find(entries, id) {
            entry.cut_message(buffers);
            #[cfg(feature = "deflate")]
            entry.forget_contexts();
            *opening -= usize::from(entry.is_opening());
            *connecting -= usize::from(entry.is_connecting());
            *open -= usize::from(entry.is_peer());
            (entry.stage, entry.clocks.waiting) = (Stage::Over, *now);
            entry.last_words = entry.queue.len();
        }
    }

    /// Has a connection that is over end when what is queued is written and the other side has
    /// ended.
    pub(super) fn linger(&mut self, id: PeerId) {
        let Self { entries, to_do, .. } = self;
        if let Some(entry) = find(entries, id) {
            read_again(entry, to_do);
            to_do.settle(entry);
        }
    }

    /// Answers a Ping: at once, or if the peer has much to read yet, when it has read it.
    pub(super) fn pong(&mut self, id: PeerId, payload: &[u8]) {
        let Self { entries, buffers, config, to_do, .. } = self;
        let Some(entry) = find(entries, id) else { return };
        let masking_key = entry.masking_key(buffers);
        let header = Header { masking_key, ..Header::new(Opcode::Pong, payload.len() as u64) };
        let frame_len = header.encoded_len() + payload.len();
        // Pongs alone do not make a peer a slow one, for which its messages would suffer.
        if entry.queue.len() + frame_len <= config.limits.high_water_mark {
            entry.queue.pay_pong(buffers);
            entry.queue.push_frame(header, payload, buffers);
        } else {
            entry.queue.owe_pong(header, payload, buffers);
        }
        to_do.settle(entry);
    }

    /// Sends Close and waits for the other side's, unless that is under way already.
    pub(super) fn begin_close(&mut self, id: PeerId, body: CloseBody<'_>, cause: CloseCause) {
        let Some(entry) = self.entry_mut(id).filter(|entry| entry.is_open()) else { return };
        let owed = entry.closing.send_close();
        debug_assert!(owed, "an open peer was not sent Close");
        entry.cause = Some(cause);
        self.topics.leave_all(id);
        self.push_close(id, Some(body));
    }

    /// Queues a Close, behind the Pong that may be owed and what there is of a message in progress.
    pub(super) fn push_close(&mut self, id: PeerId, body: Option<CloseBody<'_>>) {
        let Self { entries, buffers, to_do, now, .. } = self;
        let Some(entry) = find(entries, id) else { return };
        entry.cut_message(buffers);
        entry.queue.pay_pong(buffers);
        let masking_key = entry.masking_key(buffers);
        entry.queue.push_close(body, masking_key, buffers);
        entry.last_words = entry.queue.len();
        entry.clocks.waiting = *now;
        // Their Close may be behind what was not read.
        read_again(entry, to_do);
        to_do.settle(entry);
    }

    /// Sends a Ping to a peer that has been silent.
    pub(super) fn keep_alive(&mut self, id: PeerId) {
        let Self { entries, buffers, to_do, now, pings, .. } = self;
        let Some(entry) = find(entries, id).filter(|entry| entry.is_open()) else { return };
        *pings = pings.checked_add(1).unwrap_or(NonZeroU32::MIN);
        let payload = entry.clocks.send_ping(*pings, *now);
        let masking_key = entry.masking_key(buffers);
        let header = Header { masking_key, ..Header::new(Opcode::Ping, payload.len() as u64) };
        entry.queue.push_frame(header, &payload, buffers);
        to_do.settle(entry);
    }

    /// Gives up a connection that is to be a client's.
    pub(super) fn fail_connect(&mut self, id: PeerId, error: ConnectError) {
        if let Some(entry) = self.entry_mut(id).filter(|entry| entry.is_connecting()) {
            entry.particulars().failure.get_or_insert_with(|| Box::new(error));
            self.drop_connection(id, CloseCause::Aborted);
        }
    }

    /// Gives the connection up: the loop will end it without another word to the peer.
    pub(super) fn drop_connection(&mut self, id: PeerId, cause: CloseCause) {
        // Whoever has a better cause to count has counted it.
        if self.entry(id).is_some_and(Entry::is_opening) {
            self.stats.refused.count_dropped(cause);
            self.over(id);
        }
        self.topics.leave_all(id);
        let Self { entries, to_do, open, .. } = self;
        if let Some(entry) = find(entries, id) {
            *open -= usize::from(entry.is_peer());
            entry.flags.dropped = true;
            entry.cause.get_or_insert(cause);
            to_do.settle(entry);
        }
    }
}

/// The connection with this id, if it is still there.
pub(super) fn find(entries: &mut Slab<Entry>, id: PeerId) -> Option<&mut Entry> {
    entries.get_mut(id.index()).filter(|entry| entry.id == id)
}

/// Reads from a peer again, if congestion or its rate limit had kept it from being read.
fn read_again(entry: &mut Entry, to_do: &mut ToDo) {
    let congested = std::mem::take(&mut entry.flags.congested);
    let throttled = std::mem::take(&mut entry.flags.throttled);
    if congested || throttled {
        to_do.read(entry);
    }
}
