//! Decisions about opening handshakes, made elsewhere.

use std::fmt;
use std::sync::Arc;

use super::PeerId;
use super::errands::Errand;
use super::handler::Answer;
use super::inbox::Inbox;
use crate::handshake::Refusal;

/// A decision about an opening handshake that is still to be made, by whoever holds this.
///
/// Made by [`IncomingRequest::defer`](super::IncomingRequest::defer). It may be sent to another
/// thread, while the client waits within its
/// [`handshake_timeout`](super::Config::handshake_timeout). Dropped without an answer, it answers
/// 500: a client never waits for a decision that nobody will make.
#[must_use = "dropped without an answer, the client is answered 500"]
pub struct Deferred {
    inbox: Arc<Inbox>,
    id: PeerId,
    answered: bool,
}

impl Deferred {
    pub(super) fn new(inbox: &Arc<Inbox>, id: PeerId) -> Self {
        Self { inbox: Arc::clone(inbox), id, answered: false }
    }

    /// The id that the peer will have if it is let in.
    pub fn id(&self) -> PeerId {
        self.id
    }

    /// Answers the request. Never blocks; no effect if the client's time was up meanwhile.
    pub fn answer(mut self, answer: impl Into<Answer>) {
        self.post(answer.into());
    }

    fn post(&mut self, answer: Answer) {
        self.answered = true;
        self.inbox.insist(Errand::Answer(self.id, Box::new(answer)));
    }
}

impl Drop for Deferred {
    fn drop(&mut self) {
        if !self.answered {
            self.post(Refusal::Abandoned.into());
        }
    }
}

impl fmt::Debug for Deferred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deferred").field("id", &self.id).finish_non_exhaustive()
    }
}
