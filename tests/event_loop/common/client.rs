//! A client that writes and expects bytes, and does nothing by itself.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, SockRef, Type};

use super::{HANG, masked, wire};

/// The opening handshake of RFC 6455 §1.2, as short as it can be.
pub(crate) const REQUEST: &str = "GET /chat HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\
    \r\n";

/// The answer to it.
const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
    \r\n";

/// What a client is connected with.
pub(crate) trait Socket: Read + Write {
    /// Sets how long a read or a write may block.
    fn limit(&self, time: Duration);
    fn block(&self, blocking: bool);
    /// Ends the client's side of the stream.
    fn end(&self);
}

impl Socket for TcpStream {
    fn limit(&self, time: Duration) {
        self.set_read_timeout(Some(time)).unwrap();
        self.set_write_timeout(Some(time)).unwrap();
    }

    fn block(&self, blocking: bool) {
        self.set_nonblocking(!blocking).unwrap();
    }

    fn end(&self) {
        self.shutdown(Shutdown::Write).unwrap();
    }
}

#[cfg(unix)]
impl Socket for std::os::unix::net::UnixStream {
    fn limit(&self, time: Duration) {
        self.set_read_timeout(Some(time)).unwrap();
        self.set_write_timeout(Some(time)).unwrap();
    }

    fn block(&self, blocking: bool) {
        self.set_nonblocking(!blocking).unwrap();
    }

    fn end(&self) {
        self.shutdown(Shutdown::Write).unwrap();
    }
}

/// A blocking connection to the server.
pub(crate) struct Client<S: Socket = TcpStream> {
    socket: S,
    /// What [`has_input`](Self::has_input) found.
    input: Vec<u8>,
}

impl Client {
    /// Connects, and says nothing.
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        let socket = TcpStream::connect(addr).unwrap();
        // What is written in pieces is to arrive in pieces.
        socket.set_nodelay(true).unwrap();
        Self::over(socket)
    }

    /// Connects, and shakes hands.
    pub(crate) fn open(addr: SocketAddr) -> Self {
        let mut client = Self::connect(addr);
        client.shake_hands();
        client
    }

    /// Connects with room for little: whatever the server sends beyond that stays with the server.
    pub(crate) fn connect_small(addr: SocketAddr) -> Self {
        let socket = socket2::Socket::new(Domain::for_address(addr), Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(&addr.into()).unwrap();
        Self::over(socket.into())
    }

    /// Does so, and shakes hands.
    pub(crate) fn open_small(addr: SocketAddr) -> Self {
        let mut client = Self::connect_small(addr);
        client.shake_hands();
        client
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// Breaks the connection off: TCP's RST.
    pub(crate) fn reset(self) {
        SockRef::from(&self.socket).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Another handle to the same connection, for another thread.
    pub(crate) fn another(&self) -> Self {
        Self::over(self.socket.try_clone().unwrap())
    }

    /// The socket, to be handed to the other side of a test.
    pub(crate) fn into_socket(self) -> TcpStream {
        self.socket
    }
}

impl<S: Socket> Client<S> {
    pub(crate) fn over(socket: S) -> Self {
        socket.limit(HANG);
        Self { socket, input: Vec::new() }
    }

    /// What it is connected with.
    #[cfg(feature = "tls")]
    pub(crate) fn socket(&mut self) -> &mut S {
        &mut self.socket
    }

    /// Whether there is anything to read, be it the end of the stream.
    pub(crate) fn has_input(&mut self) -> bool {
        if self.input.is_empty() {
            let mut byte = [0];
            self.socket.block(false);
            let result = self.socket.read(&mut byte);
            self.socket.block(true);
            match result {
                Ok(n) => self.input.extend(&byte[..n]),
                Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
            }
        }
        true
    }

    /// Reads what there is to read, and returns how many bytes that was.
    pub(crate) fn read_available(&mut self) -> usize {
        let mut received = std::mem::take(&mut self.input);
        self.socket.block(false);
        let result = self.socket.read_to_end(&mut received);
        self.socket.block(true);
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        received.len()
    }

    /// Reads what there is to read, but no more than so many bytes.
    pub(crate) fn read_available_of(&mut self, most: usize) -> Vec<u8> {
        let mut received = std::mem::take(&mut self.input);
        let missing = most - received.len();
        self.socket.block(false);
        let result = Read::by_ref(&mut self.socket).take(missing as u64).read_to_end(&mut received);
        self.socket.block(true);
        match result {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => panic!("{error}"),
            Ok(_) | Err(_) => received,
        }
    }

    /// Writes again and again until nobody takes any more, and returns how many bytes went out.
    ///
    /// That "nobody takes any more" is judged by `stuck`, which is asked whenever the socket is full.
    pub(crate) fn write_until(&mut self, bytes: &[u8], mut stuck: impl FnMut() -> bool) -> usize {
        self.socket.block(false);
        let mut written = 0;
        loop {
            match self.socket.write(&bytes[written % bytes.len()..]) {
                Ok(n) => written += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if stuck() {
                        break;
                    }
                }
                Err(error) => panic!("after {written} bytes: {error}"),
            }
        }
        self.socket.block(true);
        written
    }

    #[track_caller]
    pub(crate) fn shake_hands(&mut self) {
        self.write(REQUEST);
        self.expect_opened();
    }

    /// Reads the 101 that answers [`REQUEST`].
    #[track_caller]
    pub(crate) fn expect_opened(&mut self) {
        self.expect_bytes(RESPONSE.as_bytes());
    }

    /// Writes bytes as they are.
    #[track_caller]
    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.socket.write_all(bytes.as_ref()).unwrap();
    }

    /// Writes what the server may not want any more.
    pub(crate) fn try_write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.socket.write_all(bytes.as_ref())
    }

    /// Sends frames, all in one write. They are masked on the way: `81 05 'Hello'`.
    #[track_caller]
    pub(crate) fn send(&mut self, transcript: &str) {
        self.write(masked(&wire(transcript)));
    }

    /// Reads exactly these frames, but no further.
    #[track_caller]
    pub(crate) fn expect(&mut self, transcript: &str) {
        let expected = wire(transcript);
        let received = self.read(expected.len());
        assert_eq!(hex(&received), hex(&expected), "expected {transcript}");
    }

    /// Reads exactly these bytes, but no further.
    #[track_caller]
    pub(crate) fn expect_bytes(&mut self, expected: &[u8]) {
        let received = self.read(expected.len());
        if received != expected {
            let same = received.iter().zip(expected).take_while(|(a, b)| a == b).count();
            let [received, expected] = [&received[..], expected].map(|bytes| {
                bytes[same..].escape_ascii().take(200).map(char::from).collect::<String>()
            });
            panic!("after {same} bytes: received {received}, expected {expected}");
        }
    }

    /// Reads so many bytes, or as many as there are.
    #[track_caller]
    pub(crate) fn read(&mut self, len: usize) -> Vec<u8> {
        let mut received = std::mem::take(&mut self.input);
        let missing = len - received.len();
        Read::by_ref(&mut self.socket).take(missing as u64).read_to_end(&mut received).unwrap();
        received
    }

    /// Reads so many bytes, which are then read again.
    #[track_caller]
    pub(crate) fn peek(&mut self, len: usize) -> Vec<u8> {
        let received = self.read(len);
        self.input.clone_from(&received);
        received
    }

    /// Reads whatever comes until the end of the stream, which must not be a reset.
    #[track_caller]
    pub(crate) fn read_to_end(&mut self) -> Vec<u8> {
        let mut received = std::mem::take(&mut self.input);
        self.socket.read_to_end(&mut received).unwrap();
        received
    }

    /// Reads the end of the stream, before which there must be nothing, and which must not be a reset.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        assert_eq!(hex(&self.read_to_end()), "", "before the end of the stream");
    }

    /// Reads until the connection is gone, whether it was ended or broken off. Nothing may come before.
    #[track_caller]
    pub(crate) fn expect_gone(&mut self) {
        let mut received = std::mem::take(&mut self.input);
        match self.socket.read_to_end(&mut received) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
        }
        assert_eq!(hex(&received), "", "before the connection was gone");
    }

    /// Reads an HTTP response to the end of the stream, and checks its status and its frame.
    #[track_caller]
    pub(crate) fn expect_response(&mut self, status: u16) -> String {
        let response = String::from_utf8(self.read_to_end()).unwrap();
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status} ")),
            "expected {status}: {response}"
        );
        let (head, body) = response.split_once("\r\n\r\n").expect("a whole head");
        assert!(head.contains("close"), "says that it closes: {response}");
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "whole: {response}");
        response
    }

    /// Ends the client's side of the stream.
    pub(crate) fn end(&self) {
        self.socket.end();
    }

    /// Closes as either side may, with status code 1000, and sees the server do its part.
    #[track_caller]
    pub(crate) fn close(mut self) {
        self.send("88 02 03E8");
        self.expect("88 02 03E8");
        self.expect_end();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x} ")).collect()
}
