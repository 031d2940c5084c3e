//! What the loop does with peers that send more than their rate limit allows.

use std::time::Instant;

use super::close::CloseCause;
use super::entry::Entry;
use super::rate_limit::{Meter, RateLimit};
use super::to_do::ToDo;
use super::upkeep::find;
use super::{PeerId, Peers};
use crate::protocol::{CloseBody, CloseCode};

impl Entry {
    /// Sets the limit, of which nothing is used yet.
    pub(super) fn limit(&mut self, limit: RateLimit, now: Instant) {
        if limit.is_limit() {
            self.particulars().meter = Some(Box::new(Meter::new(limit, now)));
        } else if let Some(particulars) = &mut self.particulars {
            particulars.meter = None;
        }
    }

    /// What counts what the peer sends, if its rate is limited. After our Close it is not: their
    /// Close may be behind any amount of messages, and the time to find it is limited already.
    pub(super) fn meter(&mut self) -> Option<&mut Meter> {
        if self.particulars.is_none() || !self.is_open() {
            return None;
        }
        self.particulars.as_mut()?.meter.as_deref_mut()
    }

    /// How many bytes may be read from the peer.
    pub(super) fn readable(&mut self, now: Instant) -> usize {
        self.meter().map_or(usize::MAX, |meter| meter.readable(now))
    }

    /// Stops reading from the peer if it has no allowance left.
    pub(super) fn throttle(&mut self, to_do: &mut ToDo, now: Instant) {
        let Some(meter) = self.meter() else { return };
        if !meter.pauses(now) {
            return;
        }
        let may_send_bytes = meter.readable(now) > 0;
        self.flags.throttled = true;
        // In the middle of a message, it is Pings and Pongs that were too many. They gain it no
        // time: with one of them a second, its memory could be held for ever.
        if !(may_send_bytes && self.clocks.message.is_some()) {
            self.clocks.paused(now);
        }
        to_do.settle(self);
    }

    /// When a peer that is throttled is to be read from again.
    pub(super) fn resumes(&self) -> Option<Instant> {
        Some(self.particulars.as_ref()?.meter.as_ref()?.resumes)
    }
}

impl Peers {
    /// Sets how fast a peer may send from now on: [`Config::rate_limit`](super::Config::rate_limit)
    /// for this one alone.
    ///
    /// It begins with a full allowance. Use it for peers that are trusted with more once they are
    /// known, or with less. It is for peers: before `on_open` it has no effect.
    ///
    /// # Examples
    ///
    /// ```
    /// use wsloop::{Message, Peer, Rate, RateLimit};
    ///
    /// fn on_message(peer: &mut Peer<'_>, message: Message<'_>) {
    ///     if message == Message::Text("the magic word") {
    ///         peer.set_rate_limit(RateLimit::new().messages(Rate::per_second(1000)));
    ///     }
    /// }
    /// ```
    pub fn set_rate_limit(&mut self, id: PeerId, limit: RateLimit) {
        let Self { entries, to_do, now, .. } = self;
        if let Some(entry) = find(entries, id).filter(|entry| entry.is_open()) {
            entry.limit(limit, *now);
            resume(entry, to_do, *now);
        }
    }

    /// Counts bytes that were read.
    pub(super) fn count_bytes(&mut self, id: PeerId, count: usize) {
        let now = self.now;
        let Some(meter) = find(&mut self.entries, id).and_then(Entry::meter) else { return };
        if !meter.count_bytes(count, now) {
            self.close_excessive(id);
        }
    }

    /// Counts a message or control frame, and stops reading if no other is allowed after it.
    /// Returns whether it is to be delivered.
    pub(super) fn count_message(&mut self, id: PeerId) -> bool {
        let Self { entries, to_do, now, .. } = self;
        let Some(entry) = find(entries, id) else { return false };
        if entry.meter().is_some_and(|meter| !meter.count_message(*now)) {
            self.close_excessive(id);
            return false;
        }
        entry.throttle(to_do, *now);
        true
    }

    /// Reads from a peer again that was throttled.
    pub(super) fn resume(&mut self, id: PeerId) {
        let Self { entries, to_do, now, .. } = self;
        if let Some(entry) = find(entries, id) {
            resume(entry, to_do, *now);
        }
    }

    fn close_excessive(&mut self, id: PeerId) {
        let body = CloseBody { code: CloseCode::POLICY_VIOLATION, reason: "rate limit exceeded" };
        self.begin_close(id, body, CloseCause::RateLimit);
    }
}

fn resume(entry: &mut Entry, to_do: &mut ToDo, now: Instant) {
    if std::mem::take(&mut entry.flags.throttled) {
        entry.resume(now);
        to_do.read(entry);
        to_do.settle(entry);
    }
}
