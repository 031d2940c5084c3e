//! Every order in which threads can leave errands and the loop can take them:
//! `scripts/check-threads`.
//!
//! The loop is here in as far as it takes part: it waits for a wake-up, fetches, does some, makes
//! room, and waits again when nothing is left. A wake-up that is lost leaves it waiting for ever,
//! which the model reports as a deadlock.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use loom::sync::Notify;
use loom::thread::{self, JoinHandle};

use super::super::deferred::Deferred;
use super::super::errands::Errands;
use super::super::{PeerId, Peers, Remote, SharedMessage};
use super::*;

/// No limit.
const ALL: usize = usize::MAX;

/// A loop that waits as one does for an eventfd: a wake-up that nobody waits for is kept.
struct Loop {
    errands: Errands,
    room: usize,
    bell: Arc<Notify>,
    /// How many times it was woken.
    wakes: Arc<AtomicUsize>,
}

impl Loop {
    fn new(errands: usize) -> Self {
        let (bell, wakes) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
        let wake = {
            let (bell, wakes) = (Arc::clone(&bell), Arc::clone(&wakes));
            move || {
                wakes.fetch_add(1, SeqCst);
                bell.notify();
            }
        };
        let room = Load { errands, bytes: ALL };
        Self { errands: Errands::new(Inbox::new(room, wake)), room: errands, bell, wakes }
    }

    fn remote(&self) -> Remote {
        Remote::new(self.errands.inbox())
    }

    /// Waits unless there is something to do, fetches at most `batch` errands, and does at most
    /// `most` of them.
    fn turn(&mut self, batch: usize, most: usize) -> Vec<PeerId> {
        if !self.errands.are_waiting() {
            self.bell.wait();
            self.errands.call();
        }
        self.errands.fetch(batch);
        // More waits at no time than may, wherever it does.
        assert!(self.errands.inbox().lock().load.errands <= self.room);
        let done = (0..most).map_while(|_| self.errands.next()).map(about).collect();
        self.errands.release();
        done
    }
}

/// Whom it is about: in place of a peer, a thread and the number of its errand.
fn about(errand: Errand) -> PeerId {
    match errand {
        Errand::Send(id, _) => id,
        _ => unreachable!("nothing else is handed in here"),
    }
}

/// Has a thread hand in errands. It returns those for which there was room.
fn hand_in(remote: Remote, thread: usize, errands: u32) -> JoinHandle<Vec<PeerId>> {
    let message = SharedMessage::from("x");
    thread::spawn(move || {
        let all = (0..errands).map(|i| PeerId::new(thread, i));
        all.filter(|&id| remote.send(id, &message).is_ok()).collect()
    })
}

fn check(preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(model);
}

/// What there is room for is done, once and in order, and the loop is woken no more often than it
/// has emptied the inbox.
fn all_is_done((threads, errands): (usize, u32), room: usize, batch: usize, most: usize) {
    let mut event_loop = Loop::new(room);
    let handles: Vec<_> =
        (0..threads).map(|thread| hand_in(event_loop.remote(), thread, errands)).collect();
    let (mut done, mut turns) = (Vec::new(), 0);
    // For so many there is room in any case: the loop does not wait for them in vain.
    while done.len() < room.min(threads * errands as usize) {
        done.extend(event_loop.turn(batch, most));
        turns += 1;
    }
    let taken_in: Vec<_> = handles.into_iter().map(|handle| handle.join().unwrap()).collect();
    while done.len() < taken_in.iter().map(Vec::len).sum() {
        done.extend(event_loop.turn(batch, most));
        turns += 1;
    }
    for (thread, taken_in) in taken_in.into_iter().enumerate() {
        assert!(room < ALL || taken_in.len() == errands as usize);
        let of_thread = done.iter().copied().filter(|id| id.index() == thread);
        assert_eq!(of_thread.collect::<Vec<_>>(), taken_in);
    }
    let wakes = event_loop.wakes.load(SeqCst);
    assert!((1..=turns).contains(&wakes), "{wakes} wake-ups for {turns} turns");
    // And when all is done, there is all the room there was.
    assert_eq!(event_loop.errands.inbox().lock().load, Load::default());
}

#[test]
fn all_that_threads_hand_in_is_done_once_in_order_and_without_superfluous_wake_ups() {
    check(None, || all_is_done((2, 1), ALL, ALL, ALL));
    check(Some(3), || all_is_done((2, 2), ALL, ALL, ALL));
}

#[test]
fn so_it_is_with_more_threads() {
    check(Some(2), || all_is_done((3, 1), ALL, ALL, ALL));
}

#[test]
fn what_does_not_fit_into_a_turn_needs_no_further_wake_up() {
    check(Some(3), || all_is_done((2, 2), ALL, 1, 1));
    check(Some(3), || all_is_done((2, 2), ALL, 2, 1));
    check(Some(3), || all_is_done((2, 2), ALL, ALL, 1));
}

#[test]
fn who_is_refused_for_want_of_room_leaves_nothing_behind() {
    check(Some(3), || all_is_done((2, 2), 1, ALL, ALL));
    check(Some(3), || all_is_done((2, 2), 2, 1, 1));
}

#[test]
fn a_batch_that_was_handed_in_before_it_was_fetched_takes_one_wake_up() {
    check(None, || {
        let mut event_loop = Loop::new(ALL);
        let handles = [0, 1].map(|thread| hand_in(event_loop.remote(), thread, 2));
        let taken_in = handles.map(|handle| handle.join().unwrap().len());
        assert_eq!(taken_in, [2, 2]);
        assert_eq!(event_loop.turn(ALL, ALL).len(), 4);
        assert_eq!(event_loop.wakes.load(SeqCst), 1);
        assert!(!event_loop.errands.are_waiting());
    });
}

/// A decision that a thread drops, as one that it makes, finds no inbox closed but not emptied.
#[test]
fn what_is_never_refused_is_left_in_no_inbox_without_a_loop() {
    check(None, || {
        let event_loop = Loop::new(ALL);
        let inbox = Arc::clone(event_loop.errands.inbox());
        let deferred = Deferred::new(&inbox, PeerId::new(0, 0));
        let threads = [
            thread::spawn(move || drop(deferred)),
            thread::spawn({
                let remote = event_loop.remote();
                move || remote.shutdown(Duration::ZERO)
            }),
        ];
        drop(event_loop);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(inbox.lock().errands.is_empty());
    });
}

/// Whatever the loop's end comes between, what was taken in is dropped, and the rest is refused.
#[test]
fn nothing_is_left_in_an_inbox_without_a_loop() {
    check(None, || {
        let event_loop = Loop::new(ALL);
        let message = Arc::new(());
        let threads = [0, 1].map(|_| {
            let (remote, message) = (event_loop.remote(), Arc::clone(&message));
            thread::spawn(move || {
                let task = move |_: &mut Peers| drop(message);
                match remote.run(task) {
                    Ok(()) => {}
                    Err(RemoteError::Gone(task)) => drop(task),
                    Err(RemoteError::Full(_)) => unreachable!("there is room"),
                }
                remote
            })
        });
        drop(event_loop);
        let remotes = threads.map(|thread| thread.join().unwrap());
        assert_eq!(Arc::strong_count(&message), 1);
        assert!(remotes.iter().all(|remote| remote.broadcast("x").is_err()));
    });
}
