//! Masking keys on the wire, RFC 6455 §5.3 and §10.3.

use std::collections::HashSet;
use std::sync::mpsc;

use crate::common::{HANG, Server};

/// Of 100,000 keys with 32 bits, a fair source repeats 1.2 on average; more than 12 come up once in
/// 10⁹ runs.
#[test]
fn keys_are_equal_no_more_often_than_by_chance() {
    let server = Server::run(|mut peer| {
        peer.accept();
        let keys: HashSet<_> = (0..100_000).map(|_| peer.read_frame().1).collect();
        assert!(keys.len() >= 100_000 - 12, "{}", keys.len());
    });
    let mut client = server.connect();
    for _ in 0..100_000 {
        client.send("x").unwrap();
    }
    server.join();
}

/// Two clients that see the same say the same under other keys, and ask with other nonces.
#[test]
fn nothing_the_server_sees_tells_the_next_key() {
    let (sender, seen) = mpsc::channel();
    let server = Server::run_times(2, move |_, mut peer| {
        let request = peer.accept();
        let nonce = request.split("Sec-WebSocket-Key: ").nth(1).unwrap()[..24].to_owned();
        let keys: Vec<_> = (0..8).map(|_| peer.read_frame().1).collect();
        sender.send((nonce, keys)).unwrap();
    });
    for _ in 0..2 {
        let mut client = server.connect();
        for _ in 0..8 {
            client.send("x").unwrap();
        }
        drop(client);
    }
    let [one, other] = [(); 2].map(|()| seen.recv_timeout(HANG).unwrap());
    assert_ne!(one.0, other.0);
    assert!(one.1.iter().filter(|key| other.1.contains(key)).count() < 2);
    server.join();
}
