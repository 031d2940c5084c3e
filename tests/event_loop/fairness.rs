//! Nobody waits for a peer that always has something to say.

use wsloop::{Config, EventLoop};

use super::common::{Client, REQUEST, Script, Told, masked, turn_until, wire};

/// A loop with one open peer, which is to be served whatever others do.
fn neighbourhood(script: &mut Script, told: &Told) -> (EventLoop, Client) {
    let mut event_loop = EventLoop::with_config(Config::new().read_buffer_size(4096)).unwrap();
    let addr = event_loop.listen("127.0.0.1:0").unwrap();
    let mut client = Client::connect(addr);
    client.write(REQUEST);
    turn_until(&mut event_loop, script, |_, _| client.has_input());
    client.expect_opened();
    told.expect("open");
    (event_loop, client)
}

/// Has the neighbour say something, and sees it answered in the very next turn.
#[track_caller]
fn expect_service(event_loop: &mut EventLoop, script: &mut Script, neighbour: &mut Client) {
    neighbour.send("81 02 'hi'");
    event_loop.turn(script, None).unwrap();
    assert!(neighbour.has_input(), "served in this turn");
    neighbour.expect("81 02 'hi'");
}

#[test]
fn a_peer_that_always_has_something_to_say_is_not_all_that_is_heard() {
    let (mut script, told) = Script::echo();
    let (mut event_loop, mut neighbour) = neighbourhood(&mut script, &told);
    let addr = event_loop.listen("127.0.0.1:0").unwrap();
    let mut firehose = Client::connect(addr);
    firehose.write(REQUEST);
    turn_until(&mut event_loop, &mut script, |_, _| firehose.has_input());
    firehose.expect_opened();

    // Nobody reads meanwhile, so that it is as much as the sockets hold.
    let pong = masked(&wire("8A 01 'x'"));
    let written = firehose.write_until(&pong.repeat(10_000), || true);
    let pongs = written / pong.len();

    let mut heard = 0;
    let mut turns = 0;
    while heard < pongs {
        expect_service(&mut event_loop, &mut script, &mut neighbour);
        turns += 1;
        heard += told.so_far().iter().filter(|told| *told == "pong x").count();
        assert!(turns < 1_000_000, "the rest is forgotten");
    }
    assert!(
        turns >= written / 4096,
        "no more than a buffer full is heard in a turn: {turns} turns"
    );
}

#[test]
fn a_crowd_at_the_door_does_not_keep_peers_waiting() {
    let (mut script, told) = Script::echo();
    let (mut event_loop, mut neighbour) = neighbourhood(&mut script, &told);
    let addr = event_loop.listen("127.0.0.1:0").unwrap();
    let mut crowd: Vec<_> = (0..200).map(|_| Client::connect(addr)).collect();
    for client in &mut crowd {
        client.write(REQUEST);
    }
    // And the loop does not forget the crowd, for which no further event comes.
    let mut opened = 0;
    while opened < crowd.len() {
        expect_service(&mut event_loop, &mut script, &mut neighbour);
        opened += told.so_far().iter().filter(|told| *told == "open").count();
    }
    for client in &mut crowd {
        client.expect_opened();
    }
}
