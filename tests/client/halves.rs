//! A client on several threads.

use std::io::{Read, Write};
use std::sync::mpsc;
use std::thread;

use wsloop::CloseCode;
use wsloop::client::{Client, Error, Reader, Writer};
use wsloop::protocol::Message;

use crate::common::{HANG, Peer, SOON, Server, patient};

fn is_send<T: Send + 'static>() {}

#[test]
fn halves_can_be_sent_to_threads() {
    is_send::<Reader>();
    is_send::<Writer>();
}

/// How long the messages are of a client that does not wait for the server to read.
const LEN: usize = 32 << 20;

/// The server writes much before it reads anything, and so does the client. The Pongs, which the
/// reading half owes meanwhile, do not hold it up.
#[test]
fn a_slow_write_does_not_hold_up_the_reader() {
    let server = Server::run(|mut peer| {
        peer.accept();
        write_before_reading(&mut peer);
    });
    write_while_reading(server.connect());
    server.join();
}

/// What the server does.
pub(crate) fn write_before_reading(peer: &mut Peer<impl Read + Write>) {
    let frame = [&b"\x89\x01?\x82\x7E\xFF\xFF"[..], &[0; 0xFFFF]].concat();
    for _ in 0..500 {
        peer.write(&frame);
    }
    let (mut pongs, mut messages) = (0, 0);
    while messages < 2 {
        match peer.read_frame() {
            (0x82, _, payload) => {
                assert_eq!(payload.len(), LEN);
                messages += 1;
            }
            (0x8A, _, payload) => {
                assert_eq!(payload, b"?");
                pongs += 1;
            }
            other => panic!("{:x}", other.0),
        }
    }
    assert!(pongs > 0);
    peer.send("88 00");
}

/// What the client does.
pub(crate) fn write_while_reading(client: Client) {
    let (mut reader, writer) = client.into_halves();
    let writing = thread::spawn(move || {
        writer.send(&vec![1; LEN])?;
        writer.send(&vec![2; LEN])
    });
    for _ in 0..500 {
        assert_eq!(reader.receive().unwrap().unwrap().len(), 0xFFFF);
    }
    assert_eq!(reader.receive(), Ok(None));
    writing.join().unwrap().unwrap();
}

/// A Pong that becomes due while the other half is about to stop writing goes out all the same: by then
/// the reading half waits, and nobody else is going to send anything.
#[test]
fn no_pong_is_left_behind() {
    const ROUNDS: usize = 5_000;
    let (next, turns) = mpsc::channel::<()>();
    let server = Server::run(move |mut peer| {
        peer.accept();
        for _ in 0..ROUNDS {
            next.send(()).unwrap();
            peer.send("89 00");
            let frames = [peer.read_frame().0, peer.read_frame().0];
            assert!(frames == [0x81, 0x8A] || frames == [0x8A, 0x81], "{frames:x?}");
        }
        drop(next);
        peer.send("88 00");
    });
    let (mut reader, writer) = server.connect().into_halves();
    let writing = thread::spawn(move || turns.iter().for_each(|()| writer.send("").unwrap()));
    assert_eq!(reader.receive(), Ok(None));
    writing.join().unwrap();
    server.join();
}

#[test]
fn frames_of_several_writers_are_not_mixed_up() {
    let server = Server::run(|mut peer| {
        peer.accept();
        let mut next = [0; 4];
        for _ in 0..4 * 500 {
            let (_, _, payload) = peer.read_frame();
            let writer = usize::from(payload[0]);
            assert!(payload.iter().all(|&byte| byte == payload[0]));
            assert_eq!(payload.len(), 1 + next[writer], "in the order of each writer");
            next[writer] += 1;
        }
    });
    let (_reader, writer) = server.connect().into_halves();
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

#[test]
fn the_writer_closes_and_the_reader_sees_it() {
    let server = Server::run(|mut peer| {
        peer.accept();
        peer.expect("88 05 03E8 'bye'");
        peer.send("81 00  88 02 03E8");
    });
    let (mut reader, writer) = server.connect().into_halves();
    let closing = thread::spawn(move || writer.close(CloseCode::NORMAL, "bye"));
    assert_eq!(reader.receive(), Ok(None));
    assert_eq!(closing.join().unwrap().unwrap(), *reader.closed().unwrap());
    server.join();
}

/// A reader that would wait for ever is woken when the server does not answer.
#[test]
fn a_close_that_is_not_answered_ends_both_halves() {
    let server = Server::run(|mut peer| {
        peer.accept();
        peer.expect("88 02 03E8");
        peer.expect_end();
    });
    let connector = patient().close_timeout(SOON).read_timeout(None);
    let (mut reader, writer) = server.connect_by(&connector).into_halves();
    let reading = thread::spawn(move || reader.receive().map(drop));
    assert_eq!(writer.close(CloseCode::NORMAL, ""), Err(Error::CloseTimeout));
    assert_eq!(reading.join().unwrap(), Err(Error::CloseTimeout));
    assert_eq!(writer.send("x"), Err(Error::CloseTimeout));
    server.join();
}

/// A writer that would wait for ever is woken when the reader has seen the end.
#[test]
fn the_end_wakes_a_writer_that_nobody_reads_from() {
    let (full, is_full) = mpsc::channel::<()>();
    let server = Server::run(move |mut peer| {
        peer.accept();
        _ = is_full.recv_timeout(10 * SOON);
        peer.send("81 00  88 00");
        // It is not going to read, and does not end the connection: the client has to.
        _ = is_full.recv_timeout(HANG);
    });
    let connector = patient().close_timeout(SOON).write_timeout(None);
    let (mut reader, writer) = server.connect_by(&connector).into_halves();
    let writing = thread::spawn(move || {
        loop {
            if let Err(error) = writer.send(&vec![0; 8 << 20]) {
                return error;
            }
        }
    });
    assert_eq!(reader.receive(), Ok(Some(Message::Text(""))));
    assert_eq!(reader.receive(), Ok(None));
    let error = writing.join().unwrap();
    assert!(matches!(error, Error::Lost(_) | Error::Send(_)), "{error:?}");
    drop(full);
    server.join();
}
