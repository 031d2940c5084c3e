//! The sending half of a connection.

use core::fmt;

#[cfg(feature = "deflate")]
use super::deflating::Deflating;
use super::output::Output;
#[cfg(feature = "deflate")]
use crate::protocol::Compress;
use crate::protocol::{
    CloseBody, CloseCode, Encoder, Event, Header, Message, Opcode, Piece, SendError,
    closing::Closing, encode_close, encode_frame,
};

/// The sending half of a [`Connection`](super::Connection), as lent by
/// [`exchange`](super::Connection::exchange).
#[derive(Debug)]
pub struct Sender {
    encoder: Encoder,
    closing: Closing,
    keys: Option<Keys>,
    output: Output,
    /// The payload of the latest Ping, if it is unanswered.
    owed_pong: Option<Vec<u8>>,
    /// What compresses messages, where that was agreed on.
    #[cfg(feature = "deflate")]
    pub(super) deflating: Option<Box<Deflating>>,
}

/// Where a client's masking keys come from. A server has none.
struct Keys(Box<dyn FnMut() -> [u8; 4] + Send>);

/// How much output may be pending, in bytes, before Pongs wait for it to be written.
///
/// So a remote endpoint that only ever sends Pings costs no more than this. It is a thousand
/// Pongs or so, which nobody who reads them has pending.
const PONG_MARK: usize = 64 * 1024;

impl Sender {
    pub(super) fn server() -> Self {
        Self {
            encoder: Encoder::new(),
            closing: Closing::default(),
            keys: None,
            output: Output::default(),
            owed_pong: None,
            #[cfg(feature = "deflate")]
            deflating: None,
        }
    }

    pub(super) fn client(keys: Box<dyn FnMut() -> [u8; 4] + Send>) -> Self {
        Self { keys: Some(Keys(keys)), ..Self::server() }
    }

    /// Sends a message, as one frame.
    ///
    /// # Errors
    ///
    /// See [`Connection::send`](super::Connection::send).
    pub fn send<'a>(&mut self, message: impl Into<Message<'a>>) -> Result<(), SendError> {
        #[cfg(feature = "deflate")]
        return self.send_with(message, Compress::Auto);
        #[cfg(not(feature = "deflate"))]
        self.send_piece(message.into().into())
    }

    /// Sends a message, as one frame, and says whether it is to be compressed.
    ///
    /// # Errors
    ///
    /// See [`Connection::send`](super::Connection::send).
    #[cfg(feature = "deflate")]
    pub fn send_with<'a>(
        &mut self,
        message: impl Into<Message<'a>>,
        compress: Compress,
    ) -> Result<(), SendError> {
        let message = message.into();
        if self.is_open()
            && let Some(deflating) = &mut self.deflating
            && let Some(compressor) = deflating.compressor_for(message, compress)
        {
            let key = self.keys.as_mut().map(|Keys(keys)| keys());
            return self.encoder.compressed(message, compressor, key, self.output.end());
        }
        self.send_piece(message.into())
    }

    /// Sends a piece of a message, as one frame.
    ///
    /// # Errors
    ///
    /// See [`Connection::send_piece`](super::Connection::send_piece).
    pub fn send_piece(&mut self, piece: Piece<'_>) -> Result<(), SendError> {
        self.check_open()?;
        let key = self.next_key();
        self.encoder.piece(piece, key, self.output.end())
    }

    /// Sends a Ping.
    ///
    /// # Errors
    ///
    /// See [`Connection::ping`](super::Connection::ping).
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.check_open()?;
        if payload.len() > 125 {
            return Err(SendError::ControlFrameTooLong);
        }
        self.control_frame(Opcode::Ping, payload);
        Ok(())
    }

    /// Begins the closing handshake.
    ///
    /// # Errors
    ///
    /// See [`Connection::close`](super::Connection::close).
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), SendError> {
        // §7.4.1: 1010 is for clients, as a server refuses in the opening handshake instead.
        if code == CloseCode::MANDATORY_EXTENSION && self.keys.is_none() {
            return Err(SendError::ClientCloseCode);
        }
        if !self.closing.send_close() {
            return Err(SendError::Closing);
        }
        self.close_frame(Some(CloseBody { code, reason }));
        Ok(())
    }

    /// Does what RFC 6455 asks for when an event is received.
    pub(crate) fn answer(&mut self, event: Event<'_>) {
        match event {
            Event::Ping(payload) => self.pong(payload),
            Event::Close(body) => {
                if self.closing.receive_close() {
                    // §5.5.1: an endpoint "typically echos the status code it received".
                    self.close_frame(body.map(|CloseBody { code, .. }| code.into()));
                }
                self.owed_pong = None;
            }
            Event::Message(_) | Event::Piece(_) | Event::Pong(_) => {}
        }
    }

    /// Fails the connection (§7.1.7).
    pub(crate) fn fail(&mut self, code: CloseCode) {
        if self.closing.fail() {
            self.close_frame(Some(code.into()));
        }
        self.owed_pong = None;
    }

    pub(crate) fn output(&self) -> &[u8] {
        self.output.pending()
    }

    pub(crate) fn consume_output(&mut self, len: usize) {
        self.output.take(len);
        if self.output().len() < PONG_MARK
            && let Some(payload) = self.owed_pong.take()
        {
            self.control_frame(Opcode::Pong, &payload);
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.closing.is_open()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closing.is_finished()
    }

    /// Answers a Ping, now or once there is room.
    fn pong(&mut self, payload: &[u8]) {
        if self.output().len() < PONG_MARK {
            self.control_frame(Opcode::Pong, payload);
        } else {
            // §5.5.3: of several Pings an endpoint may answer "only the most recently processed".
            let owed = self.owed_pong.get_or_insert_default();
            owed.clear();
            owed.extend_from_slice(payload);
        }
    }

    fn control_frame(&mut self, opcode: Opcode, payload: &[u8]) {
        let masking_key = self.next_key();
        let header = Header { masking_key, ..Header::new(opcode, payload.len() as u64) };
        encode_frame(header, payload, self.output.end());
    }

    fn close_frame(&mut self, body: Option<CloseBody<'_>>) {
        let masking_key = self.next_key();
        encode_close(body, masking_key, self.output.end());
    }

    #[cfg(feature = "deflate")]
    pub(super) fn is_client(&self) -> bool {
        self.keys.is_some()
    }

    fn next_key(&mut self) -> Option<[u8; 4]> {
        self.keys.as_mut().map(|Keys(keys)| keys())
    }

    fn check_open(&self) -> Result<(), SendError> {
        if self.is_open() { Ok(()) } else { Err(SendError::Closing) }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whoever can predict keys can choose what is on the wire (§10.3).
        f.write_str("Keys")
    }
}
