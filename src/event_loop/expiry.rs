//! What happens when time is up: for a peer, or for all of them.

use std::time::Instant;

use super::clocks::Expired;
use super::close::CloseCause;
use super::deadlines::Deadlines;
use super::entry::Stage;
use super::poller::EVENTS;
use super::upkeep::find;
use super::{ConnectError, EventLoop, PeerId, Peers, sooner};
use crate::handshake::Refusal;
use crate::protocol::{CloseBody, CloseCode};

/// Everything that the loop does because of the time.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    deadlines: Deadlines,
    /// How many events this turn began with.
    pub(super) events: usize,
    /// How many turns in a row began with more events than are taken at once.
    crowded_turns: usize,
    /// Whether the loop is shutting down.
    pub(super) shutting_down: bool,
    /// When to drop whoever is still there then.
    end: Option<Instant>,
}

impl Expiry {
    /// When there will be something to do here.
    pub(super) fn next(&self) -> Option<Instant> {
        sooner(self.deadlines.next(), self.end)
    }
}

impl EventLoop {
    /// Looks at the peers whose time may be up.
    pub(super) fn expire(&mut self) {
        let now = self.peers.now;
        if self.expiry.end.is_some_and(|end| end <= now) {
            self.expiry.end = None;
            for id in self.all() {
                self.peers.drop_connection(id, CloseCause::Shutdown);
            }
        }
        if self.is_crowded() {
            return;
        }
        while let Some((at, id)) = self.expiry.deadlines.pop_expired(now) {
            let Peers { entries, config, .. } = &mut self.peers;
            let Some(entry) = find(entries, id) else { continue };
            if entry.clocks.armed != Some(at) {
                continue;
            }
            entry.clocks.armed = None;
            match entry.deadline(&config.timeouts) {
                // What is done about it is settled in this turn, which arms what comes next.
                Some((at, expired)) if at <= now => self.act_on(expired, id),
                _ => self.arm(id),
            }
        }
        let peers = &self.peers;
        self.expiry.deadlines.compact(peers.entries.len(), |at, id| {
            peers.entry(id).is_some_and(|entry| entry.clocks.armed == Some(at))
        });
    }

    /// Whether there are events that have not been looked at yet. Behind one of them may be the
    /// message that a peer is about to be called silent for want of.
    ///
    /// The system reports everyone in turn, so that after so many turns all have been looked at.
    fn is_crowded(&mut self) -> bool {
        let more = self.expiry.events >= EVENTS;
        let turns = if more { self.expiry.crowded_turns + 1 } else { 0 };
        self.expiry.crowded_turns = turns;
        if turns > self.peers.entries.len() / EVENTS + 1 {
            self.expiry.crowded_turns = 0;
            return false;
        }
        more
    }

    fn act_on(&mut self, expired: Expired, id: PeerId) {
        let peers = &mut self.peers;
        match expired {
            Expired::Handshake if peers.entries[id.index()].is_connecting() => {
                self.intake.give_up(peers, id);
            }
            Expired::Handshake if self.intake.awaits_head(id) => {
                self.intake.turn_away(peers, id, Refusal::Timeout);
            }
            Expired::Handshake => self.intake.turn_away(peers, id, Refusal::Undecided),
            Expired::Silence => peers.keep_alive(id),
            Expired::Idle => {
                let body = CloseBody { code: CloseCode::GOING_AWAY, reason: "idle timeout" };
                peers.begin_close(id, body, CloseCause::IdleTimeout);
            }
            // The rest of it may be in the socket, and is read in the next turn.
            Expired::Message if peers.entries[id.index()].flags.ready => {
                peers.to_do.settle(&mut peers.entries[id.index()]);
            }
            Expired::Message => {
                let body = CloseBody {
                    code: CloseCode::POLICY_VIOLATION,
                    reason: "message took too long",
                };
                peers.begin_close(id, body, CloseCause::MessageTimeout);
            }
            Expired::Throttle => peers.resume(id),
            Expired::Gone => peers.drop_connection(id, CloseCause::EndOfStream),
            Expired::Write | Expired::Close if self.takes_more(id) => self.arm(id),
            Expired::Write => self.peers.drop_connection(id, CloseCause::WriteTimeout),
            Expired::Close => self.peers.drop_connection(id, CloseCause::Local),
        }
    }

    /// Whether the peer is not that slow after all. The system says that a socket takes more when
    /// it is rid of a good part of what it holds, which may be more than the peer reads in the time
    /// that it has: so the socket is asked.
    fn takes_more(&mut self, id: PeerId) -> bool {
        let Peers { entries, buffers, config, to_do, now, .. } = &mut self.peers;
        let entry = &mut entries[id.index()];
        if !entry.flags.blocked || entry.write(buffers, *now).is_err() {
            return false;
        }
        to_do.settle(entry);
        entry.deadline(&config.timeouts).is_none_or(|(at, _)| at > *now)
    }

    /// Sees to it that the loop looks at the peer when its time is up.
    pub(super) fn arm(&mut self, id: PeerId) {
        let Peers { entries, config, .. } = &mut self.peers;
        let Some(entry) = find(entries, id) else { return };
        if let Some((at, _)) = entry.deadline(&config.timeouts)
            && entry.clocks.armed.is_none_or(|armed| at < armed)
        {
            entry.clocks.armed = Some(at);
            self.expiry.deadlines.arm(at, id);
        }
    }

    /// Begins to shut down, if somebody asked for it.
    pub(super) fn begin_shutdown(&mut self) {
        let Some(grace) = self.peers.to_do.shutdown.take() else { return };
        self.expiry.shutting_down = true;
        // A grace too long to be counted leaves peers the time that their own deadlines give them.
        let end = self.peers.now.checked_add(grace);
        self.expiry.end = self.expiry.end.into_iter().chain(end).min();
        self.acceptor.close();
        for id in self.all() {
            if self.peers.entries[id.index()].stage == Stage::Opening {
                self.intake.turn_away(&mut self.peers, id, Refusal::ShuttingDown);
            }
            self.peers.fail_connect(id, ConnectError::ShuttingDown);
            let body = CloseBody { code: CloseCode::GOING_AWAY, reason: "" };
            self.peers.begin_close(id, body, CloseCause::Shutdown);
        }
    }

    fn all(&self) -> Vec<PeerId> {
        self.peers.entries.iter().map(|(_, entry)| entry.id).collect()
    }
}
