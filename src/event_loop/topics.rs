//! Who has subscribed to what.
//!
//! It knows ids and names. Whether a peer may be sent anything is for [`Peers`](super::Peers) to
//! say, which keeps those subscribed who may.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use slab::Slab;

use super::PeerId;

/// How long the name of a topic may be, in bytes.
///
/// Names may come from peers, whose messages may be much longer. With as many subscriptions as a
/// peer may have by default, its names take no more than 1 MiB: less than its write queue may.
pub(super) const MAX_NAME_LEN: usize = 1024;

/// Below so many topics, their memory is not worth giving back.
const KEPT_TOPICS: usize = 1024;

/// All topics that anyone has subscribed to, and their subscribers.
///
/// A peer that has subscribed to nothing is nowhere in here.
#[derive(Debug, Default)]
pub(super) struct Topics {
    /// Hashed with a random key, as names may come from peers.
    by_name: HashMap<Arc<str>, usize>,
    topics: Slab<Topic>,
    /// For each subscription, where the peer is among the topic's subscribers. In order of peers,
    /// so that those of one peer are neighbours.
    places: BTreeMap<(PeerId, usize), usize>,
}

#[derive(Debug)]
struct Topic {
    name: Arc<str>,
    /// In no particular order, and never empty.
    subscribers: Vec<PeerId>,
}

impl Topics {
    /// Subscribes a peer, unless it has `limit` subscriptions already. Returns whether it is
    /// subscribed.
    pub(super) fn subscribe(&mut self, id: PeerId, name: &str, limit: usize) -> bool {
        let known = self.by_name.get(name).copied();
        if known.is_some_and(|topic| self.places.contains_key(&(id, topic))) {
            return true;
        }
        if name.len() > MAX_NAME_LEN || self.has_subscriptions(id, limit) {
            return false;
        }
        let topic = known.unwrap_or_else(|| self.add(name));
        let subscribers = &mut self.topics[topic].subscribers;
        self.places.insert((id, topic), subscribers.len());
        subscribers.push(id);
        true
    }

    /// Ends a subscription. Returns whether there was one.
    pub(super) fn unsubscribe(&mut self, id: PeerId, name: &str) -> bool {
        self.find(name).is_some_and(|topic| self.leave(id, topic))
    }

    /// Ends all subscriptions of a peer, in time proportional to how many it has.
    pub(super) fn leave_all(&mut self, id: PeerId) {
        while let Some((&(_, topic), _)) = self.places.range((id, 0)..=(id, usize::MAX)).next() {
            self.leave(id, topic);
        }
    }

    /// The topic with this name, if anyone has subscribed to it.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The subscribers to a topic, or none if the last one has left.
    ///
    /// When one leaves, only those behind it change places: who goes through them from the back may
    /// lose the one at hand, and still meets each of the others once.
    pub(super) fn subscribers(&self, topic: usize) -> &[PeerId] {
        self.topics.get(topic).map_or(&[], |topic| &topic.subscribers)
    }

    /// Whether a peer has at least so many subscriptions.
    ///
    /// Counts them: a thousand are read faster than a count would be kept for everyone.
    fn has_subscriptions(&self, id: PeerId, count: usize) -> bool {
        let Some(last) = count.checked_sub(1) else { return true };
        self.places.range((id, 0)..=(id, usize::MAX)).nth(last).is_some()
    }

    fn add(&mut self, name: &str) -> usize {
        let name = Arc::from(name);
        let topic = Topic { name: Arc::clone(&name), subscribers: Vec::new() };
        let topic = self.topics.insert(topic);
        self.by_name.insert(name, topic);
        topic
    }

    fn leave(&mut self, id: PeerId, topic: usize) -> bool {
        let Some(place) = self.places.remove(&(id, topic)) else { return false };
        let subscribers = &mut self.topics[topic].subscribers;
        subscribers.swap_remove(place);
        if let Some(&moved) = subscribers.get(place) {
            self.places.insert((moved, topic), place);
        }
        if subscribers.is_empty() {
            self.remove(topic);
        }
        true
    }

    fn remove(&mut self, topic: usize) {
        let topic = self.topics.remove(topic);
        self.by_name.remove(&topic.name);
        if self.topics.is_empty() && self.topics.capacity() > KEPT_TOPICS {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const NO_LIMIT: usize = usize::MAX;

    fn peer(index: usize) -> PeerId {
        PeerId::new(index, 1)
    }

    /// The subscribers to a topic, in order.
    fn subscribers(topics: &Topics, name: &str) -> Vec<PeerId> {
        let mut all =
            topics.find(name).map_or(Vec::new(), |topic| topics.subscribers(topic).to_vec());
        all.sort();
        all
    }

    #[test]
    fn a_subscription_counts_once() {
        let mut topics = Topics::default();
        assert!(topics.subscribe(peer(1), "news", NO_LIMIT));
        assert!(topics.subscribe(peer(1), "news", NO_LIMIT));
        assert_eq!(subscribers(&topics, "news"), [peer(1)]);
        assert!(topics.unsubscribe(peer(1), "news"));
        assert!(!topics.unsubscribe(peer(1), "news"));
        assert!(!topics.unsubscribe(peer(1), "weather"));
    }

    #[test]
    fn subscriptions_are_limited_and_leaving_makes_room() {
        let mut topics = Topics::default();
        assert!(!topics.subscribe(peer(1), "a", 0));
        assert!(topics.subscribe(peer(1), "a", 2));
        assert!(topics.subscribe(peer(1), "b", 2));
        assert!(!topics.subscribe(peer(1), "c", 2));
        assert_eq!(topics.find("c"), None, "a topic without subscribers");
        // It has this one already, and others have their own.
        assert!(topics.subscribe(peer(1), "b", 2));
        assert!(topics.subscribe(peer(0), "c", 2) && topics.subscribe(peer(2), "c", 2));
        topics.unsubscribe(peer(1), "a");
        assert!(topics.subscribe(peer(1), "c", 2));
    }

    #[test]
    fn names_are_limited() {
        let mut topics = Topics::default();
        assert!(topics.subscribe(peer(1), &"a".repeat(MAX_NAME_LEN), NO_LIMIT));
        assert!(!topics.subscribe(peer(1), &"a".repeat(MAX_NAME_LEN + 1), NO_LIMIT));
        assert!(topics.subscribe(peer(1), "", NO_LIMIT));
    }

    #[test]
    fn nothing_is_left_of_topics_without_subscribers() {
        let mut topics = Topics::default();
        for number in 0..2 * KEPT_TOPICS {
            topics.subscribe(peer(1), &number.to_string(), NO_LIMIT);
            topics.subscribe(peer(2), &number.to_string(), NO_LIMIT);
        }
        topics.leave_all(peer(1));
        assert_eq!(topics.by_name.len(), 2 * KEPT_TOPICS);
        topics.leave_all(peer(2));
        assert!(topics.by_name.is_empty() && topics.topics.is_empty() && topics.places.is_empty());
        assert_eq!((topics.by_name.capacity(), topics.topics.capacity()), (0, 0));
    }

    #[test]
    fn whoever_leaves_while_its_turn_is_takes_nobody_elses() {
        let mut topics = Topics::default();
        assert!((0..10).all(|index| topics.subscribe(peer(index), "news", NO_LIMIT)));
        let topic = topics.find("news").unwrap();
        let mut met = Vec::new();
        for place in (0..10).rev() {
            let id = topics.subscribers(topic)[place];
            met.push(id);
            if id.index() % 3 != 0 {
                topics.leave_all(id);
            }
        }
        met.sort();
        assert_eq!(met, (0..10).map(peer).collect::<Vec<_>>());
        assert_eq!(subscribers(&topics, "news"), [0, 3, 6, 9].map(peer));
    }

    /// Compares with a set of pairs, which is all that subscriptions are.
    #[test]
    fn topics_are_a_set_of_pairs() {
        let names = ["a", "b", "c", "d", "e"];
        let (mut topics, mut pairs) = (Topics::default(), BTreeSet::new());
        let mut random = 1_u32;
        for _ in 0..10_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let id = peer((random >> 8) as usize % 7);
            let name = names[(random >> 16) as usize % names.len()];
            match random >> 24 {
                0..16 => {
                    topics.leave_all(id);
                    pairs.retain(|&(_, other)| other != id);
                }
                16..128 => assert_eq!(topics.unsubscribe(id, name), pairs.remove(&(name, id))),
                _ => {
                    assert!(topics.subscribe(id, name, NO_LIMIT));
                    pairs.insert((name, id));
                }
            }
            for name in names {
                let expected: Vec<_> =
                    pairs.iter().filter(|(n, _)| *n == name).map(|&(_, id)| id).collect();
                assert_eq!(subscribers(&topics, name), expected);
                assert_eq!(topics.find(name).is_some(), !expected.is_empty());
            }
            assert_eq!(topics.places.len(), pairs.len());
        }
    }
}
