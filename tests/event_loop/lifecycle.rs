//! The whole life of a loop: shutting down, running out of descriptors, and leaving nothing behind.

use std::time::Duration;

use wsloop::{CloseCode, Config, EventLoop};

use super::common::{Client, NEVER, REQUEST, Script, Server, let_pass, turn_until};
#[cfg(unix)]
use super::common::{Door, assert_quietly, turn_until_panic};

#[test]
fn a_shutdown_tells_everyone_and_waits_for_their_answers() {
    let mut server = Server::start(Config::new().close_timeout(NEVER), Script::echo());
    let mut clients: Vec<_> = (0..10).map(|_| server.open()).collect();
    // Whether it is let in before the door closes, it has said nothing and is told nothing.
    let mut at_the_door = Client::connect(server.addr);
    server.remote.shutdown(NEVER);
    at_the_door.expect_gone();
    for client in &mut clients {
        client.expect("88 02 03E9");
        client.send("88 02 03E9");
        client.expect_end();
        server.told.expect("close 1001 clean Shutdown");
    }
    drop(clients);
    server.join();
    server.stop();
}

#[test]
fn whoever_does_not_answer_a_shutdown_is_dropped_in_the_end() {
    let mut server = Server::start(Config::new().close_timeout(NEVER), Script::echo());
    let mut silent = server.open();
    let polite = server.open();
    polite.close();
    server.told.expect("close 1000 clean Remote");
    server.remote.shutdown(Duration::from_millis(20));
    server.join();
    server.told.expect("close 1006 unclean Shutdown");
    silent.expect("88 02 03E9");
    silent.expect_end();
    server.stop();
}

/// A handler that panics about one of them has not saved the others.
#[cfg(unix)]
#[test]
fn a_panic_at_the_end_of_the_grace_keeps_nobody() {
    let (mut script, told) = Script::echo();
    script.on_close = Box::new(|_| assert_quietly(false));
    let config = Config::new().close_timeout(NEVER).ping_interval(None).idle_timeout(None);
    let (mut event_loop, door) = Door::new(config);
    let mut silent = [(); 3].map(|()| door.open(&mut event_loop, &mut script));
    event_loop.peers().shutdown(Duration::from_millis(20));
    for _ in &silent {
        turn_until_panic(&mut event_loop, &mut script);
    }
    turn_until(&mut event_loop, &mut script, |event_loop, _| event_loop.is_finished());
    assert_eq!(told.so_far(), [["open"; 3], ["close 1006 unclean Shutdown"; 3]].concat());
    for client in &mut silent {
        client.expect("88 02 03E9");
        client.expect_gone();
    }
}

#[test]
fn a_later_shutdown_may_only_be_sooner() {
    let mut server = Server::start(Config::new().close_timeout(NEVER), Script::echo());
    let mut silent = server.open();
    server.remote.shutdown(NEVER);
    silent.expect("88 02 03E9");
    server.remote.shutdown(Duration::from_millis(50));
    server.remote.shutdown(NEVER);
    // Let the loop take these as well: its listener is closed, but it still answers Pings.
    silent.send("89 00");
    silent.expect("8A 00");
    server.remote.shutdown(NEVER);
    server.join();
    server.told.expect("close 1006 unclean Shutdown");
    silent.expect_end();
    server.stop();
}

#[test]
fn a_grace_without_end_is_bounded_by_the_close_timeout() {
    let config = Config::new().close_timeout(Duration::from_millis(20));
    let mut server = Server::start(config, Script::echo());
    let mut silent = server.open();
    server.remote.shutdown(Duration::MAX);
    server.join();
    server.told.expect("close 1006 unclean Shutdown");
    silent.expect("88 02 03E9");
    silent.expect_end();
    server.stop();
}

#[test]
fn times_without_end_may_be_combined() {
    for (close_timeout, grace) in
        [(Duration::MAX, Duration::MAX), (Duration::MAX, NEVER), (NEVER, Duration::MAX)]
    {
        let server = Server::start(Config::new().close_timeout(close_timeout), Script::echo());
        let mut client = server.open();
        server.remote.shutdown(grace);
        client.expect("88 02 03E9");
        client.send("88 02 03E9");
        client.expect_end();
        server.told.expect("close 1001 clean Shutdown");
        server.stop();
    }
    let server = Server::start(Config::new().close_timeout(Duration::MAX), Script::echo());
    let mut silent = server.open();
    server.stop_at("close 1006 unclean Shutdown");
    silent.expect("88 02 03E9");
    silent.expect_end();
}

/// Those who have begun to ask are told to ask elsewhere. Who has said nothing would not know what the answer is to.
#[cfg(unix)]
#[test]
fn a_shutdown_answers_the_requests_that_are_not_answered_yet() {
    let (mut script, told) = Script::echo();
    let mut decisions = Vec::new();
    let teller = script.teller();
    script.on_request = Box::new(move |_, request| {
        let (answer, decision) = request.defer();
        decisions.push(decision);
        teller.tell("request");
        answer
    });
    let (mut event_loop, door) = Door::new(Config::new().close_timeout(NEVER));
    let [mut silent, mut partial, mut deferred] = [(); 3].map(|()| door.connect());
    partial.write(&REQUEST[..20]);
    deferred.write(REQUEST);
    turn_until(&mut event_loop, &mut script, |_, _| told.so_far() == ["request"]);
    event_loop.peers().shutdown(NEVER);
    turn_until(&mut event_loop, &mut script, |_, _| deferred.has_input() && partial.has_input());
    deferred.expect_response(503);
    partial.expect_response(503);
    silent.expect_gone();
    deferred.end();
    partial.end();
    turn_until(&mut event_loop, &mut script, |event_loop, _| event_loop.is_finished());
    assert_eq!(told.so_far(), [""; 0]);
}

#[test]
fn a_loop_that_is_finished_rests() {
    let soon = Duration::from_millis(20);
    for grace in [Duration::ZERO, soon, NEVER, Duration::MAX] {
        let mut event_loop = EventLoop::new().unwrap();
        event_loop.listen("127.0.0.1:0").unwrap();
        let (mut script, _told) = Script::echo();
        event_loop.peers().shutdown(grace);
        turn_until(&mut event_loop, &mut script, |event_loop, _| event_loop.is_finished());
        // The end of the short ones is over, too, and has nobody to end.
        let_pass(soon);
        event_loop.turn(&mut script, Some(Duration::ZERO)).unwrap();
        let next = event_loop.next_timeout();
        assert!(next.is_none_or(|wait| wait > soon), "grace {grace:?}: {next:?}");
    }
}

#[test]
fn what_was_sent_before_a_shutdown_arrives() {
    let (mut script, told) = Script::echo();
    script.on_message = Box::new(|peer, message| {
        peer.send(message);
        peer.peers().shutdown(NEVER);
        peer.peers().broadcast("farewell");
    });
    let mut server = Server::start(Config::new(), (script, told));
    let mut client = server.open();
    client.send("81 03 'end'  81 04 'more'");
    client.expect("81 03 'end'  81 08 'farewell'  81 04 'more'  81 08 'farewell'  88 02 03E9");
    client.send("88 02 03E9");
    client.expect_end();
    for expected in ["text end", "text more", "close 1001 clean Shutdown"] {
        server.told.expect(expected);
    }
    drop(client);
    server.join();
    server.stop();
}

#[test]
fn a_shutdown_may_come_from_any_callback() {
    for callback in ["open", "close", "drain", "ping"] {
        let (mut script, told) = Script::echo();
        let shut_down = |peer: &mut wsloop::Peer<'_>| peer.peers().shutdown(Duration::ZERO);
        match callback {
            "open" => script.on_open = Box::new(shut_down),
            "close" => script.on_close = Box::new(shut_down),
            "ping" => script.on_ping = Box::new(shut_down),
            _ => script.on_drain = Box::new(shut_down),
        }
        let mut server = Server::start(Config::new().high_water_mark(8), (script, told));
        let mut client = Client::open(server.addr);
        // Whoever has closed is not told of as drained.
        let end = if callback == "close" { "88 00" } else { "" };
        // The loop may be gone at any point of this.
        let _ = client.try_write(super::common::masked(&super::common::wire(&format!(
            "89 00  81 0A '0123456789'  {end}",
        ))));
        server.join();
        let told = server.told.so_far();
        assert_eq!(told[0], "open", "{callback}");
        assert!(told.last().unwrap().starts_with("close "), "{callback}: {told:?}");
        assert_eq!(told.iter().filter(|told| told.starts_with("close ")).count(), 1, "{callback}");
        server.stop();
    }
}

#[test]
fn a_shutdown_before_the_loop_runs_is_not_forgotten() {
    for remotely in [true, false] {
        let mut event_loop = EventLoop::new().unwrap();
        let addr = event_loop.listen("127.0.0.1:0").unwrap();
        let mut client = Client::connect(addr);
        if remotely {
            event_loop.remote().shutdown(NEVER);
        } else {
            event_loop.peers().shutdown(NEVER);
        }
        assert!(!event_loop.is_finished());
        let (mut script, told) = Script::echo();
        event_loop.run(&mut script).unwrap();
        assert!(event_loop.is_finished());
        client.expect_gone();
        assert_eq!(told.so_far(), [""; 0]);
        // And again it has nothing to do.
        event_loop.run(&mut script).unwrap();
        event_loop.remote().shutdown(NEVER);
        event_loop.run(&mut script).unwrap();
    }
}

#[test]
fn a_remote_may_outlive_its_loop() {
    let event_loop = EventLoop::new().unwrap();
    let remote = event_loop.remote();
    drop(event_loop);
    remote.shutdown(Duration::ZERO);
    remote.clone().shutdown(NEVER);
}

#[test]
fn a_loop_may_be_left_and_entered_again() {
    let mut event_loop = EventLoop::new().unwrap();
    let addr = event_loop.listen("127.0.0.1:0").unwrap();
    let (mut script, told) = Script::echo();
    let mut client = Client::connect(addr);
    client.write(REQUEST);
    turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
    client.expect_opened();
    told.expect("open");

    // Between turns the application has all peers to itself.
    let id = event_loop.peers().ids().next().unwrap();
    event_loop.peers().send(id, "between");
    assert_eq!(event_loop.next_timeout(), Some(Duration::ZERO));
    let (mut another, told) = Script::echo();
    turn_until(&mut event_loop, &mut another, |_, _| client.has_input());
    client.expect("81 07 'between'");
    event_loop.peers().close(id, CloseCode::NORMAL, "");
    turn_until(&mut event_loop, &mut another, |_, _| client.has_input());
    client.expect("88 02 03E8");
    client.send("88 02 03E8");
    turn_until(&mut event_loop, &mut another, |_, _| client.has_input());
    client.expect_end();
    told.expect("close 1000 clean Local");
}

/// How a connection ends, as its client sees it.
#[cfg(target_os = "linux")]
fn end_in_one_way(mut client: Client, way: usize) {
    match way % 8 {
        0 => client.close(),
        1 => client.reset(),
        2 => drop(client),
        3 => {
            client.send("83 00");
            client.expect("88 02 03EA");
            client.expect_end();
        }
        4 => {
            client.send("81 05 'abort'");
            client.expect_gone();
        }
        5 => {
            client.send("81 05 'close'");
            client.expect("88 02 03E8");
            client.send("88 00");
            client.expect_end();
        }
        // Never answers our Close, and is dropped.
        6 => {
            client.send("81 05 'close'");
            client.expect("88 02 03E8");
            client.expect_end();
        }
        // Is in the middle of a message, with more to come.
        _ => {
            client.send("01 01 'a'  00 7E 1000 'b'");
            client.end();
            client.expect_end();
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn nothing_is_left_of_a_thousand_connections() {
    use super::common::{descriptors, in_own_process};

    if !in_own_process("lifecycle::nothing_is_left_of_a_thousand_connections", "") {
        return;
    }
    let (mut script, told) = Script::echo();
    script.on_message = Box::new(|peer, message| match message.as_bytes() {
        b"abort" => peer.abort(),
        b"close" => peer.close(CloseCode::NORMAL, ""),
        _ => {
            peer.send(message);
        }
    });
    let config = Config::new().close_timeout(Duration::from_millis(1));
    let mut event_loop = EventLoop::with_config(config).unwrap();
    let addr = event_loop.listen("127.0.0.1:0").unwrap();
    let before = descriptors();

    let clients = std::thread::spawn(move || {
        for way in 0..1000 {
            let mut client = Client::connect(addr);
            match way % 9 {
                // Some never get as far as being a peer.
                7 => {
                    client.write("BREW / HTTP/1.1\r\n\r\n");
                    client.expect_response(501);
                    continue;
                }
                8 => continue,
                _ => {}
            }
            client.shake_hands();
            client.send("82 03 'use'");
            client.expect("82 03 'use'");
            end_in_one_way(client, way);
        }
        let mut last = Client::open(addr);
        last.send("81 04 'last'");
        last
    });
    let (mut opened, mut closed, mut is_last) = (0, 0, false);
    turn_until(&mut event_loop, &mut script, |event_loop, _| {
        for told in told.so_far() {
            opened += usize::from(told == "open");
            closed += usize::from(told.starts_with("close "));
            is_last |= told == "text last";
        }
        assert_eq!(opened - closed, event_loop.peers().len(), "each on_open has its on_close");
        // Both ends of the last connection are still there.
        is_last && descriptors() == before + 2
    });
    assert_eq!((opened, closed), (779, 778));
    clients.join().unwrap().expect("81 04 'last'");
}

/// At the limit of descriptors, connections wait in the backlog. The loop neither spins nor forgets them.
#[cfg(target_os = "linux")]
#[test]
fn a_process_out_of_descriptors_accepts_again_when_it_has_some() {
    use std::fs::File;

    use super::common::in_own_process;

    if !in_own_process(
        "lifecycle::a_process_out_of_descriptors_accepts_again_when_it_has_some",
        "-n 64",
    ) {
        return;
    }
    let (mut script, told) = Script::echo();
    let config = Config::new().idle_timeout(None).ping_interval(None).close_timeout(NEVER);
    let mut event_loop = EventLoop::with_config(config.handshake_timeout(NEVER)).unwrap();
    let addr = event_loop.listen("127.0.0.1:0").unwrap();
    let mut open_client = |event_loop: &mut EventLoop| {
        let mut client = Client::connect(addr);
        client.write(REQUEST);
        turn_until(event_loop, &mut script, |_, _| client.has_input());
        client.expect_opened();
        client
    };
    let leaver = open_client(&mut event_loop);
    let mut stayer = open_client(&mut event_loop);
    told.expect("open");
    told.expect("open");

    // These two have a descriptor, but on the other side there is none left.
    let mut waiting = [Client::connect(addr), Client::connect(addr)];
    let mut hoard: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    for client in &mut waiting {
        client.write(REQUEST);
    }
    let mut turns = 0;
    let mut waits = 0;
    while waits < 3 {
        waits += usize::from(event_loop.next_timeout().is_some_and(|wait| wait > Duration::ZERO));
        event_loop.turn(&mut script, None).unwrap();
        turns += 1;
        assert!(turns <= 100, "{turns} turns, {waits} of which waited: the loop spins");
    }
    // Those who are in are served as ever.
    stayer.send("81 02 'hi'");
    turn_until(&mut event_loop, &mut script, |_, _| stayer.has_input());
    stayer.expect("81 02 'hi'");
    assert!(!waiting[0].has_input() && !waiting[1].has_input());
    told.expect("text hi");

    // Whoever leaves makes room for one: the client's own descriptor is taken at once.
    leaver.end();
    turn_until(&mut event_loop, &mut script, |_, _| waiting[0].has_input());
    waiting[0].expect_opened();
    assert!(!waiting[1].has_input());
    told.expect("close 1006 unclean EndOfStream");
    told.expect("open");

    // And so does a descriptor of which the loop knows nothing.
    hoard.pop();
    turn_until(&mut event_loop, &mut script, |_, _| waiting[1].has_input());
    waiting[1].expect_opened();
    told.expect("open");
    assert_eq!(event_loop.peers().len(), 3);

    // With descriptors to spare, the loop finds that nobody is waiting, and rests.
    drop(hoard);
    turn_until(&mut event_loop, &mut script, |event_loop, _| {
        event_loop.next_timeout().is_none_or(|wait| wait > Duration::from_secs(60))
    });
}
