//! The way out: what was queued is written, and what is to end ends.

use super::close::CloseCause;
use super::ending::{NO_CLOSE, fail, finish};
use super::entry::{Entry, Stage};
use super::handler::Handler;
use super::{EventLoop, Peer, PeerId, Peers};

/// What is left to do for a connection once it is settled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    /// To wait.
    GoesOn,
    /// To read from it again, and to tell the application that its queue has drained.
    Drained,
    /// To see how far its connection has come.
    Connects,
    /// To drop it, and tell the application if it does not know yet.
    Ends,
}

impl EventLoop {
    /// Writes to each peer that has something to write, once, and ends what is to end.
    ///
    /// What handlers send meanwhile is for the next turn, so that this comes to an end.
    pub(super) fn settle(&mut self, handler: &mut (impl Handler + ?Sized)) {
        let mut ended = false;
        for _ in 0..self.peers.to_do.dirty.len() {
            let Some(id) = self.peers.to_do.dirty.pop_front() else { break };
            let Some(entry) = self.peers.entry_mut(id) else { continue };
            entry.flags.dirty = false;
            match self.flush(id) {
                Outcome::GoesOn => self.arm(id),
                Outcome::Drained => {
                    self.arm(id);
                    // Before the handler can congest it again: one that always has more to send
                    // would otherwise keep it from ever being heard.
                    self.intake.read(&mut self.peers, handler, id);
                    if self.peers.entry(id).is_some_and(Entry::is_open) {
                        handler.on_drain(&mut Peer::new(&mut self.peers, id));
                    }
                }
                Outcome::Connects => self.go_on_connecting(id),
                Outcome::Ends => {
                    self.end(handler, id);
                    ended = true;
                }
            }
        }
        if ended {
            self.forget_the_gone();
        }
    }

    /// Writes what is queued for a peer.
    fn flush(&mut self, id: PeerId) -> Outcome {
        let Peers { entries, buffers, config, to_do, now, .. } = &mut self.peers;
        let entry = &mut entries[id.index()];
        if entry.flags.dropped {
            return Outcome::Ends;
        }
        if entry.stage == Stage::Connecting {
            return Outcome::Connects;
        }
        let may_write = !entry.flags.blocked || std::mem::take(&mut entry.flags.writable);
        if may_write && let Err(error) = entry.write(buffers, *now) {
            self.peers.drop_connection(id, CloseCause::Lost(error.kind()));
            return Outcome::Ends;
        }
        let drained = entry.queue.len() <= config.limits.high_water_mark / 2;
        if drained && std::mem::take(&mut entry.flags.congested) {
            // It is slow, not silent: from here on it can be asked for a sign of life again.
            entry.resume(*now);
            entry.clocks.received = *now;
            // A stream never lets the queue be empty, which would be the time for it.
            entry.queue.pay_pong(buffers);
            if entry.is_open() {
                return Outcome::Drained;
            }
            to_do.read(entry);
            return Outcome::GoesOn;
        }
        if entry.stage != Stage::Over || !entry.queue.is_empty() || entry.hang_up() {
            Outcome::GoesOn
        } else {
            Outcome::Ends
        }
    }

    /// Drops a connection.
    fn end(&mut self, handler: &mut (impl Handler + ?Sized), id: PeerId) {
        // Should the handler panic, and somebody catch that, it is still to be dropped.
        self.peers.drop_connection(id, CloseCause::Aborted);
        self.connector.remove(id, &mut self.peers);
        finish(&mut self.peers, handler, id, NO_CLOSE, CloseCause::Aborted);
        fail(&mut self.peers, handler, id);
        self.peers.remove(id);
        self.intake.remove(id, self.peers.entries.is_empty());
        self.acceptor.descriptor_freed(self.peers.now);
    }

    /// Takes those who are gone off the lists: for them, the loop need not turn without waiting.
    fn forget_the_gone(&mut self) {
        let Peers { entries, to_do, .. } = &mut self.peers;
        let is_there = |id: &PeerId| entries.get(id.index()).is_some_and(|entry| entry.id == *id);
        to_do.dirty.retain(is_there);
        to_do.ready.retain(is_there);
    }
}
