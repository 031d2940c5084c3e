//! The examples do what they say: each is started as people start it, has a conversation, and ends on
//! Ctrl-C.
//!
//! Cargo builds them for `cargo test`. For `cargo test --test examples` it does not, and then these are
//! those of the last time: `cargo build --examples` first.

#![cfg(unix)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use wsloop::protocol::{Header, Opcode, encode_frame};

/// A test that waits this long waits in vain. Nothing is ever expected to be quicker than this.
const HANG: Duration = Duration::from_secs(60);

/// An example that runs.
struct Example {
    child: Child,
    /// What it writes to standard output, until it ends.
    lines: Receiver<String>,
    first_line: String,
}

impl Example {
    /// Starts an example on a port of the system's choice.
    #[track_caller]
    fn start(name: &str, arguments: &[&str]) -> Self {
        Self::start_with(name, arguments, "true")
    }

    /// Starts an example after a command of the shell, such as `ulimit`.
    #[track_caller]
    fn start_with(name: &str, arguments: &[&str], command: &str) -> Self {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &format!("{command} && exec \"$0\" \"$@\"")])
            .arg(path_of(name))
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments);
        let (child, lines) = spawn(shell);
        let first_line = lines.recv_timeout(HANG).expect("it says where it listens");
        Self { child, lines, first_line }
    }

    /// Where it listens.
    #[track_caller]
    fn addr(&self) -> SocketAddr {
        let addr = self.first_line.strip_prefix("listening on ws://").expect("where it listens");
        addr.split(' ').next().unwrap().parse().unwrap()
    }

    #[track_caller]
    fn open(&self) -> Client {
        let mut client = Client::connect(self.addr());
        let head = client.ask(&opening_handshake(""));
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        client
    }

    /// Presses Ctrl-C, sees these peers off, and checks that the example has ended well.
    #[track_caller]
    fn stop(mut self, peers: impl IntoIterator<Item = Client>) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        for mut peer in peers {
            peer.expect(Opcode::Close, &1001_u16.to_be_bytes());
            peer.send(Opcode::Close, &1001_u16.to_be_bytes());
            peer.expect_end();
        }
        self.expect_end();
    }

    #[track_caller]
    fn expect_end(&mut self) {
        assert_eq!(self.lines.recv_timeout(HANG), Err(RecvTimeoutError::Disconnected));
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where cargo has put an example.
fn path_of(name: &str) -> PathBuf {
    let path = std::env::current_exe().unwrap();
    let path = path.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(path.exists(), "{} is missing: cargo build --examples", path.display());
    path
}

/// Starts a program. Returns it, and what it writes to standard output until it ends.
fn spawn(mut command: Command) -> (Child, Receiver<String>) {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        stdout.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok())
    });
    (child, lines)
}

struct Client {
    stream: TcpStream,
}

impl Client {
    fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(HANG)).unwrap();
        Self { stream }
    }

    /// Sends a request, and returns the head of the answer.
    fn ask(&mut self, request: &str) -> String {
        self.stream.write_all(request.as_bytes()).unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head.push(char::from(self.read::<1>()[0]));
        }
        head
    }

    fn send(&mut self, opcode: Opcode, payload: &[u8]) {
        let header = Header::new(opcode, payload.len() as u64);
        let mut frame = Vec::new();
        let masking_key = Some([0x37, 0xFA, 0x21, 0x3D]);
        encode_frame(Header { masking_key, ..header }, payload, &mut frame);
        self.stream.write_all(&frame).unwrap();
    }

    /// Receives a frame of the server's.
    #[track_caller]
    fn receive(&mut self) -> (Opcode, Vec<u8>) {
        let mut head = self.read::<2>().to_vec();
        let header = loop {
            if let Some(header) = Header::parse(&mut &head[..]).unwrap() {
                break header;
            }
            head.extend(self.read::<1>());
        };
        let mut payload = vec![0; header.payload_len.try_into().unwrap()];
        self.stream.read_exact(&mut payload).unwrap();
        (header.opcode, payload)
    }

    #[track_caller]
    fn expect(&mut self, opcode: Opcode, payload: &[u8]) {
        let (received_opcode, received) = self.receive();
        let [received, payload] = [&received, payload].map(String::from_utf8_lossy);
        assert_eq!((received_opcode, received), (opcode, payload));
    }

    fn send_text(&mut self, text: &str) {
        self.send(Opcode::Text, text.as_bytes());
    }

    #[track_caller]
    fn expect_text(&mut self, text: &str) {
        self.expect(Opcode::Text, text.as_bytes());
    }

    #[track_caller]
    fn expect_end(&mut self) {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).unwrap();
        assert!(rest.is_empty(), "{} bytes before the end", rest.len());
    }

    fn read<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }
}

/// The opening handshake of RFC 6455 §1.2, with more fields.
fn opening_handshake(fields: &str) -> String {
    format!(
        "GET /chat HTTP/1.1\r\n\
         Host: server.example.com\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Version: 13\r\n\
         {fields}\r\n"
    )
}

/// Checks that an example serves its page, and to what it links: to nothing.
#[cfg(feature = "event-loop")]
#[track_caller]
fn check_page(example: &Example, title: &str) {
    let mut client = Client::connect(example.addr());
    let head = client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let mut page = String::new();
    client.stream.read_to_string(&mut page).unwrap();
    assert!(page.contains(&format!("<title>{title}</title>")), "{page}");
    assert!(!page.contains("http://") && !page.contains("https://"), "{page}");
}

#[test]
fn sans_io() {
    let example = Example::start("sans_io", &[]);
    let mut client = Client::connect(example.addr());
    // Frames right behind the request, and cut.
    let mut early = opening_handshake("").into_bytes();
    early.extend(b"\x81\x85\x37\xfa\x21\x3d\x7f");
    client.stream.write_all(&early).unwrap();
    let head = client.ask("");
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    client.stream.write_all(b"\x9f\x4d\x51\x58").unwrap();
    client.expect_text("Hello");
    client.send_text("€");
    client.expect_text("€");
    client.send(Opcode::Ping, b"?");
    client.expect(Opcode::Pong, b"?");
    client.send(Opcode::Close, &1000_u16.to_be_bytes());
    client.expect(Opcode::Close, &1000_u16.to_be_bytes());
    client.expect_end();

    // Whoever breaks the protocol is told so: here, a frame without a masking key.
    let mut client = example.open();
    client.stream.write_all(b"\x81\x00").unwrap();
    client.expect(Opcode::Close, &1002_u16.to_be_bytes());
    client.expect_end();

    let mut client = Client::connect(example.addr());
    let head = client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 426 "), "{head}");
    example.stop([]);
}

#[test]
fn sans_io_outlives_a_flood_of_connections() {
    let example = Example::start_with("sans_io", &[], "ulimit -n 32");
    let flood: Vec<_> = (0..64).map(|_| Client::connect(example.addr())).collect();
    // Only now is it known that all descriptors are taken: these are served after the others.
    let ask = |client: &mut Client| client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    for mut client in flood {
        assert!(ask(&mut client).starts_with("HTTP/1.1 426 "));
    }
    example.stop([]);
}

#[cfg(feature = "event-loop")]
#[test]
fn echo() {
    let example = Example::start("echo", &["--subprotocol", "chat.v2", "--subprotocol", "chat.v1"]);
    check_page(&example, "wsloop echo");
    let mut client = Client::connect(example.addr());
    let head =
        client.ask(&opening_handshake("Sec-WebSocket-Protocol: chat.v1, chat.v2, chat.v3\r\n"));
    assert!(head.contains("\r\nSec-WebSocket-Protocol: chat.v2\r\n"), "{head}");
    client.send_text("Hello");
    client.send(Opcode::Binary, &[0xFF; 1 << 20]);
    client.expect_text("Hello");
    client.expect(Opcode::Binary, &[0xFF; 1 << 20]);
    example.stop([client]);
}

#[cfg(feature = "event-loop")]
#[test]
fn broadcast() {
    let example = Example::start("broadcast", &[]);
    check_page(&example, "wsloop broadcast");
    let mut clients = [example.open(), example.open()];
    clients[0].send_text("Hello");
    clients[0].send(Opcode::Binary, b"\xFF");
    for client in &mut clients {
        client.expect_text("Hello");
        client.expect(Opcode::Binary, b"\xFF");
    }
    example.stop(clients);
}

#[cfg(feature = "event-loop")]
#[test]
fn ticker() {
    let origins = ["--origin", "https://a.example", "--origin", "http://localhost:5173"];
    let example = Example::start("ticker", &[&["--every", "0.01"], &origins[..]].concat());
    check_page(&example, "wsloop ticker");
    let clients = ["https://a.example", "http://localhost:5173"].map(|origin| {
        let mut client = Client::connect(example.addr());
        let head = client.ask(&opening_handshake(&format!("Origin: {origin}\r\n")));
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        client.expect_text("hello");
        client.expect_text("hello");
        client
    });
    // The host itself is not among those that were named.
    for origin in ["http://server.example.com", "https://a.example.evil", "null"] {
        let mut client = Client::connect(example.addr());
        let head = client.ask(&opening_handshake(&format!("Origin: {origin}\r\n")));
        assert!(head.starts_with("HTTP/1.1 403 "), "{origin}: {head}");
    }
    drop(clients);
    example.stop([]);
}

#[cfg(feature = "event-loop")]
#[test]
fn custom_loop() {
    use std::net::UdpSocket;

    let example = Example::start("custom_loop", &["--udp", "127.0.0.1:0"]);
    let (_, udp) = example.first_line.split_once("udp://").unwrap();
    let mut clients = [example.open(), example.open()];
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for datagram in [&b"Hello"[..], b"", b"not \xFF UTF-8"] {
        socket.send_to(datagram, udp).unwrap();
        for client in &mut clients {
            client.expect_text(&String::from_utf8_lossy(datagram));
        }
    }
    clients[0].send_text("?");
    clients[0].expect_text("send your datagrams by UDP");
    example.stop(clients);
}

#[cfg(all(feature = "event-loop", feature = "client"))]
mod client {
    use super::*;

    /// The `client` example, which has connected.
    struct Program {
        child: Child,
        lines: Receiver<String>,
    }

    impl Program {
        #[track_caller]
        fn start(url: &str) -> Self {
            let program = Self::start_without_waiting(url);
            assert_eq!(program.next_line(), format!("connected to {url}"));
            program
        }

        fn start_without_waiting(url: &str) -> Self {
            let mut command = Command::new(path_of("client"));
            command.arg(url).stderr(Stdio::piped());
            let (child, lines) = spawn(command);
            Self { child, lines }
        }

        #[track_caller]
        fn next_line(&self) -> String {
            self.lines.recv_timeout(HANG).expect("a line of output")
        }

        /// Waits for it to end. Returns whether that is a success, and what it has written since.
        #[track_caller]
        fn end(mut self) -> (bool, String, String) {
            let output = self.lines.iter().collect();
            let mut errors = String::new();
            self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
            (self.child.wait().unwrap().success(), output, errors)
        }
    }

    impl Drop for Program {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    fn interrupt(child: &Child) {
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    }

    #[test]
    fn it_tells_the_time_until_ctrl_c() {
        let example = Example::start("echo", &[]);
        let program = Program::start(&format!("ws://{}/", example.addr()));
        for _ in 0..2 {
            let line = program.next_line();
            assert!(line.starts_with("received: ") && line.ends_with(" UTC"), "{line}");
        }
        interrupt(&program.child);
        let (success, output, errors) = program.end();
        assert!(success && errors.is_empty(), "{errors}");
        assert!(output.ends_with("closed with status code 1000"), "{output}");
        example.stop([]);
    }

    #[test]
    fn it_ends_when_the_server_closes() {
        let example = Example::start("echo", &[]);
        let program = Program::start(&format!("ws://{}/", example.addr()));
        example.stop([]);
        let (success, output, errors) = program.end();
        assert!(success && errors.is_empty(), "{errors}");
        assert!(output.contains("closed with status code 1001"), "{output}");
    }

    #[test]
    fn it_fails_when_the_server_is_gone() {
        let mut example = Example::start("echo", &[]);
        let program = Program::start(&format!("ws://{}/", example.addr()));
        example.child.kill().unwrap();
        let (success, _, errors) = program.end();
        assert!(!success);
        let reasons = ["the stream ended without a Close", "the connection broke"];
        assert!(reasons.iter().any(|reason| errors.contains(reason)), "{errors}");
    }

    #[test]
    fn it_fails_where_there_is_no_server() {
        let program = Program::start_without_waiting("ws://127.0.0.1:1/");
        let (success, output, errors) = program.end();
        assert!(!success && output.is_empty(), "{output}");
        assert!(errors.starts_with("client: cannot connect: "), "{errors}");
    }
}

#[cfg(all(feature = "event-loop", feature = "json"))]
mod chat {
    use super::*;

    /// The time is told less often than any test takes.
    const NO_CLOCK: &[&str] = &["--clock", "3600"];

    #[track_caller]
    fn sign_in(example: &Example, name: &str, people: &str) -> Client {
        let mut client = example.open();
        client.send_text(&format!(r#"{{"name":"{name}"}}"#));
        client.expect_text(&format!(r#"{{"event":"welcome","name":"{name}","people":{people}}}"#));
        client
    }

    #[test]
    fn people_speak_to_all_or_to_one() {
        let example = Example::start("chat", NO_CLOCK);
        check_page(&example, "wsloop chat");
        let mut ada = sign_in(&example, "Ada", r#"["Ada"]"#);
        let mut eve = sign_in(&example, "Eve", r#"["Ada","Eve"]"#);
        let mut bob = sign_in(&example, "Bob", r#"["Ada","Bob","Eve"]"#);
        ada.expect_text(r#"{"event":"joined","name":"Eve"}"#);
        ada.expect_text(r#"{"event":"joined","name":"Bob"}"#);
        eve.expect_text(r#"{"event":"joined","name":"Bob"}"#);
        // Whoever has not signed in hears nothing.
        let stranger = example.open();

        ada.send_text(r#"{"text":"Hello"}"#);
        ada.send_text(r#"{"to":"Bob","text":"psst"}"#);
        for client in [&mut ada, &mut bob, &mut eve] {
            client.expect_text(r#"{"event":"said","from":"Ada","to":null,"text":"Hello"}"#);
        }
        for client in [&mut ada, &mut bob] {
            client.expect_text(r#"{"event":"said","from":"Ada","to":"Bob","text":"psst"}"#);
        }
        drop(bob);
        for client in [&mut ada, &mut eve] {
            client.expect_text(r#"{"event":"left","name":"Bob"}"#);
        }
        example.stop([ada, eve, stranger]);
    }

    #[test]
    fn mistakes_are_answered_and_nobody_is_thrown_out() {
        let example = Example::start("chat", NO_CLOCK);
        let mut client = example.open();
        let not_plain = "letters and digits, please, and nobody is everyone";
        let not_a_name = "1 to 32 characters, please, and no control characters";
        for (message, error) in [
            ("{\n name", "key must be a string at line 2 column 2"),
            ("[]", "invalid length 0, expected struct SignIn with 1 element at line 1 column 2"),
            (r#"{"name":" "}"#, not_a_name),
            (r#"{"name":"a\u0007"}"#, not_a_name),
            (r#"{"name":"Ada\u200b"}"#, not_plain),
            (r#"{"name":"Everyone"}"#, not_plain),
            (&format!(r#"{{"name":"{}"}}"#, "a".repeat(33)), not_a_name),
        ] {
            client.send_text(message);
            client.expect_text(&format!(r#"{{"event":"error","message":"{error}"}}"#));
        }
        client.send_text(r#"{"name":"Ada"}"#);
        client.expect_text(r#"{"event":"welcome","name":"Ada","people":["Ada"]}"#);
        client.send_text(r#"{"to":"Bob","text":"psst"}"#);
        client.expect_text(r#"{"event":"error","message":"there is nobody of that name"}"#);
        example.stop([client]);
    }

    #[test]
    fn whoever_signs_in_again_takes_over() {
        let example = Example::start("chat", NO_CLOCK);
        let mut eve = sign_in(&example, "Eve", r#"["Eve"]"#);
        let mut older = sign_in(&example, "Ada", r#"["Ada","Eve"]"#);
        let mut newer = sign_in(&example, "Ada", r#"["Ada","Eve"]"#);
        older.expect(Opcode::Close, b"\x0F\xA1signed in elsewhere");
        older.send(Opcode::Close, b"\x0F\xA1");
        older.expect_end();
        drop(older);
        // Nobody has come or gone, and what is said to Ada reaches her.
        eve.expect_text(r#"{"event":"joined","name":"Ada"}"#);
        eve.send_text(r#"{"to":"Ada","text":"psst"}"#);
        for client in [&mut eve, &mut newer] {
            client.expect_text(r#"{"event":"said","from":"Eve","to":"Ada","text":"psst"}"#);
        }
        drop(newer);
        eve.expect_text(r#"{"event":"left","name":"Ada"}"#);
        example.stop([eve]);
    }

    #[test]
    fn whoever_floods_the_room_is_held_up_and_others_are_heard() {
        let example = Example::start("chat", NO_CLOCK);
        let mut eve = sign_in(&example, "Eve", r#"["Eve"]"#);
        let mut ada = sign_in(&example, "Ada", r#"["Ada","Eve"]"#);
        for _ in 0..2000 {
            eve.send_text(r#"{"text":"!"}"#);
        }
        let flood = r#"{"event":"said","from":"Eve","to":null,"text":"!"}"#;
        ada.expect_text(flood);
        // This is behind a part of the flood, which at five a second would take minutes.
        ada.send_text(r#"{"text":"Hello"}"#);
        let mut heard = 1;
        while ada.receive().1 == flood.as_bytes() {
            heard += 1;
        }
        assert!(heard < 200, "{heard}");
        drop((eve, ada));
        example.stop([]);
    }

    #[test]
    fn another_thread_tells_the_time() {
        let example = Example::start("chat", &["--clock", "0.01"]);
        let mut ada = sign_in(&example, "Ada", r#"["Ada"]"#);
        let (_, time) = ada.receive();
        assert!(time.starts_with(br#"{"event":"time","seconds":"#));
        drop(ada);
        example.stop([]);
    }
}
