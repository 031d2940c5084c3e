//! TLS with a thread for each direction.

use std::sync::mpsc;
use std::thread;

use rustls::version::{TLS12, TLS13};
use wsloop::CloseCode;
use wsloop::client::{Client, Connector, Error};
use wsloop::protocol::Message;

use super::common::{Authority, TlsPeer, request, secure};
use crate::common::{HANG, SOON, Server, frame, patient};
use crate::halves::{write_before_reading, write_while_reading};

fn connect(
    connector: &Connector,
    version: &'static rustls::SupportedProtocolVersion,
    script: impl FnOnce(TlsPeer) + Send + 'static,
) -> (Client, Server) {
    let authority = Authority::new();
    let config = authority.server(["127.0.0.1"]).config(&[version]);
    let server = Server::run(move |peer| {
        let mut peer = secure(peer, &config);
        peer.accept();
        script(peer);
    });
    let connector = connector.clone().tls(authority.trusted());
    (connector.connect(&request("127.0.0.1", server.addr)).unwrap(), server)
}

/// Each message is answered by the server with the next that it reads, so that both directions are
/// busy all the time.
#[test]
fn a_hundred_thousand_messages_pass_in_both_directions() {
    const MESSAGES: usize = 100_000;
    for version in [&TLS12, &TLS13] {
        let (client, server) = connect(&patient(), version, |mut peer| {
            for i in 0..MESSAGES {
                let (first_byte, _, payload) = peer.read_frame();
                assert_eq!(first_byte, 0x82);
                assert_eq!(payload, vec![i as u8; i % 300]);
                peer.write(frame(0x82, &payload));
                if i % 1000 == 0 && version.version == TLS13.version {
                    peer.stream.conn.refresh_traffic_keys().unwrap();
                }
            }
            peer.expect("88 02 03E8");
            peer.send("88 02 03E8");
            peer.close();
            peer.expect_end();
        });
        let (mut reader, writer) = client.into_halves();
        let writing = thread::spawn(move || {
            (0..MESSAGES).for_each(|i| writer.send(&vec![i as u8; i % 300]).unwrap());
            writer
        });
        for i in 0..MESSAGES {
            let expected = vec![i as u8; i % 300];
            assert_eq!(reader.receive(), Ok(Some(Message::Binary(&expected))));
        }
        let writer = writing.join().unwrap();
        let closing = thread::spawn(move || writer.close(CloseCode::NORMAL, ""));
        assert_eq!(reader.receive(), Ok(None));
        assert_eq!(closing.join().unwrap().unwrap().code, 1000);
        server.join();
    }
}

/// The server writes much before it reads anything, and so does the client.
#[test]
fn a_slow_write_does_not_hold_up_the_reader() {
    let (client, server) = connect(&patient(), &TLS13, |mut peer| write_before_reading(&mut peer));
    write_while_reading(client);
    server.join();
}

#[test]
fn frames_of_several_writers_are_not_mixed_up() {
    let (client, server) = connect(&patient(), &TLS13, |mut peer| {
        for _ in 0..4 * 500 {
            let (_, _, payload) = peer.read_frame();
            assert!(payload.iter().all(|&byte| byte == payload[0]));
        }
    });
    let (_reader, writer) = client.into_halves();
    thread::scope(|scope| {
        for i in 0..4 {
            let writer = &writer;
            scope.spawn(move || {
                (0..500).for_each(|len| writer.send(&vec![i; 1 + len]).unwrap());
            });
        }
    });
    server.join();
}

/// A reader that would wait for ever is woken when the server does not answer, and a writer that is in
/// the middle of a record is no reason to wait for it.
#[test]
fn a_close_that_is_not_answered_ends_both_halves() {
    let (done, is_done) = mpsc::channel::<()>();
    let connector = patient().close_timeout(SOON).write_timeout(None);
    let (client, server) = connect(&connector, &TLS13, move |_peer| {
        // It neither reads nor writes.
        _ = is_done.recv_timeout(HANG);
    });
    let (mut reader, writer) = client.into_halves();
    thread::scope(|scope| {
        let writing = scope.spawn(|| {
            loop {
                if let Err(error) = writer.send(&vec![0; 1 << 20]) {
                    return error;
                }
            }
        });
        reader.set_read_timeout(Some(SOON));
        assert_eq!(reader.receive(), Err(Error::Timeout));
        reader.set_read_timeout(None);
        let reading = scope.spawn(move || reader.receive().map(drop));
        assert_eq!(writer.close(CloseCode::NORMAL, ""), Err(Error::CloseTimeout));
        assert_eq!(reading.join().unwrap(), Err(Error::CloseTimeout));
        let error = writing.join().unwrap();
        assert!(
            matches!(error, Error::Lost(_) | Error::CloseTimeout | Error::Send(_)),
            "{error:?}"
        );
    });
    drop(done);
    server.join();
}
