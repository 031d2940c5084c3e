//! Many peers, and one that is slow.
//!
//! The loop is turned by hand, and all clients read between its turns, over Unix sockets: what was written is
//! there at once. Each test has a process of its own, for it takes more descriptors than shells allow.

use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use wsloop::{Config, EventLoop, Overflow};

use super::common::{
    Client, Door, NEVER, REQUEST, Script, frame, frames, in_own_process, turn_until,
};

const PEERS: usize = 1_000;
const BROADCASTS: usize = 10_000;

/// So many broadcasts go out in one turn.
const TOGETHER: usize = 100;

const LIMIT: usize = 64 << 10;

/// Timeouts that leave the slow one alone.
fn config() -> Config {
    let config = Config::new().high_water_mark(LIMIT / 4).write_queue_limit(LIMIT);
    config.idle_timeout(None).ping_interval(None).write_timeout(None).close_timeout(NEVER)
}

/// A frame of 64 bytes, with its number: ten thousand are more than a socket and a queue hold.
fn numbered(number: usize) -> Vec<u8> {
    frame(0x82, &payload(number))
}

fn payload(number: usize) -> [u8; 62] {
    let mut payload = [0; 62];
    payload[..8].copy_from_slice(&number.to_be_bytes());
    payload
}

/// Opens connections, some at a time: fewer than a backlog holds.
fn open(
    event_loop: &mut EventLoop,
    script: &mut Script,
    door: &Door,
    count: usize,
) -> Vec<Client<UnixStream>> {
    let mut clients = Vec::new();
    while clients.len() < count {
        let first = clients.len();
        for _ in 0..(count - first).min(50) {
            let mut client = door.connect();
            client.write(REQUEST);
            clients.push(client);
        }
        let all = clients.len();
        turn_until(event_loop, script, |event_loop, _| event_loop.peers().len() == all);
        for client in &mut clients[first..] {
            client.expect_opened();
        }
    }
    clients
}

/// Broadcasts ten thousand messages to a thousand peers, all of whom read, except for the first.
///
/// Returns the slow one, and the others.
fn broadcast_to_all_but_one_who_reads(
    event_loop: &mut EventLoop,
    script: &mut Script,
    door: &Door,
) -> (Client<UnixStream>, Vec<Client<UnixStream>>) {
    let mut clients = open(event_loop, script, door, PEERS);
    let slow = clients.remove(0);
    let all: Vec<u8> = (0..BROADCASTS).flat_map(numbered).collect();
    for (round, expected) in all.chunks(TOGETHER * 64).enumerate() {
        for number in 0..TOGETHER {
            event_loop.peers().broadcast(&payload(round * TOGETHER + number));
        }
        let queued = event_loop.peers().stats().bytes.queued as usize;
        assert!(
            queued <= clients.len() * expected.len() + LIMIT,
            "{queued} bytes in round {round}"
        );

        // Whoever reads gets all of it, in order, whatever the other one does.
        event_loop.turn(script, Some(Duration::ZERO)).unwrap();
        for client in &mut clients {
            client.expect_bytes(expected);
        }
        let queued = event_loop.peers().stats().bytes.queued as usize;
        assert!(queued <= LIMIT, "{queued} bytes after round {round}");
    }
    (slow, clients)
}

#[test]
fn a_slow_peer_among_a_thousand_is_closed_and_nobody_else_notices() {
    let name = "many_peers::a_slow_peer_among_a_thousand_is_closed_and_nobody_else_notices";
    if !in_own_process(name, "-n 4096") {
        return;
    }
    let (mut script, told) = Script::echo();
    let (mut event_loop, door) = Door::new(config());
    let (mut slow, _others) =
        broadcast_to_all_but_one_who_reads(&mut event_loop, &mut script, &door);
    let stats = event_loop.peers().stats();
    // It was sent no more after the one for which there was no room.
    assert_eq!(stats.messages.dropped, 1);

    // It reads at last, and leaves without an answer to our Close.
    slow.end();
    let mut received = Vec::new();
    turn_until(&mut event_loop, &mut script, |event_loop, _| {
        received.extend(slow.read_available_of(1 << 20));
        event_loop.peers().stats().bytes.queued == 0
    });
    received.extend(slow.read_to_end());
    let (last, messages) =
        frames(&received).split_last().map(|(last, all)| (*last, all.to_vec())).unwrap();
    assert_eq!(last, (0x88, &b"\x03\xF0too slow to read"[..]));
    assert!(messages.len() < BROADCASTS);
    for (number, message) in messages.into_iter().enumerate() {
        assert_eq!(message, (0x82, &payload(number)[..]));
    }
    let stats = event_loop.peers().stats();
    assert_eq!((stats.connections.open, stats.closed.queue_full), (PEERS as u64 - 1, 1));
    assert!(told.so_far().contains(&"close 1006 unclean QueueFull".to_owned()));
}

#[test]
fn a_slow_peer_among_a_thousand_loses_messages_if_it_may_and_stays() {
    let name = "many_peers::a_slow_peer_among_a_thousand_loses_messages_if_it_may_and_stays";
    if !in_own_process(name, "-n 4096") {
        return;
    }
    let (mut script, _told) = Script::echo();
    let (mut event_loop, door) = Door::new(config().overflow(Overflow::DropMessage));
    let (mut slow, _others) =
        broadcast_to_all_but_one_who_reads(&mut event_loop, &mut script, &door);
    let stats = event_loop.peers().stats();
    let lost = stats.messages.dropped as usize;
    assert_eq!(stats.messages.sent as usize, PEERS * BROADCASTS - lost);
    assert!(lost > 0 && event_loop.peers().len() == PEERS);

    // It gets what it had room for, and is a peer like any other from then on.
    let mut received = Vec::new();
    turn_until(&mut event_loop, &mut script, |event_loop, _| {
        received.extend(slow.read_available_of(1 << 20));
        event_loop.peers().stats().bytes.queued == 0
    });
    slow.send("81 05 'Hello'");
    turn_until(&mut event_loop, &mut script, |event_loop, _| {
        event_loop.peers().stats().messages.received == 1
    });
    received.extend(slow.read(64 * (BROADCASTS - lost) + 7 - received.len()));
    let (echo, messages) =
        frames(&received).split_last().map(|(last, all)| (*last, all.to_vec())).unwrap();
    assert_eq!(echo, (0x81, &b"Hello"[..]));
    assert_eq!(messages.len(), BROADCASTS - lost);
    assert!(messages.is_sorted_by_key(|(_, payload)| *payload), "in order");
    assert_eq!(event_loop.peers().len(), PEERS);
}

/// As many idle peers as the system lets a process have, up to ten thousand.
#[test]
fn a_message_for_all_is_written_to_all_in_the_same_turn() {
    let name = "many_peers::a_message_for_all_is_written_to_all_in_the_same_turn";
    if !in_own_process(name, "-n $(ulimit -Hn)") {
        return;
    }
    let peers = ((descriptor_limit() - 100) / 2).min(10_000);
    let (mut script, _told) = Script::echo();
    let (mut event_loop, door) = Door::new(config());
    let mut clients = open(&mut event_loop, &mut script, &door, peers);

    for round in 0..3 {
        let message = [round; 1024];
        let frame = frame(0x82, &message);
        let before = event_loop.peers().stats();
        event_loop.peers().broadcast(&message);
        let queued = event_loop.peers().stats();
        assert_eq!(queued.messages.sent - before.messages.sent, peers as u64);
        assert_eq!(queued.bytes.queued, (peers * frame.len()) as u64);
        event_loop.turn(&mut script, Some(Duration::ZERO)).unwrap();
        let after = event_loop.peers().stats();
        assert_eq!(after.bytes.queued, 0);
        assert_eq!(after.bytes.sent - before.bytes.sent, queued.bytes.queued);
        for client in &mut clients {
            client.expect_bytes(&frame);
        }
    }
}

/// How many descriptors this process may have.
fn descriptor_limit() -> usize {
    let output = Command::new("sh").args(["-c", "ulimit -n"]).output().unwrap();
    let limit = String::from_utf8(output.stdout).unwrap();
    // Where the shell knows no limit, the kernel may have one.
    limit.trim().parse().unwrap_or(10_000)
}
