//! The way out: what was queued is written, and what is to end ends.

use super::close::CloseCause;
use super::ending::{NO_CLOSE, finish};
use super::entry::Stage;
use super::handler::Handler;
use super::{EventLoop, Peer, PeerId, Peers};

impl EventLoop {
    /// Writes to each peer that has something to write, once, and ends what is to end.
    ///
    /// What handlers send meanwhile is for the next turn, so that this comes to an end.
    pub(super) fn settle(&mut self, handler: &mut (impl Handler + ?Sized)) {
        let mut stale = false;
        for _ in 0..self.peers.to_do.dirty.len() {
            let Some(id) = self.peers.to_do.dirty.pop_front() else { break };
            let Some(entry) = self.peers.entry_mut(id) else { continue };
            entry.flags.dirty = false;
            if self.flush(handler, id) {
                self.arm(id);
            } else {
                stale |= self.peers.entry(id).is_some_and(|entry| entry.flags.ready);
                self.peers.remove(id);
                self.intake.remove(id, self.peers.entries.is_empty());
                self.acceptor.descriptor_freed(self.peers.now);
            }
        }
        if stale {
            // For those who are gone, the loop need not turn again without waiting.
            let Peers { entries, to_do, .. } = &mut self.peers;
            to_do.ready.retain(|id| entries.get(id.index()).is_some_and(|entry| entry.id == *id));
        }
    }

    /// Writes what is queued for a peer. Returns whether its connection goes on.
    fn flush(&mut self, handler: &mut (impl Handler + ?Sized), id: PeerId) -> bool {
        let Peers { entries, buffers, config, to_do, now, .. } = &mut self.peers;
        let entry = &mut entries[id.index()];
        if entry.flags.dropped {
            finish(&mut self.peers, handler, id, NO_CLOSE, CloseCause::Aborted);
            return false;
        }
        let may_write = !entry.flags.blocked || std::mem::take(&mut entry.flags.writable);
        if may_write && let Err(error) = entry.write(buffers, *now) {
            let cause = CloseCause::Lost(error.kind());
            finish(&mut self.peers, handler, id, NO_CLOSE, cause);
            return false;
        }
        let drained = entry.queue.len() <= config.limits.high_water_mark / 2;
        if drained && std::mem::take(&mut entry.flags.congested) {
            entry.clocks.unblocked(*now);
            to_do.read(entry);
            if entry.is_open() {
                handler.on_drain(&mut Peer::new(&mut self.peers, id));
            }
            return true;
        }
        entry.stage != Stage::Over || !entry.queue.is_empty() || entry.hang_up()
    }
}
