//! Names are resolved on threads of their own: the system's resolver blocks, for seconds if need
//! be.
//!
//! Threads are started when there is something to do, and end when there has been nothing for a
//! while, or when the loop is gone.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::PeerId;
use super::errands::Errand;
use super::inbox::Inbox;

/// How many names are resolved at a time. One that takes long holds up one thread, and a stack that
/// is hardly used.
const MAX_THREADS: usize = 8;

/// How many names may wait for a thread. It takes a resolver that does not answer to have so many.
const MAX_NAMES: usize = 1024;

/// After how long without a name a thread ends.
const IDLE: Duration = Duration::from_secs(10);

/// A name and a port that were to be resolved, and what came of it.
#[derive(Debug)]
pub(super) struct Lookup {
    name: Name,
    pub(super) result: io::Result<Vec<SocketAddr>>,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Name {
    host: Box<str>,
    port: u16,
}

/// The loop's end of it.
#[derive(Debug)]
pub(super) struct Resolver {
    /// Who waits for which name: however many do, it is resolved once.
    waiting: HashMap<Name, Vec<PeerId>>,
    shared: Arc<Shared>,
}

/// What the threads share with the loop.
#[derive(Debug)]
struct Shared {
    inbox: Arc<Inbox>,
    names: Mutex<Names>,
    /// There is a name to resolve, or the loop is gone.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Names {
    queue: VecDeque<Name>,
    threads: usize,
    idle: usize,
    /// Whether the loop is.
    gone: bool,
}

impl Resolver {
    pub(super) fn new(inbox: &Arc<Inbox>) -> Self {
        let (inbox, names) = (Arc::clone(inbox), Mutex::default());
        let shared = Shared { inbox, names, changed: Condvar::new() };
        Self { waiting: HashMap::new(), shared: Arc::new(shared) }
    }

    /// Has a name resolved for a peer. The result comes as an errand.
    ///
    /// # Errors
    ///
    /// Fails if too many names wait, or if the system denies a thread.
    pub(super) fn resolve(&mut self, host: &str, port: u16, id: PeerId) -> io::Result<()> {
        let name = Name { host: host.into(), port };
        match self.waiting.entry(name) {
            Entry::Occupied(waiting) => waiting.into_mut().push(id),
            Entry::Vacant(place) => {
                self.shared.post(place.key().clone())?;
                place.insert(vec![id]);
            }
        }
        Ok(())
    }

    /// Who has waited for this.
    pub(super) fn waiting_for(&mut self, lookup: &Lookup) -> Vec<PeerId> {
        self.waiting.remove(&lookup.name).unwrap_or_default()
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.shared.lock().gone = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn post(self: &Arc<Self>, name: Name) -> io::Result<()> {
        let mut names = self.lock();
        if names.queue.len() >= MAX_NAMES {
            return Err(io::Error::other("too many names wait to be resolved"));
        }
        if names.idle <= names.queue.len() && names.threads < MAX_THREADS {
            let shared = Arc::clone(self);
            let thread = std::thread::Builder::new().name("wsloop-resolver".to_owned());
            match thread.spawn(move || shared.work()) {
                Ok(_) => names.threads += 1,
                Err(error) if names.threads == 0 => return Err(error),
                Err(_) => {}
            }
        }
        names.queue.push_back(name);
        drop(names);
        self.changed.notify_one();
        Ok(())
    }

    /// What a thread does.
    fn work(&self) {
        while let Some(name) = self.next() {
            let result = (&*name.host, name.port).to_socket_addrs().map(Iterator::collect);
            self.inbox.insist(Errand::Resolved(Box::new(Lookup { name, result })));
        }
    }

    /// Waits for a name. `None` is for the thread to end.
    fn next(&self) -> Option<Name> {
        let mut names = self.lock();
        let mut patient = true;
        loop {
            let name = names.queue.pop_front().filter(|_| !names.gone);
            if name.is_some() {
                return name;
            }
            if names.gone || !patient {
                names.threads -= 1;
                return None;
            }
            names.idle += 1;
            let (guard, timeout) =
                self.changed.wait_timeout(names, IDLE).unwrap_or_else(PoisonError::into_inner);
            names = guard;
            names.idle -= 1;
            patient = !timeout.timed_out();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
