//! What an application remembers of each peer.

use super::{Peer, PeerId};

/// A value for each of some peers, found by [`PeerId`] without hashing.
///
/// For what an application keeps of its peers: it sits in the [`Handler`](super::Handler), which
/// inserts when a peer opens or says who it is, and removes in
/// [`on_close`](super::Handler::on_close).
///
/// Ids that are stale find nothing, and do nothing to newer peers' values. A connection's place in
/// memory is used again once it is gone, and so is its place here: inserting for a newer peer drops
/// the value of the older one, if that was never removed. So a map never takes more memory than for
/// as many peers as there were at one time, whatever is forgotten.
///
/// Ids are those of one [`EventLoop`](super::EventLoop): with several loops, each has its own map.
///
/// # Examples
///
/// ```
/// use wsloop::{Close, Handler, Message, Peer, PeerMap};
///
/// /// Tells all peers how often each of them has spoken.
/// #[derive(Default)]
/// struct Tally {
///     messages: PeerMap<u64>,
/// }
///
/// impl Handler for Tally {
///     fn on_message(&mut self, peer: &mut Peer<'_>, _: Message<'_>) {
///         *self.messages.get_or_insert_with(peer, || 0) += 1;
///         let tally: Vec<String> = self.messages.iter().map(|(_, n)| n.to_string()).collect();
///         peer.peers().broadcast(&tally.join(" "));
///     }
///
///     fn on_close(&mut self, peer: &mut Peer<'_>, _: Close<'_>) {
///         self.messages.remove(peer.id());
///     }
/// }
/// #
/// # let tally = Tally::default();
/// # assert!(tally.messages.is_empty());
/// ```
#[derive(Clone, Debug)]
pub struct PeerMap<T> {
    /// By [`PeerId::index`].
    places: Vec<Option<(PeerId, T)>>,
    len: usize,
}

/// Below so many places, their memory is not worth giving back.
const KEPT_PLACES: usize = 1024;

impl<T> PeerMap<T> {
    /// Makes an empty map, which takes no memory.
    pub const fn new() -> Self {
        Self { places: Vec::new(), len: 0 }
    }

    /// Sets a peer's value, and returns the one that it had.
    ///
    /// The value is dropped instead if a newer peer's is at the same place: then this one is gone,
    /// and its id finds nothing.
    pub fn insert(&mut self, id: PeerId, value: T) -> Option<T> {
        let place = place(&mut self.places, id);
        match place {
            Some((holder, _)) if id.is_older_than(*holder) => None,
            Some((holder, old)) if *holder == id => Some(std::mem::replace(old, value)),
            Some(_) => {
                *place = Some((id, value));
                None
            }
            None => {
                *place = Some((id, value));
                self.len += 1;
                None
            }
        }
    }

    /// A peer's value.
    pub fn get(&self, id: PeerId) -> Option<&T> {
        let (holder, value) = self.places.get(id.index())?.as_ref()?;
        (*holder == id).then_some(value)
    }

    /// A peer's value, to change it.
    pub fn get_mut(&mut self, id: PeerId) -> Option<&mut T> {
        let (holder, value) = self.places.get_mut(id.index())?.as_mut()?;
        (*holder == id).then_some(value)
    }

    /// A peer's value, to change it, which `make` makes if there is none.
    ///
    /// Takes the peer itself: an id may be stale, and there is no value for whoever is gone.
    pub fn get_or_insert_with(&mut self, peer: &Peer<'_>, make: impl FnOnce() -> T) -> &mut T {
        let id = peer.id();
        let Self { places, len } = self;
        let place = place(places, id);
        if place.take_if(|(holder, _)| *holder != id).is_some() {
            *len -= 1;
        }
        let (_, value) = place.get_or_insert_with(|| {
            let value = make();
            *len += 1;
            (id, value)
        });
        value
    }

    /// Removes a peer's value, and returns it.
    pub fn remove(&mut self, id: PeerId) -> Option<T> {
        let place = self.places.get_mut(id.index())?;
        let (_, value) = place.take_if(|(holder, _)| *holder == id)?;
        self.len -= 1;
        self.give_back();
        Some(value)
    }

    /// Whether there is a value for a peer.
    pub fn contains(&self, id: PeerId) -> bool {
        self.get(id).is_some()
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All values and whose they are, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (PeerId, &T)> {
        self.places.iter().flatten().map(|(id, value)| (*id, value))
    }

    /// All values, to change them, and whose they are, in no particular order.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (PeerId, &mut T)> {
        self.places.iter_mut().flatten().map(|(id, value)| (*id, value))
    }

    /// All values, in no particular order.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.iter().map(|(_, value)| value)
    }

    /// Removes the values for which `keep` says no.
    pub fn retain(&mut self, mut keep: impl FnMut(PeerId, &mut T) -> bool) {
        for place in &mut self.places {
            if place.take_if(|(id, value)| !keep(*id, value)).is_some() {
                self.len -= 1;
            }
        }
        self.give_back();
    }

    /// Removes all values, and gives their memory back.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// Gives the memory of an empty map back, if it is worth it.
    fn give_back(&mut self) {
        if self.len == 0 && self.places.capacity() > KEPT_PLACES {
            self.places = Vec::new();
        }
    }
}

/// A peer's place, made if there are not that many yet.
fn place<T>(places: &mut Vec<Option<(PeerId, T)>>, id: PeerId) -> &mut Option<(PeerId, T)> {
    if id.index() >= places.len() {
        places.resize_with(id.index() + 1, || None);
    }
    &mut places[id.index()]
}

impl<T> Default for PeerMap<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::super::clock::Clock;
    use super::super::{Config, Peers};
    use super::*;

    #[test]
    fn it_keeps_one_value_for_each_peer() {
        let [one, two] = [PeerId::new(1, 7), PeerId::new(2, 8)];
        let mut map = PeerMap::new();
        assert_eq!((map.get(one), map.is_empty()), (None, true));
        assert_eq!(map.remove(one), None);
        assert_eq!(map.insert(two, "b"), None);
        assert_eq!(map.insert(one, "a"), None);
        assert_eq!(map.insert(one, "c"), Some("a"));
        *map.get_mut(two).unwrap() = "d";
        assert!(map.iter().eq([(one, &"c"), (two, &"d")]));
        assert_eq!((map.remove(one), map.len()), (Some("c"), 1));
        assert_eq!((map.contains(one), map.contains(two)), (false, true));
        assert_eq!(map.remove(one), None);
    }

    #[test]
    fn values_are_changed_and_removed_together() {
        let ids = [1, 2, 5].map(|index| PeerId::new(index, 7));
        let mut map = PeerMap::new();
        ids.iter().for_each(|&id| _ = map.insert(id, id.index()));
        map.iter_mut().for_each(|(_, value)| *value *= 10);
        assert!(map.values().eq(&[10, 20, 50]));
        map.retain(|id, value| id != ids[0] && *value < 50);
        assert!(map.iter().eq([(ids[1], &20)]));
        assert_eq!((map.len(), map.contains(ids[2])), (1, false));
        map.clear();
        assert_eq!((map.len(), map.iter().count()), (0, 0));
    }

    #[test]
    fn a_stale_id_finds_nothing_and_harms_nobody() {
        let [old, new] = [PeerId::new(3, 1), PeerId::new(3, 2)];
        let mut map = PeerMap::new();
        map.insert(old, "old");
        // The older one's value gives way, and is not mistaken for the newer one's.
        assert_eq!(map.insert(new, "new"), None);
        assert_eq!((map.get(old), map.contains(old)), (None, false));
        assert_eq!(map.get_mut(old), None);
        assert_eq!(map.remove(old), None);
        assert_eq!(map.insert(old, "undead"), None);
        assert_eq!((map.get(old), map.get(new), map.len()), (None, Some(&"new"), 1));
    }

    #[test]
    fn generations_may_wrap() {
        let [old, new] = [PeerId::new(3, u32::MAX), PeerId::new(3, 0)];
        let mut map = PeerMap::new();
        map.insert(old, "old");
        map.insert(new, "new");
        map.insert(old, "undead");
        assert_eq!((map.get(old), map.get(new)), (None, Some(&"new")));
    }

    #[test]
    fn a_value_is_made_once_for_each_peer() {
        let mut peers = Peers::new(Config::new(), Clock::System);
        let mut map = PeerMap::new();
        for (generation, expected) in [(1, [1, 2]), (2, [1, 2])] {
            let peer = Peer::new(&mut peers, PeerId::new(3, generation));
            for expected in expected {
                let count = map.get_or_insert_with(&peer, || 0);
                *count += 1;
                assert_eq!(*count, expected);
            }
            assert_eq!(map.len(), 1);
        }
    }

    #[test]
    fn an_empty_map_gives_its_memory_back() {
        let ids = (0..2 * KEPT_PLACES).map(|index| PeerId::new(index, 1));
        let mut map = PeerMap::new();
        assert!(ids.clone().all(|id| map.insert(id, id).is_none()));
        assert!(ids.clone().all(|id| map.remove(id) == Some(id)));
        assert_eq!((map.len(), map.places.capacity()), (0, 0));

        ids.for_each(|id| _ = map.insert(id, id));
        map.retain(|_, _| false);
        assert_eq!((map.len(), map.places.capacity()), (0, 0));
    }
}
