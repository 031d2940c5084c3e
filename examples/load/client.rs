//! The least of a WebSocket client: one request, one kind of message, and replies known in advance.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use wsloop::protocol::{
    Compressor, CompressorOptions, Decoder, DeflateParameters, Event, Header, Message, Opcode,
    Role, encode_close, encode_frame,
};

use super::{Options, documents};

/// The handshake of RFC 6455 §1.3. The same key every time, so that the reply is known.
pub(crate) const REQUEST: &[u8] = b"GET / HTTP/1.1\r\n\
    Host: localhost\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// Whoever does not answer for so long is taken to be stuck.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// So many opening handshakes are begun before the first of them is finished: fewer than a backlog
/// holds.
const BATCH: usize = 100;

/// What is offered to a server: permessage-deflate, RFC 7692 §7.1.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Offer {
    /// Each message compressed by itself.
    Shared,
    /// With reference to those before it.
    Dedicated,
}

impl Offer {
    fn field(self) -> &'static [u8] {
        match self {
            Self::Shared => {
                b"Sec-WebSocket-Extensions: permessage-deflate; \
                server_no_context_takeover; client_no_context_takeover\r\n"
            }
            Self::Dedicated => b"Sec-WebSocket-Extensions: permessage-deflate\r\n",
        }
    }

    fn parameters(self) -> DeflateParameters {
        DeflateParameters {
            server_no_context_takeover: self == Self::Shared,
            client_no_context_takeover: self == Self::Shared,
            ..DeflateParameters::default()
        }
    }
}

/// Opens connections, each with its opening handshake done.
pub(crate) fn open(
    server: SocketAddr,
    count: usize,
    offer: Option<Offer>,
) -> Result<Vec<TcpStream>, Box<dyn Error>> {
    let request = request(offer);
    let mut streams = Vec::with_capacity(count);
    while streams.len() < count {
        let first = streams.len();
        for _ in 0..BATCH.min(count - first) {
            let mut stream = TcpStream::connect(server)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            stream.set_write_timeout(Some(TIMEOUT))?;
            stream.write_all(&request)?;
            streams.push(stream);
        }
        for stream in &mut streams[first..] {
            finish_handshake(stream, offer)?;
        }
    }
    Ok(streams)
}

/// The whole of an opening handshake's request.
pub(crate) fn request(offer: Option<Offer>) -> Vec<u8> {
    [REQUEST, offer.map_or(b"", Offer::field), b"\r\n"].concat()
}

pub(crate) fn finish_handshake(
    stream: &mut impl Read,
    offer: Option<Offer>,
) -> Result<(), Box<dyn Error>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut buffer = [0; 1024];
        let n = stream.read(&mut buffer)?;
        if n == 0 || head.len() > 4096 {
            return Err("the server did not answer the opening handshake".into());
        }
        head.extend_from_slice(&buffer[..n]);
    }
    let head = String::from_utf8_lossy(&head);
    if !head.starts_with("HTTP/1.1 101 ") || !head.contains(ACCEPT) {
        return Err(format!("the server refused: {}", head.lines().next().unwrap_or("")).into());
    }
    if offer.is_some() && !head.contains("permessage-deflate") {
        return Err("the server did not agree to compress".into());
    }
    Ok(())
}

/// A message as it is sent, and as it comes back.
pub(crate) struct Echo {
    pub(crate) request: Vec<u8>,
    pub(crate) reply: Vec<u8>,
}

impl Echo {
    /// Makes a binary message of `size` bytes.
    pub(crate) fn new(size: usize) -> Self {
        let payload: Vec<u8> = (0..size).map(|i| (i * 31 + 7) as u8).collect();
        Self::of(Header::new(Opcode::Binary, size as u64), &payload)
    }

    /// Makes the message that `options` ask for, and has it echoed once: what comes back of one that
    /// is compressed is learned by this.
    pub(crate) fn agree(options: &Options, stream: &mut TcpStream) -> Result<Self, Box<dyn Error>> {
        let json = documents::orders(options.size);
        let header = Header::new(Opcode::Text, json.len() as u64);
        let Some(offer) = options.deflate else {
            let echo = if options.json { Self::of(header, &json) } else { Self::new(options.size) };
            echo.round_trip(stream)?;
            return Ok(echo);
        };
        let compressing = CompressorOptions::new(offer.parameters(), Role::Client);
        let mut compressor = Compressor::new(compressing);
        let payload = compressor.compress(&json).ok_or("it does not become smaller")?;
        let header = Header { rsv: Header::RSV1, payload_len: payload.len() as u64, ..header };
        let mut echo = Self::of(header, payload);
        echo.learn(stream, &json, offer)?;
        Ok(echo)
    }

    fn of(header: Header, payload: &[u8]) -> Self {
        let (mut request, mut reply) = (Vec::new(), Vec::new());
        encode_frame(Header { masking_key: Some(KEY), ..header }, payload, &mut request);
        encode_frame(header, payload, &mut reply);
        Self { request, reply }
    }

    /// Sends the message, and takes what comes back for the reply if it says the same.
    fn learn(
        &mut self,
        stream: &mut TcpStream,
        json: &[u8],
        offer: Offer,
    ) -> Result<(), Box<dyn Error>> {
        stream.write_all(&self.request)?;
        self.reply = read_frame(stream)?;
        let mut decoder = Decoder::new(Role::Client).deflate(offer.parameters());
        match decoder.next(&mut &mut self.reply.clone()[..])? {
            Some(Event::Message(Message::Text(text))) if text.as_bytes() == json => Ok(()),
            _ => Err("the reply is not what was sent".into()),
        }
    }

    /// Sends the message, and waits for it to come back.
    pub(crate) fn round_trip(&self, stream: &mut TcpStream) -> Result<(), Box<dyn Error>> {
        stream.write_all(&self.request)?;
        let mut reply = vec![0; self.reply.len()];
        stream.read_exact(&mut reply)?;
        if reply != self.reply {
            return Err("the reply is not what was sent".into());
        }
        Ok(())
    }
}

/// Reads a frame, and nothing behind it.
fn read_frame(stream: &mut TcpStream) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut frame = Vec::new();
    loop {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        frame.extend(byte);
        if let Some(header) = Header::parse(&mut &frame[..])? {
            let start = frame.len();
            frame.resize(start + header.payload_len as usize, 0);
            stream.read_exact(&mut frame[start..])?;
            return Ok(frame);
        }
    }
}

/// Does the closing handshake, and waits for the server to end the connection.
pub(crate) fn close(mut stream: TcpStream) -> Result<(), Box<dyn Error>> {
    let mut frame = Vec::new();
    encode_close(None, Some(KEY), &mut frame);
    stream.write_all(&frame)?;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest)?;
    if rest != b"\x88\x00" {
        return Err("the server did not answer Close".into());
    }
    Ok(())
}
