//! Peers within TLS that do not read, or read late.

use wsloop::{Config, Message, SendStatus};

use super::{TlsEcho, TlsSocket};
use crate::common::{Client, NEVER, Script, frame};

/// More than sockets, rustls and the mark have room for together.
const MUCH: usize = 32 << 20;

#[test]
fn what_one_peer_does_not_read_waits_and_arrives_whole() {
    let (mut script, told) = Script::echo();
    let teller = script.teller();
    script.on_message = Box::new(move |peer, _| {
        peer.send(Message::Binary(&vec![b'x'; MUCH]));
        assert_eq!(peer.send("more"), SendStatus::Congested);
        let id = peer.id();
        assert!(peer.peers().queued_bytes(id) > MUCH / 2);
    });
    script.on_drain = Box::new(move |peer| {
        let id = peer.id();
        teller.tell(&format!("{} queued", peer.peers().queued_bytes(id)));
    });
    let config = Config::new().write_queue_limit(2 * MUCH).write_timeout(Some(NEVER));
    let echo = TlsEcho::start(config, (script, told));
    let mut client = echo.open();
    client.send("81 02 'go'");
    echo.server.told.expect("text go");
    // Meanwhile, others are served.
    echo.open().close();
    echo.server.told.expect("close 1000 clean Remote");
    client.expect_bytes(&frame(0x82, &vec![b'x'; MUCH]));
    client.expect("81 04 'more'");
    let told = echo.server.told.wait_for("drain");
    assert_eq!(told, [""; 0]);
    assert!(echo.server.told.next().ends_with("queued"));
    client.close();
    echo.server.told.expect("close 1000 clean Remote");
    assert_eq!(queued(&echo), 0);
    echo.server.stop();
}

fn queued(echo: &TlsEcho) -> u64 {
    let (sender, receiver) = std::sync::mpsc::channel();
    echo.server.remote.run(move |peers| sender.send(peers.stats().bytes.queued).unwrap()).unwrap();
    receiver.recv_timeout(crate::common::HANG).unwrap()
}

/// A socket has room for more ciphertext or has not: what rustls holds is not sent, and is counted.
#[test]
fn what_is_encrypted_but_not_sent_is_still_queued() {
    let (mut script, told) = Script::echo();
    let teller = script.teller();
    script.on_message = Box::new(move |peer, _| {
        // As much as is told to be taken at once.
        for _ in 0..MUCH / (32 << 10) {
            peer.send(Message::Binary(&[b'x'; 32 << 10]));
        }
        let id = peer.id();
        let stats = peer.peers().stats();
        assert_eq!(stats.bytes.queued, peer.peers().queued_bytes(id) as u64);
        teller.tell("sent");
    });
    let config = Config::new().write_queue_limit(2 * MUCH).write_timeout(Some(NEVER));
    let echo = TlsEcho::start(config, (script, told));
    let mut client = echo.open();
    client.send("81 02 'go'");
    echo.server.told.expect("text go");
    echo.server.told.expect("sent");
    read_slowly(&mut client, MUCH / (32 << 10) * ((32 << 10) + 4));
    echo.server.told.expect("drain");
    client.close();
    echo.server.told.expect("close 1000 clean Remote");
    assert_eq!(queued(&echo), 0);
    echo.server.stop();
}

fn read_slowly(client: &mut Client<TlsSocket>, len: usize) {
    let mut left = len;
    while left > 0 {
        left -= client.read(left.min(10_000)).len();
    }
}
