//! Rehearsals: the loop over connections in memory, with a clock that the test moves.

use std::time::Duration;

use wsloop::protocol::Piece;
use wsloop::testing::{ClientId, Faults, HttpResponse, Opening, Received, Rehearsal};
use wsloop::{
    Close, CloseCause, CloseCode, Config, EventLoop, Handler, Message, OriginPolicy, Peer, PeerMap,
    Peers, Response, TimerId,
};

use super::common::{Script, Told, masked, wire};

const SECOND: Duration = Duration::from_secs(1);

/// Greets who comes, tells the others what is said and who left, and throws out who has not said
/// anything for two minutes.
#[derive(Default)]
struct Chat {
    spoke: PeerMap<bool>,
    is_watching: bool,
}

impl Handler for Chat {
    fn on_open(&mut self, peer: &mut Peer<'_>) {
        self.spoke.insert(peer.id(), true);
        let greeting = format!("{} here", self.spoke.len());
        peer.send(&greeting);
        if !std::mem::replace(&mut self.is_watching, true) {
            peer.peers().set_interval(120 * SECOND);
        }
    }

    fn on_message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) {
        self.spoke.insert(peer.id(), true);
        peer.broadcast(message);
    }

    fn on_close(&mut self, peer: &mut Peer<'_>, close: Close<'_>) {
        self.spoke.remove(peer.id());
        peer.peers().broadcast(&format!("someone left: {close}"));
    }

    fn on_timer(&mut self, peers: &mut Peers, _: TimerId) {
        let ids: Vec<_> = peers.ids().collect();
        for id in ids {
            if !self.spoke.insert(id, false).unwrap_or_default() {
                peers.close(id, CloseCode::POLICY_VIOLATION, "say something");
            }
        }
    }
}

#[test]
fn a_chat() {
    let mut chat = Rehearsal::new(Config::new(), Chat::default());
    let alice = chat.connect("/");
    let bob = chat.connect("/");
    check(&mut chat, alice, &["1 here"]);
    check(&mut chat, bob, &["2 here"]);
    chat.advance(100 * SECOND);
    chat.send(bob, "hello");
    chat.send(bob, &b"\xF0\x9F"[..]);
    check(&mut chat, alice, &["hello", "<F0 9F>"]);
    check(&mut chat, bob, &[]);

    // Pings come and are answered meanwhile. At 120 s everyone has spoken; at 240 s Bob has.
    chat.advance(100 * SECOND);
    chat.send(bob, "still here");
    check(&mut chat, alice, &["still here"]);
    chat.advance(39 * SECOND);
    check(&mut chat, alice, &[]);
    chat.advance(SECOND);
    check(&mut chat, alice, &["Close 1008 say something", "End"]);
    check(&mut chat, bob, &["someone left: 1008 (clean; the application closed)"]);
    assert_eq!(chat.handler().spoke.len(), 1);

    // Someone who neither reads nor answers is not there: Close at 60 s, the end 5 s later.
    let carol = chat.connect("/");
    chat.stop_reading(carol);
    chat.advance(64 * SECOND);
    assert_eq!((chat.handler().spoke.len(), chat.peers().len()), (2, 2));
    check(&mut chat, bob, &[]);
    chat.advance(SECOND);
    check(&mut chat, bob, &["someone left: 1006 (not clean; nothing was heard from the peer)"]);
    chat.peers().broadcast("bye");
    check(&mut chat, bob, &["bye"]);
}

#[test]
fn an_idle_hour_is_seen_to_the_nanosecond() {
    let (mut chat, told) = echo(Config::new().ping_interval(None));
    let (client, nanosecond) = (chat.connect("/"), Duration::from_nanos(1));
    told.expect("open");
    // A turn takes a nanosecond.
    chat.advance(60 * SECOND - 100 * nanosecond);
    assert_eq!(chat.receive(client), None);
    chat.advance(100 * nanosecond);
    check(&mut chat, client, &["Close 1001 idle timeout", "End"]);
    told.expect("close 1001 clean IdleTimeout");
    let (mut hours, told) = echo(Config::new());
    hours.connect("/");
    hours.advance(3600 * SECOND);
    assert_eq!(told.so_far(), ["open"]);
}

#[test]
fn a_leap_is_as_many_steps() {
    #[track_caller]
    fn transcript(steps: &[u32]) -> Vec<String> {
        let (mut script, told) = Script::echo();
        let teller = script.teller();
        script.on_timer = Box::new(move |_, timer| teller.tell(&format!("{timer:?}")));
        let mut chat = Rehearsal::new(Config::new(), script);
        for seconds in [7_u32, 3, 3, 0, 20] {
            chat.peers().set_timer(SECOND * seconds);
        }
        chat.peers().set_interval(4 * SECOND);
        let silent = chat.connect("/");
        chat.connect_silently("/");
        chat.stop_reading(silent);
        steps.iter().for_each(|&seconds| chat.advance(SECOND * seconds));
        told.so_far()
    }

    let leap = transcript(&[100]);
    assert_eq!(leap, transcript(&[1; 100]));
    assert_eq!(leap, transcript(&[0, 3, 4, 50, 0, 43]));
    let timers: Vec<_> = leap.iter().filter(|told| told.starts_with("TimerId")).collect();
    let expected = [3, 1, 2, 5, 0, 5, 5, 5, 5, 4].map(|timer| format!("TimerId({timer})"));
    let first: Vec<_> = expected.iter().collect();
    // Where both are due at 20 s, the one that was set for then is first.
    assert_eq!(timers[..5], first[..5]);
    assert_eq!(timers.len(), 5 + 25);
}

#[test]
fn a_slow_reader_is_closed_and_the_others_do_not_notice() {
    let config = Config::new().high_water_mark(1000).write_queue_limit(2000);
    let mut chat = Rehearsal::new(config, Chat::default());
    let slow = chat.connect(Opening::new("/").buffer(500));
    let (quick, speaker) = (chat.connect("/"), chat.connect("/"));
    chat.stop_reading(slow);
    let message = "x".repeat(98);
    for sent in 0..100 {
        chat.send(speaker, &message);
        // 500 B in the connection, 2000 B in the queue, and its greeting is read.
        let there = if sent < 24 { 3 } else { 2 };
        assert!(chat.peers().len() >= there, "after {sent}");
    }
    check(&mut chat, quick, &["2 here"]);
    for _ in 0..100 {
        assert_eq!(chat.receive(quick), Some(Received::Text(&message)));
    }
    // What it had begun to read is whole; the rest is gone.
    chat.go_on_reading(slow);
    check(&mut chat, slow, &["1 here"]);
    let mut received = 0;
    while chat.receive(slow) == Some(Received::Text(&message)) {
        received += 1;
    }
    assert_eq!(received, 5);
    check(
        &mut chat,
        quick,
        &["someone left: 1008 (clean; the peer did not read, and its queue was full)"],
    );
}

#[test]
fn a_peer_that_has_caught_up_drains() {
    let (mut chat, told) = echo(Config::new().high_water_mark(1000));
    let client = chat.connect(Opening::new("/").buffer(500));
    chat.stop_reading(client);
    (0..10).for_each(|_| chat.send(client, &[7; 200]));
    assert!(!told.so_far().contains(&"drain".to_owned()));
    // It is not read from meanwhile, until it has read.
    chat.go_on_reading(client);
    assert!(told.so_far().contains(&"drain".to_owned()));
    for _ in 0..10 {
        assert_eq!(chat.receive(client), Some(Received::Binary(&[7; 200])));
    }
    assert_eq!(chat.receive(client), None);
}

#[test]
fn ends_are_told_apart() {
    let (mut chat, told) = echo(Config::new());
    let [resets, ends, closes, breaks] = [(); 4].map(|()| chat.connect("/"));
    assert_eq!(told.so_far(), ["open"; 4]);

    chat.send(ends, "last words");
    chat.end_stream(ends);
    assert_eq!(told.so_far(), ["text last words", "close 1006 unclean EndOfStream"]);
    check(&mut chat, ends, &["last words", "End"]);

    chat.reset(resets);
    told.expect("close 1006 unclean Lost(ConnectionReset)");
    check(&mut chat, resets, &[]);

    chat.close(closes, CloseCode::GOING_AWAY, "home");
    told.expect("close 1001 clean Remote home");
    check(&mut chat, closes, &["Close 1001", "End"]);

    chat.send_raw(breaks, &wire("81 05 'Hello'"));
    told.expect("close 1006 unclean Violation(UnmaskedFrame)");
    check(&mut chat, breaks, &["Close 1002", "End"]);

    for client in [resets, ends, closes, breaks] {
        assert!(!chat.is_open(client));
        assert_eq!(chat.peer_id(client), None);
    }
    assert_eq!(told.so_far(), [""; 0]);
}

#[test]
fn everything_that_a_client_can_say_arrives() {
    let (mut chat, told) = echo(Config::new());
    // Through a connection that holds one byte, too.
    for opening in [Opening::new("/"), Opening::new("/").buffer(1)] {
        let client = chat.connect(opening);
        told.expect("open");
        let piece = |text, first, last| Piece { message: Message::Text(text), first, last };
        chat.send_piece(client, piece("Hel", true, false));
        chat.ping(client, b"amid");
        chat.send_piece(client, piece("lo", false, true));
        assert_eq!(told.so_far(), ["ping amid", "text Hello"]);
        chat.send_raw(client, &masked(&wire("82 01 07  8A 00  88 00")));
        assert_eq!(told.so_far(), ["binary \\x07", "pong", "close 1005 clean Remote"]);
        check(&mut chat, client, &["Pong amid", "Hello", "<07>", "Close 1005", "End"]);
    }
}

#[test]
fn a_ping_of_the_handlers_is_seen_and_answered() {
    let (mut chat, told) = echo(Config::new());
    let client = chat.connect("/");
    let id = chat.peer_id(client).unwrap();
    assert!(chat.peers().contains(id));
    chat.peers().ping(id, b"hi");
    check(&mut chat, client, &["Ping hi"]);
    assert_eq!(told.so_far(), ["open", "pong hi"]);
}

#[test]
fn whoever_is_not_let_in_is_told_why() {
    let (mut chat, told) = echo(Config::new().origin(OriginPolicy::any_of(["https://a.example"])));
    let stranger = chat.request(Opening::new("/").field("Origin", "https://b.example"));
    assert_eq!(chat.response(stranger).map(HttpResponse::status), Some(403));
    assert_eq!((chat.is_open(stranger), chat.peer_id(stranger)), (false, None));
    let page = chat.request(Opening::page("/"));
    let response = chat.response(page).unwrap();
    assert_eq!((response.status(), response.field("upgrade")), (426, Some("websocket")));
    // The time of day is the same every time, too.
    assert_eq!(response.field("Date"), Some("Thu, 01 Jan 1970 00:00:00 GMT"));
    chat.advance(90 * SECOND);
    let old = chat.request(Opening::new("/").field("sec-websocket-version", "8"));
    let response = chat.response(old).unwrap();
    assert_eq!(response.field("Date"), Some("Thu, 01 Jan 1970 00:01:30 GMT"));
    assert_eq!(told.so_far(), [""; 0]);

    chat.connect(Opening::new("/").field("Origin", "https://a.example"));
    told.expect("open");
}

#[test]
#[should_panic(expected = "the client was not let in: HttpResponse { status: 403")]
fn who_is_to_be_let_in_and_is_not_fails_the_test() {
    echo(Config::new()).0.connect(Opening::new("/").field("Origin", "https://elsewhere.example"));
}

#[test]
fn what_the_server_knows_of_a_connection_is_the_tests_to_say() {
    let (mut script, told) = Script::echo();
    let teller = script.teller();
    script.on_open = Box::new(move |peer| {
        teller.tell(&format!("{:?} {:?}", peer.remote_addr(), peer.subprotocol()));
    });
    let mut chat = Rehearsal::new(Config::new().subprotocols(["b"]), script);
    let addr = "192.0.2.7:4711".parse().unwrap();
    let opening = Opening::new("/").remote_addr(addr).field("Sec-WebSocket-Protocol", "a, b");
    let client = chat.connect(opening);
    let response = chat.response(client).unwrap();
    assert_eq!(response.field("Sec-WebSocket-Protocol"), Some("b"));
    chat.connect("/");
    assert_eq!(told.so_far(), ["open", "Some(192.0.2.7:4711) Some(\"b\")", "open", "None None"]);
}

#[test]
fn a_deferred_decision_is_made_when_the_test_says() {
    let (mut script, _told) = Script::echo();
    let (sender, decisions) = std::sync::mpsc::channel();
    script.on_request = Box::new(move |_, request| {
        let (answer, decision) = request.defer();
        sender.send(decision).unwrap();
        answer
    });
    let mut chat = Rehearsal::new(Config::new(), script);
    let [let_in, sent_away, forgotten] = [(); 3].map(|()| chat.request("/"));
    let next = || decisions.try_recv().unwrap();
    let (first, second, _third) = (next(), next(), next());
    assert_eq!(chat.response(let_in), None);
    first.answer(wsloop::Acceptance::new());
    std::thread::spawn(move || second.answer(Response::text(403, "no"))).join().unwrap();
    assert!(chat.is_open(let_in) && !chat.is_open(sent_away));
    assert_eq!(chat.response(sent_away).map(HttpResponse::body), Some(&b"no"[..]));
    assert_eq!(chat.response(forgotten), None);
    chat.advance(10 * SECOND);
    assert_eq!(chat.response(forgotten).map(HttpResponse::status), Some(503));
}

#[test]
fn whoever_says_nothing_or_half_of_it_is_sent_away() {
    let (mut chat, told) = echo(Config::new());
    let (silent, halting) = (chat.connect_silently("/"), chat.connect_silently("/"));
    chat.send_raw(halting, b"GET / HT");
    chat.advance(10 * SECOND);
    check(&mut chat, silent, &["End"]);
    assert_eq!(chat.response(silent), None);
    assert_eq!(chat.response(halting).map(HttpResponse::status), Some(408));
    assert_eq!(told.so_far(), [""; 0]);
}

#[test]
fn who_finds_no_room_waits_outside() {
    let (mut chat, told) = echo(Config::new().max_connections(1));
    let inside = chat.connect("/");
    let outside = chat.request("/");
    chat.advance(SECOND);
    assert_eq!(chat.response(outside), None);
    assert_eq!(told.so_far(), ["open"]);
    chat.close(inside, CloseCode::NORMAL, "");
    chat.advance(SECOND);
    assert!(chat.is_open(outside));
}

#[test]
fn other_threads_and_shutdown() {
    let (mut chat, told) = echo(Config::new());
    let (reads, waits) = (chat.connect("/"), chat.connect("/"));
    chat.stop_reading(waits);
    let remote = chat.remote();
    std::thread::spawn(move || {
        remote.run(|peers| peers.broadcast("from elsewhere")).unwrap();
        remote.shutdown(3 * SECOND);
    })
    .join()
    .unwrap();
    check(&mut chat, reads, &["from elsewhere", "Close 1001", "End"]);
    assert!(!chat.is_finished());
    assert_eq!(told.so_far(), ["open", "open", "close 1001 clean Shutdown"]);
    chat.advance(3 * SECOND);
    assert!(chat.is_finished());
    assert_eq!(told.so_far(), ["close 1006 unclean Shutdown"]);
    // Nobody listens any more.
    let late = chat.request("/");
    assert_eq!(chat.response(late), None);
    check(&mut chat, late, &["End"]);
}

#[test]
#[should_panic(expected = "the handler keeps the loop busy for ever")]
fn a_handler_that_never_rests_fails_the_test() {
    let (mut chat, _told) = echo(Config::new());
    chat.peers().set_interval(Duration::ZERO);
    chat.run();
}

#[test]
#[should_panic(expected = "the client cannot send that: the closing handshake has begun")]
fn a_client_that_is_gone_says_nothing() {
    let (mut chat, _told) = echo(Config::new());
    let client = chat.connect("/");
    chat.end_stream(client);
    chat.send(client, "anyone?");
}

#[cfg(target_os = "linux")]
#[test]
fn no_descriptor_is_opened() {
    use super::common::{descriptors, in_own_process};

    if !in_own_process("rehearsal::no_descriptor_is_opened", "") {
        return;
    }
    let before = descriptors();
    let (mut chat, _told) = echo(Config::new());
    let client = chat.connect("/");
    let _remote = chat.remote();
    chat.send(client, "hello");
    assert_eq!(descriptors(), before);
}

/// A loop, and so a rehearsal of a handler that can be, may be handed to another thread.
const _: () = {
    const fn is_send<T: Send>() {}
    is_send::<EventLoop>();
    is_send::<Rehearsal<Chat>>();
};

fn echo(config: Config) -> (Rehearsal<Script>, Told) {
    let (script, told) = Script::echo();
    (Rehearsal::new(config, script), told)
}

/// Checks what a client has received, and that it is nothing else.
#[track_caller]
fn check<H: Handler>(chat: &mut Rehearsal<H>, client: ClientId, expected: &[&str]) {
    let mut received = Vec::new();
    while received.len() < expected.len().max(1)
        && let Some(next) = chat.receive(client)
    {
        received.push(legible(next));
    }
    assert_eq!(received, expected);
}

fn legible(received: Received<'_>) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    match received {
        Received::Text(text) => text.to_owned(),
        Received::Binary(bytes) => {
            let bytes: Vec<_> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            format!("<{}>", bytes.join(" "))
        }
        Received::Ping(payload) => format!("Ping {}", text(payload)),
        Received::Pong(payload) => format!("Pong {}", text(payload)),
        Received::Close(code, reason) => format!("Close {code} {reason}").trim_end().to_owned(),
        other => format!("{other:?}"),
    }
}

/// Repeats what it is told, and remembers how connections ended.
#[derive(Default)]
struct Echo {
    closed: Vec<CloseCause>,
}

impl Handler for Echo {
    fn on_message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) {
        peer.send(message);
    }

    fn on_close(&mut self, _: &mut Peer<'_>, close: Close<'_>) {
        self.closed.push(close.cause);
    }
}

#[test]
fn faults_break_no_connection_unless_they_are_to() {
    let mut ended = 0;
    for seed in 0..100 {
        let mut echo = Rehearsal::new(Config::new(), Echo::default());
        echo.faults(Faults::new(seed));
        let client = echo.connect("/");
        let text = "x".repeat(5000);
        echo.send(client, &*text);
        assert_eq!(echo.receive(client), Some(Received::Text(&text)), "seed {seed}");
        assert!(echo.is_open(client));

        echo.faults(Faults::new(seed).breaks());
        let client = echo.request("/");
        if echo.is_open(client) {
            echo.send(client, &*text);
        }
        ended += echo.handler().closed.len();
        // They are other clients' connections.
        assert_eq!(echo.peers().len() as u64, echo.peers().stats().connections.open);
    }
    assert!((5..50).contains(&ended), "{ended}");
}

#[test]
fn what_the_handler_connects_to_may_be_the_rehearsal_itself() {
    let mut echo = Rehearsal::new(Config::new(), Echo::default());
    echo.connect_to_itself();
    let id = echo.peers().connect("ws://server.example/").unwrap();
    echo.run();
    assert_eq!((echo.peers().len(), echo.peers().is_server(id)), (2, true));
    echo.peers().close(id, CloseCode::NORMAL, "");
    echo.run();
    assert_eq!(echo.handler().closed, [CloseCause::Remote, CloseCause::Local]);

    // Once it is shut down, nobody is at home.
    echo.peers().shutdown(Duration::ZERO);
    echo.run();
    assert!(echo.peers().connect("ws://server.example/").is_err());
}

#[test]
fn to_hear_itself_byte_by_byte_is_not_to_be_busy_for_ever() {
    let config = Config::new().read_buffer_size(1);
    let mut echo = Rehearsal::new(config, Echo::default());
    echo.connect_to_itself();
    let id = echo.peers().connect("ws://server.example/").unwrap();
    echo.run();
    // The echo of it is echoed, and so on, until somebody closes.
    echo.peers().send(id, &*"x".repeat(20_000));
    echo.peers().close(id, CloseCode::NORMAL, "");
    echo.run();
    assert!(echo.peers().is_empty());
}
