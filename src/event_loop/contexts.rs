//! What a peer with context takeover has of its own, and when that is given up.

use std::time::Instant;

use super::entry::Entry;
use super::upkeep::find;
use super::{EventLoop, PeerId, Peers};
use crate::protocol::Compressor;

/// What a peer has of its own.
#[derive(Debug)]
pub(super) struct Contexts {
    /// What it is sent messages with, once it was sent one. What it sends is inflated by a decoder
    /// that the way in keeps.
    pub(super) compressor: Option<Box<Compressor>>,
    /// When a message was compressed or inflated last.
    used: Instant,
    /// Whether it is to be looked at.
    armed: bool,
}

impl Entry {
    /// What the peer has of its own, if it has.
    pub(super) fn contexts(&mut self) -> Option<&mut Contexts> {
        self.particulars.as_mut()?.contexts.as_deref_mut()
    }

    /// Gives that up, where nothing more is compressed: until its socket is closed, the peer may take
    /// its time.
    pub(super) fn forget_contexts(&mut self) {
        if let Some(particulars) = &mut self.particulars {
            particulars.contexts = None;
        }
    }
}

impl Peers {
    /// Notes that what a peer has of its own is in use.
    pub(super) fn use_contexts(&mut self, id: PeerId) -> Option<&mut Contexts> {
        let Self { entries, deflating, config, now, .. } = self;
        let entry = find(entries, id)?;
        let new = || Box::new(Contexts { compressor: None, used: *now, armed: false });
        let contexts = entry.particulars().contexts.get_or_insert_with(new);
        contexts.used = *now;
        if !contexts.armed
            && let Some(at) = config.compressing().release().and_then(|time| now.checked_add(time))
        {
            contexts.armed = true;
            deflating.releases.arm(at, id);
        }
        Some(contexts)
    }

    /// Gives up the compressor of the next peer whose time has come, and returns who that is.
    fn release_next(&mut self) -> Option<PeerId> {
        let Self { entries, deflating, config, now, .. } = self;
        let time = config.compressing().release()?;
        while let Some((_, id)) = deflating.releases.pop_expired(*now) {
            let Some(contexts) = find(entries, id).and_then(Entry::contexts) else { continue };
            match contexts.used.checked_add(time) {
                Some(at) if at > *now => deflating.releases.arm(at, id),
                _ => {
                    (contexts.compressor, contexts.armed) = (None, false);
                    return Some(id);
                }
            }
        }
        deflating.releases.compact(entries.len(), |_, id| {
            entries.get(id.index()).is_some_and(|entry| entry.id == id)
        });
        None
    }
}

impl EventLoop {
    /// Gives up what peers have of their own and have not used for long.
    #[inline]
    pub(super) fn release_contexts(&mut self) {
        // In most loops nobody ever is to be looked at.
        if self.peers.deflating.releases.next().is_none() {
            return;
        }
        while let Some(id) = self.peers.release_next() {
            self.intake.condense(id);
        }
    }
}
