//! A message for many.

use std::fmt;
use std::sync::Arc;
#[cfg(feature = "deflate")]
use std::sync::OnceLock;

#[cfg(feature = "deflate")]
use crate::protocol::{Compress, CompressorOptions};
use crate::protocol::{Header, Message, Opcode, encode_frame};

/// A message that is encoded once and sent to any number of peers.
///
/// Cloning it and queueing it are both counting references; the payload is copied again only where
/// it is so small that this is cheaper. Whatever a [`Message`] can be made from, this can be too.
///
/// Where messages are compressed, it is compressed once for all peers that agreed to the same,
/// when the first of them is sent it.
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
#[derive(Clone)]
pub struct SharedMessage {
    frame: Arc<Frame>,
    #[cfg(feature = "deflate")]
    pub(super) compress: Compress,
}

/// A message as a server sends it: one frame, unmasked.
pub(super) struct Frame {
    bytes: Vec<u8>,
    /// The same, compressed.
    #[cfg(feature = "deflate")]
    compressed: OnceLock<Box<Compressed>>,
}

/// A message compressed in one way, and then in others.
#[cfg(feature = "deflate")]
struct Compressed {
    options: CompressorOptions,
    /// None if that does not make it smaller.
    frame: Option<Arc<Frame>>,
    next: OnceLock<Box<Self>>,
}

impl SharedMessage {
    /// Encodes a message.
    pub fn new<'m>(message: impl Into<Message<'m>>) -> Self {
        let message = message.into();
        let header = Header::new(message.opcode(), message.len() as u64);
        Self {
            frame: Arc::new(Frame::new(header, message.as_bytes())),
            #[cfg(feature = "deflate")]
            compress: Compress::Auto,
        }
    }

    /// Says whether the message is to be compressed.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn compress(mut self, compress: Compress) -> Self {
        self.compress = compress;
        self
    }

    /// The message as it was before it was encoded.
    ///
    /// Text is validated once more by this, as nothing but the frame is kept.
    pub fn message(&self) -> Message<'_> {
        let (header, payload) = self.frame.parts();
        if header.opcode != Opcode::Text {
            return Message::Binary(payload);
        }
        match str::from_utf8(payload) {
            Ok(text) => Message::Text(text),
            Err(_) => unreachable!("it was text when it was encoded"),
        }
    }

    /// What was encoded.
    #[cfg(feature = "deflate")]
    pub(super) fn payload(&self) -> &[u8] {
        self.frame.parts().1
    }

    /// The whole of it: one frame, unmasked as a server sends it.
    pub(super) fn frame(&self) -> &Arc<Frame> {
        &self.frame
    }

    /// The same, compressed, unless that is of no use.
    ///
    /// `compress` makes a frame of the payload, with a header to go by. It is not called twice for
    /// the same options, whoever calls this from whatever thread.
    #[cfg(feature = "deflate")]
    pub(super) fn compressed(
        &self,
        options: CompressorOptions,
        mut compress: impl FnMut(&[u8], Header) -> Option<Frame>,
    ) -> Option<&Arc<Frame>> {
        let mut place = &self.frame.compressed;
        loop {
            let found = place.get_or_init(|| {
                let (header, payload) = self.frame.parts();
                let header = Header { rsv: Header::RSV1, ..header };
                let frame = compress(payload, header).map(Arc::new);
                Box::new(Compressed { options, frame, next: OnceLock::new() })
            });
            if found.options == options {
                return found.frame.as_ref();
            }
            place = &found.next;
        }
    }
}

impl Frame {
    pub(super) fn new(header: Header, payload: &[u8]) -> Self {
        let header = Header { payload_len: payload.len() as u64, ..header };
        let mut bytes = Vec::with_capacity(header.encoded_len() + payload.len());
        encode_frame(header, payload, &mut bytes);
        bytes.into()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its header, and what is behind that.
    pub(super) fn parts(&self) -> (Header, &[u8]) {
        let mut payload = self.bytes();
        match Header::parse(&mut payload) {
            Ok(Some(header)) => (header, payload),
            _ => unreachable!("it is one whole frame"),
        }
    }
}

impl From<Vec<u8>> for Frame {
    /// Makes one of its encoding.
    fn from(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            #[cfg(feature = "deflate")]
            compressed: OnceLock::new(),
        }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Frame").field(&self.bytes).finish()
    }
}

impl PartialEq for SharedMessage {
    fn eq(&self, other: &Self) -> bool {
        self.frame.bytes == other.frame.bytes
    }
}

impl Eq for SharedMessage {}

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

    #[cfg(feature = "deflate")]
    fn options(window_bits: u8) -> CompressorOptions {
        let parameters = crate::protocol::DeflateParameters::default();
        let options = CompressorOptions::new(parameters, crate::protocol::Role::Server);
        CompressorOptions { context_takeover: false, window_bits, ..options }
    }

    #[cfg(feature = "deflate")]
    #[test]
    fn it_is_compressed_once_for_all_who_agreed_to_the_same_in_whatever_thread() {
        use std::sync::atomic::{AtomicUsize, Ordering};

        let message = SharedMessage::from("compress me");
        let calls = AtomicUsize::new(0);
        let compress = |message: &SharedMessage, bits: u8| {
            let frame = message.compressed(options(bits), |payload, header| {
                calls.fetch_add(1, Ordering::Relaxed);
                assert_eq!((payload, header.rsv), (&b"compress me"[..], Header::RSV1));
                // One of them is of no use.
                (bits != 12).then(|| Frame::new(header, &[bits]))
            });
            assert_eq!(frame.is_none(), bits == 12);
            assert!(frame.is_none_or(|frame| frame.bytes() == [0xC1, 1, bits]));
            frame.map(Arc::as_ptr)
        };
        let first: Vec<_> = (9..=15).map(|bits| compress(&message, bits)).collect();
        let clone = message.clone().compress(Compress::Always);
        assert!(first.iter().copied().eq((9..=15).map(|bits| compress(&clone, bits))));
        assert_eq!(calls.load(Ordering::Relaxed), 7);

        // At the same time, and in whatever order.
        let message = SharedMessage::from("compress me");
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (message, compress) = (message.clone(), &compress);
                scope.spawn(move || {
                    for i in 0..700 {
                        compress(&message, 9 + (i * (thread + 1) % 7) as u8);
                    }
                });
            }
        });
        assert_eq!(calls.load(Ordering::Relaxed), 14);
    }
}
