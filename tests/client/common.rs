//! Servers that follow a script.

#[path = "../event_loop/common/wire.rs"]
mod wire;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use wsloop::client::{Client, ConnectError, Connector};
use wsloop::handshake::{
    Acceptance, ClientRequest, HeadBuffer, HeadLimits, Policy, Request, WsUrl,
};
use wsloop::protocol::{Header, mask};

pub(crate) use self::wire::{frame, wire};

/// A test that waits this long waits in vain. Nothing is ever expected to be quicker than this.
pub(crate) const HANG: Duration = Duration::from_secs(60);

/// For timeouts that are to expire.
pub(crate) const SOON: Duration = Duration::from_millis(50);

/// Lets time pass, for servers that are slow on purpose.
pub(crate) fn let_pass(time: Duration) {
    let (_sender, silence) = mpsc::channel::<()>();
    silence.recv_timeout(time).unwrap_err();
}

/// A server that does as it is told, once for each script, in the order of the connections.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    scripts: Receiver<thread::Result<()>>,
}

impl Server {
    /// Follows a script with the first client that connects.
    pub(crate) fn run(script: impl FnOnce(Peer) + Send + 'static) -> Self {
        let mut script = Some(script);
        Self::run_times(1, move |_, peer| script.take().unwrap()(peer))
    }

    /// Follows a script with so many clients, one after the other. It is told which one it is.
    pub(crate) fn run_times(
        times: usize,
        mut script: impl FnMut(usize, Peer) + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let (sender, scripts) = mpsc::channel();
        thread::spawn(move || {
            let run = std::panic::AssertUnwindSafe(|| {
                for i in 0..times {
                    script(i, Peer::over(listener.accept().unwrap().0));
                }
            });
            sender.send(std::panic::catch_unwind(run))
        });
        Self { addr, scripts }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/", self.addr)
    }

    pub(crate) fn request(&self) -> ClientRequest {
        ClientRequest::new(WsUrl::parse(&self.url()).unwrap())
    }

    #[track_caller]
    pub(crate) fn connect(&self) -> Client {
        self.connect_by(&patient())
    }

    #[track_caller]
    pub(crate) fn connect_by(&self, connector: &Connector) -> Client {
        connector.connect(&self.request()).unwrap()
    }

    /// Waits until the script has been followed to its end.
    #[track_caller]
    pub(crate) fn join(self) {
        if let Err(panic) = self.scripts.recv_timeout(HANG).expect("the script comes to its end") {
            std::panic::resume_unwind(panic);
        }
    }
}

/// A connector with whose timeouts no test comes to its end.
pub(crate) fn patient() -> Connector {
    Connector::new()
        .connect_timeout(HANG)
        .read_timeout(Some(HANG))
        .write_timeout(Some(HANG))
        .close_timeout(HANG)
}

/// The server's end of a connection.
pub(crate) struct Peer<S = TcpStream> {
    pub(crate) stream: S,
}

impl Peer {
    pub(crate) fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(HANG)).unwrap();
        stream.set_write_timeout(Some(HANG)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }
}

impl<S: Read + Write> Peer<S> {
    /// Reads a head, to the blank line and no further.
    pub(crate) fn read_head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        String::from_utf8(head).unwrap()
    }

    /// Reads the request and accepts it. Returns what was asked.
    pub(crate) fn accept(&mut self) -> String {
        self.accept_and_send("")
    }

    /// Does so with frames in the same write.
    pub(crate) fn accept_and_send(&mut self, transcript: &str) -> String {
        let request = self.read_head();
        let response = response_to(&request);
        self.write([response, wire(transcript)].concat());
        request
    }

    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Writes until the client is gone.
    pub(crate) fn write_endlessly(&mut self, bytes: &[u8]) {
        while self.stream.write_all(bytes).is_ok() {}
    }

    /// Sends frames: `81 05 'Hello'`.
    pub(crate) fn send(&mut self, transcript: &str) {
        self.write(wire(transcript));
    }

    /// Reads a frame. Returns its first byte, its key and its payload.
    pub(crate) fn read_frame(&mut self) -> (u8, [u8; 4], Vec<u8>) {
        self.try_read_frame().unwrap()
    }

    pub(crate) fn try_read_frame(&mut self) -> io::Result<(u8, [u8; 4], Vec<u8>)> {
        let mut head = vec![0; 2];
        self.stream.read_exact(&mut head)?;
        let header = loop {
            match Header::parse(&mut &head[..]).unwrap() {
                Some(header) => break header,
                None => {
                    head.push(0);
                    self.stream.read_exact(head.last_mut().map(std::slice::from_mut).unwrap())?;
                }
            }
        };
        let mut payload = vec![0; header.payload_len.try_into().unwrap()];
        self.stream.read_exact(&mut payload)?;
        let key = header.masking_key.expect("clients mask");
        mask::apply(&mut payload, key, 0);
        Ok((head[0], key, payload))
    }

    /// Reads these frames, which are masked, but written here as if they were not.
    #[track_caller]
    pub(crate) fn expect(&mut self, transcript: &str) {
        let expected = wire(transcript);
        let mut received = Vec::new();
        while received.len() < expected.len() {
            let (first_byte, _, payload) = self.read_frame();
            received.extend(frame(first_byte, &payload));
        }
        assert!(received == expected, "{:?}, expected {transcript}", received.escape_ascii());
    }

    /// Reads the end of the stream, before which there must be nothing.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).unwrap();
        assert!(rest.is_empty(), "{} before the end", rest.escape_ascii());
    }

    /// Waits until the client is gone, in whatever way.
    pub(crate) fn await_gone(&mut self) {
        let mut rest = Vec::new();
        _ = self.stream.read_to_end(&mut rest);
    }
}

/// The 101 that a request asks for.
pub(crate) fn response_to(request: &str) -> Vec<u8> {
    let (mut head, limits) = (HeadBuffer::new(), HeadLimits::default());
    assert!(head.receive(&mut request.as_bytes(), &limits).unwrap());
    let request = Request::parse(head.head(), &limits).unwrap();
    let offer = Policy::default().judge(&request).unwrap().expect("an upgrade is asked for");
    let mut output = Vec::new();
    offer.accept(&Acceptance::new(), &mut output).unwrap();
    output
}

/// Checks how connecting to a server fails that reads a request and then follows a script.
#[track_caller]
pub(crate) fn fails_to_connect(
    connector: &Connector,
    script: impl FnOnce(Peer, String) + Send + 'static,
) -> ConnectError {
    let server = Server::run(move |mut peer| {
        let request = peer.read_head();
        script(peer, request);
    });
    let error = connector.connect(&server.request()).map(drop).unwrap_err();
    server.join();
    error
}
