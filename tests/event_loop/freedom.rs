//! What a handler may do to peers: anything, at any time.

#[cfg(unix)]
use std::sync::mpsc;
#[cfg(unix)]
use std::time::Duration;

#[cfg(unix)]
use wsloop::Acceptance;
use wsloop::{CloseCode, Config, PeerId, SendStatus, SharedMessage};

use super::common::{Client, NEVER, REQUEST, Script, Server, masked, wire};
#[cfg(unix)]
use super::common::{Door, assert_quietly, turn_until, turn_until_panic};

/// Soon, but nothing here depends on how soon.
#[cfg(unix)]
const SOON: Duration = Duration::from_millis(20);

#[test]
fn a_peer_may_be_aborted_in_its_own_message() {
    let (mut script, told) = Script::echo();
    script.on_message = Box::new(|peer, _| {
        let id = peer.id();
        assert_eq!((peer.peers().len(), peer.peers().contains(id)), (1, true));
        peer.abort();
        assert_eq!((peer.peers().len(), peer.peers().contains(id)), (0, false));
        assert!(peer.peers().peer(id).is_none());
        assert_eq!(peer.send("to nobody"), SendStatus::Dropped);
        peer.close(CloseCode::NORMAL, "");
        peer.abort();
    });
    let server = Server::start(Config::new(), (script, told));
    for behind in ["81 01 'b'  81 01 'c'", "89 00", "88 02 03E8", "83 00"] {
        let mut client = server.open();
        client.send(&format!("81 01 'a'  {behind}"));
        client.expect_gone();
        server.told.expect("text a");
        server.told.expect("close 1006 unclean Aborted");
    }
    server.stop();
}

#[test]
fn a_peer_may_be_closed_when_it_opens() {
    let (mut script, told) = Script::echo();
    script.on_open = Box::new(|peer| {
        peer.send("no");
        peer.close(CloseCode::POLICY_VIOLATION, "");
    });
    let server = Server::start(Config::new().close_timeout(NEVER), (script, told));
    let mut client = Client::connect(server.addr);
    client.write([REQUEST.as_bytes(), &masked(&wire("81 01 'a'  88 00"))].concat());
    client.expect_opened();
    client.expect("81 02 'no'  88 02 03F0");
    client.expect_end();
    server.told.expect("open");
    server.told.expect("close 1005 clean Local");
    server.stop();
}

#[test]
fn a_peer_may_be_aborted_when_it_opens() {
    let (mut script, told) = Script::echo();
    script.on_open = Box::new(|peer| peer.abort());
    let server = Server::start(Config::new(), (script, told));
    for behind in ["", "81 01 'a'  81 01 'b'", "89 00", "88 02 03E8", "83 00"] {
        let mut client = Client::connect(server.addr);
        client.write([REQUEST.as_bytes(), &masked(&wire(behind))].concat());
        client.expect_gone();
        server.told.expect("open");
        server.told.expect("close 1006 unclean Aborted");
    }
    server.stop();
}

#[test]
fn a_handler_may_abort_all_others() {
    let (mut script, told) = Script::echo();
    script.on_message = Box::new(|peer, message| {
        let me = peer.id();
        let others: Vec<PeerId> = peer.peers().ids().filter(|&id| id != me).collect();
        for other in others {
            peer.peers().abort(other);
        }
        assert!(peer.peers().ids().eq([me]));
        peer.send(message);
    });
    let server = Server::start(Config::new(), (script, told));
    let mut clients: Vec<_> = (0..10).map(|_| server.open()).collect();
    let mut last = clients.pop().unwrap();
    // They may have been heard in the same turn: those that were aborted are not any more.
    for client in &mut clients {
        client.send("8A 00");
    }
    last.send("81 03 'out'");
    last.expect("81 03 'out'");
    for mut client in clients {
        client.expect_gone();
    }
    let told = server.told.wait_for("text out");
    assert!(told.iter().all(|told| told == "pong"), "{told:?}");
    for _ in 0..9 {
        server.told.expect("close 1006 unclean Aborted");
    }
    last.close();
    server.told.expect("close 1000 clean Remote");
    server.stop();
}

#[test]
fn in_on_close_others_can_be_sent_to_but_not_the_peer_itself() {
    let (mut script, told) = Script::echo();
    script.on_close = Box::new(|peer| {
        assert_eq!(peer.send("to nobody"), SendStatus::Dropped);
        assert_eq!(peer.ping(b""), SendStatus::Dropped);
        peer.close(CloseCode::NORMAL, "");
        peer.abort();
        peer.peers().broadcast("one is gone");
    });
    let server = Server::start(Config::new(), (script, told));
    let mut witness = server.open();
    for (sent, told) in [
        ("88 02 03E8", "close 1000 clean Remote"),
        ("83 00", "close 1006 unclean Violation(ReservedOpcode)"),
    ] {
        let mut client = server.open();
        client.send(sent);
        server.told.expect(told);
        witness.expect("81 0B 'one is gone'");
        let answer = client.read_to_end();
        assert_eq!((answer[0], answer.len()), (0x88, 4), "nothing follows the Close");
    }
    // The connection is gone already when on_close is called for one that breaks.
    server.open().reset();
    server.told.expect("close 1006 unclean Lost(ConnectionReset)");
    witness.expect("81 0B 'one is gone'");
    witness.close();
    server.told.expect("close 1000 clean Remote");
    server.stop();
}

#[test]
fn ends_may_cause_others() {
    let (mut script, told) = Script::echo();
    // Each takes the next one along.
    script.on_close = Box::new(|peer| {
        let next = peer.peers().ids().next();
        if let Some(next) = next {
            peer.peers().abort(next);
        }
    });
    let server = Server::start(Config::new(), (script, told));
    let mut clients: Vec<_> = (0..5).map(|_| server.open()).collect();
    clients.pop().unwrap().close();
    server.told.expect("close 1000 clean Remote");
    for mut client in clients {
        client.expect_gone();
        server.told.expect("close 1006 unclean Aborted");
    }
    server.stop();
}

#[test]
fn the_id_of_a_peer_that_is_gone_finds_nothing() {
    let (mut script, told) = Script::echo();
    let mut ids: Vec<PeerId> = Vec::new();
    script.on_open = Box::new(move |peer| {
        let message = SharedMessage::new("to nobody");
        for &gone in &ids {
            assert!(!peer.peers().contains(gone));
            assert!(peer.peers().peer(gone).is_none());
            assert_eq!(peer.peers().send(gone, "to nobody"), SendStatus::Dropped);
            assert_eq!(peer.peers().send_shared(gone, &message), SendStatus::Dropped);
            assert_eq!(peer.peers().ping(gone, b""), SendStatus::Dropped);
            assert_eq!(peer.peers().queued_bytes(gone), 0);
            assert_eq!(peer.peers().remote_addr(gone), None);
            peer.peers().close(gone, CloseCode::NORMAL, "");
            peer.peers().abort(gone);
        }
        assert!(!ids.contains(&peer.id()));
        ids.push(peer.id());
    });
    // One connection at a time, so that each takes the place of the one before.
    let server = Server::start(Config::new().max_connections(1), (script, told));
    for _ in 0..3 {
        let mut client = server.open();
        client.send("81 05 'Hello'");
        client.expect("81 05 'Hello'");
        server.told.expect("text Hello");
        client.close();
        server.told.expect("close 1000 clean Remote");
    }
    server.stop();
}

#[test]
fn a_peer_may_be_aborted_when_it_has_drained() {
    let (mut script, told) = Script::echo();
    script.on_open = Box::new(|peer| {
        assert_eq!(peer.send("0123456789"), SendStatus::Congested);
    });
    script.on_drain = Box::new(|peer| peer.abort());
    let server = Server::start(Config::new().high_water_mark(8), (script, told));
    let mut client = server.open();
    client.expect("81 0A '0123456789'");
    client.expect_gone();
    server.told.expect("drain");
    server.told.expect("close 1006 unclean Aborted");
    server.stop();
}

#[test]
fn a_broadcast_reaches_all_that_are_open() {
    let (mut script, told) = Script::echo();
    script.on_message = Box::new(|peer, message| peer.peers().broadcast(message));
    let server = Server::start(Config::new(), (script, told));
    let mut clients: Vec<_> = (0..5).map(|_| server.open()).collect();
    // Not to those who are still at the door: it would come before the response.
    let mut late = Client::connect(server.addr);
    late.write(&REQUEST[..40]);
    clients[0].send("81 02 'hi'");
    for client in &mut clients {
        client.expect("81 02 'hi'");
    }
    server.told.expect("text hi");
    late.write(&REQUEST[40..]);
    late.expect_opened();
    server.told.expect("open");
    clients.push(late);
    for client in clients {
        client.close();
        server.told.expect("close 1000 clean Remote");
    }
    server.stop();
}

#[test]
fn a_ping_of_our_own_is_answered_to_the_handler() {
    let (mut script, told) = Script::echo();
    script.on_open = Box::new(|peer| {
        assert_eq!(peer.ping(b"hi"), SendStatus::Queued);
        assert_eq!(peer.ping(&[0; 126]), SendStatus::Dropped);
    });
    let server = Server::start(Config::new(), (script, told));
    let mut client = server.open();
    client.expect("89 02 'hi'");
    client.send("8A 02 'hi'");
    server.told.expect("pong hi");
    client.close();
    server.told.expect("close 1000 clean Remote");
    server.stop();
}

#[test]
fn a_closure_is_a_handler() {
    let mut event_loop = wsloop::EventLoop::new().unwrap();
    let addr = event_loop.listen("127.0.0.1:0").unwrap();
    let remote = event_loop.remote();
    let client = std::thread::spawn(move || {
        let mut client = Client::open(addr);
        client.send("81 05 'Hello'");
        client.expect("81 05 'Hello'");
        remote.shutdown(NEVER);
        client.expect("88 02 03E9");
        client.send("88 02 03E9");
        client.expect_end();
    });
    let mut heard = Vec::new();
    event_loop
        .run(&mut |peer: &mut wsloop::Peer<'_>, message: wsloop::Message<'_>| {
            heard.push(message.as_bytes().to_owned());
            peer.send(message);
        })
        .unwrap();
    client.join().unwrap();
    assert_eq!(heard, [b"Hello"]);
}

/// An application may catch the panics of its handler around each turn. Whom they did not concern is none the wiser.
#[cfg(unix)]
#[test]
fn a_handler_that_panics_leaves_the_other_peers_alone() {
    for (panicking, sent) in [
        ("request", ""),
        ("open", ""),
        ("message", "81 05 'panic'"),
        ("ping", "89 00"),
        ("close", "88 00"),
    ] {
        let (mut script, _told) = Script::echo();
        script.on_request = Box::new(move |_, request| {
            assert_quietly(request.path() == "/chat" || panicking != "request");
            request.upgrade()
        });
        let mut opened = 0;
        script.on_open = Box::new(move |_| {
            opened += 1;
            assert_quietly(opened < 4 || panicking != "open");
        });
        script.on_message = Box::new(|peer, message| {
            assert_quietly(message.as_bytes() != b"panic");
            peer.send(message);
        });
        script.on_ping = Box::new(|_| assert_quietly(false));
        script.on_close = Box::new(|_| assert_quietly(false));

        let (mut event_loop, door) = Door::new(Config::new());
        let mut others = [(); 3].map(|()| door.open(&mut event_loop, &mut script));
        // First come the others' messages, then the one that panics, or the other way round: all in one turn.
        let (before, behind) = others.split_at_mut(2);
        let mut clumsy = door.connect();
        let mut write = |clumsy: &mut Client<_>, bytes: &[u8]| {
            before.iter_mut().for_each(|other| other.send("81 01 'a'"));
            clumsy.write(bytes);
            behind.iter_mut().for_each(|other| other.send("81 01 'a'"));
        };
        let request = REQUEST.replace("/chat", "/panic");
        if sent.is_empty() {
            write(&mut clumsy, request.as_bytes());
        } else {
            clumsy.write(&request);
            turn_until(&mut event_loop, &mut script, |_, _| clumsy.has_input());
            write(&mut clumsy, &masked(&wire(sent)));
        }
        turn_until_panic(&mut event_loop, &mut script);
        for other in &mut others {
            turn_until(&mut event_loop, &mut script, |_, _| other.has_input());
            other.expect("81 01 'a'");
        }
    }
}

/// It has no answer and never will: whatever is heard of it next, or that nothing is, is the end of it.
#[cfg(unix)]
#[test]
fn a_connection_whose_request_made_the_handler_panic_is_gone() {
    for next in ["timeout", "bytes", "end", "shutdown"] {
        let (mut script, told) = Script::echo();
        script.on_request = Box::new(|_, request| {
            assert_quietly(false);
            request.upgrade()
        });
        let timeout = if next == "timeout" { SOON } else { NEVER };
        let (mut event_loop, door) = Door::new(Config::new().handshake_timeout(timeout));
        let mut client = door.connect();
        client.write(REQUEST);
        turn_until_panic(&mut event_loop, &mut script);
        match next {
            "bytes" => client.write(REQUEST),
            "end" => client.end(),
            "shutdown" => event_loop.peers().shutdown(NEVER),
            _ => {}
        }
        turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
        client.expect_gone();
        event_loop.peers().shutdown(NEVER);
        turn_until(&mut event_loop, &mut script, |event_loop, _| event_loop.is_finished());
        assert_eq!(told.so_far(), [""; 0], "after {next}");
    }
}

/// And the handler is not told a second time.
#[cfg(unix)]
#[test]
fn a_peer_whose_end_made_the_handler_panic_is_gone() {
    for (sent, seen, expected) in [
        ("81 05 'abort'", "", "close 1006 unclean Aborted"),
        ("81 05 'close'", "88 02 03E8", "close 1006 unclean Local"),
    ] {
        let (mut script, told) = Script::echo();
        script.on_message = Box::new(|peer, message| match message.as_bytes() {
            b"abort" => peer.abort(),
            _ => peer.close(CloseCode::NORMAL, ""),
        });
        script.on_close = Box::new(|_| assert_quietly(false));
        // Nothing but the close timeout could clear it away later, and that has its use only for our Close.
        let close_timeout = if seen.is_empty() { NEVER } else { SOON };
        let config = Config::new().ping_interval(None).idle_timeout(None);
        let (mut event_loop, door) = Door::new(config.close_timeout(close_timeout));
        let mut client = door.open(&mut event_loop, &mut script);
        client.send(sent);
        turn_until_panic(&mut event_loop, &mut script);
        turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
        client.expect(seen);
        turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
        client.expect_gone();
        event_loop.peers().shutdown(NEVER);
        turn_until(&mut event_loop, &mut script, |event_loop, _| event_loop.is_finished());
        let told = told.so_far();
        let told: Vec<_> = told.iter().filter(|told| told.starts_with("close ")).collect();
        assert_eq!(told, [expected]);
    }
}

/// Answers, tasks and a shutdown that came together do not go together.
#[cfg(unix)]
#[test]
fn a_panic_loses_nothing_that_other_threads_asked_for() {
    let (mut script, told) = Script::echo();
    let (sender, decisions) = mpsc::channel();
    script.on_request = Box::new(move |_, request| {
        let (answer, decision) = request.defer();
        sender.send(decision).unwrap();
        answer
    });
    let mut opened = 0;
    script.on_open = Box::new(move |_| {
        opened += 1;
        assert_quietly(opened > 1);
    });
    let teller = script.teller();
    let (mut event_loop, door) = Door::new(Config::new().close_timeout(NEVER));
    let [(unlucky, first), (mut client, second)] = [(); 2].map(|()| {
        let mut client = door.connect();
        client.write(REQUEST);
        let mut decision = None;
        turn_until(&mut event_loop, &mut script, |_, _| {
            decision = decision.take().or_else(|| decisions.try_recv().ok());
            decision.is_some()
        });
        (client, decision.unwrap())
    });
    first.answer(Acceptance::new());
    second.answer(Acceptance::new());
    let remote = event_loop.remote();
    remote.run(|_| assert_quietly(false)).unwrap();
    remote.run(move |_| teller.tell("task")).unwrap();
    remote.shutdown(NEVER);
    // Once in the first on_open, and once in the first task.
    turn_until_panic(&mut event_loop, &mut script);
    turn_until_panic(&mut event_loop, &mut script);
    turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
    client.expect_opened();
    turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
    client.expect("88 02 03E9");
    assert_eq!(told.so_far(), ["open", "open", "task"]);
    client.send("88 00");
    drop((client, unlucky));
    turn_until(&mut event_loop, &mut script, |event_loop, _| event_loop.is_finished());
}
