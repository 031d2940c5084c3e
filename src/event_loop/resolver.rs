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
use std::time::{Duration, Instant};

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
    waiting: HashMap<Name, Waiting>,
    shared: Arc<Shared>,
}

/// Who waits for a name.
#[derive(Debug)]
struct Waiting {
    ids: Vec<PeerId>,
    /// When the last of them gives up, if any does.
    until: Option<Instant>,
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

    /// Has a name resolved for a peer, which waits for it until then. The result comes as an
    /// errand, unless everybody's time is up before it is the name's turn.
    ///
    /// # Errors
    ///
    /// Fails if too many names wait, or if the system denies a thread.
    pub(super) fn resolve(
        &mut self,
        (host, port): (&str, u16),
        id: PeerId,
        until: Option<Instant>,
        now: Instant,
    ) -> io::Result<()> {
        self.drop_overdue(now);
        let name = Name { host: host.into(), port };
        match self.waiting.entry(name) {
            Entry::Occupied(waiting) => {
                let waiting = waiting.into_mut();
                waiting.ids.push(id);
                waiting.until = until.zip(waiting.until).map(|(one, other)| one.max(other));
            }
            Entry::Vacant(place) => {
                self.shared.post(place.key().clone())?;
                place.insert(Waiting { ids: vec![id], until });
            }
        }
        Ok(())
    }

    /// Takes names off the front of the queue that nobody waits for any more. Where a resolver does
    /// not answer for some, they would keep all others waiting for minutes.
    fn drop_overdue(&mut self, now: Instant) {
        let mut names = self.shared.lock();
        while let Some(name) = names.queue.front()
            && let Some(Waiting { until: Some(until), .. }) = self.waiting.get(name)
            && *until <= now
        {
            self.waiting.remove(name);
            names.queue.pop_front();
        }
    }

    /// Who has waited for this.
    pub(super) fn waiting_for(&mut self, lookup: &Lookup) -> Vec<PeerId> {
        self.waiting.remove(&lookup.name).map_or_else(Vec::new, |waiting| waiting.ids)
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

#[cfg(test)]
mod tests {
    use super::super::inbox::Load;
    use super::*;

    #[test]
    fn names_that_nobody_waits_for_any_more_make_way() {
        let inbox = Arc::new(Inbox::new(Load::default(), || {}));
        let mut resolver = Resolver::new(&inbox);
        // As if all threads were waiting for answers that do not come.
        resolver.shared.lock().threads = MAX_THREADS;
        let (start, id) = (now(), PeerId::new(0, 1));
        let at = |seconds| start + Duration::from_secs(seconds);
        for n in 0..MAX_NAMES {
            resolver.resolve((&format!("n{n}"), 80), id, Some(at(10)), start).unwrap();
        }
        assert!(resolver.resolve(("late", 80), id, Some(at(19)), at(9)).is_err(), "no room");
        // Somebody else still waits for one of them.
        resolver.resolve(("n2", 80), id, Some(at(19)), at(9)).unwrap();

        resolver.resolve(("late", 80), id, Some(at(20)), at(10)).unwrap();
        assert_eq!(resolver.shared.lock().queue.front().map(|it| &*it.host), Some("n2"));
        let lookup = |host: &str| Lookup {
            name: Name { host: host.into(), port: 80 },
            result: Ok(Vec::new()),
        };
        assert_eq!(resolver.waiting_for(&lookup("n1")), []);
        assert_eq!(resolver.waiting_for(&lookup("n2")), [id, id]);

        // What is still being resolved is not forgotten, however long it takes.
        resolver.shared.lock().queue.clear();
        resolver.resolve(("later", 80), id, Some(at(99)), at(90)).unwrap();
        assert_eq!(resolver.waiting_for(&lookup("late")), [id]);
    }

    #[test]
    fn who_never_gives_up_has_a_name_kept() {
        let inbox = Arc::new(Inbox::new(Load::default(), || {}));
        let mut resolver = Resolver::new(&inbox);
        resolver.shared.lock().threads = MAX_THREADS;
        let (start, id) = (now(), PeerId::new(0, 1));
        resolver.resolve(("a", 80), id, Some(start), start).unwrap();
        resolver.resolve(("b", 80), id, None, start).unwrap();
        resolver.resolve(("b", 80), id, Some(start), start).unwrap();
        resolver.resolve(("c", 80), id, None, start + Duration::from_secs(1)).unwrap();
        let hosts: Vec<_> = resolver.shared.lock().queue.iter().map(|it| it.host.clone()).collect();
        assert_eq!(hosts, ["b".into(), "c".into()]);
    }

    #[expect(clippy::disallowed_methods, reason = "an arbitrary point to count from")]
    fn now() -> Instant {
        Instant::now()
    }
}
