//! Sending values as JSON.
//!
//! A value is serialised once, however many peers it goes to, into a buffer that the loop keeps for
//! that. What cannot be serialised is sent to nobody, not even its beginning.

use serde_core::Serialize;

use super::{Peer, PeerId, Peers, SendStatus, SharedMessage};
use crate::protocol::Message;

/// How large the buffer may be that is kept, in bytes: as much as a peer may be behind before it
/// counts as slow. A larger value takes a buffer of its own.
const KEPT_CAPACITY: usize = 1 << 20;

impl Peers {
    /// Sends a value as JSON, in a text message: see [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// Fails, and sends nothing, if the value cannot be serialised: its `Serialize` may say so, and
    /// JSON has no maps whose keys are not strings, numbers or the like. That there is no such peer
    /// is no error, but [`SendStatus::Dropped`].
    ///
    /// # Examples
    ///
    /// ```
    /// use wsloop::{Message, Peer};
    ///
    /// fn on_message(peer: &mut Peer<'_>, message: Message<'_>) -> Result<(), serde_json::Error> {
    ///     match message.json::<Vec<f64>>() {
    ///         Ok(numbers) => peer.send_json(&numbers.iter().sum::<f64>())?,
    ///         Err(error) => peer.send_json(&error.to_string())?,
    ///     };
    ///     Ok(())
    /// }
    /// ```
    pub fn send_json(
        &mut self,
        id: PeerId,
        value: &(impl Serialize + ?Sized),
    ) -> Result<SendStatus, serde_json::Error> {
        self.with_json(value, |peers, message| peers.send(id, message))
    }

    /// Sends a value as JSON to all peers: see [`broadcast`](Self::broadcast).
    ///
    /// # Errors
    ///
    /// Fails, and sends nothing to anyone, if the value [cannot be serialised](Self::send_json).
    pub fn broadcast_json(
        &mut self,
        value: &(impl Serialize + ?Sized),
    ) -> Result<(), serde_json::Error> {
        self.with_json(value, |peers, message| peers.broadcast(message))
    }

    /// Sends a value as JSON to all peers but one: see
    /// [`broadcast_except`](Self::broadcast_except).
    ///
    /// # Errors
    ///
    /// Fails, and sends nothing to anyone, if the value [cannot be serialised](Self::send_json).
    pub fn broadcast_json_except(
        &mut self,
        id: PeerId,
        value: &(impl Serialize + ?Sized),
    ) -> Result<(), serde_json::Error> {
        self.with_json(value, |peers, message| peers.broadcast_except(id, message))
    }

    /// Sends a value as JSON to all who are subscribed to a topic: see [`publish`](Self::publish).
    ///
    /// # Errors
    ///
    /// Fails, and sends nothing to anyone, if the value [cannot be serialised](Self::send_json). If
    /// nobody is subscribed, that is not tried.
    pub fn publish_json(
        &mut self,
        topic: &str,
        value: &(impl Serialize + ?Sized),
    ) -> Result<(), serde_json::Error> {
        if self.subscribers(topic) == 0 {
            return Ok(());
        }
        self.with_json(value, |peers, message| peers.publish(topic, message))
    }

    /// Sends a value as JSON to all but one who are subscribed to a topic: see
    /// [`publish_except`](Self::publish_except).
    ///
    /// # Errors
    ///
    /// Those of [`publish_json`](Self::publish_json).
    pub fn publish_json_except(
        &mut self,
        id: PeerId,
        topic: &str,
        value: &(impl Serialize + ?Sized),
    ) -> Result<(), serde_json::Error> {
        if self.subscribers(topic) == 0 {
            return Ok(());
        }
        self.with_json(value, |peers, message| peers.publish_except(id, topic, message))
    }

    /// Serialises a value, and lends it as the message to send.
    fn with_json<R>(
        &mut self,
        value: &(impl Serialize + ?Sized),
        send: impl FnOnce(&mut Self, Message<'_>) -> R,
    ) -> Result<R, serde_json::Error> {
        let mut buffer = std::mem::take(&mut self.json);
        let result = serde_json::to_writer(&mut buffer, value).map(|()| {
            let text = str::from_utf8(&buffer).expect("JSON is made of strings");
            send(self, Message::Text(text))
        });
        if buffer.capacity() <= KEPT_CAPACITY {
            buffer.clear();
            self.json = buffer;
        }
        result
    }
}

impl Peer<'_> {
    /// Sends a value as JSON, in a text message: see [`Peers::send_json`].
    ///
    /// # Errors
    ///
    /// Fails, and sends nothing, if the value cannot be serialised.
    pub fn send_json(
        &mut self,
        value: &(impl Serialize + ?Sized),
    ) -> Result<SendStatus, serde_json::Error> {
        let id = self.id();
        self.peers().send_json(id, value)
    }

    /// Sends a value as JSON to everyone else: see [`Peers::broadcast_json_except`].
    ///
    /// # Errors
    ///
    /// Fails, and sends nothing to anyone, if the value cannot be serialised.
    pub fn broadcast_json(
        &mut self,
        value: &(impl Serialize + ?Sized),
    ) -> Result<(), serde_json::Error> {
        let id = self.id();
        self.peers().broadcast_json_except(id, value)
    }

    /// Sends a value as JSON to everyone else who is subscribed to a topic: see
    /// [`Peers::publish_json_except`].
    ///
    /// # Errors
    ///
    /// Fails, and sends nothing to anyone, if the value cannot be serialised.
    pub fn publish_json(
        &mut self,
        topic: &str,
        value: &(impl Serialize + ?Sized),
    ) -> Result<(), serde_json::Error> {
        let id = self.id();
        self.peers().publish_json_except(id, topic, value)
    }
}

impl SharedMessage {
    /// Serialises a value as JSON, to be sent as a text message.
    ///
    /// # Errors
    ///
    /// Fails if the value [cannot be serialised](Peers::send_json).
    pub fn json(value: &(impl Serialize + ?Sized)) -> Result<Self, serde_json::Error> {
        serde_json::to_string(value).map(|text| Self::new(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EventLoop;

    #[test]
    fn the_buffer_is_kept_unless_it_is_large() {
        let mut event_loop = EventLoop::new().unwrap();
        let peers = event_loop.peers();
        peers.broadcast_json(&"a".repeat(1000)).unwrap();
        let kept = peers.json.as_ptr();
        assert!(peers.json.is_empty() && peers.json.capacity() >= 1000);
        peers.broadcast_json("b").unwrap();
        assert_eq!(peers.json.as_ptr(), kept);
        peers.broadcast_json(&"a".repeat(KEPT_CAPACITY)).unwrap();
        assert_eq!(peers.json.capacity(), 0);
    }
}
