//! The least of a WebSocket client: one request, one kind of message, and replies known in advance.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use wsloop::protocol::{Header, Opcode, encode_close, encode_frame};

/// The handshake of RFC 6455 §1.3. The same key every time, so that the reply is known.
pub(crate) const REQUEST: &[u8] = b"GET / HTTP/1.1\r\n\
    Host: localhost\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\
    \r\n";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// Whoever does not answer for so long is taken to be stuck.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// So many opening handshakes are begun before the first of them is finished: fewer than a backlog
/// holds.
const BATCH: usize = 100;

/// Opens connections, each with its opening handshake done.
pub(crate) fn open(server: SocketAddr, count: usize) -> Result<Vec<TcpStream>, Box<dyn Error>> {
    let mut streams = Vec::with_capacity(count);
    while streams.len() < count {
        let first = streams.len();
        for _ in 0..BATCH.min(count - first) {
            let mut stream = TcpStream::connect(server)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            stream.set_write_timeout(Some(TIMEOUT))?;
            stream.write_all(REQUEST)?;
            streams.push(stream);
        }
        for stream in &mut streams[first..] {
            finish_handshake(stream)?;
        }
    }
    Ok(streams)
}

pub(crate) fn finish_handshake(stream: &mut impl Read) -> Result<(), Box<dyn Error>> {
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
        let header = Header::new(Opcode::Binary, size as u64);
        let (mut request, mut reply) = (Vec::new(), Vec::new());
        encode_frame(Header { masking_key: Some(KEY), ..header }, &payload, &mut request);
        encode_frame(header, &payload, &mut reply);
        Self { request, reply }
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
