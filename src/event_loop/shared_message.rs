//! A message for many.

use std::sync::Arc;

use crate::protocol::Header;
use crate::protocol::Message;
use crate::protocol::encode_frame;

/// A message that is encoded once and sent to any number of peers.
///
/// Cloning it and queueing it are both counting references; the payload is never copied again.
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
#[derive(Clone, Debug)]
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

    /// The whole of it: one frame, unmasked as a server sends it.
    pub(super) fn frame(&self) -> &Arc<Vec<u8>> {
        &self.frame
    }
}
