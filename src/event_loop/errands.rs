//! What other threads have the loop do, and how much of it in one turn.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::handler::{Answer, Handler};
use super::inbox::{Inbox, Load};
use super::resolver::Lookup;
use super::{EventLoop, PeerId, Peers, SharedMessage};
use crate::protocol::CloseCode;

/// What a thread wants done.
pub(super) enum Errand {
    Send(PeerId, SharedMessage),
    Broadcast { except: Option<PeerId>, message: SharedMessage },
    Publish { except: Option<PeerId>, topic: Box<str>, message: SharedMessage },
    Close { id: PeerId, code: CloseCode, reason: Box<str> },
    Run(Task),
    Answer(PeerId, Box<Answer>),
    Resolved(Box<Lookup>),
    Shutdown(Duration),
}

/// What no other variant is for.
pub(super) type Task = Box<dyn FnOnce(&mut Peers) + Send>;

/// The loop's end of the [`Inbox`]: what it has taken out, and not done yet.
#[derive(Debug)]
pub(super) struct Errands {
    inbox: Arc<Inbox>,
    /// Whether there may be something in the inbox.
    called: bool,
    batch: VecDeque<Errand>,
    /// What is done, and still counted as if it were not.
    done: Load,
}

/// How many errands may wait for the loop. They are short: so many are there only if it is stuck,
/// or if threads ask for more than it can do.
pub(super) const MAX_ERRANDS: usize = 65_536;

/// How many errands are taken out of the inbox at once: a lock for each would cost more than the
/// errand, and to move them all at once would keep other threads waiting for the lock.
const BATCH: usize = 1024;

/// How many times messages are queued for peers in one turn.
///
/// More would delay everyone and save little. With messages of 16 bytes over TCP, so many took a
/// third of a millisecond with 100 peers or 1000, and 2 ms with 8000. To write them at the end of
/// the turn, a write for each peer, took as long with 100 peers, 7 times as long with 1000, and 18
/// times with 8000.
const MAX_DELIVERIES: usize = 16_384;

/// What the errands of this turn cost.
#[derive(Debug)]
struct Budget {
    high_water_mark: usize,
    deliveries: usize,
    bytes: usize,
}

impl Errands {
    pub(super) fn new(inbox: Inbox) -> Self {
        let inbox = Arc::new(inbox);
        Self { inbox, called: false, batch: VecDeque::new(), done: Load::default() }
    }

    pub(super) fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    /// Notes that somebody has woken the loop.
    pub(super) fn call(&mut self) {
        self.called = true;
    }

    /// Whether the loop has something to do without being woken again.
    ///
    /// So too if a handler's panic kept it from what it was called for.
    pub(super) fn are_waiting(&self) -> bool {
        self.called || !self.batch.is_empty() || self.done != Load::default()
    }

    /// Fills the batch up, to at most so many errands.
    pub(super) fn fetch(&mut self, most: usize) {
        if self.called {
            self.called = self.inbox.take(&mut self.batch, most);
        }
    }

    fn front(&self) -> Option<&Errand> {
        self.batch.front()
    }

    pub(super) fn next(&mut self) -> Option<Errand> {
        let errand = self.batch.pop_front()?;
        self.done.errands += 1;
        self.done.bytes += errand.bytes();
        Some(errand)
    }

    /// Has what is done count no longer.
    pub(super) fn release(&mut self) {
        if self.done != Load::default() {
            self.inbox.release(std::mem::take(&mut self.done));
        }
    }
}

impl Drop for Errands {
    fn drop(&mut self) {
        self.inbox.close();
    }
}

impl EventLoop {
    /// Does what other threads have asked for, as much as fits into a turn. With the rest, the next
    /// turn begins without waiting.
    pub(super) fn do_errands(&mut self, handler: &mut (impl Handler + ?Sized)) {
        self.errands.fetch(BATCH);
        let mut budget = Budget::new(self.peers.config.limits.high_water_mark);
        while self.errands.front().is_some_and(|errand| budget.admits(errand, &self.peers))
            && let Some(errand) = self.errands.next()
        {
            self.carry_out(errand, handler);
        }
        self.errands.release();
    }

    fn carry_out(&mut self, errand: Errand, handler: &mut (impl Handler + ?Sized)) {
        let Self { peers, intake, .. } = self;
        match errand {
            Errand::Send(id, message) => {
                #[cfg(feature = "deflate")]
                peers.send_alone(id, &message);
                #[cfg(not(feature = "deflate"))]
                peers.send_shared(id, &message);
            }
            Errand::Broadcast { except, message } => peers.broadcast_but(except, message),
            Errand::Publish { except, topic, message } => {
                peers.publish_but(except, &topic, message);
            }
            Errand::Close { id, code, reason } => peers.close(id, code, &reason),
            Errand::Run(task) => task(peers),
            Errand::Answer(id, answer) => intake.decide(peers, handler, id, *answer),
            Errand::Resolved(lookup) => self.resolved(*lookup),
            Errand::Shutdown(grace) => peers.shutdown(grace),
        }
    }
}

impl Budget {
    fn new(high_water_mark: usize) -> Self {
        Self { high_water_mark, deliveries: 0, bytes: 0 }
    }

    /// Whether an errand may be done in this turn as well. The first always may.
    ///
    /// No peer is handed more than its mark before its socket is asked whether it takes any: a peer
    /// for which nothing waited does not become a slow one in a single turn.
    fn admits(&mut self, errand: &Errand, peers: &Peers) -> bool {
        let is_first = self.deliveries == 0;
        self.deliveries = self.deliveries.saturating_add(errand.deliveries(peers));
        self.bytes = self.bytes.saturating_add(errand.bytes());
        is_first || self.deliveries <= MAX_DELIVERIES && self.bytes <= self.high_water_mark
    }
}

impl Errand {
    /// How much data it carries. What a task has captured by reference is its own affair.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Send(_, message) | Self::Broadcast { message, .. } => {
                message.frame().bytes().len()
            }
            Self::Publish { topic, message, .. } => topic.len() + message.frame().bytes().len(),
            Self::Close { reason, .. } => reason.len(),
            Self::Run(task) => size_of_val(&**task),
            Self::Answer(..) | Self::Resolved(_) | Self::Shutdown(_) => 0,
        }
    }

    /// How many peers it may be about. A task may speak to everyone.
    ///
    /// A shutdown begins at the end of a turn, and what was asked behind it comes behind it: so it
    /// ends the turn, whatever it is about.
    fn deliveries(&self, peers: &Peers) -> usize {
        match self {
            Self::Broadcast { .. } | Self::Run(_) => peers.len().max(1),
            Self::Publish { topic, .. } => peers.subscribers(topic).max(1),
            Self::Send(..) | Self::Close { .. } | Self::Answer(..) | Self::Resolved(_) => 1,
            Self::Shutdown(_) => usize::MAX,
        }
    }
}

impl fmt::Debug for Errand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Errand").finish_non_exhaustive()
    }
}
