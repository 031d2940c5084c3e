//! A server that speaks TLS by way of OpenSSL: `openssl s_server`, where it is installed.
//!
//! It sends what it reads from its input, and prints what it receives, amid other things that it has
//! to say.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use wsloop::client::{Client, Error};
use wsloop::protocol::Message;
use wsloop::tls::TlsError;

use super::common::{Authority, Identity, request};
use crate::common::{SOON, patient, response_to, wire};

struct OpenSsl {
    child: Child,
    output: BufReader<ChildStdout>,
    port: u16,
}

impl OpenSsl {
    /// Starts one, if there is any.
    fn start(identity: &Identity, version: &str) -> Option<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let i = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("wsloop-openssl-{}-{i}.pem", std::process::id());
        let pem = std::env::temp_dir().join(name);
        std::fs::write(&pem, identity.pem.clone() + &identity.key.serialize_pem()).unwrap();
        let child = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-cert"])
            .arg(&pem)
            .arg(version)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut child) = child else {
            eprintln!("NOT RUN: there is no openssl");
            return None;
        };
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let port = loop {
            let mut line = String::new();
            assert_ne!(output.read_line(&mut line).unwrap(), 0, "openssl ended");
            if let Some(addr) = line.trim_end().strip_prefix("ACCEPT ") {
                break addr.rsplit(':').next().unwrap().parse().unwrap();
            }
        };
        std::fs::remove_file(pem).unwrap();
        Some(Self { child, output, port })
    }

    /// Reads the request, past all else that is printed, and accepts it.
    fn accept(&mut self) {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.output.read_line(&mut head).unwrap(), 0, "{head}");
        }
        let request = &head[head.find("GET /").expect("a request")..];
        self.write(&response_to(request));
    }

    /// Reads a frame of a client, with whatever payload of that length.
    fn expect_frame(&mut self, first_byte: u8, payload_len: u8) {
        // What it has to say besides is text: no frame begins like that.
        while self.output.fill_buf().unwrap().first().is_some_and(u8::is_ascii) {
            self.output.skip_until(b'\n').unwrap();
        }
        let mut head = [0; 6];
        self.output.read_exact(&mut head).unwrap();
        assert_eq!(head[..2], [first_byte, 0x80 | payload_len]);
        let mut payload = vec![0; payload_len.into()];
        self.output.read_exact(&mut payload).unwrap();
    }

    fn write(&mut self, bytes: &[u8]) {
        let input = self.child.stdin.as_mut().unwrap();
        input.write_all(bytes).unwrap();
        input.flush().unwrap();
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Connects a client to a server that has accepted it, if there is any.
fn connect(version: &str) -> Option<(Client, OpenSsl)> {
    let authority = Authority::new();
    let mut server = OpenSsl::start(&authority.server(["127.0.0.1"]), version)?;
    let addr = ([127, 0, 0, 1], server.port).into();
    let connector = patient().tls(authority.trusted());
    let connecting = thread::spawn(move || connector.connect(&request("127.0.0.1", addr)));
    server.accept();
    Some((connecting.join().unwrap().unwrap(), server))
}

#[test]
fn openssl_is_understood_in_either_version() {
    for version in ["-tls1_2", "-tls1_3"] {
        let Some((mut client, mut server)) = connect(version) else { return };
        server.write(&wire("81 05 'Hello'"));
        assert_eq!(client.receive(), Ok(Some(Message::Text("Hello"))));
        client.send(&b"World"[..]).unwrap();
        server.expect_frame(0x82, 5);
        // Killed, it does not say that this is the end.
        server.child.kill().unwrap();
        let error = client.receive().unwrap_err();
        assert!(matches!(error, Error::Tls(TlsError::Truncated) | Error::Lost(_)), "{error:?}");
    }
}

/// A line that begins with K has OpenSSL renew its keys, and ask for the same.
#[test]
fn openssl_may_renew_its_keys() {
    let Some((mut client, mut server)) = connect("-tls1_3") else { return };
    client.set_read_timeout(Some(SOON));
    for _ in 0..3 {
        server.write(b"K\n");
        // What OpenSSL reads together with that line is lost.
        let received = loop {
            server.write(&wire("81 05 'Hello'"));
            match client.receive() {
                Err(Error::Timeout) => {}
                result => break result,
            }
        };
        assert_eq!(received, Ok(Some(Message::Text("Hello"))));
        client.send("world\n").unwrap();
        server.expect_frame(0x81, 6);
    }
}
