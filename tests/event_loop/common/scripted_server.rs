//! A server that says what a test wants, for loops that connect to it.

use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;

use wsloop::handshake::{Acceptance, HeadLimits, Policy, Request};

use super::{Client, Socket};

/// What a server does on one connection.
type Part = dyn FnOnce(&mut Client) + Send;

/// A server on a thread.
pub(crate) struct ScriptedServer {
    pub(crate) addr: SocketAddr,
    thread: JoinHandle<()>,
}

impl ScriptedServer {
    /// Serves one connection after the other, as many as there are scripts.
    pub(crate) fn start<const N: usize>(scripts: [Box<Part>; N]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            for script in scripts {
                let (socket, _) = listener.accept().unwrap();
                socket.set_nodelay(true).unwrap();
                script(&mut Client::over(socket));
            }
        });
        Self { addr, thread }
    }

    /// Serves one connection.
    pub(crate) fn once(script: impl FnOnce(&mut Client) + Send + 'static) -> Self {
        Self::start([Box::new(script)])
    }

    /// Reads a request, answers it, and ends.
    pub(crate) fn answering(answer: impl AsRef<[u8]> + Send + 'static) -> Self {
        Self::once(move |client| {
            client.read_head();
            client.write(answer);
            client.end();
            client.expect_gone();
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/chat", self.addr)
    }

    /// Waits until all scripts have been played, and fails if one did.
    #[track_caller]
    pub(crate) fn join(self) {
        if let Err(panic) = self.thread.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

impl<S: Socket> Client<S> {
    /// Reads up to the blank line, and no further.
    #[track_caller]
    pub(crate) fn read_head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = self.read(1);
            assert!(!byte.is_empty(), "no head: {}", head.escape_ascii());
            head.extend(byte);
        }
        String::from_utf8(head).unwrap()
    }
}

impl Client {
    /// Does a server's part of the opening handshake, and returns the request.
    #[track_caller]
    pub(crate) fn let_in(&mut self) -> String {
        let request = self.read_head();
        self.write(accept(&request));
        request
    }

    /// Reads one frame, which is masked: its first byte, its key and what it says.
    #[track_caller]
    pub(crate) fn read_masked(&mut self) -> (u8, [u8; 4], Vec<u8>) {
        let header = self.read(2);
        assert!(header[1] & 0x80 != 0, "it is masked");
        let extended = match header[1] & 0x7F {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let len = match self.read(extended).as_slice() {
            [] => usize::from(header[1] & 0x7F),
            bytes => bytes.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)),
        };
        let key = <[u8; 4]>::try_from(self.read(4)).unwrap();
        (header[0], key, unmask(&self.read(len), key))
    }

    /// Reads one frame, which is masked, and checks what it is and says.
    #[track_caller]
    pub(crate) fn expect_masked(&mut self, opcode: u8, payload: impl AsRef<[u8]>) -> [u8; 4] {
        let (first, key, received) = self.read_masked();
        assert_eq!((first, &*received), (opcode, payload.as_ref()));
        key
    }
}

/// The 101 that answers a request.
pub(crate) fn accept(request: &str) -> Vec<u8> {
    let request = Request::parse(request.as_bytes(), &HeadLimits::default()).unwrap();
    let offer = Policy::default().judge(&request).unwrap().unwrap();
    let mut response = Vec::new();
    offer.accept(&Acceptance::new(), &mut response).unwrap();
    response
}

fn unmask(payload: &[u8], key: [u8; 4]) -> Vec<u8> {
    payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect()
}
