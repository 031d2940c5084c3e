//! Peers within TLS that do not read, or read late.

use std::sync::mpsc;
use std::time::Duration;

use wsloop::{Config, EventLoop, Message, SendStatus};

use super::{Authority, TlsEcho, connect};
use crate::common::{NEVER, Script, frame, turn_until};

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
    let (sender, receiver) = mpsc::channel();
    echo.server.remote.run(move |peers| sender.send(peers.stats().bytes.queued).unwrap()).unwrap();
    receiver.recv_timeout(crate::common::HANG).unwrap()
}

/// One message after the other, until a socket takes only a part of one: then nothing is left of it in
/// the queue, and yet it is not sent.
#[test]
fn what_is_encrypted_but_not_sent_is_still_queued() {
    const FRAME: usize = 4 + 1000;
    let authority = Authority::new();
    let mut event_loop = EventLoop::new().unwrap();
    let addr = event_loop.listen_tls("127.0.0.1:0", authority.identity("localhost")).unwrap();
    let (mut script, told) = Script::echo();
    let (ids, ids_of_peers) = mpsc::channel();
    script.on_open = Box::new(move |peer| ids.send(peer.id()).unwrap());
    let (lengths, all) = mpsc::channel();
    let client = std::thread::spawn(move || {
        let mut client = connect(addr, "localhost", authority.clients());
        client.shake_hands();
        let len = all.recv().unwrap();
        assert_eq!(client.read(len).len(), len);
    });
    turn_until(&mut event_loop, &mut script, |event_loop, _| !event_loop.peers().is_empty());
    told.expect("open");
    let id = ids_of_peers.recv().unwrap();

    let mut sent = 0;
    while event_loop.peers().queued_bytes(id) == 0 {
        event_loop.peers().send(id, Message::Binary(&[0; FRAME - 4]));
        sent += FRAME;
        event_loop.turn(&mut script, Some(Duration::ZERO)).unwrap();
    }
    let queued = event_loop.peers().queued_bytes(id);
    assert_ne!(queued, FRAME, "these are bytes of TLS");
    assert_eq!(event_loop.peers().stats().bytes.queued, queued as u64);

    // Nothing but the socket says that it goes on.
    lengths.send(sent).unwrap();
    turn_until(&mut event_loop, &mut script, |event_loop, _| event_loop.peers().is_empty());
    client.join().unwrap();
    assert_eq!(event_loop.peers().stats().bytes.queued, 0);
}
