//! What a connection compresses, and with what.

use super::Connection;
use crate::protocol::{
    Compress, Compressor, CompressorOptions, DeflateParameters, Message, Role, SendError,
};

/// The compressor of a connection, and which messages are for it.
#[derive(Debug)]
pub(super) struct Deflating {
    options: CompressorOptions,
    /// Made for the first message that is compressed.
    compressor: Option<Compressor>,
    /// The length in bytes of the shortest message that is compressed.
    threshold: usize,
}

/// Below this there is little to be won, and a compressor that begins anew for each message hardly
/// ever wins it.
pub(crate) const DEFAULT_THRESHOLD: usize = 64;

impl Deflating {
    /// Returns the compressor if this message is to be compressed.
    pub(super) fn compressor_for(
        &mut self,
        message: Message<'_>,
        compress: Compress,
    ) -> Option<&mut Compressor> {
        let applies = compress.applies(message.len(), self.threshold);
        applies.then(|| self.compressor.get_or_insert_with(|| Compressor::new(self.options)))
    }
}

impl Connection {
    /// Compresses messages, by what the opening handshake agreed on (RFC 7692).
    ///
    /// Messages of 64 bytes and more are sent compressed, if that makes them smaller or the
    /// compressor keeps its context; see
    /// [`compression_threshold`](Self::compression_threshold). Messages in pieces are sent as they
    /// are. The compressor takes 380 KB from the first message that it compresses on,
    /// and the decompressor some 80 KB. To share one of each between many connections, use a
    /// [`Decoder`](crate::protocol::Decoder) and an [`Encoder`](crate::protocol::Encoder) instead.
    ///
    /// # Panics
    ///
    /// Panics if there are to be less than 9 or more than 15 window bits for what is sent; an
    /// opening handshake never agrees to them.
    ///
    /// # Examples
    ///
    /// ```
    /// use wsloop::protocol::{Connection, DeflateParameters, Event, Message, Violation};
    ///
    /// let parameters = DeflateParameters::default();
    /// let mut server = Connection::server().deflate(parameters);
    /// let mut client = Connection::client(|| [1, 2, 3, 4]).deflate(parameters);
    ///
    /// let text = "Hello ".repeat(100);
    /// server.send(&*text).unwrap();
    /// let mut received = server.output().to_vec();
    /// assert!(received.len() < 30);
    /// let message = client.receive(&mut &mut received[..])?;
    /// assert_eq!(message, Some(Event::Message(Message::Text(&text))));
    /// # Ok::<(), Violation>(())
    /// ```
    #[must_use]
    pub fn deflate(self, parameters: DeflateParameters) -> Self {
        let Self { decoder, mut sender } = self;
        let role = if sender.is_client() { Role::Client } else { Role::Server };
        let options = CompressorOptions::new(parameters, role);
        options.check();
        let deflating = Deflating { options, compressor: None, threshold: DEFAULT_THRESHOLD };
        sender.deflating = Some(Box::new(deflating));
        Self { decoder: decoder.deflate(parameters), sender }
    }

    /// Sends a message, and says whether it is to be compressed.
    ///
    /// # Errors
    ///
    /// Fails as [`send`](Self::send) does.
    pub fn send_with<'a>(
        &mut self,
        message: impl Into<Message<'a>>,
        compress: Compress,
    ) -> Result<(), SendError> {
        self.sender.send_with(message, compress)
    }

    /// Sets how hard to try, 1 to 9, and how much memory to use for it beside the window, 1 to 9: 4
    /// and 8 by default.
    ///
    /// It has no effect unless compression was [agreed on](Self::deflate) before.
    ///
    /// # Panics
    ///
    /// Panics if either is not 1 to 9.
    #[must_use]
    pub fn compression_level(mut self, level: u8, memory_level: u8) -> Self {
        if let Some(deflating) = &mut self.sender.deflating {
            deflating.options = CompressorOptions { level, memory_level, ..deflating.options };
            deflating.options.check();
        }
        self
    }

    /// Sets how long a message must be to be compressed, in bytes: 64 by default.
    ///
    /// With `usize::MAX`, nothing is compressed. It has no effect unless compression was
    /// [agreed on](Self::deflate) before.
    #[must_use]
    pub fn compression_threshold(mut self, bytes: usize) -> Self {
        if let Some(deflating) = &mut self.sender.deflating {
            deflating.threshold = bytes;
        }
        self
    }
}
