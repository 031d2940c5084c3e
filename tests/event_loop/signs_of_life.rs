//! Who is alive although nothing was heard of it: because the loop did not listen, or the peer could not speak.
//!
//! Loops are turned by hand here. What a peer sent while nobody turned the loop is there in the next turn.

use std::time::Duration;

use wsloop::{Acceptance, Config, EventLoop};

use super::common::{
    Client, Door, NEVER, REQUEST, Script, Socket, at_least, frame, in_own_process, let_pass,
    masked, turn_until,
};

/// Soon, but nothing here depends on how soon.
const SOON: Duration = Duration::from_millis(20);

const MEGABYTE: usize = 1 << 20;

/// Has the loop send its Ping, and returns the payload. Nothing else may be sent before.
#[track_caller]
fn expect_own_ping(
    event_loop: &mut EventLoop,
    script: &mut Script,
    client: &mut Client<impl Socket>,
) -> Vec<u8> {
    turn_until(event_loop, script, |_, _| client.has_input());
    let ping = client.read(10);
    assert_eq!(ping[..2], [0x89, 0x08], "a Ping, not {}", ping.escape_ascii());
    ping[2..].to_owned()
}

/// While a peer takes what it was sent, the Ping that it could answer would be stuck behind that.
#[test]
fn a_peer_that_has_caught_up_is_asked_before_it_is_called_idle() {
    for mark in [MEGABYTE, 64 * MEGABYTE] {
        let (mut script, _told) = Script::echo();
        script.on_open = Box::new(|peer| {
            peer.send(&*vec![0x55; 4 * MEGABYTE]);
        });
        let config = Config::new().high_water_mark(mark).write_timeout(None);
        let config = config.ping_interval(Some(SOON)).idle_timeout(Some(5 * SOON));
        let (mut event_loop, door) = Door::new(config);
        let mut client = door.open(&mut event_loop, &mut script);
        // It takes more time than it may be silent.
        let mut left = 4 * MEGABYTE + 10;
        let_pass(5 * SOON);
        while left > 0 {
            turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
            left -= client.read_available_of(left).len();
        }
        for _ in 0..2 {
            let payload = expect_own_ping(&mut event_loop, &mut script, &mut client);
            client.write(masked(&frame(0x8A, &payload)));
        }
    }
}

#[test]
fn whoever_has_caught_up_may_be_silent_as_long_as_ever() {
    let (mut script, _told) = Script::echo();
    script.on_open = Box::new(|peer| {
        peer.send(&*vec![0x55; 4 * MEGABYTE]);
    });
    let idle = 10 * SOON;
    let config = Config::new().ping_interval(None).idle_timeout(Some(idle)).write_timeout(None);
    let (mut event_loop, door) = Door::new(config.close_timeout(NEVER));
    let mut client = door.open(&mut event_loop, &mut script);
    let mut left = 4 * MEGABYTE + 10;
    let_pass(idle);
    at_least(idle, || {
        while left > 0 {
            turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
            left -= client.read_available_of(left).len();
        }
        turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
        client.expect("88 0E 03E9 'idle timeout'");
    });
}

#[test]
fn after_a_stall_of_the_loop_a_peer_has_time_to_answer() {
    let (mut script, told) = Script::echo();
    let (interval, idle) = (SOON, 10 * SOON);
    let config = Config::new().ping_interval(Some(interval)).idle_timeout(Some(idle));
    let (mut event_loop, door) = Door::new(config.close_timeout(NEVER));
    let mut client = door.open(&mut event_loop, &mut script);
    let_pass(idle);
    at_least(idle - interval, || {
        expect_own_ping(&mut event_loop, &mut script, &mut client);
        turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
        client.expect("88 0E 03E9 'idle timeout'");
    });
    told.expect("open");
    assert_eq!(told.so_far(), [""; 0]);
}

/// More peers than one poll reports: the message of one that comes later in line is waiting in its socket.
#[test]
fn after_a_stall_nobody_is_called_idle_before_all_are_heard() {
    const PEERS: usize = 300;
    let test = "signs_of_life::after_a_stall_nobody_is_called_idle_before_all_are_heard";
    if !in_own_process(test, "-n 1024") {
        return;
    }
    let (mut script, told) = Script::echo();
    let (sender, decisions) = std::sync::mpsc::channel();
    script.on_request = Box::new(move |_, request| {
        let (answer, decision) = request.defer();
        sender.send(decision).unwrap();
        answer
    });
    let config = Config::new().ping_interval(None).idle_timeout(Some(10 * SOON));
    let (mut event_loop, door) = Door::new(config.handshake_timeout(NEVER).close_timeout(NEVER));
    let mut undecided = Vec::new();
    let mut clients = Vec::new();
    for number in 1..=PEERS {
        let mut client = door.connect();
        client.write(REQUEST);
        turn_until(&mut event_loop, &mut script, |_, _| {
            undecided.extend(decisions.try_iter());
            undecided.len() == number
        });
        clients.push(client);
    }
    // All become peers in one turn and are heard in the next, lest it matter how long it takes to let them in.
    // By then, what they say must no longer be news to the system.
    for client in &mut clients {
        client.send("81 01 'a'");
    }
    for _ in 0..10 {
        event_loop.turn(&mut script, Some(Duration::ZERO)).unwrap();
    }
    for decision in undecided {
        decision.answer(Acceptance::new());
    }
    let mut heard = 0;
    turn_until(&mut event_loop, &mut script, |_, _| {
        heard += told.so_far().iter().filter(|told| *told == "text a").count();
        heard == PEERS
    });
    for client in &mut clients {
        client.expect_opened();
        client.expect("81 01 'a'");
        client.send("81 01 'b'");
    }
    let_pass(10 * SOON);
    for client in &mut clients {
        turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
        client.expect("81 01 'b'");
    }
}

#[test]
fn whoever_answers_the_applications_pings_is_alive() {
    let (mut script, told) = Script::echo();
    script.on_open = Box::new(|peer| {
        peer.ping(b"app");
    });
    script.on_pong = Box::new(|peer| {
        peer.ping(b"app");
    });
    let config = Config::new().ping_interval(None).idle_timeout(Some(SOON)).close_timeout(NEVER);
    let (mut event_loop, door) = Door::new(config);
    let mut client = door.open(&mut event_loop, &mut script);
    told.expect("open");
    for _ in 0..5 {
        client.expect("89 03 'app'");
        client.send("8A 03 'app'");
        let_pass(SOON);
        event_loop.turn(&mut script, Some(Duration::ZERO)).unwrap();
        assert_eq!(told.so_far(), ["pong app"]);
    }
}

/// §5.5.3: an endpoint "MAY elect to send a Pong frame for only the most recently processed Ping frame".
#[test]
fn the_answer_to_a_later_ping_of_the_applications_answers_the_loops() {
    let (mut script, told) = Script::echo();
    let config = Config::new().ping_interval(Some(SOON)).idle_timeout(Some(NEVER));
    let (mut event_loop, door) = Door::new(config);
    let mut client = door.open(&mut event_loop, &mut script);
    told.expect("open");
    for _ in 0..3 {
        expect_own_ping(&mut event_loop, &mut script, &mut client);
        let id = event_loop.peers().ids().next().unwrap();
        event_loop.peers().ping(id, b"app");
        turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
        client.expect("89 03 'app'");
        client.send("8A 03 'app'");
    }
    assert_eq!(told.so_far(), ["pong app"; 2]);
}
