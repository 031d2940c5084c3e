//! Peers that send more than they may.

use std::time::Duration;

use wsloop::testing::Rehearsal;
use wsloop::{CloseCode, Config, EventLoop, Excess, Rate, RateLimit};

use super::common::{
    Client, Door, NEVER, REQUEST, Script, ScriptedServer, Server, Told, accept, at_least, frame,
    masked, turn_until, wire,
};

const SECOND: Duration = Duration::from_secs(1);

/// An allowance that does not grow back while a test runs.
fn once(burst: u64) -> Rate {
    Rate::per_second(1).burst(burst)
}

fn closing(limit: RateLimit) -> Config {
    Config::new().rate_limit(limit.excess(Excess::Close))
}

/// Masked messages 'a', 'b', 'c', …
fn letters(letters: std::ops::RangeInclusive<u8>) -> Vec<u8> {
    letters.flat_map(|letter| masked(&frame(0x81, &[letter]))).collect()
}

/// Sends frames all at once, and checks what comes back and what is told, after which the client
/// answers the Close.
#[track_caller]
fn check(config: Config, sent: &str, received: &str, told: &[&str]) {
    let (mut event_loop, door) = Door::new(config.close_timeout(NEVER));
    let (mut script, log) = Script::echo();
    let mut client = door.open(&mut event_loop, &mut script);
    client.send(sent);
    let len = wire(received).len();
    let mut answer = Vec::new();
    turn_until(&mut event_loop, &mut script, |_, _| {
        answer.extend(client.read_available_of(len - answer.len()));
        answer.len() == len
    });
    assert_eq!(answer, wire(received));
    let _ = client.try_write(masked(&wire("88 02 03F0")));
    turn_until(&mut event_loop, &mut script, |event_loop, _| event_loop.peers().is_empty());
    log.expect("open");
    assert_eq!(log.so_far(), told);
}

const TOO_MUCH: &str = "88 15 03F0 'rate limit exceeded'";
const CLOSED: &str = "close 1008 clean RateLimit";

#[test]
fn a_message_over_the_limit_is_not_delivered_and_closes_the_peer() {
    check(
        closing(RateLimit::new().messages(once(3))),
        "81 01 'a'  81 01 'b'  81 01 'c'  81 01 'd'  81 01 'e'",
        &format!("81 01 'a'  81 01 'b'  81 01 'c'  {TOO_MUCH}"),
        &["text a", "text b", "text c", CLOSED],
    );
}

#[test]
fn pings_and_pongs_count_as_messages_but_fragments_do_not() {
    check(
        closing(RateLimit::new().messages(once(3))),
        "01 01 'a'  89 01 'p'  00 00  8A 00  00 01 'b'  80 00  81 00",
        &format!("8A 01 'p'  81 02 'ab'  {TOO_MUCH}"),
        &["ping p", "pong", "text ab", CLOSED],
    );
    // A Ping is answered all the same, §5.5.2.
    check(
        closing(RateLimit::new().messages(once(1))),
        "81 01 'a'  89 01 'p'",
        &format!("81 01 'a'  {TOO_MUCH}  8A 01 'p'"),
        &["text a", CLOSED],
    );
}

#[test]
fn a_close_is_always_within_the_limit() {
    check(
        closing(RateLimit::new().messages(once(1))),
        "81 01 'a'  88 02 0FA0",
        "81 01 'a'  88 02 0FA0",
        &["text a", "close 4000 clean Remote"],
    );
}

#[test]
fn bytes_over_the_limit_close_the_peer() {
    check(
        closing(RateLimit::new().bytes(once(21))),
        "81 01 'a'  81 01 'b'  88 01 'c'",
        "81 01 'a'  81 01 'b'  88 02 03EA",
        &["text a", "text b", "close 1006 unclean Violation(TruncatedCloseCode)"],
    );
    // That some of it would be within the limit is not looked at.
    check(
        closing(RateLimit::new().bytes(once(20))),
        "81 01 'a'  81 01 'b'  81 01 'c'",
        TOO_MUCH,
        &[CLOSED],
    );
}

#[test]
fn empty_fragments_are_bytes_too() {
    let flood = format!("01 00  {}", "00 00  ".repeat(99));
    check(closing(RateLimit::new().bytes(once(599))), &flood, TOO_MUCH, &[CLOSED]);
}

#[test]
fn each_peer_has_its_own_limit() {
    let (mut event_loop, door) = Door::new(closing(RateLimit::new().messages(once(2))));
    let (mut script, told) = Script::echo();
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = door.open(&mut event_loop, &mut script);
        told.expect("open");
        client.write(letters(b'a'..=b'b'));
        turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
        client.expect("81 01 'a'  81 01 'b'");
        assert_eq!(told.so_far(), ["text a", "text b"]);
        clients.push(client);
    }
}

/// Expects single letters, one after the other.
#[track_caller]
fn expect_letters(told: &Told, letters: std::ops::RangeInclusive<u8>) {
    for letter in letters {
        told.expect(&format!("text {}", char::from(letter)));
    }
}

/// The machine may be slow, but whoever gets more than its share gets it too soon.
#[test]
fn a_peer_that_sends_too_many_messages_is_held_up_and_nothing_is_lost() {
    let limit = RateLimit::new().messages(Rate::per_second(50).burst(3));
    let server = Server::start(Config::new().rate_limit(limit), Script::echo());
    at_least(Duration::from_millis(200), || {
        let mut client = server.open();
        client.write(letters(b'a'..=b'm'));
        expect_letters(&server.told, b'a'..=b'm');
        let echoes: Vec<_> = (b'a'..=b'm').flat_map(|letter| frame(0x81, &[letter])).collect();
        client.expect_bytes(&echoes);
        client.close();
    });
    server.told.expect("close 1000 clean Remote");
    server.stop();
}

#[test]
fn a_peer_that_sends_too_many_bytes_is_held_up_and_nothing_is_lost() {
    let limit = RateLimit::new().bytes(Rate::per_second(10_000).burst(5000));
    let server = Server::start(Config::new().rate_limit(limit), Script::echo());
    at_least(Duration::from_millis(200), || {
        let mut client = server.open();
        let message = frame(0x82, &[7; 7000]);
        client.write(masked(&message));
        client.expect_bytes(&message);
        client.close();
    });
    server.told.expect("binary of 7000");
    server.told.expect("close 1000 clean Remote");
    server.stop();
}

/// A byte per second is as good as none.
#[test]
fn a_peer_that_is_held_up_is_not_read_from_while_others_are() {
    let (mut script, told) = Script::echo();
    script.on_message = Box::new(|peer, message| {
        peer.send(message);
        if message.as_bytes() == b"limit me" {
            peer.set_rate_limit(RateLimit::new().bytes(once(1)));
        }
    });
    let config = Config::new().message_timeout(None).idle_timeout(None);
    let server = Server::start(config, (script, told));
    let mut neighbour = server.open();
    let mut flooder = server.open();
    flooder.send("81 08 'limit me'");
    flooder.expect("81 08 'limit me'");
    let mut round_trips = 0;
    flooder.write_until(&masked(&frame(0x82, &[0; 1000])), || {
        neighbour.send("81 02 'hi'");
        neighbour.expect("81 02 'hi'");
        round_trips += 1;
        round_trips == 50
    });
    neighbour.close();
    let told = server.told.wait_for("close 1000 clean Remote");
    assert!(told.iter().all(|told| told == "text limit me" || told == "text hi"), "{told:?}");
    flooder.reset();
    server.remote.shutdown(Duration::ZERO);
    let told = server.told.next();
    assert!(told.starts_with("close 1006 unclean "), "{told}");
    server.stop();
}

/// At a message or a byte per second, it would take longer than any test to get to the Close.
#[test]
fn their_close_is_found_behind_what_was_held_up_once_ours_is_sent() {
    for limit in [RateLimit::new().messages(once(1)), RateLimit::new().bytes(once(100))] {
        let (mut script, told) = Script::echo();
        script.on_message = Box::new(|peer, _| peer.close(CloseCode::NORMAL, ""));
        let config = Config::new().rate_limit(limit).close_timeout(NEVER);
        let server = Server::start(config, (script, told));
        let mut client = server.open();
        client.write([letters(b'a'..=b'z').repeat(10), masked(&wire("88 02 0FA0"))].concat());
        server.told.expect("text a");
        client.expect("88 02 03E8");
        client.expect_end();
        server.told.expect("close 4000 clean Local");
        server.stop();
    }
}

/// A pause is longer than the time to find it, but ends with our Close.
#[test]
fn our_close_ends_the_pause() {
    let (mut script, told) = Script::echo();
    script.on_message = Box::new(|peer, _| peer.close(CloseCode::NORMAL, ""));
    let config = Config::new().rate_limit(RateLimit::new().messages(PAUSES)).close_timeout(TENTH);
    let server = Server::start(config, (script, told));
    let mut client = Client::connect(server.addr);
    let frames = [letters(b'a'..=b'z'), masked(&wire("88 02 0FA0"))].concat();
    client.write([REQUEST.as_bytes(), &frames].concat());
    client.expect_opened();
    client.expect("88 02 03E8");
    client.expect_end();
    for told in ["open", "text a", "close 4000 clean Local"] {
        server.told.expect(told);
    }
    server.stop();
}

#[test]
fn a_shutdown_does_not_wait_for_what_was_held_up() {
    let limit = RateLimit::new().messages(once(1));
    let config = Config::new().rate_limit(limit).close_timeout(NEVER);
    let mut server = Server::start(config, Script::echo());
    let mut client = server.open();
    client.write([letters(b'a'..=b'z').repeat(10), masked(&wire("88 02 0FA0"))].concat());
    server.told.expect("text a");
    server.remote.shutdown(NEVER);
    client.expect("81 01 'a'  88 02 03E9");
    client.expect_end();
    drop(client);
    server.join();
    let told = server.told.so_far();
    assert_eq!(told.last().map(String::as_str), Some("close 4000 clean Shutdown"));
    server.stop();
}

#[test]
fn whoever_hangs_up_while_held_up_is_still_heard_to_the_end() {
    let limit = RateLimit::new().messages(Rate::per_second(20).burst(1));
    let server = Server::start(Config::new().rate_limit(limit), Script::echo());
    let mut client = server.open();
    client.write(letters(b'a'..=b'c'));
    client.end();
    client.expect("81 01 'a'  81 01 'b'  81 01 'c'");
    client.expect_end();
    expect_letters(&server.told, b'a'..=b'c');
    server.told.expect("close 1006 unclean EndOfStream");
    server.stop();
}

/// How long a pause is, where the timeouts are a tenth of it. What is sent comes with the request,
/// so that it is there when it is looked for, on however slow a machine.
const PAUSES: Rate = Rate::per_second(5).burst(1);
const TENTH: Duration = Duration::from_millis(20);

#[test]
fn whoever_is_held_up_is_not_silent() {
    let limit = RateLimit::new().messages(PAUSES);
    let config = Config::new().rate_limit(limit).idle_timeout(Some(TENTH)).ping_interval(None);
    let server = Server::start(config, Script::echo());
    let mut client = Client::connect(server.addr);
    client.write([REQUEST.as_bytes(), &letters(b'a'..=b'c')].concat());
    client.expect_opened();
    client.expect("81 01 'a'  81 01 'b'  81 01 'c'");
    // But once it is, it is closed as ever.
    client.expect("88 0E 03E9 'idle timeout'");
    client.send("88 02 03E9");
    client.expect_end();
    server.told.expect("open");
    expect_letters(&server.told, b'a'..=b'c');
    server.told.expect("close 1001 clean IdleTimeout");
    server.stop();
}

#[test]
fn a_message_that_is_held_up_does_not_take_too_long() {
    // Five bytes at a time, five times as long apart as the message may take.
    let limit = RateLimit::new().bytes(Rate::per_second(50).burst(7));
    let config = Config::new().rate_limit(limit).message_timeout(Some(TENTH));
    let server = Server::start(config, Script::echo());
    let mut client = server.open();
    client.send("01 01 'a'  00 01 'b'  80 01 'c'");
    client.expect("81 03 'abc'");
    // What is not complete when it is read from again has the time that it had left.
    client.send("01 01 'd'");
    client.expect("88 17 03F0 'message took too long'");
    client.send("88 02 03F0");
    client.expect_end();
    server.told.expect("text abc");
    server.told.expect("close 1008 clean MessageTimeout");
    server.stop();
}

/// The same if it was also slow to read, for a part of that time.
#[test]
fn a_message_that_was_held_up_has_as_much_time_left_as_before() {
    for mark in [1, 1 << 20] {
        let limit = RateLimit::new().messages(PAUSES);
        let config = Config::new().rate_limit(limit).message_timeout(Some(5 * TENTH));
        let (mut script, told) = Script::echo();
        script.on_ping = Box::new(|peer| {
            peer.send("more than the mark");
        });
        let server = Server::start(config.high_water_mark(mark), (script, told));
        at_least(15 * TENTH, || {
            let mut client = Client::connect(server.addr);
            let frames = masked(&wire("01 01 'a'  89 00"));
            client.write([REQUEST.as_bytes(), &frames].concat());
            client.expect_opened();
            client.expect("8A 00  81 12 'more than the mark'");
            client.expect("88 17 03F0 'message took too long'");
            client.send("88 02 03F0");
            client.expect_end();
        });
        server.told.wait_for("close 1008 clean MessageTimeout");
        server.stop();
    }
}

/// A Ping a second is cheap, and would otherwise let a peer hold the memory of a message for ever.
#[test]
fn pings_in_the_middle_of_a_message_gain_no_time_for_it() {
    let limit = RateLimit::new().messages(once(1));
    let config = Config::new().rate_limit(limit).message_timeout(Some(60 * SECOND));
    let (script, told) = Script::echo();
    let mut rehearsal = Rehearsal::new(config, script);
    let client = rehearsal.connect("/");
    let pings = masked(&frame(0x89, b"")).repeat(600);
    rehearsal.send_raw(client, &[masked(&wire("01 01 'a'")), pings].concat());
    rehearsal.advance(59 * SECOND);
    assert!(rehearsal.is_open(client));
    rehearsal.advance(3 * SECOND);
    assert!(!rehearsal.is_open(client));
    assert_eq!(told.wait_for("close 1008 clean MessageTimeout").len(), 62);
}

/// It would otherwise keep its place among the connections for as long as what it has left behind
/// lasts: an hour and a half for what fits into a read.
#[test]
fn whoever_has_gone_while_held_up_is_not_kept_for_long() {
    for reset in [false, true] {
        let config = Config::new().rate_limit(RateLimit::new().messages(once(1)));
        let (script, told) = Script::echo();
        let mut rehearsal = Rehearsal::new(config.close_timeout(5 * SECOND), script);
        let client = rehearsal.connect("/");
        rehearsal.send_raw(client, &masked(&frame(0x8A, b"")).repeat(10_000));
        rehearsal.advance(10 * SECOND);
        match reset {
            false => rehearsal.end_stream(client),
            true => rehearsal.reset(client),
        }
        rehearsal.advance(4 * SECOND);
        assert!(rehearsal.peer_id(client).is_some() || reset);
        assert_eq!(rehearsal.peers().len(), 1);
        rehearsal.advance(2 * SECOND);
        assert!(rehearsal.peers().is_empty());
        told.wait_for("close 1006 unclean EndOfStream");
    }
}

#[test]
fn what_comes_right_behind_the_request_is_counted_as_well() {
    let (mut event_loop, door) = Door::new(closing(RateLimit::new().bytes(once(20))));
    let (mut script, told) = Script::echo();
    let mut client = door.connect();
    client.write([REQUEST.as_bytes(), &letters(b'a'..=b'c')].concat());
    turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
    client.expect_opened();
    client.expect(TOO_MUCH);
    client.send("88 02 03F0");
    turn_until(&mut event_loop, &mut script, |event_loop, _| event_loop.peers().is_empty());
    assert_eq!(told.so_far(), ["open", CLOSED]);
}

/// So it is with a server, and its answer.
#[test]
fn what_comes_right_behind_the_answer_is_counted_as_well() {
    let server = ScriptedServer::once(|client| {
        let head = client.read_head();
        client.write([&accept(&head)[..], b"\x82\x28", &[b'x'; 40]].concat());
        client.expect_masked(0x88, &wire(TOO_MUCH)[2..]);
        client.write(wire("88 02 03F0"));
        client.end();
    });
    let config = closing(RateLimit::new().bytes(once(20)));
    let mut event_loop = EventLoop::with_config(config).unwrap();
    event_loop.connect(&server.url()).unwrap();
    let (mut script, told) = Script::echo();
    turn_until(&mut event_loop, &mut script, |event_loop, _| {
        event_loop.peers().stats().closed.total() == 1
    });
    assert_eq!(told.so_far(), ["open", CLOSED]);
    server.join();
}

/// At a message per second it would take longer than any test.
#[test]
fn a_peer_may_be_allowed_more_than_others() {
    let (mut script, told) = Script::echo();
    script.on_message = Box::new(|peer, _| peer.set_rate_limit(RateLimit::new()));
    let config = Config::new().rate_limit(RateLimit::new().messages(once(1)));
    let server = Server::start(config, (script, told));
    let mut client = server.open();
    client.write(letters(b'a'..=b'z').repeat(10));
    for _ in 0..10 {
        expect_letters(&server.told, b'a'..=b'z');
    }
    client.close();
    server.told.expect("close 1000 clean Remote");
    server.stop();
}

#[test]
fn a_peer_may_be_allowed_less_than_others() {
    let (mut event_loop, door) = Door::new(Config::new());
    let (mut script, told) = Script::echo();
    let limit = RateLimit::new().messages(once(1)).excess(Excess::Close);
    script.on_open = Box::new(move |peer| peer.set_rate_limit(limit));
    let mut client = door.open(&mut event_loop, &mut script);
    client.write(letters(b'a'..=b'b'));
    turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
    client.expect(&format!("81 01 'a'  {TOO_MUCH}"));
    assert_eq!(told.so_far(), ["open", "text a"]);
}

/// Held up for both reasons at once: as it does not read, and as it sends too much.
#[test]
fn whoever_is_held_up_and_slow_to_read_loses_nothing() {
    let limit = RateLimit::new().messages(Rate::per_second(500).burst(2));
    let config = Config::new().rate_limit(limit).high_water_mark(1);
    let server = Server::start(config, Script::echo());
    let mut client = Client::open_small(server.addr);
    server.told.expect("open");
    let messages: Vec<_> = (0..50).flat_map(|n| frame(0x82, &[n; 40_000])).collect();
    let mut writer = client.another();
    let frames = masked(&messages);
    let writer = std::thread::spawn(move || writer.write(frames));
    client.expect_bytes(&messages);
    writer.join().unwrap();
    client.close();
    server.told.wait_for("close 1000 clean Remote");
    server.stop();
}

#[test]
fn the_loop_rests_while_a_peer_is_held_up() {
    let limit = RateLimit::new().messages(Rate::per_second(20).burst(1));
    let (mut event_loop, door) = Door::new(Config::new().rate_limit(limit));
    let (mut script, told) = Script::echo();
    let mut client = door.open(&mut event_loop, &mut script);
    told.expect("open");
    client.write(letters(b'a'..=b'k'));
    let mut heard = 0;
    let turns = turn_until(&mut event_loop, &mut script, |_, _| {
        heard += told.so_far().len();
        heard == 11
    });
    // That is ten pauses, with a few turns for each.
    assert!(turns < 50, "{turns} turns");
}
