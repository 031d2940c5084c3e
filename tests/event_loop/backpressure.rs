//! Peers that are sent more than they read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use wsloop::{CloseCode, Config, Message, Overflow, PeerId, SendStatus};

use super::common::{Client, Door, NEVER, Script, Server, frame, frames, masked, turn_until};

const MEGABYTE: usize = 1 << 20;

/// Timeouts that leave slow peers alone.
fn patient() -> Config {
    Config::new().idle_timeout(None).ping_interval(None).write_timeout(None).close_timeout(NEVER)
}

/// An echo server facing a client that sends and does not read stops reading from it. It serves others
/// meanwhile, and nothing is lost once the client reads.
#[test]
fn a_peer_that_does_not_read_is_not_read_from() {
    const MARK: usize = 32 << 10;
    const LARGEST: usize = 4 << 10;
    let [congested, most] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
    let (mut script, told) = Script::echo();
    script.on_message = {
        let [congested, most] = [&congested, &most].map(Arc::clone);
        Box::new(move |peer, message| {
            let status = peer.send(message);
            assert_ne!(status, SendStatus::Dropped);
            if status == SendStatus::Congested {
                congested.fetch_add(1, SeqCst);
            }
            most.fetch_max(peer.queued_bytes(), SeqCst);
        })
    };
    let server = Server::start(patient().high_water_mark(MARK), (script, told));
    let mut neighbour = server.open();
    let mut flooder = Client::open_small(server.addr);

    let messages: Vec<_> =
        (0..251).map(|i: usize| frame(0x82, &vec![i as u8; i * 997 % LARGEST])).collect();
    let sent = masked(&messages.concat());
    let mut round_trips = 0;
    let written = flooder.write_until(&sent, || {
        neighbour.send("81 02 'hi'");
        neighbour.expect("81 02 'hi'");
        // The loop reads no more from the flooder, although it has turned since.
        round_trips += usize::from(congested.load(SeqCst) > 0);
        round_trips == 20
    });
    assert!(most.load(SeqCst) <= MARK + LARGEST + 4, "queued {}", most.load(SeqCst));

    // Up to the end of the last round, which the loop takes as it can send again.
    let rounds = written.div_ceil(sent.len());
    let mut reader = flooder.another();
    let reader = std::thread::spawn(move || {
        let round = messages.concat();
        for _ in 0..rounds {
            reader.expect_bytes(&round);
        }
    });
    flooder.write(&sent[(written + sent.len() - 1) % sent.len() + 1..]);
    reader.join().unwrap();
    flooder.close();
    server.told.wait_for("close 1000 clean Remote");
    neighbour.close();
    server.told.wait_for("close 1000 clean Remote");
    server.stop();
}

/// Sends messages of a kibibyte that begin with their number, until one is dropped. Returns how many were not.
fn send_until_dropped(mut send: impl FnMut(Message<'_>) -> SendStatus) -> u32 {
    let sent =
        (0..).find(|&number| send(Message::Binary(&numbered(number))) == SendStatus::Dropped);
    sent.unwrap()
}

fn numbered(number: u32) -> Vec<u8> {
    [&number.to_be_bytes()[..], &[0; 1020]].concat()
}

#[test]
fn a_message_over_the_limit_is_dropped_and_the_peer_stays() {
    let (mut script, told) = Script::echo();
    let teller = script.teller();
    script.on_open = Box::new(move |peer| {
        let sent = send_until_dropped(|message| {
            assert!(peer.queued_bytes() <= 64 << 10);
            peer.send(message)
        });
        // The response to the handshake waits as well, and so does what the socket has not taken.
        assert!(peer.queued_bytes() > (64 << 10) - 1028);
        teller.tell(&sent.to_string());
        // It is the same for those that follow, until there is room.
        assert_eq!(peer.send(&*numbered(0)), SendStatus::Dropped);
        assert!(peer.queued_bytes() <= 64 << 10);
    });
    let config = patient().high_water_mark(16 << 10).write_queue_limit(64 << 10);
    let server = Server::start(config.overflow(Overflow::DropMessage), (script, told));
    let mut client = Client::open_small(server.addr);
    server.told.expect("open");
    let sent: u32 = server.told.next().parse().unwrap();
    for number in 0..sent {
        client.expect_bytes(&frame(0x82, &numbered(number)));
    }
    server.told.expect("drain");
    client.send("81 05 'Hello'");
    client.expect("81 05 'Hello'");
    server.told.expect("text Hello");
    client.close();
    server.told.expect("close 1000 clean Remote");
    server.stop();
}

#[test]
fn a_peer_over_the_limit_is_closed() {
    let (mut script, told) = Script::echo();
    script.on_open = Box::new(|peer| {
        send_until_dropped(|message| peer.send(message));
        assert_eq!(peer.send("too late"), SendStatus::Dropped);
    });
    let config = patient().high_water_mark(16 << 10).write_queue_limit(64 << 10);
    let server = Server::start(config, (script, told));
    let mut client = Client::open_small(server.addr);
    server.told.expect("open");
    // What the socket had taken arrives, and so does the rest of the frame it had taken a part of.
    // What had not begun is never sent.
    let mut number = 0;
    while client.peek(2) == [0x82, 0x7E] {
        client.expect_bytes(&frame(0x82, &numbered(number)));
        number += 1;
    }
    client.expect("88 12 03F0 'too slow to read'");
    client.send("88 02 03F0");
    client.expect_end();
    server.told.expect("close 1008 clean QueueFull");
    server.stop();
}

/// A handler cannot wait for the loop to write. What the socket takes at once is not held against the peer.
#[test]
fn a_burst_of_more_than_the_limit_reaches_a_peer_whose_socket_takes_it() {
    let (mut script, _told) = Script::echo();
    script.on_open = Box::new(|peer| {
        for number in 0..100 {
            assert_ne!(peer.send(&*numbered(number)), SendStatus::Dropped);
            assert!(peer.queued_bytes() <= (4 << 10) + 1028);
        }
    });
    let config = patient().write_queue_limit(8 << 10).high_water_mark(4 << 10);
    let (mut event_loop, door) = Door::new(config);
    let mut client = door.open(&mut event_loop, &mut script);
    for number in 0..100 {
        client.expect_bytes(&frame(0x82, &numbered(number)));
    }
}

#[test]
fn a_peer_over_the_limit_is_sent_the_rest_of_what_has_begun() {
    let (mut script, told) = Script::echo();
    let mut slow: Option<PeerId> = None;
    script.on_open = Box::new(move |peer| match slow {
        // More than sockets hold, in one message: an idle peer may be sent that, whatever the limit.
        None => {
            slow = Some(peer.id());
            assert_eq!(peer.send(&*vec![0x55; 16 * MEGABYTE]), SendStatus::Congested);
        }
        Some(slow) => {
            assert_eq!(peer.peers().send(slow, "behind"), SendStatus::Dropped);
        }
    });
    let config = patient().high_water_mark(16 << 10).write_queue_limit(64 << 10);
    let server = Server::start(config, (script, told));
    let mut client = Client::open_small(server.addr);
    server.told.expect("open");
    let trigger = server.open();
    client.expect_bytes(&frame(0x82, &vec![0x55; 16 * MEGABYTE]));
    client.expect("88 12 03F0 'too slow to read'");
    client.send("88 02 03F0");
    client.expect_end();
    server.told.expect("close 1008 clean QueueFull");
    trigger.close();
    server.told.expect("close 1000 clean Remote");
    server.stop();
}

#[test]
fn a_close_that_waited_behind_congestion_is_read_after_ours() {
    let (mut script, told) = Script::echo();
    let mut slow: Option<PeerId> = None;
    script.on_message = Box::new(move |peer, _| match slow {
        None => {
            slow = Some(peer.id());
            assert_eq!(peer.send(&*vec![0x55; 16 * MEGABYTE]), SendStatus::Congested);
        }
        Some(slow) => peer.peers().close(slow, CloseCode::NORMAL, ""),
    });
    let server = Server::start(patient(), (script, told));
    let mut client = Client::open_small(server.addr);
    server.told.expect("open");
    client.send("81 00  88 02 0FA0");
    server.told.expect("text");
    let mut trigger = server.open();
    trigger.send("81 00");
    server.told.expect("text");
    // The client has not read a byte of it all.
    server.told.expect("close 4000 clean Local");
    client.expect_bytes(&frame(0x82, &vec![0x55; 16 * MEGABYTE]));
    client.expect("88 02 03E8");
    client.expect_end();
    trigger.close();
    server.told.expect("close 1000 clean Remote");
    server.stop();
}

#[test]
fn a_message_larger_than_the_limit_can_be_sent_to_a_peer_that_is_not_slow() {
    let (mut script, told) = Script::echo();
    script.on_message = Box::new(|peer, _| {
        assert_eq!(peer.send(&*vec![0x55; MEGABYTE]), SendStatus::Congested);
    });
    let config = patient().high_water_mark(1000).write_queue_limit(2000);
    let server = Server::start(config, (script, told));
    let mut client = server.open();
    for _ in 0..3 {
        client.send("81 00");
        client.expect_bytes(&frame(0x82, &vec![0x55; MEGABYTE]));
        server.told.expect("text");
        server.told.expect("drain");
    }
    client.close();
    server.told.expect("close 1000 clean Remote");
    server.stop();
}

/// Floods a server with Pings, unread, until Pongs wait in its queue, and with some more.
/// Returns how many Pings that were. The handler is told of each.
fn flood_with_pings(
    server: &Server,
    client: &mut Client,
    queued: &AtomicUsize,
    mark: usize,
) -> u32 {
    let mut pings = 0;
    let mut beyond = 0;
    while beyond < 1000 {
        client.write(masked(&frame(0x89, &ping_payload(pings))));
        let told = server.told.next();
        assert!(told.starts_with("ping "), "{told}");
        pings += 1;
        beyond += u32::from(queued.load(SeqCst) > mark);
    }
    pings
}

fn ping_payload(number: u32) -> Vec<u8> {
    [&number.to_be_bytes()[..], &[b'x'; 121]].concat()
}

fn ping_flood(end: impl FnOnce(&Server, &mut Client, u32) -> Vec<u8>) {
    const MARK: usize = 16 << 10;
    let queued = Arc::new(AtomicUsize::new(0));
    let (mut script, told) = Script::echo();
    script.on_ping = {
        let queued = Arc::clone(&queued);
        Box::new(move |peer| queued.store(peer.queued_bytes(), SeqCst))
    };
    let server = Server::start(patient().high_water_mark(MARK), (script, told));
    let mut client = Client::open_small(server.addr);
    server.told.expect("open");
    let pings = flood_with_pings(&server, &mut client, &queued, MARK);
    // The last Pong that found the queue below the mark, and the one that is owed.
    assert!(queued.load(SeqCst) <= MARK + 2 * 127, "queued {}", queued.load(SeqCst));

    let received = end(&server, &mut client, pings);
    let pongs: Vec<u32> = frames(&received)
        .into_iter()
        .map(|(first_byte, payload)| {
            assert_eq!((first_byte, payload.len()), (0x8A, 125));
            u32::from_be_bytes(*payload.first_chunk().unwrap())
        })
        .collect();
    assert!(pongs.is_sorted_by(|a, b| a < b), "none is answered twice, nor out of order");
    // Of the last thousand, the kernel may have made room for some.
    assert!(pongs.len() + 500 <= pings as usize, "{} of {pings} are answered", pongs.len());
    assert_eq!(pongs.last(), Some(&(pings - 1)), "the latest is answered");
    server.stop();
}

#[test]
fn a_peer_that_pings_and_does_not_read_is_owed_one_pong() {
    ping_flood(|server, client, pings| {
        let mut received = Vec::new();
        while !received.ends_with(&ping_payload(pings - 1)) {
            received.extend(client.read(127));
        }
        client.send("88 00");
        client.expect("88 00");
        client.expect_end();
        server.told.expect("close 1005 clean Remote");
        received
    });
}

/// A peer may be sent one more message whenever it is not above the mark, which Pongs do not bring it.
#[cfg(unix)]
#[test]
fn pongs_alone_do_not_cost_a_peer_its_messages() {
    const MARK: usize = 4 << 10;
    let (mut script, _told) = Script::echo();
    let large = vec![0x55; MEGABYTE];
    script.on_message = {
        let large = large.clone();
        Box::new(move |peer, _| assert_eq!(peer.send(&*large), SendStatus::Congested))
    };
    let (mut event_loop, door) =
        Door::new(patient().high_water_mark(MARK).write_queue_limit(2 * MARK));
    let mut client = door.open(&mut event_loop, &mut script);
    let id = event_loop.peers().ids().next().unwrap();
    let mut pings = 0;
    turn_until(&mut event_loop, &mut script, |event_loop, _| {
        client.write(masked(&frame(0x89, &ping_payload(pings))));
        pings += 1;
        event_loop.peers().queued_bytes(id) > MARK
    });
    client.send("81 00");
    event_loop.turn(&mut script, Some(Duration::ZERO)).unwrap();

    // Some Pongs, among them the message, and then perhaps the Pong that was owed.
    let mut received = Vec::new();
    while !received.ends_with(&ping_payload(pings - 1)) {
        turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
        received.extend(client.read_available_of(MEGABYTE));
    }
    let frames = frames(&received);
    assert_eq!(frames.iter().filter(|(_, payload)| *payload == large).count(), 1);
    assert!(frames.iter().all(|(first_byte, _)| [0x8A, 0x82].contains(first_byte)));
}

#[test]
fn the_pong_that_is_owed_goes_before_the_close() {
    ping_flood(|server, client, _| {
        client.send("88 00");
        server.told.expect("close 1005 clean Remote");
        let mut received = client.read_to_end();
        assert_eq!(received.split_off(received.len() - 2), [0x88, 0]);
        received
    });
}
