//! What other threads may ask of the loop.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::handler::Answer;
use super::poller::Waker;
use super::{PeerId, Peers};
use crate::handshake::Refusal;

/// A handle to an [`EventLoop`](super::EventLoop) for other threads.
///
/// Cheap to clone, and independent of the loop's life: once that is gone, asking has no effect.
/// Made by [`EventLoop::remote`](super::EventLoop::remote).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use wsloop::{EventLoop, Message, Peer};
///
/// let mut event_loop = EventLoop::new()?;
/// let remote = event_loop.remote();
/// std::thread::spawn(move || remote.shutdown(Duration::from_secs(3)));
/// event_loop.run(&mut |peer: &mut Peer<'_>, message: Message<'_>| {
///     peer.send(message);
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Remote {
    inbox: Arc<Inbox>,
}

/// What was asked of the loop since it last looked.
pub(super) struct Inbox {
    waker: Waker,
    mail: Mutex<Mail>,
}

/// Bounded: a shutdown is one value, there is one answer for each decision that was deferred, and
/// tasks are counted.
#[derive(Default)]
pub(super) struct Mail {
    pub(super) shutdown: Option<Duration>,
    pub(super) answers: VecDeque<(PeerId, Answer)>,
    pub(super) tasks: VecDeque<Task>,
}

/// What a thread wants done on the loop's.
pub(super) type Task = Box<dyn FnOnce(&mut Peers) + Send>;

/// How many tasks may wait for the loop. It takes all of them at once, in every turn: so many are
/// there only if it is stuck.
const MAX_TASKS: usize = 65_536;

impl Remote {
    pub(super) fn new(waker: Waker) -> Self {
        Self { inbox: Arc::new(Inbox { waker, mail: Mutex::default() }) }
    }

    /// Shuts the loop down as [`Peers::shutdown`](super::Peers::shutdown) does. Never blocks.
    pub fn shutdown(&self, grace: Duration) {
        self.inbox.post(|mail| {
            mail.shutdown = Some(mail.shutdown.map_or(grace, |earlier| earlier.min(grace)));
        });
    }

    /// Has the loop run something between two turns, with all its peers: so threads send, broadcast
    /// and close.
    ///
    /// Never blocks. Tasks of one thread run in the order in which it handed them in. Before
    /// [`run`](super::EventLoop::run) they wait; once the loop is gone they are never run.
    ///
    /// # Errors
    ///
    /// Fails if 65,536 tasks wait already, because a handler keeps the loop from its work. The task
    /// is dropped.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use wsloop::{EventLoop, Message, Peer};
    ///
    /// let mut event_loop = EventLoop::new()?;
    /// event_loop.listen("127.0.0.1:9001")?;
    /// let remote = event_loop.remote();
    /// std::thread::spawn(move || {
    ///     for line in std::io::stdin().lines().map_while(Result::ok) {
    ///         let _ = remote.run(move |peers| peers.broadcast(&line));
    ///     }
    /// });
    /// event_loop.run(&mut |_: &mut Peer<'_>, _: Message<'_>| {})?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn run(&self, task: impl FnOnce(&mut Peers) + Send + 'static) -> Result<(), RemoteFull> {
        let mut result = Ok(());
        self.inbox.post(|mail| {
            if mail.tasks.len() < MAX_TASKS {
                mail.tasks.push_back(Box::new(task));
            } else {
                result = Err(RemoteFull);
            }
        });
        result
    }

    pub(super) fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }
}

/// More tasks wait for the loop than it can be handed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RemoteFull;

impl fmt::Display for RemoteFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MAX_TASKS} tasks wait for the event loop already")
    }
}

impl std::error::Error for RemoteFull {}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail").finish_non_exhaustive()
    }
}

impl Mail {
    pub(super) fn is_empty(&self) -> bool {
        self.shutdown.is_none() && self.answers.is_empty() && self.tasks.is_empty()
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").finish_non_exhaustive()
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}

impl Inbox {
    pub(super) fn take(&self) -> Mail {
        std::mem::take(&mut self.lock())
    }

    /// Wakes the loop only if nothing else waited to be read: then it has been woken already.
    fn post(&self, write: impl FnOnce(&mut Mail)) {
        let mut mail = self.lock();
        let was_empty = mail.is_empty();
        write(&mut mail);
        drop(mail);
        if was_empty {
            self.waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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
        self.inbox.post(|mail| mail.answers.push_back((self.id, answer)));
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
