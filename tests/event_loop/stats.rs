//! What the loop counts, and when.

use std::time::Duration;

use wsloop::{
    Acceptance, Answer, CloseCode, Config, EventLoop, IncomingRequest, Message, Overflow, Refusal,
    Response, SendStatus, Stats,
};

use super::common::{
    Client, Door, NEVER, REQUEST, Script, assert_quietly, frame, masked, turn_until,
    turn_until_panic, wire,
};

/// Soon, but nothing here depends on how soon.
const SOON: Duration = Duration::from_millis(20);

/// Deadlines that do not come.
fn patient() -> Config {
    Config::new().idle_timeout(None).ping_interval(None).handshake_timeout(NEVER)
}

/// The causes that occurred.
fn occurred(causes: impl Iterator<Item = (&'static str, u64)>) -> Vec<(&'static str, u64)> {
    causes.filter(|&(_, count)| count > 0).collect()
}

/// Turns the loop until its counters are as expected.
#[track_caller]
fn turn_until_counted(
    event_loop: &mut EventLoop,
    script: &mut Script,
    counted: impl Fn(&Stats) -> bool,
) -> Stats {
    turn_until(event_loop, script, |event_loop, _| counted(&event_loop.peers().stats()));
    event_loop.peers().stats()
}

/// Turns the loop until all connections are gone, and checks that the counters add up.
#[track_caller]
fn turn_until_empty(event_loop: &mut EventLoop, script: &mut Script) -> Stats {
    let stats = turn_until_counted(event_loop, script, |stats| {
        stats.connections.opening + stats.connections.open + stats.connections.ending == 0
    });
    let connections = stats.connections;
    assert_eq!(connections.opened, stats.closed.total(), "{stats}");
    let refused = stats.refused.total();
    assert_eq!(
        connections.accepted,
        connections.opened + connections.answered + refused,
        "{stats}"
    );
    assert_eq!(stats.bytes.queued, 0, "{stats}");
    stats
}

#[test]
fn a_loop_begins_with_nothing() {
    assert_eq!(EventLoop::new().unwrap().peers().stats(), Stats::default());
}

#[test]
fn connections_are_counted_where_they_are() {
    let (mut script, _told) = Script::echo();
    let (mut event_loop, door) = Door::new(patient().close_timeout(NEVER));
    let now = |event_loop: &mut EventLoop| {
        let connections = event_loop.peers().stats().connections;
        assert_eq!(connections.open, event_loop.peers().len() as u64);
        (connections.opening, connections.open, connections.ending)
    };
    let opening = door.connect();
    let mut client = door.open(&mut event_loop, &mut script);
    assert_eq!(now(&mut event_loop), (1, 1, 0));

    // It has been told, but does not end its side yet.
    client.send("88 00");
    turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
    assert_eq!(now(&mut event_loop), (1, 0, 1));
    client.end();
    turn_until_counted(&mut event_loop, &mut script, |stats| stats.connections.ending == 0);
    assert_eq!(now(&mut event_loop), (1, 0, 0));

    drop(opening);
    let stats = turn_until_empty(&mut event_loop, &mut script);
    assert_eq!((stats.connections.accepted, stats.connections.opened), (2, 1));
}

#[test]
fn a_peer_that_is_aborted_is_none_from_then_on() {
    let (mut script, _told) = Script::echo();
    let (mut event_loop, door) = Door::new(patient());
    let _client = door.open(&mut event_loop, &mut script);
    let peers = event_loop.peers();
    let id = peers.ids().next().unwrap();
    peers.abort(id);
    peers.abort(id);
    let stats = peers.stats();
    assert_eq!((stats.connections.open, stats.connections.ending), (0, 1));
    assert_eq!(stats.closed.total(), 0, "not told yet");
    let stats = turn_until_empty(&mut event_loop, &mut script);
    assert_eq!(occurred(stats.closed.causes()), [("aborted", 1)]);
}

/// Answers by the path that is asked for.
fn by_path(request: &IncomingRequest<'_>) -> Answer {
    match request.path() {
        "/page" => Response::html("hello").into(),
        "/elsewhere" => Response::new(308).header("Location", "/").into(),
        "/secret" => Response::text(401, "who are you?").into(),
        "/nothing" => Refusal::NotFound.into(),
        "/invalid" => Acceptance::new().header("X", "a\r\nb").into(),
        "/forgotten" => request.defer().0,
        _ => request.upgrade(),
    }
}

#[test]
fn who_is_not_let_in_is_counted_by_its_cause() {
    let to = |path| REQUEST.replace("/chat", path);
    let with = |field: &str| REQUEST.replace("\r\n\r\n", &format!("\r\n{field}\r\n\r\n"));
    for (sent, cause) in [
        ("G\n".to_owned(), "malformed"),
        ("\x16\x03\x01".to_owned(), "malformed"),
        (REQUEST.replace("GET", "POST"), "malformed"),
        (REQUEST.replace("Host", "Post"), "malformed"),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), "not_websocket"),
        (REQUEST.replace("Version: 13", "Version: 8"), "not_websocket"),
        (with("Sec-WebSocket-Protocol: a, a"), "not_websocket"),
        (with("Origin: https://elsewhere.example"), "origin"),
        (to("/secret"), "application"),
        (to("/nothing"), "application"),
        (to("/invalid"), "failed"),
        (to("/forgotten"), "failed"),
        ("GET / HT".to_owned(), "incomplete"),
        (String::new(), "silent"),
        (to("/page"), ""),
        (to("/elsewhere"), ""),
    ] {
        let (mut script, _told) = Script::echo();
        script.on_request = Box::new(|_, request| by_path(request));
        let (mut event_loop, door) = Door::new(patient());
        let mut client = door.connect();
        client.write(&sent);
        client.end();
        let stats = turn_until_counted(&mut event_loop, &mut script, |stats| {
            stats.connections.accepted == 1 && stats.connections.opening == 0
        });
        let answer = client.read_to_end();

        let refused = occurred(stats.refused.causes());
        let expected = if cause.is_empty() { vec![] } else { vec![(cause, 1)] };
        assert_eq!(refused, expected, "{sent}");
        assert_eq!(stats.connections.answered, u64::from(cause.is_empty()), "{sent}");
        let stats = turn_until_empty(&mut event_loop, &mut script);
        assert_eq!(stats.bytes.received, sent.len() as u64);
        assert_eq!(stats.bytes.sent, answer.len() as u64);
    }
}

/// A script that decides about no request: it keeps them all waiting.
fn undecided() -> Script {
    let (mut script, _told) = Script::echo();
    let mut deferred = Vec::new();
    script.on_request = Box::new(move |_, request| {
        let (answer, decision) = request.defer();
        deferred.push(decision);
        answer
    });
    script
}

#[test]
fn whose_time_is_up_before_it_is_let_in_is_counted_by_what_it_waited_for() {
    let mut script = undecided();
    let config = patient().handshake_timeout(SOON).close_timeout(SOON);
    let (mut event_loop, door) = Door::new(config);
    let clients = ["", "GET / HT", REQUEST].map(|sent| {
        let mut client = door.connect();
        client.write(sent);
        client
    });
    turn_until_counted(&mut event_loop, &mut script, |stats| stats.connections.accepted == 3);
    let stats = turn_until_empty(&mut event_loop, &mut script);
    let expected = [("undecided", 1), ("timed_out", 1), ("silent", 1)];
    assert_eq!(occurred(stats.refused.causes()), expected);
    drop(clients);
}

#[test]
fn those_for_whom_there_is_no_room_are_counted() {
    let mut script = undecided();
    let (mut event_loop, door) = Door::new(patient().max_handshakes(2));
    // One after the other, so that none has to give way before it has asked.
    let _asking = [1, 2, 3, 4, 5].map(|number| {
        let mut client = door.connect();
        client.write(REQUEST);
        let received = number * REQUEST.len() as u64;
        let counted = |stats: &Stats| stats.bytes.received == received;
        turn_until_counted(&mut event_loop, &mut script, counted);
        client
    });
    assert_eq!(event_loop.peers().stats().refused.overloaded, 3);
    let _silent = [(); 6].map(|()| door.connect());
    let counted = |stats: &Stats| stats.refused.gave_way == 4;
    let stats = turn_until_counted(&mut event_loop, &mut script, counted);
    assert_eq!(occurred(stats.refused.causes()), [("overloaded", 3), ("gave_way", 4)]);
    assert_eq!((stats.connections.accepted, stats.connections.opening), (11, 4));

    // One has said something, the other nothing.
    event_loop.peers().shutdown(Duration::ZERO);
    let stats = turn_until_empty(&mut event_loop, &mut script);
    assert_eq!((stats.refused.silent, stats.refused.shutting_down), (2, 2));
}

#[test]
fn a_handler_that_panics_has_failed_to_answer() {
    let (mut script, _told) = Script::echo();
    script.on_request = Box::new(|_, request| {
        assert_quietly(request.path() != "/chat");
        request.upgrade()
    });
    let (mut event_loop, door) = Door::new(patient());
    let mut client = door.connect();
    client.write(REQUEST);
    turn_until_panic(&mut event_loop, &mut script);
    client.write("more");
    let stats = turn_until_empty(&mut event_loop, &mut script);
    assert_eq!(occurred(stats.refused.causes()), [("failed", 1)]);
}

#[test]
fn a_connection_that_breaks_before_it_is_let_in_is_counted_by_whether_it_said_anything() {
    let (mut script, _told) = Script::echo();
    let mut event_loop = EventLoop::with_config(patient()).unwrap();
    let addr = event_loop.listen("127.0.0.1:0").unwrap();
    for (sent, cause) in [("", "silent"), ("GET", "incomplete")] {
        let before = event_loop.peers().stats();
        let mut client = Client::connect(addr);
        client.write(sent);
        turn_until_counted(&mut event_loop, &mut script, |stats| {
            stats.connections.opening == 1
                && stats.bytes.received == before.bytes.received + sent.len() as u64
        });
        client.reset();
        let stats = turn_until_empty(&mut event_loop, &mut script);
        let refused = occurred(stats.refused.causes());
        assert!(refused.contains(&(cause, 1)), "{cause}: {refused:?}");
    }
}

#[test]
fn ends_are_counted_by_their_cause() {
    let config = || patient().max_message_size(100).close_timeout(SOON);
    for (config, sent, cause) in [
        (config(), "88 02 03E8", "remote"),
        (config(), "81 05 'close'", "local"),
        (config(), "81 05 'abort'", "aborted"),
        (config(), "81 08 'shutdown'", "shutdown"),
        (config(), "83 00", "violation"),
        (config(), "81 01 FF", "violation"),
        (config(), "82 7E 0100", "message_too_big"),
        (config().idle_timeout(Some(SOON)), "", "idle_timeout"),
        (config().message_timeout(Some(SOON)), "81 05 'He", "message_timeout"),
        (config().write_timeout(Some(SOON)), "81 05 'flood'", "write_timeout"),
        (config().high_water_mark(1).write_queue_limit(1), "81 08 'overfill'", "queue_full"),
        (config(), "end", "end_of_stream"),
    ] {
        let (mut script, _told) = Script::echo();
        script.on_message = Box::new(|peer, message| match message {
            Message::Text("close") => peer.close(CloseCode::NORMAL, ""),
            Message::Text("abort") => peer.abort(),
            Message::Text("shutdown") => peer.peers().shutdown(NEVER),
            Message::Text("overfill") => while peer.send(&[0; 1 << 20]) != SendStatus::Dropped {},
            _ => while peer.send(&[0; 1 << 20]) == SendStatus::Queued {},
        });
        let (mut event_loop, door) = Door::new(config);
        let mut client = door.open(&mut event_loop, &mut script);
        match sent {
            "end" => client.end(),
            // Cut in the middle: the quote is for the reader of this test.
            "81 05 'He" => client.write(&masked(&wire("81 05 'Hello'"))[..8]),
            sent => client.send(sent),
        }
        let stats = turn_until_empty(&mut event_loop, &mut script);
        assert_eq!(occurred(stats.closed.causes()), [(cause, 1)], "{sent}");
    }
}

#[test]
fn a_connection_that_breaks_is_lost() {
    let (mut script, _told) = Script::echo();
    let mut event_loop = EventLoop::with_config(patient()).unwrap();
    let addr = event_loop.listen("127.0.0.1:0").unwrap();
    let mut client = Client::connect(addr);
    client.write(REQUEST);
    turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
    client.expect_opened();
    client.reset();
    let stats = turn_until_empty(&mut event_loop, &mut script);
    assert_eq!(occurred(stats.closed.causes()), [("lost", 1)]);
}

#[test]
fn messages_are_counted_for_each_who_is_sent_them() {
    let (mut script, _told) = Script::echo();
    script.on_message = Box::new(|peer, message| match message {
        Message::Text("close") => peer.close(CloseCode::NORMAL, ""),
        message => peer.peers().broadcast(message),
    });
    let (mut event_loop, door) = Door::new(patient());
    // Nobody who could be sent anything.
    let mut opening = door.connect();
    opening.write("GET");
    let [mut one, _two, _three] = [(); 3].map(|()| door.open(&mut event_loop, &mut script));
    // A message in two fragments is one, and control frames are none.
    one.send("01 01 'H'  89 00  80 04 'ello'  82 00  8A 00");
    turn_until_counted(&mut event_loop, &mut script, |stats| stats.messages.received == 2);
    let stats = event_loop.peers().stats();
    assert_eq!((stats.messages.sent, stats.messages.dropped), (6, 0));

    // After our Close messages are not delivered, and none can be sent.
    one.send("81 05 'close'  81 02 'no'  89 00");
    turn_until_counted(&mut event_loop, &mut script, |stats| stats.messages.received == 3);
    let peers = event_loop.peers();
    let statuses = peers.ids().collect::<Vec<_>>().into_iter().map(|id| peers.send(id, "x"));
    assert_eq!(statuses.filter(|&status| status == SendStatus::Queued).count(), 2);
    let stats = peers.stats();
    assert_eq!((stats.messages.sent, stats.messages.dropped), (8, 0));
}

#[test]
fn what_a_full_queue_has_no_room_for_is_counted_as_dropped() {
    let config = patient().high_water_mark(1).write_queue_limit(1).write_timeout(None);
    let (mut script, _told) = Script::echo();
    let (mut event_loop, door) = Door::new(config.overflow(Overflow::DropMessage));
    let _client = door.open(&mut event_loop, &mut script);
    let peers = event_loop.peers();
    let id = peers.ids().next().unwrap();
    let large = vec![0; 8 << 20];
    assert_ne!(peers.send(id, &large), SendStatus::Dropped);
    assert_eq!(peers.send(id, "no"), SendStatus::Dropped);
    assert_eq!(peers.ping(id, b"no"), SendStatus::Dropped);
    peers.broadcast("no");
    let stats = peers.stats();
    assert_eq!((stats.messages.sent, stats.messages.dropped), (1, 3));
    assert_eq!(stats.bytes.queued, peers.queued_bytes(id) as u64);
}

#[test]
fn bytes_are_those_on_the_wire() {
    let (mut script, _told) = Script::echo();
    let (mut event_loop, door) = Door::new(patient());
    let mut client = door.connect();
    client.write(REQUEST);
    turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
    client.expect_opened();
    let before = event_loop.peers().stats().bytes;
    assert_eq!(before.received, REQUEST.len() as u64);

    let sent = masked(&wire("81 05 'Hello'  89 02 'hi'"));
    client.write(&sent);
    turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
    client.expect("81 05 'Hello'  8A 02 'hi'");
    let after = event_loop.peers().stats().bytes;
    assert_eq!(after.received - before.received, sent.len() as u64);
    assert_eq!((after.sent - before.sent, after.queued), (7 + 4, 0));
}

#[test]
fn nothing_that_clients_wrote_or_read_goes_uncounted() {
    let (mut script, _told) = Script::echo();
    let (mut event_loop, door) = Door::new(patient());
    let (mut written, mut read) = (0, 0);
    let mut clients = Vec::new();
    for number in 0..100 {
        let mut client = door.connect();
        let messages = masked(&frame(0x82, &vec![7; number / 2])).repeat(number);
        let sent =
            [REQUEST.as_bytes(), &messages, &masked(&wire("88 02 03E8  81 02 'no'"))].concat();
        client.write(&sent);
        client.end();
        written += sent.len() as u64;
        clients.push(client);
        turn_until_counted(&mut event_loop, &mut script, |stats| {
            stats.connections.accepted == number as u64 + 1
        });
    }
    // Some of it may wait until they read.
    turn_until(&mut event_loop, &mut script, |event_loop, _| {
        for client in &mut clients {
            read += client.read_available_of(1 << 20).len() as u64;
        }
        let connections = event_loop.peers().stats().connections;
        connections.opening + connections.open + connections.ending == 0
    });
    let stats = turn_until_empty(&mut event_loop, &mut script);
    for client in &mut clients {
        read += client.read_to_end().len() as u64;
    }
    assert_eq!(occurred(stats.closed.causes()), [("remote", 100)]);
    assert_eq!((stats.messages.received, stats.messages.sent), (99 * 50, 99 * 50));
    assert_eq!((stats.bytes.received, stats.bytes.sent), (written, read));
}

/// What the sum over all peers says, the ledger knows without asking them: while queues fill, drain, are
/// discarded and owe Pongs.
#[test]
fn queued_bytes_are_the_sum_of_all_queues() {
    #[track_caller]
    fn check(event_loop: &mut EventLoop) -> u64 {
        let peers = event_loop.peers();
        let sum: usize = peers.ids().map(|id| peers.queued_bytes(id)).sum();
        assert_eq!(peers.stats().bytes.queued, sum as u64);
        sum as u64
    }
    let (mut script, _told) = Script::echo();
    let config = patient().high_water_mark(4 << 10).write_queue_limit(8 << 20).write_timeout(None);
    let (mut event_loop, door) = Door::new(config.close_timeout(NEVER));
    let mut clients = [(); 4].map(|()| door.open(&mut event_loop, &mut script));
    assert_eq!(check(&mut event_loop), 0);
    event_loop.peers().broadcast(&*vec![7; 3 << 20]);
    assert_eq!(check(&mut event_loop), 4 * ((3 << 20) + 10));
    for client in &mut clients {
        turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
    }
    let blocked = check(&mut event_loop);
    assert!(blocked > 0, "sockets take less than that");

    let peers = event_loop.peers();
    for id in peers.ids().collect::<Vec<_>>() {
        peers.ping(id, b"ping");
    }
    assert!(check(&mut event_loop) > blocked);
    event_loop.peers().broadcast(&*vec![8; 6 << 20]);
    assert_eq!(event_loop.peers().stats().messages.dropped, 4);
    let closing = check(&mut event_loop);
    assert!(closing <= blocked + 4 * 100, "all but the Closes was there before");

    turn_until(&mut event_loop, &mut script, |event_loop, _| {
        for client in &mut clients {
            client.read_available_of(1 << 20);
        }
        check(event_loop) == 0
    });
}

#[test]
fn the_line_for_the_log_leaves_out_what_never_occurred() {
    let (mut script, _told) = Script::echo();
    let (mut event_loop, door) = Door::new(patient());
    let mut client = door.open(&mut event_loop, &mut script);
    client.send("83 00");
    client.end();
    let mut client = door.connect();
    client.write("G\n");
    client.end();
    let counted = |stats: &Stats| stats.connections.accepted == 2;
    turn_until_counted(&mut event_loop, &mut script, counted);
    let stats = turn_until_empty(&mut event_loop, &mut script);
    let bytes =
        format!("; bytes: {} received, {} sent, 0 queued", stats.bytes.received, stats.bytes.sent);
    assert_eq!(
        stats.to_string().strip_suffix(&bytes),
        Some(
            "connections: 0 open, 0 opening, 0 ending; 2 accepted, 1 opened, 0 answered, \
             1 refused (malformed 1), 1 closed (violation 1); messages: 0 received, 0 sent, 0 dropped"
        )
    );
    assert!(Stats::default().to_string().contains(" 0 refused, 0 closed; "));
}
