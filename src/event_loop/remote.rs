//! What other threads may ask of the loop.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::errands::Errand;
use super::inbox::Inbox;
use super::{PeerId, Peers, RemoteError, SharedMessage};
use crate::protocol::CloseCode;

/// A handle to an [`EventLoop`](super::EventLoop) for other threads: whatever they want its peers
/// to be sent, they hand in here.
///
/// Made by [`EventLoop::remote`](super::EventLoop::remote), and cheap to clone.
///
/// # What is guaranteed
///
/// * **Nothing blocks.** What is asked is noted down, under a lock that is held no longer than that
///   takes, and the loop does it between reading and writing. Messages are encoded by the thread
///   that sends them. A handler or a task, on the loop's own thread, may ask as well; that is done
///   no sooner than what was asked before.
/// * **Order.** What one thread asks is done in that order, whichever clones of the handle it uses
///   and whatever it asks. Threads that agree on an order, such as by a lock of theirs, have it
///   kept as well.
/// * **Once.** After `Ok`, it is done exactly once, provided that the loop goes on running: what
///   waits when the loop is dropped is dropped with it. After `Err` it is not done at all.
/// * **Bounded.** At most 65,536 errands and
///   [`remote_queue_limit`](super::Config::remote_queue_limit) bytes wait for the loop. Then it is
///   [`RemoteError::Full`], and what was handed in comes back.
/// * **At any time.** Before [`run`](super::EventLoop::run), and between two of them, errands wait.
///   When the loop has been dropped, it is [`RemoteError::Gone`].
/// * **Fairness.** The loop does part of what waits, serves its peers, and goes on: however much is
///   asked of it, peers are heard, and the other way round.
/// * **One wake-up** brings the loop to do all that was asked until it came.
/// * **Panics** of a task, if somebody catches them around the loop, are that task's alone.
///
/// # What is not
///
/// That a message was handed in does not mean that it was sent. As with [`Peers::send`], nothing
/// happens if the peer is gone, and a peer that does not read fast enough runs over its
/// [`write_queue_limit`](super::Config::write_queue_limit), with what follows from it. A thread
/// that has much to say to one peer should therefore wait for it: for what the peer answers, or
/// until less is left for it, as in the example of [`run`](Self::run).
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
///         if remote.broadcast(&line).is_err() {
///             eprintln!("not sent: {line}");
///         }
///     }
/// });
/// event_loop.run(&mut |_: &mut Peer<'_>, _: Message<'_>| {})?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// What cannot be handed in comes back encoded, and can be handed in again without another copy:
///
/// ```
/// use wsloop::{PeerId, Remote, RemoteError};
///
/// /// Returns whether there still is a loop to send the text.
/// fn insist(remote: &Remote, id: PeerId, text: &str) -> bool {
///     let mut result = remote.send(id, text);
///     while let Err(RemoteError::Full(message)) = result {
///         std::thread::yield_now();
///         result = remote.send(id, &message);
///     }
///     result.is_ok()
/// }
/// ```
#[derive(Clone)]
pub struct Remote {
    inbox: Arc<Inbox>,
}

impl Remote {
    pub(super) fn new(inbox: &Arc<Inbox>) -> Self {
        Self { inbox: Arc::clone(inbox) }
    }

    /// Sends a message to a peer, as [`Peers::send`] does.
    ///
    /// # Errors
    ///
    /// Fails, and gives the message back, if [too much waits](RemoteError::Full) or the loop is
    /// [gone](RemoteError::Gone). That the peer is gone is no error.
    pub fn send(
        &self,
        id: PeerId,
        message: impl Into<SharedMessage>,
    ) -> Result<(), RemoteError<SharedMessage>> {
        self.post(message.into(), |message| Errand::Send(id, message))
    }

    /// Sends a message to all who are peers when the loop comes to it, as [`Peers::broadcast`]
    /// does.
    ///
    /// # Errors
    ///
    /// Fails as [`send`](Self::send) does.
    pub fn broadcast(
        &self,
        message: impl Into<SharedMessage>,
    ) -> Result<(), RemoteError<SharedMessage>> {
        self.post(message.into(), |message| Errand::Broadcast { except: None, message })
    }

    /// Sends a message to all peers but one, as [`Peers::broadcast_except`] does.
    ///
    /// # Errors
    ///
    /// Fails as [`send`](Self::send) does.
    pub fn broadcast_except(
        &self,
        id: PeerId,
        message: impl Into<SharedMessage>,
    ) -> Result<(), RemoteError<SharedMessage>> {
        self.post(message.into(), |message| Errand::Broadcast { except: Some(id), message })
    }

    /// Sends a message to all who are subscribed to a topic when the loop comes to it, as
    /// [`Peers::publish`] does.
    ///
    /// With a topic for each user, this reaches users by name from any thread: the loop knows who is
    /// subscribed, and nobody else needs to. Whether anyone is, is known only there: where that
    /// matters, [`run`](Self::run) can look at [`Peers::subscribers`].
    ///
    /// # Errors
    ///
    /// Fails as [`send`](Self::send) does.
    pub fn publish(
        &self,
        topic: &str,
        message: impl Into<SharedMessage>,
    ) -> Result<(), RemoteError<SharedMessage>> {
        self.publish_but(None, topic, message.into())
    }

    /// Sends a message to all but one who are subscribed to a topic, as [`Peers::publish_except`]
    /// does.
    ///
    /// # Errors
    ///
    /// Fails as [`send`](Self::send) does.
    pub fn publish_except(
        &self,
        id: PeerId,
        topic: &str,
        message: impl Into<SharedMessage>,
    ) -> Result<(), RemoteError<SharedMessage>> {
        self.publish_but(Some(id), topic, message.into())
    }

    /// Begins the closing handshake with a peer, as [`Peers::close`] does.
    ///
    /// # Errors
    ///
    /// Fails if [too much waits](RemoteError::Full) or the loop is [gone](RemoteError::Gone). That
    /// the peer is gone is no error.
    pub fn close(&self, id: PeerId, code: CloseCode, reason: &str) -> Result<(), RemoteError<()>> {
        let reason = Box::from(reason);
        self.inbox.post(str::len(&reason), (), |()| Errand::Close { id, code, reason })
    }

    /// Has the loop run something between two turns, with all its peers.
    ///
    /// While the task runs, everyone else waits.
    ///
    /// # Errors
    ///
    /// Fails, and gives the task back, if [too much waits](RemoteError::Full) or the loop is
    /// [gone](RemoteError::Gone).
    ///
    /// # Examples
    ///
    /// A file may be larger than what may wait for a peer. So this asks, after each part, how much
    /// that is, and waits to be told that the peer has taken it:
    ///
    /// ```
    /// use std::sync::mpsc::{self, Receiver};
    /// use wsloop::{PeerId, Peers, Remote};
    ///
    /// /// More than the default high-water mark: `on_drain` follows, or `on_close`.
    /// const MUCH: usize = 1 << 20;
    ///
    /// /// Returns `None` if it cannot be done: peer or loop are gone, or too much waits.
    /// ///
    /// /// The handler keeps the other end of `drained`: it sends in `on_drain`, and drops that end in
    /// /// `on_close`.
    /// fn send_all(remote: &Remote, id: PeerId, file: &[u8], drained: &Receiver<()>) -> Option<()> {
    ///     for part in file.chunks(64 * 1024) {
    ///         remote.send(id, part).ok()?;
    ///         if queued_bytes(remote, id)? > MUCH {
    ///             drained.recv().ok()?;
    ///         }
    ///     }
    ///     Some(())
    /// }
    ///
    /// /// Asks the loop how much of what the peer was sent so far is still to be written.
    /// fn queued_bytes(remote: &Remote, id: PeerId) -> Option<usize> {
    ///     let (answer, answered) = mpsc::channel();
    ///     let task = move |peers: &mut Peers| {
    ///         let _ = answer.send(peers.contains(id).then(|| peers.queued_bytes(id)));
    ///     };
    ///     remote.run(task).ok()?;
    ///     answered.recv().ok()?
    /// }
    /// ```
    pub fn run<F>(&self, task: F) -> Result<(), RemoteError<F>>
    where
        F: FnOnce(&mut Peers) + Send + 'static,
    {
        self.inbox.post(size_of::<F>(), task, |task| Errand::Run(Box::new(task)))
    }

    /// Shuts the loop down, as [`Peers::shutdown`] does, behind what this thread has asked before.
    ///
    /// This is never refused: there is always room for it, and a loop that is gone has been shut
    /// down.
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
    pub fn shutdown(&self, grace: Duration) {
        self.inbox.insist(Errand::Shutdown(grace));
    }

    fn publish_but(
        &self,
        except: Option<PeerId>,
        topic: &str,
        message: SharedMessage,
    ) -> Result<(), RemoteError<SharedMessage>> {
        let bytes = topic.len() + message.frame().bytes().len();
        let topic = topic.into();
        self.inbox.post(bytes, message, |message| Errand::Publish { except, topic, message })
    }

    fn post(
        &self,
        message: SharedMessage,
        errand: impl FnOnce(SharedMessage) -> Errand,
    ) -> Result<(), RemoteError<SharedMessage>> {
        self.inbox.post(message.frame().bytes().len(), message, errand)
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").finish_non_exhaustive()
    }
}
