//! How messages get into write queues, and when they do not.

use std::time::Instant;

use super::buffers::BufferPool;
use super::close::CloseCause;
use super::config::{Limits, Overflow};
use super::entry::Entry;
use super::to_do::ToDo;
use super::upkeep::find;
use super::write_queue::WriteQueue;
use super::{PeerId, Peers, SendStatus, SharedMessage};
use crate::protocol::{CloseBody, CloseCode};

impl Peers {
    pub(super) fn broadcast_but(
        &mut self,
        except: Option<PeerId>,
        message: impl Into<SharedMessage>,
    ) {
        let message = message.into();
        for index in 0..self.entries.capacity() {
            if let Some(id) = self.entries.get(index).map(|entry| entry.id)
                && Some(id) != except
            {
                self.send_shared(id, &message);
            }
        }
    }

    pub(super) fn publish_but(
        &mut self,
        except: Option<PeerId>,
        topic: &str,
        message: impl Into<SharedMessage>,
    ) {
        let Some(topic) = self.topics.find(topic) else { return };
        if self.topics.subscribers(topic).iter().all(|&id| Some(id) == except) {
            return;
        }
        let message = message.into();
        // From the back: whose queue is full or whose connection is lost leaves while it is sent
        // to.
        for place in (0..self.topics.subscribers(topic).len()).rev() {
            if let Some(&id) = self.topics.subscribers(topic).get(place)
                && Some(id) != except
            {
                self.send_shared(id, &message);
            }
        }
    }

    /// Queues a message, behind the one that is being sent in fragments if there is one.
    pub(super) fn enqueue_message(
        &mut self,
        id: PeerId,
        frame_len: usize,
        push: impl FnOnce(&mut WriteQueue, &mut BufferPool, Option<[u8; 4]>),
    ) -> SendStatus {
        let status = if self.entry(id).is_some_and(Entry::is_in_message) {
            self.enqueue_behind(id, frame_len, push)
        } else {
            self.enqueue(id, frame_len, |entry, buffers, key| push(&mut entry.queue, buffers, key))
        };
        self.count_sent(status)
    }

    /// Queues a data frame or a Ping of the application's, if the peer may be sent one and has room
    /// for it. `frame_len` does not count the masking key, `push` is given the one to use.
    pub(super) fn enqueue(
        &mut self,
        id: PeerId,
        frame_len: usize,
        push: impl FnOnce(&mut Entry, &mut BufferPool, Option<[u8; 4]>),
    ) -> SendStatus {
        self.write_early(id, |entry| entry.queue.len());
        let Self { entries, buffers, config, to_do, now, .. } = self;
        let Some(entry) = find(entries, id).filter(|entry| entry.is_open()) else {
            return SendStatus::Dropped;
        };
        let key = entry.masking_key(buffers);
        let frame_len = frame_len + key.map_or(0, |key| key.len());
        if config.limits.is_full(entry.queue.len_but_pong(), frame_len) {
            return self.refuse(id);
        }
        push(entry, buffers, key);
        queued(entry, &config.limits, to_do, *now)
    }

    /// Does what is to be done about a message that there is no room for.
    pub(super) fn refuse(&mut self, id: PeerId) -> SendStatus {
        self.stats.messages.dropped += 1;
        if self.config.overflow == Overflow::Close {
            self.close_overfull(id);
        }
        SendStatus::Dropped
    }

    /// Writes before the turn ends what would otherwise count as the peer's slowness, although its
    /// socket was never asked: if `queued`, what is in the way of something more, is above the mark.
    pub(super) fn write_early(&mut self, id: PeerId, queued: impl FnOnce(&Entry) -> usize) {
        let Self { entries, buffers, config, now, .. } = self;
        let mark = config.limits.high_water_mark;
        let Some(entry) = find(entries, id) else { return };
        let refused = entry.flags.blocked && !entry.flags.writable;
        if !entry.is_open() || refused || queued(entry) <= mark {
            return;
        }
        entry.flags.writable = false;
        if let Err(error) = entry.write(buffers, *now) {
            self.drop_connection(id, CloseCause::Lost(error.kind()));
        }
    }

    fn close_overfull(&mut self, id: PeerId) {
        let Self { entries, buffers, .. } = self;
        entries[id.index()].queue.discard_data(buffers);
        let body = CloseBody { code: CloseCode::POLICY_VIOLATION, reason: "too slow to read" };
        self.begin_close(id, body, CloseCause::QueueFull);
    }
}

impl Limits {
    /// Whether a frame is too much for a peer for which so many bytes wait already.
    pub(super) fn is_full(&self, queued: usize, frame_len: usize) -> bool {
        queued > self.high_water_mark && queued.saturating_add(frame_len) > self.write_queue
    }
}

/// Notes that something was appended to a peer's queue.
pub(super) fn queued(
    entry: &mut Entry,
    limits: &Limits,
    to_do: &mut ToDo,
    now: Instant,
) -> SendStatus {
    to_do.settle(entry);
    if entry.queue.len() > limits.high_water_mark {
        entry.congest(now);
    }
    if entry.flags.congested { SendStatus::Congested } else { SendStatus::Queued }
}
