//! Where other threads leave what they want done, and wake the loop for it.
//!
//! One lock and one rule: whoever puts something into an empty inbox wakes the loop, and the loop,
//! once woken, does not wait again before it has emptied the inbox. So as long as anything is in
//! it, either the loop is awake or somebody is about to wake it, and nobody else needs to.
//!
//! Nothing of the application's runs under the lock: what is refused or discarded is dropped after
//! it, as it may well ask for something else while it is dropped.
//!
//! `scripts/check-threads` has all orders tried out in which threads can meet here.

use std::collections::VecDeque;
use std::fmt;
#[cfg(not(loom))]
use std::sync::{Mutex, MutexGuard};

#[cfg(loom)]
use loom::sync::{Mutex, MutexGuard};

use super::RemoteError;
use super::errands::Errand;

/// What was asked of the loop and is not done yet.
pub(super) struct Inbox {
    wake: Box<dyn Fn() + Send + Sync>,
    room: Load,
    mail: Mutex<Mail>,
}

#[derive(Default)]
struct Mail {
    errands: VecDeque<Errand>,
    /// How much is to be done: what is in here, and what the loop has taken.
    load: Load,
    /// Whether the loop is.
    gone: bool,
}

/// How many errands, and how much data they carry.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Load {
    pub(super) errands: usize,
    pub(super) bytes: usize,
}

/// Below so many errands, their memory is not worth giving back.
const KEPT_ERRANDS: usize = 1024;

impl Inbox {
    pub(super) fn new(room: Load, wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self { wake: Box::new(wake), room, mail: Mutex::new(Mail::default()) }
    }

    /// Leaves an errand that is about `subject` and carries `bytes`.
    ///
    /// # Errors
    ///
    /// Gives the subject back if there is no room, or no loop.
    pub(super) fn post<T>(
        &self,
        bytes: usize,
        subject: T,
        errand: impl FnOnce(T) -> Errand,
    ) -> Result<(), RemoteError<T>> {
        let mail = self.lock();
        if mail.gone {
            return Err(RemoteError::Gone(subject));
        }
        if !mail.load.leaves_room_for(bytes, self.room) {
            return Err(RemoteError::Full(subject));
        }
        self.put(mail, errand(subject));
        Ok(())
    }

    /// Leaves an errand that is never refused for want of room. Without a loop, it is dropped.
    ///
    /// There is one answer for each decision that was deferred and each name that was to be
    /// resolved, and one shutdown at most between two other errands: so these are bounded too.
    pub(super) fn insist(&self, errand: Errand) {
        let mail = self.lock();
        if !mail.gone {
            self.put(mail, errand);
        }
    }

    /// Moves errands from the front to the end of `batch`, as many as that has room for. Returns
    /// whether there are more.
    pub(super) fn take(&self, batch: &mut VecDeque<Errand>, most: usize) -> bool {
        let mut mail = self.lock();
        let n = mail.errands.len().min(most.saturating_sub(batch.len()));
        batch.extend(mail.errands.drain(..n));
        if mail.errands.is_empty() && mail.errands.capacity() > KEPT_ERRANDS {
            mail.errands = VecDeque::new();
        }
        !mail.errands.is_empty()
    }

    /// Makes room in place of what is done.
    pub(super) fn release(&self, done: Load) {
        let load = &mut self.lock().load;
        load.errands -= done.errands;
        load.bytes -= done.bytes;
    }

    /// Notes that there is no loop any more, and discards what is here.
    pub(super) fn close(&self) {
        let mut mail = self.lock();
        mail.gone = true;
        let errands = std::mem::take(&mut mail.errands);
        drop(mail);
        drop(errands);
    }

    fn put(&self, mut mail: MutexGuard<'_, Mail>, errand: Errand) {
        let was_empty = mail.errands.is_empty();
        mail.push(errand);
        drop(mail);
        if was_empty {
            (self.wake)();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Mail {
    fn push(&mut self, errand: Errand) {
        if let Errand::Shutdown(grace) = errand
            && let Some(Errand::Shutdown(earlier)) = self.errands.back_mut()
        {
            *earlier = grace.min(*earlier);
            return;
        }
        self.load.errands += 1;
        self.load.bytes += errand.bytes();
        self.errands.push_back(errand);
    }
}

impl Load {
    /// Whether one more errand may come to these. One that is larger than all the room there is
    /// must come when there is nothing else, or it never could.
    fn leaves_room_for(self, bytes: usize, room: Self) -> bool {
        let fits = self.bytes.checked_add(bytes).is_some_and(|sum| sum <= room.bytes);
        self.errands < room.errands && (fits || self.bytes == 0)
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}

#[cfg(all(test, loom))]
mod model;
