//! Nobody waits for a peer that always has something to say.
//!
//! Over Unix sockets, where it is certain what has arrived when the loop takes its turn.

#![cfg(unix)]

use std::os::unix::net::UnixStream;

use wsloop::{Config, EventLoop};

use super::common::{Client, Door, REQUEST, Script, masked, wire};

/// Has the neighbour say something, and sees it answered in the very next turn.
#[track_caller]
fn expect_service(
    event_loop: &mut EventLoop,
    script: &mut Script,
    neighbour: &mut Client<UnixStream>,
) {
    neighbour.send("81 02 'hi'");
    event_loop.turn(script, None).unwrap();
    assert!(neighbour.has_input(), "served in this turn");
    neighbour.expect("81 02 'hi'");
}

#[test]
fn a_peer_that_always_has_something_to_say_is_not_all_that_is_heard() {
    const BUFFER: usize = 4096;
    let (mut script, told) = Script::echo();
    let (mut event_loop, door) = Door::new(Config::new().read_buffer_size(BUFFER));
    let mut neighbour = door.open(&mut event_loop, &mut script);
    let mut firehose = door.open(&mut event_loop, &mut script);

    // Nobody reads meanwhile, so that it is as much as the socket holds.
    let pong = masked(&wire("8A 01 'x'"));
    let written = firehose.write_until(&pong.repeat(10_000), || true);
    let pongs = written / pong.len();
    let mut turns = 0;
    let mut heard = 0;
    while heard < pongs {
        // No byte arrives from the firehose any more, and so no event: the loop must remember it.
        expect_service(&mut event_loop, &mut script, &mut neighbour);
        turns += 1;
        heard += told.so_far().iter().filter(|told| *told == "pong x").count();
        assert!(turns <= written.div_ceil(BUFFER), "a buffer full is heard in every turn");
    }
    assert!(turns >= pongs * pong.len() / BUFFER, "and no more than that: {turns} turns");
    assert!(turns > 10, "which was enough to tell");
}

#[test]
fn a_crowd_at_the_door_does_not_keep_peers_waiting() {
    let (mut script, told) = Script::echo();
    let (mut event_loop, door) = Door::new(Config::new());
    let mut neighbour = door.open(&mut event_loop, &mut script);
    let mut crowd: Vec<_> = (0..100).map(|_| door.connect()).collect();
    for client in &mut crowd {
        client.write(REQUEST);
    }
    told.expect("open");
    // And the loop does not forget the crowd, for which no further event comes.
    let (mut opened, mut turns) = (0, 0);
    while opened < crowd.len() {
        expect_service(&mut event_loop, &mut script, &mut neighbour);
        opened += told.so_far().iter().filter(|told| *told == "open").count();
        turns += 1;
        assert!(turns <= crowd.len(), "the crowd is forgotten");
    }
    for client in &mut crowd {
        client.expect_opened();
    }
}
