//! What happens when nothing happens.

use std::time::Duration;

#[cfg(unix)]
use wsloop::SendStatus;
use wsloop::{CloseCode, Config};

use super::common::{Client, NEVER, Script, Server, frame, masked};
#[cfg(unix)]
use super::common::{Door, REQUEST, let_pass, turn_until, wire};

/// Soon, but nothing here depends on how soon.
const SOON: Duration = Duration::from_millis(20);

#[test]
fn an_idle_peer_is_closed() {
    let config = Config::new().idle_timeout(Some(SOON)).ping_interval(None).close_timeout(NEVER);
    let server = Server::start(config, Script::echo());
    let mut client = server.open();
    client.expect("88 0E 03E9 'idle timeout'");
    client.send("88 02 03E9");
    client.expect_end();
    server.told.expect("close 1001 clean IdleTimeout");
    server.stop();
}

#[test]
fn an_idle_peer_that_does_not_answer_is_dropped() {
    let config = Config::new().idle_timeout(Some(SOON)).ping_interval(None).close_timeout(SOON);
    let server = Server::start(config, Script::echo());
    let mut client = server.open();
    client.expect("88 0E 03E9 'idle timeout'");
    client.expect_end();
    server.told.expect("close 1006 unclean IdleTimeout");
    server.stop();
}

#[test]
fn a_peer_that_never_answers_our_close_is_dropped() {
    let (mut script, told) = Script::echo();
    script.on_open = Box::new(|peer| peer.close(CloseCode::NORMAL, ""));
    let server = Server::start(Config::new().close_timeout(SOON), (script, told));
    let mut client = server.open();
    client.expect("88 02 03E8");
    client.expect_end();
    server.told.expect("close 1006 unclean Local");
    server.stop();
}

#[test]
fn a_peer_that_never_ends_its_stream_is_dropped() {
    let config = Config::new().close_timeout(SOON).max_connections(1);
    let server = Server::start(config, Script::echo());
    for sent in ["88 02 03E8", "83 00"] {
        let mut client = server.open();
        client.send(sent);
        server.told.next();
        client.read_to_end();
        // There is room for another only when this one is given up, although its socket is open.
        let next = server.open();
        next.end();
        server.told.expect("close 1006 unclean EndOfStream");
        drop(client);
    }
    server.stop();
}

#[test]
fn silence_is_broken_by_pings_and_answers_keep_the_peer() {
    let config = Config::new().ping_interval(Some(SOON)).idle_timeout(Some(NEVER));
    let server = Server::start(config, Script::echo());
    let mut client = server.open();
    let mut payloads = Vec::new();
    for _ in 0..3 {
        // Every Ping has another payload, and there is no next one before the answer.
        let ping = client.read(10);
        assert_eq!(ping[..2], [0x89, 0x08]);
        payloads.push(ping[2..].to_owned());
        client.write(masked(&frame(0x8A, &ping[2..])));
    }
    payloads.dedup();
    assert_eq!(payloads.len(), 3);
    // Answers to the loop's own Pings are no business of the handler's.
    assert_eq!(server.told.so_far(), [""; 0]);
    server.stop_at("close 1006 unclean Shutdown");
}

#[test]
fn a_ping_that_is_not_answered_is_not_repeated() {
    let config = Config::new().ping_interval(Some(SOON)).idle_timeout(Some(10 * SOON));
    let server = Server::start(config, Script::echo());
    let mut client = server.open();
    let ping = client.read(10);
    assert_eq!(ping[..2], [0x89, 0x08]);
    // Another Pong is no answer.
    client.send("8A 02 'no'");
    server.told.expect("pong no");
    client.expect("88 0E 03E9 'idle timeout'");
    client.send("88 02 03E9");
    client.expect_end();
    server.told.expect("close 1001 clean IdleTimeout");
    server.stop();
}

#[test]
fn a_pong_that_nobody_asked_for_does_not_keep_the_peer() {
    // The peer sends Pongs without a pause, far quicker than it may be silent.
    let config =
        Config::new().ping_interval(None).idle_timeout(Some(10 * SOON)).close_timeout(NEVER);
    let server = Server::start(config, Script::echo());
    let mut client = server.open();
    let mut reader = client.another();
    let reader = std::thread::spawn(move || reader.expect("88 0E 03E9 'idle timeout'"));
    while !reader.is_finished() {
        client.send("8A 02 'hi'");
    }
    reader.join().unwrap();
    client.send("88 02 03E9");
    client.expect_end();
    let told = server.told.wait_for("close 1001 clean IdleTimeout");
    assert!(told.iter().all(|told| told == "pong hi"), "{told:?}");
    server.stop();
}

#[test]
fn a_message_that_is_not_continued_does_not_keep_the_peer() {
    let config = Config::new().ping_interval(None).idle_timeout(Some(SOON)).close_timeout(NEVER);
    let server = Server::start(config, Script::echo());
    let mut client = server.open();
    client.send("01 01 'a'");
    client.expect("88 0E 03E9 'idle timeout'");
    client.send("88 02 03E9");
    client.expect_end();
    server.told.expect("close 1001 clean IdleTimeout");
    server.stop();
}

#[test]
fn a_peer_that_takes_nothing_is_dropped() {
    let (mut script, told) = Script::echo();
    // More than sockets hold.
    script.on_open = Box::new(|peer| {
        peer.send(&*vec![0; 32 << 20]);
    });
    let config = Config::new().write_timeout(Some(SOON)).idle_timeout(None).ping_interval(None);
    let server = Server::start(config, (script, told));
    let _client = Client::open_small(server.addr);
    server.told.expect("open");
    server.told.expect("close 1006 unclean WriteTimeout");
    server.stop();
}

#[test]
fn the_close_timeout_holds_for_a_peer_that_takes_nothing() {
    let (mut script, told) = Script::echo();
    script.on_open = Box::new(|peer| {
        peer.send(&*vec![0; 32 << 20]);
        peer.close(CloseCode::NORMAL, "");
    });
    let config = Config::new().write_timeout(None).close_timeout(SOON);
    let server = Server::start(config, (script, told));
    let _client = Client::open_small(server.addr);
    server.told.expect("open");
    server.told.expect("close 1006 unclean Local");
    server.stop();
}

#[cfg(unix)]
#[test]
fn without_timeouts_an_open_peer_is_never_looked_at() {
    let (mut script, _told) = Script::echo();
    let config = Config::new().ping_interval(None).idle_timeout(None).write_timeout(None);
    let (mut event_loop, door) = Door::new(config.handshake_timeout(SOON));
    let mut client = door.open(&mut event_loop, &mut script);
    // The deadline of the handshake is still met, to no effect.
    turn_until(&mut event_loop, &mut script, |event_loop, _| event_loop.next_timeout().is_none());
    assert_eq!(event_loop.peers().len(), 1);
    assert!(!client.has_input());
}

/// A peer that takes nothing is not given more time by being sent more.
#[test]
fn sending_more_does_not_prolong_the_wait() {
    let (mut script, told) = Script::echo();
    let mut slow = None;
    script.on_open = Box::new(move |peer| {
        let slow = *slow.get_or_insert_with(|| peer.id());
        if slow == peer.id() {
            peer.send(&*vec![0; 32 << 20]);
        }
    });
    script.on_message = Box::new(|peer, _| peer.peers().broadcast("more"));
    let config = Config::new().write_timeout(Some(10 * SOON)).write_queue_limit(64 << 20);
    let server = Server::start(config, (script, told));
    let _slow = Client::open_small(server.addr);
    server.told.expect("open");
    let mut sender = Client::open(server.addr);
    for _ in 0..100_000 {
        sender.send("81 00");
        sender.expect("81 04 'more'");
        if server.told.so_far().iter().any(|told| told == "close 1006 unclean WriteTimeout") {
            return;
        }
    }
    panic!("it waits for ever");
}

#[cfg(unix)]
#[test]
fn a_peer_that_takes_a_little_now_and_then_is_kept() {
    let (mut script, told) = Script::echo();
    script.on_open = Box::new(|peer| {
        peer.send(&*vec![0; 32 << 20]);
    });
    let timeout = Duration::from_secs(2);
    let config = Config::new().write_timeout(Some(timeout)).idle_timeout(None).ping_interval(None);
    let (mut event_loop, door) = Door::new(config);
    let mut client = door.open(&mut event_loop, &mut script);
    told.expect("open");
    for _ in 0..5 {
        // In all, more time than a single byte may take.
        let_pass(timeout / 4);
        assert!(client.read_available() > 0);
        event_loop.turn(&mut script, Some(Duration::ZERO)).unwrap();
    }
    assert_eq!(told.so_far(), [""; 0]);
    assert_eq!(event_loop.peers().len(), 1);
}

#[cfg(unix)]
#[test]
fn the_time_for_a_close_begins_with_the_close() {
    let (mut script, told) = Script::echo();
    let timeout = Duration::from_secs(1);
    let config = Config::new().close_timeout(timeout).idle_timeout(None).ping_interval(None);
    let (mut event_loop, door) = Door::new(config);
    let mut client = door.open(&mut event_loop, &mut script);
    told.expect("open");
    // Nobody turns the loop for longer than a closing handshake may take.
    let_pass(timeout);
    let id = event_loop.peers().ids().next().unwrap();
    event_loop.peers().close(id, CloseCode::NORMAL, "");
    for _ in 0..3 {
        event_loop.turn(&mut script, Some(Duration::ZERO)).unwrap();
    }
    client.expect("88 02 03E8");
    client.send("88 02 03E8");
    turn_until(&mut event_loop, &mut script, |event_loop, _| event_loop.peers().is_empty());
    told.expect("close 1000 clean Local");
}

/// A read that fills the buffer may have left nothing behind. The next one tells, and that is that.
#[cfg(unix)]
#[test]
fn a_loop_with_nothing_to_do_rests() {
    let (mut script, told) = Script::echo();
    let frame = masked(&frame(0x81, b"hi"));
    let config = Config::new().read_buffer_size(frame.len()).idle_timeout(None).ping_interval(None);
    let (mut event_loop, door) = Door::new(config.handshake_timeout(SOON));
    let mut client = door.open(&mut event_loop, &mut script);
    told.expect("open");
    client.write(&frame);
    turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
    turn_until(&mut event_loop, &mut script, |event_loop, _| event_loop.next_timeout().is_none());
    client.expect("81 02 'hi'");
}

/// Every byte of these is a sign of life, and holds what came before it in the server's memory.
#[cfg(unix)]
#[test]
fn a_message_that_trickles_is_given_up() {
    for (begin, more) in [
        // A frame of 16 MiB, byte by byte.
        (wire("82 FF 0000000001000000 00000000"), wire("00")),
        // Empty fragments without end.
        (masked(&wire("01 01 'a'")), masked(&wire("00 00"))),
        // Not even empty ones, and Pongs among them.
        (masked(&wire("01 01 'a'")), masked(&wire("00 01 'b'  8A 00"))),
    ] {
        let (mut script, told) = Script::echo();
        let config = Config::new().message_timeout(Some(SOON)).idle_timeout(Some(NEVER));
        let (mut event_loop, door) = Door::new(config.ping_interval(None).close_timeout(NEVER));
        let mut client = door.open(&mut event_loop, &mut script);
        told.expect("open");
        client.write(begin);
        turn_until(&mut event_loop, &mut script, |_, _| {
            let given_up = client.has_input();
            if !given_up {
                client.write(&more);
            }
            given_up
        });
        client.expect("88 17 03F0 'message took too long'");
        // It is read no further than to find a Close, which is not to be expected in the middle of the frame.
        drop(client);
        turn_until(&mut event_loop, &mut script, |event_loop, _| event_loop.peers().is_empty());
        let told = told.so_far();
        assert!(told.last().unwrap().ends_with(" unclean MessageTimeout"), "{told:?}");
    }
}

/// There is always an unfinished one, but never the same.
#[cfg(unix)]
#[test]
fn messages_that_are_complete_in_time_may_follow_each_other_without_a_gap() {
    let (mut script, told) = Script::echo();
    let config = Config::new().message_timeout(Some(SOON)).idle_timeout(Some(NEVER));
    let (mut event_loop, door) = Door::new(config.ping_interval(None));
    let mut client = door.open(&mut event_loop, &mut script);
    told.expect("open");
    let message = masked(&wire("81 05 'Hello'"));
    let (begin, rest) = message.split_at(8);
    client.write(begin);
    event_loop.turn(&mut script, Some(Duration::ZERO)).unwrap();
    for _ in 0..5 {
        let_pass(SOON);
        client.write([rest, begin].concat());
        event_loop.turn(&mut script, Some(Duration::ZERO)).unwrap();
        client.expect("81 05 'Hello'");
        told.expect("text Hello");
    }
    assert!(!client.has_input());
}

/// What it is sent waits for it, but nobody keeps it from going on with its message.
#[cfg(unix)]
#[test]
fn a_peer_that_is_slow_to_read_has_no_more_time_for_its_message() {
    let (mut script, told) = Script::echo();
    // More than the socket holds, yet not so much that the peer would not be read from.
    script.on_open = Box::new(|peer| {
        peer.send(&*vec![0; 4 << 20]);
    });
    let config = Config::new().message_timeout(Some(SOON)).write_timeout(None).close_timeout(SOON);
    let config = config.idle_timeout(None).ping_interval(None).high_water_mark(64 << 20);
    let (mut event_loop, door) = Door::new(config);
    let mut client = door.open(&mut event_loop, &mut script);
    told.expect("open");
    client.send("02 01 'a'");
    let fragment = masked(&wire("00 01 'b'"));
    turn_until(&mut event_loop, &mut script, |event_loop, _| {
        let given_up = event_loop.peers().is_empty();
        if !given_up {
            // It may have been given up already, and not be read any more.
            let _ = client.try_write(&fragment);
        }
        given_up
    });
    let told = told.so_far();
    assert!(told.last().unwrap().ends_with(" unclean MessageTimeout"), "{told:?}");
}

/// Only the time in which it was not read from does not count.
#[cfg(unix)]
#[test]
fn a_peer_that_is_congested_now_and_then_has_no_more_time_for_its_message() {
    let (mut script, told) = Script::echo();
    let config = Config::new().message_timeout(Some(5 * SOON)).idle_timeout(None);
    let (mut event_loop, door) = Door::new(config.ping_interval(None).high_water_mark(8));
    let mut client = door.open(&mut event_loop, &mut script);
    told.expect("open");
    client.send("02 01 'a'");
    let id = event_loop.peers().ids().next().unwrap();
    for _ in 0..10 {
        event_loop.turn(&mut script, Some(Duration::ZERO)).unwrap();
        if client.has_input() {
            client.expect("88 17 03F0 'message took too long'");
            return;
        }
        assert_eq!(event_loop.peers().send(id, "0123456789"), SendStatus::Congested);
        event_loop.turn(&mut script, Some(Duration::ZERO)).unwrap();
        client.expect("81 0A '0123456789'");
        told.expect("drain");
        let_pass(SOON);
    }
    panic!("its time begins anew whenever it drains");
}

/// However slowly its header arrives: it leaves nothing behind that would have to be kept.
#[cfg(unix)]
#[test]
fn a_ping_in_two_pieces_is_no_message_that_takes_too_long() {
    let (mut script, told) = Script::echo();
    let config = Config::new().message_timeout(Some(SOON)).idle_timeout(Some(NEVER));
    let (mut event_loop, door) = Door::new(config.ping_interval(None));
    let mut client = door.open(&mut event_loop, &mut script);
    told.expect("open");
    let ping = masked(&wire("89 00"));
    let (begin, rest) = ping.split_at(3);
    client.write(begin);
    event_loop.turn(&mut script, Some(Duration::ZERO)).unwrap();
    for _ in 0..5 {
        let_pass(SOON);
        client.write([rest, begin].concat());
        event_loop.turn(&mut script, Some(Duration::ZERO)).unwrap();
        client.expect("8A 00");
        told.expect("ping");
        event_loop.turn(&mut script, Some(Duration::ZERO)).unwrap();
    }
    let_pass(SOON);
    event_loop.turn(&mut script, Some(Duration::ZERO)).unwrap();
    assert!(!client.has_input());
    assert_eq!(told.so_far(), [""; 0]);
}

/// It is not the peer's fault that it takes the loop several turns to read it.
#[cfg(unix)]
#[test]
fn a_message_that_has_arrived_in_time_is_not_late_because_the_loop_is() {
    let (mut script, told) = Script::echo();
    let config = Config::new().message_timeout(Some(SOON)).idle_timeout(None).ping_interval(None);
    let (mut event_loop, door) = Door::new(config.read_buffer_size(64));
    let mut client = door.open(&mut event_loop, &mut script);
    told.expect("open");
    let message = frame(0x82, &[7; 1000]);
    let masked = masked(&message);
    let (begin, rest) = masked.split_at(100);
    client.write(begin);
    event_loop.turn(&mut script, Some(Duration::ZERO)).unwrap();
    client.write(rest);
    let_pass(SOON);
    turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
    client.expect_bytes(&message);
    told.expect("binary of 1000");
}

/// What was to be done about a peer that is gone is not done, nor waited for.
#[cfg(unix)]
#[test]
fn a_loop_whose_peers_are_gone_rests() {
    for sent in ["", "81 00"] {
        let (mut script, told) = Script::echo();
        match sent {
            "" => script.on_open = Box::new(|peer| peer.abort()),
            _ => script.on_message = Box::new(|peer, _| peer.abort()),
        }
        let (mut event_loop, door) = Door::new(Config::new().handshake_timeout(NEVER));
        let mut client = door.connect();
        client.write([REQUEST.as_bytes(), &masked(&wire(sent))].concat());
        // With the end of the stream in sight, the loop has every reason to read again.
        client.end();
        turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
        assert_eq!(told.so_far().last().unwrap(), "close 1006 unclean Aborted");
        assert_ne!(event_loop.next_timeout(), Some(Duration::ZERO), "after {sent:?}");
    }
}

/// The time that a deadline is away is counted from now, not from when the loop last looked at the clock.
#[cfg(unix)]
#[test]
fn a_pause_between_turns_counts() {
    let (mut script, _told) = Script::echo();
    let (mut event_loop, door) = Door::new(Config::new().handshake_timeout(NEVER));
    let _silent = door.connect();
    turn_until(&mut event_loop, &mut script, |event_loop, _| {
        event_loop.next_timeout().is_some_and(|wait| wait > Duration::ZERO)
    });
    let before = event_loop.next_timeout().unwrap();
    let_pass(SOON);
    let after = event_loop.next_timeout().unwrap();
    assert!(after <= before - SOON, "{before:?}, then {after:?}");
}
