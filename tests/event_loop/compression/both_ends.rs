//! Our clients and our servers, whatever each of them has been told of compression.

use std::time::Duration;

use wsloop::client::Connector;
use wsloop::handshake::{ClientRequest, WsUrl};
use wsloop::{Close, CloseCode, Compression, Config, Connect, Delivery, EventLoop, Handler};
use wsloop::{Message, Peer, PeerId, PeerMap, Piece, Reconnect};

use super::{noise, words};
use crate::common::{HANG, Script, ScriptedServer, Server, accept, wire};

/// What each end may have been told.
fn policies() -> [Option<Compression>; 3] {
    [None, Some(Compression::shared()), Some(Compression::dedicated())]
}

/// Messages of all kinds: long, short, text, incompressible, and some for the second time.
fn message(number: usize) -> String {
    match number % 5 {
        0 => String::new(),
        1 => format!("short {number}"),
        2 => words(300, 2),
        3 => words(70_000, number as u64 % 3),
        _ => noise(3000, number as u64).iter().map(|byte| format!("{byte:x}")).collect(),
    }
}

/// A client that says one thing after the other, and a server that repeats it.
struct Talk {
    client: Option<PeerId>,
    said: usize,
    arriving: PeerMap<String>,
}

const MESSAGES: usize = 40;

impl Handler for Talk {
    fn on_open(&mut self, peer: &mut Peer<'_>) {
        if peer.is_server() {
            self.client = Some(peer.id());
            peer.send(&message(0));
        }
    }

    fn on_message(&mut self, peer: &mut Peer<'_>, received: Message<'_>) {
        if Some(peer.id()) != self.client {
            peer.send(received);
            return;
        }
        assert!(received.as_text() == Some(&message(self.said)), "message {}", self.said);
        self.said += 1;
        match self.said {
            MESSAGES => peer.close(CloseCode::NORMAL, ""),
            said => _ = peer.send(&message(said)),
        }
    }

    fn on_piece(&mut self, peer: &mut Peer<'_>, piece: Piece<'_>) {
        let mut text = self.arriving.remove(peer.id()).unwrap_or_default();
        assert!(!piece.first || text.is_empty());
        text += piece.message.as_text().unwrap();
        match piece.last {
            true => self.on_message(peer, Message::Text(&text)),
            false => drop(self.arriving.insert(peer.id(), text)),
        }
    }

    fn on_close(&mut self, peer: &mut Peer<'_>, close: Close<'_>) {
        assert_eq!(close.code, 1000, "{close}");
        if Some(peer.id()) == self.client {
            peer.peers().shutdown(Duration::from_secs(60));
        }
    }
}

#[test]
fn a_client_in_a_loop_and_a_server_in_a_loop_understand_each_other() {
    for servers in policies() {
        for clients in policies() {
            for delivery in [Delivery::Messages, Delivery::Pieces] {
                let config = || Config::new().delivery(delivery).read_buffer_size(5000);
                let talk = || Talk { client: None, said: 0, arriving: PeerMap::new() };
                let config_of_server = config().compression(servers);
                let mut server = EventLoop::with_config(config_of_server).unwrap();
                let addr = server.listen("127.0.0.1:0").unwrap();
                let remote = server.remote();
                let server = std::thread::spawn(move || server.run(&mut talk()).unwrap());

                let config_of_client = config().compression(clients);
                let mut client = EventLoop::with_config(config_of_client).unwrap();
                client.connect(&format!("ws://{addr}")).unwrap();
                let mut talk = talk();
                while !client.is_finished() {
                    client.turn(&mut talk, Some(HANG)).unwrap();
                }
                assert_eq!(talk.said, MESSAGES);
                remote.shutdown(Duration::ZERO);
                server.join().unwrap();
            }
        }
    }
}

#[test]
fn a_blocking_client_and_a_server_understand_each_other() {
    for servers in policies() {
        for clients in policies() {
            let config = Config::new().compression(servers);
            let server = Server::start(config, Script::echo());
            let connector = Connector::new().read_timeout(Some(HANG)).compression(clients);
            let url = format!("ws://{}/", server.addr);
            let request = ClientRequest::new(WsUrl::parse(&url).unwrap());
            let mut client = connector.connect(&request).unwrap();
            let agreed = client.established().deflate();
            assert_eq!(agreed.is_some(), servers.is_some() && clients.is_some());
            for number in 0..MESSAGES {
                client.send(&message(number)).unwrap();
                let received = client.receive().unwrap().unwrap();
                assert!(received.as_text() == Some(&message(number)), "message {number}");
            }
            client.close(CloseCode::NORMAL, "").unwrap();
            server.told.wait_for("close 1000 clean Remote");
        }
    }
}

/// Answers with an agreement to compress, and sends frames.
fn agreeing(agreed: &'static str, frames: &'static str, close: &'static [u8]) -> ScriptedServer {
    ScriptedServer::once(move |client| {
        let response = String::from_utf8(accept(&client.read_head())).unwrap();
        let field = format!("\r\n{}: {agreed}\r\n\r\n", super::FIELD);
        client.write(response.replace("\r\n\r\n", &field));
        client.write(wire(frames));
        client.expect_masked(0x88, close);
    })
}

/// Has a loop connect, and returns what it is told up to the end.
#[track_caller]
fn told_by(server: ScriptedServer, compression: Compression) -> Vec<String> {
    let mut event_loop = EventLoop::with_config(Config::new().compression(compression)).unwrap();
    event_loop.connect(&server.url()).unwrap();
    let (mut script, told) = Script::echo();
    script.on_message = Box::new(|_, _| {});
    script.on_close = Box::new(|peer| peer.peers().shutdown(Duration::ZERO));
    while !event_loop.is_finished() {
        event_loop.turn(&mut script, Some(HANG)).unwrap();
    }
    server.join();
    told.so_far()
}

#[test]
fn a_client_understands_the_examples_of_rfc_7692_section_7_2_3() {
    let messages = "c1 07 f248cdc9c90700  41 03 f248cd  89 00  80 04 c9c90700  c1 0b 000500faff 'Hello' 00  \
                    c1 08 f348cdc9c9070000  c1 0d f248050000 00ffff cac9c90700  c1 01 00  88 00";
    let server = ScriptedServer::once(move |client| {
        let response = String::from_utf8(accept(&client.read_head())).unwrap();
        let field = format!("\r\n{}: permessage-deflate\r\n\r\n", super::FIELD);
        client.write(response.replace("\r\n\r\n", &field));
        client.write(wire(messages));
        client.expect_masked(0x8A, b"");
        client.expect_masked(0x88, b"");
        client.end();
        client.expect_end();
    });
    let hello = "text Hello";
    assert_eq!(
        told_by(server, Compression::dedicated()),
        ["open", hello, "ping", hello, hello, hello, hello, "text", "close 1005 clean Remote"]
    );
}

#[test]
fn a_client_fails_what_a_server_would() {
    let reserved = "close 1006 unclean Violation(ReservedBits)";
    let corrupt = "close 1006 unclean Violation(CorruptDeflate)";
    for (frames, close, told) in [
        ("41 03 f248cd  c0 04 c9c90700", &[3, 0xEA][..], reserved),
        ("c9 00", &[3, 0xEA], reserved),
        ("c1 01 ff", &[3, 0xEF], corrupt),
        ("c1 05 f200110000", &[3, 0xEF], corrupt),
    ] {
        let dedicated = agreeing("permessage-deflate", frames, close);
        assert_eq!(told_by(dedicated, Compression::dedicated()), ["open", told]);
        let agreed = "permessage-deflate; server_no_context_takeover";
        assert_eq!(told_by(agreeing(agreed, frames, close), Compression::shared()), ["open", told]);
    }
}

/// What was agreed on, and what has been sent, is a connection's and not its successor's.
#[test]
fn whoever_connects_again_begins_anew() {
    let field = format!("\r\n{}: permessage-deflate\r\n\r\n", super::FIELD);
    let let_in = move |client: &mut crate::common::Client| {
        let response = String::from_utf8(accept(&client.read_head())).unwrap();
        client.write(response.replace("\r\n\r\n", &field));
        client.read_masked().2
    };
    let (first, again) = (let_in.clone(), let_in);
    let (sender, sent) = std::sync::mpsc::channel();
    let plain_sender = sender.clone();
    let other_sender = sender.clone();
    let server = ScriptedServer::start([
        Box::new(move |client| {
            sender.send(first(client)).unwrap();
            client.write(wire("c1 07 f248cdc9c90700"));
            client.end();
        }),
        Box::new(move |client| {
            // This time there is no agreement.
            client.let_in();
            plain_sender.send(client.read_masked().2).unwrap();
            client.end();
        }),
        Box::new(move |client| {
            other_sender.send(again(client)).unwrap();
            client.write(wire("c1 05 f200110000"));
            client.expect_masked(0x88, [3, 0xEF]);
        }),
    ]);
    let config = Config::new().compression(Compression::dedicated());
    let mut event_loop = EventLoop::with_config(config).unwrap();
    let text = words(1000, 1);
    let (mut script, told) = Script::echo();
    let said = text.clone();
    script.on_open = Box::new(move |peer| _ = peer.send(&said));
    script.on_message = Box::new(|_, _| {});
    let mut closed = 0;
    script.on_close = Box::new(move |peer| {
        closed += 1;
        if closed == 3 {
            peer.peers().shutdown(Duration::ZERO);
        }
    });
    let delay = Duration::from_millis(1);
    let request = ClientRequest::new(WsUrl::parse(&server.url()).unwrap());
    let connect = Connect::new(request).reconnect(Reconnect::new().delays(delay, delay));
    event_loop.connect_with(connect).unwrap();
    while !event_loop.is_finished() {
        event_loop.turn(&mut script, Some(HANG)).unwrap();
    }
    server.join();
    let [first, plain, again] = [(); 3].map(|()| sent.recv().unwrap());
    assert_eq!((plain.len(), &first), (1000, &again));
    let told = told.so_far();
    assert_eq!(told.last().unwrap(), "close 1006 unclean Violation(CorruptDeflate)", "{told:?}");
}
