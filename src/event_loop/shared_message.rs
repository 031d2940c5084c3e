//! A message for many.

use std::fmt;
use std::sync::Arc;

use crate::protocol::{Header, Message, Opcode, encode_frame};

/// A message that is encoded once and sent to any number of peers.
///
/// Cloning it and queueing it are both counting references; the payload is copied again only where
/// it is so small that this is cheaper. Whatever a [`Message`] can be made from, this can be too.
///
/// # Examples
///
/// ```
/// use wsloop::{Peers, SharedMessage};
///
/// fn announce(peers: &mut Peers, text: &str) {
///     let message = SharedMessage::new(text);
///     for id in peers.ids().collect::<Vec<_>>() {
///         peers.send_shared(id, &message);
///     }
/// }
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct SharedMessage {
    frame: Arc<Vec<u8>>,
}

impl SharedMessage {
    /// Encodes a message.
    pub fn new<'m>(message: impl Into<Message<'m>>) -> Self {
        let message = message.into();
        let header = Header::new(message.opcode(), message.len() as u64);
        let mut frame = Vec::with_capacity(header.encoded_len() + message.len());
        encode_frame(header, message.as_bytes(), &mut frame);
        Self { frame: Arc::new(frame) }
    }

    /// The message as it was before it was encoded.
    ///
    /// Text is validated once more by this, as nothing but the frame is kept.
    pub fn message(&self) -> Message<'_> {
        let mut payload = &**self.frame;
        let Ok(Some(header)) = Header::parse(&mut payload) else {
            unreachable!("it is one whole frame");
        };
        if header.opcode != Opcode::Text {
            return Message::Binary(payload);
        }
        match str::from_utf8(payload) {
            Ok(text) => Message::Text(text),
            Err(_) => unreachable!("it was text when it was encoded"),
        }
    }

    /// The whole of it: one frame, unmasked as a server sends it.
    pub(super) fn frame(&self) -> &Arc<Vec<u8>> {
        &self.frame
    }
}

impl fmt::Debug for SharedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedMessage").field(&self.message()).finish()
    }
}

impl From<Message<'_>> for SharedMessage {
    fn from(message: Message<'_>) -> Self {
        Self::new(message)
    }
}

impl From<&str> for SharedMessage {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<&String> for SharedMessage {
    fn from(text: &String) -> Self {
        Self::new(text)
    }
}

impl From<&[u8]> for SharedMessage {
    fn from(bytes: &[u8]) -> Self {
        Self::new(bytes)
    }
}

impl<const N: usize> From<&[u8; N]> for SharedMessage {
    fn from(bytes: &[u8; N]) -> Self {
        Self::new(bytes)
    }
}

impl From<&Vec<u8>> for SharedMessage {
    fn from(bytes: &Vec<u8>) -> Self {
        Self::new(bytes)
    }
}

impl From<&Self> for SharedMessage {
    /// Counts one more reference.
    fn from(message: &Self) -> Self {
        message.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_as_they_were() {
        for len in [0, 1, 125, 126, 65_535, 65_536] {
            let text = "x".repeat(len);
            for message in [Message::Text(&text), Message::Binary(text.as_bytes())] {
                assert_eq!(SharedMessage::new(message).message(), message);
            }
        }
    }

    #[test]
    fn it_is_made_from_whatever_a_message_is() {
        let text = SharedMessage::from("€");
        assert_eq!(text.message(), Message::Text("€"));
        assert_eq!(SharedMessage::from(&String::from("€")), text);
        assert_eq!(SharedMessage::from(Message::Text("€")), text);
        let binary = SharedMessage::from(b"x");
        assert_eq!(binary.message(), Message::Binary(b"x"));
        assert_eq!(SharedMessage::from(&b"x"[..]), binary);
        assert_eq!(SharedMessage::from(&vec![b'x']), binary);
    }

    #[test]
    fn a_clone_is_the_same_frame() {
        let message = SharedMessage::from("once");
        assert!(Arc::ptr_eq(message.frame(), SharedMessage::from(&message).frame()));
    }
}
