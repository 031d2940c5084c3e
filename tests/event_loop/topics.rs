//! Messages for those who want them.

use std::sync::{Arc, Mutex};

use wsloop::{CloseCode, Config, Message, Peer, PeerId, PeerMap, SendStatus};

use super::common::{Client, NEVER, Script, Server, Told, frame, masked};

/// A handler that does as it is told: `+news` subscribes, `-news` unsubscribes, `news:Hello` publishes, and
/// `*Hello` broadcasts. Everyone is told how many subscribers there are to the topic.
fn publisher() -> (Script, Told) {
    let (mut script, told) = Script::echo();
    script.on_message = Box::new(obey);
    (script, told)
}

fn obey(peer: &mut Peer<'_>, message: Message<'_>) {
    let Message::Text(text) = message else { panic!("binary") };
    if let Some(topic) = text.strip_prefix('+') {
        assert!(peer.subscribe(topic));
        let count = peer.peers().subscribers(topic);
        peer.send(&count.to_string());
    } else if let Some(topic) = text.strip_prefix('-') {
        let was_subscribed = peer.unsubscribe(topic);
        assert!(!peer.unsubscribe(topic));
        let count = peer.peers().subscribers(topic);
        peer.send(&format!("{was_subscribed}, {count}"));
    } else if let Some((topic, text)) = text.split_once(':') {
        peer.publish(topic, text);
        peer.send("done");
    } else {
        peer.broadcast(&text[1..]);
        peer.send("done");
    }
}

/// Sends a text, and expects another in return.
#[track_caller]
fn ask(server: &Server, client: &mut Client, text: &str, answer: &str) {
    client.send(&format!("81 {:02X} '{text}'", text.len()));
    server.told.expect(&format!("text {text}"));
    expect(client, answer);
}

#[track_caller]
fn expect(client: &mut Client, text: &str) {
    client.expect_bytes(&frame(0x81, text.as_bytes()));
}

/// Closes all, of which each was sent nothing more.
#[track_caller]
fn close(server: &Server, clients: impl IntoIterator<Item = Client>) {
    for client in clients {
        client.close();
        server.told.expect("close 1000 clean Remote");
    }
}

#[test]
fn what_is_published_reaches_subscribers_alone_and_not_the_publisher() {
    let server = Server::start(Config::new(), publisher());
    let [mut one, mut two, mut other] = [(); 3].map(|()| server.open());
    ask(&server, &mut one, "+news", "1");
    ask(&server, &mut two, "+news", "2");
    ask(&server, &mut two, "+news", "2");
    ask(&server, &mut other, "+weather", "1");
    ask(&server, &mut one, "news:Hello", "done");
    ask(&server, &mut one, "weather:Rain", "done");
    ask(&server, &mut one, "sports:Nobody", "done");
    expect(&mut other, "Rain");
    // Whoever is no subscriber may publish as well.
    ask(&server, &mut other, "news:Bye", "done");
    expect(&mut one, "Bye");
    expect(&mut two, "Hello");
    expect(&mut two, "Bye");
    close(&server, [one, two, other]);
    server.stop();
}

#[test]
fn after_unsubscribing_nothing_comes() {
    let server = Server::start(Config::new(), publisher());
    let [mut one, mut two] = [(); 2].map(|()| server.open());
    ask(&server, &mut one, "+a", "1");
    ask(&server, &mut one, "+b", "1");
    ask(&server, &mut two, "+a", "2");
    ask(&server, &mut one, "-a", "true, 1");
    ask(&server, &mut one, "-a", "false, 1");
    ask(&server, &mut two, "a:no", "done");
    ask(&server, &mut two, "b:yes", "done");
    expect(&mut one, "yes");
    close(&server, [one, two]);
    server.stop();
}

#[test]
fn everyone_else_is_everyone_but_the_peer() {
    let server = Server::start(Config::new(), publisher());
    let mut clients = [(); 3].map(|()| server.open());
    ask(&server, &mut clients[1], "*Hello", "done");
    expect(&mut clients[0], "Hello");
    expect(&mut clients[2], "Hello");
    close(&server, clients);
    server.stop();
}

#[test]
fn all_that_a_peer_is_sent_comes_in_the_order_of_the_calls() {
    let (mut script, told) = Script::echo();
    script.on_message = Box::new(|peer, _| {
        let id = peer.id();
        assert!(peer.subscribe("a") && peer.subscribe("b"));
        peer.send("1");
        peer.peers().publish("a", "2");
        peer.peers().broadcast("3");
        peer.peers().publish("b", &b"4"[..]);
        peer.publish("a", "not to oneself");
        peer.peers().publish_except(id, "a", "nor so");
        peer.peers().publish("a", "5");
        peer.send("6");
    });
    let server = Server::start(Config::new(), (script, told));
    let mut client = server.open();
    client.send("81 01 'x'");
    server.told.expect("text x");
    client.expect("81 01 '1'  81 01 '2'  81 01 '3'  82 01 '4'  81 01 '5'  81 01 '6'");
    close(&server, [client]);
    server.stop();
}

/// A peer is subscribed as long as it can be sent messages.
#[test]
fn subscriptions_end_with_the_peer_however_it_ends() {
    type End = fn(&mut Peer<'_>);
    let ways: [(&str, End, &str); 5] = [
        ("88 02 03E8", |_| {}, "close 1000 clean Remote"),
        ("83 00", |_| {}, "close 1006 unclean Violation(ReservedOpcode)"),
        ("81 01 'x'", |peer| peer.close(CloseCode::NORMAL, ""), "close 1000 clean Local"),
        ("81 01 'x'", |peer| peer.abort(), "close 1006 unclean Aborted"),
        ("", |_| {}, "close 1006 unclean Lost(ConnectionReset)"),
    ];
    for (sent, end, told_at_the_end) in ways {
        let (mut script, told) = Script::echo();
        script.on_open = Box::new(|peer| {
            for topic in ["a", "b", "c"] {
                assert!(peer.subscribe(topic));
            }
        });
        script.on_message = Box::new(move |peer, _| {
            end(peer);
            assert_eq!(peer.peers().subscribers("a"), 1);
            assert!(!peer.subscribe("a") && !peer.unsubscribe("b"));
            peer.peers().publish("a", "of one who is closing");
        });
        script.on_close = Box::new(|peer| {
            assert!(!peer.subscribe("d") && !peer.unsubscribe("a"));
            let left = ["a", "b", "c", "d"].map(|topic| peer.peers().subscribers(topic));
            peer.publish("a", &format!("left: {left:?}"));
        });
        let server = Server::start(Config::new().close_timeout(NEVER), (script, told));
        let [mut witness, mut client] = [(); 2].map(|()| server.open());
        if sent.is_empty() {
            client.reset();
        } else {
            client.send(sent);
            if sent.starts_with("81") {
                server.told.expect("text x");
                expect(&mut witness, "of one who is closing");
            }
            if told_at_the_end.ends_with("Local") {
                client.expect("88 02 03E8");
                client.send("88 02 03E8");
            }
            if told_at_the_end.ends_with("Aborted") {
                client.expect_gone();
            }
        }
        server.told.expect(told_at_the_end);
        expect(&mut witness, "left: [1, 1, 1, 0]");
        witness.close();
        server.told.expect("close 1000 clean Remote");
        server.remote.run(|peers| assert_eq!(peers.subscribers("a"), 0)).unwrap();
        server.stop();
    }
}

#[test]
fn nobody_subscribes_who_is_no_peer_yet_or_any_more() {
    let (mut script, told) = Script::echo();
    let mut gone: Option<PeerId> = None;
    script.on_open = Box::new(move |peer| {
        if let Some(gone) = gone.replace(peer.id()) {
            assert!(!peer.peers().subscribe(gone, "news"));
            assert!(!peer.peers().unsubscribe(gone, "news"));
        }
        // The place in memory is the same; the subscriptions are not.
        assert_eq!(peer.peers().subscribers("news"), 0);
        assert!(peer.subscribe("news"));
    });
    let server = Server::start(Config::new().max_connections(1), (script, told));
    for _ in 0..3 {
        let client = server.open();
        close(&server, [client]);
    }
    server.stop();
}

#[test]
fn subscriptions_and_names_are_limited() {
    let (mut script, told) = Script::echo();
    script.on_open = Box::new(|peer| {
        assert!(!peer.subscribe(&"a".repeat(1025)));
        assert!(peer.subscribe(&"a".repeat(1024)) && peer.subscribe("b"));
        assert!(!peer.subscribe("c"));
        assert!(peer.subscribe("b") && peer.unsubscribe("b") && peer.subscribe("c"));
    });
    let server = Server::start(Config::new().max_subscriptions(2), (script, told));
    let clients = [(); 2].map(|()| server.open());
    close(&server, clients);
    server.stop();
}

/// Those whose queues are full are closed in the middle of a publication, and leave the topic meanwhile. The
/// others get everything.
#[test]
fn slow_subscribers_do_not_delay_the_others() {
    let part = vec![7; 256 << 10];
    let (mut script, told) = Script::echo();
    script.on_open = Box::new(|peer| assert!(peer.subscribe("news")));
    script.on_message = Box::new(|peer, message| peer.peers().publish("news", message));
    let config = Config::new().high_water_mark(64 << 10).write_queue_limit(64 << 10);
    let config = config.ping_interval(None).idle_timeout(None).write_timeout(None);
    let server = Server::start(config.close_timeout(NEVER), (script, told));
    let mut readers = Vec::new();
    let mut slow = Vec::new();
    for _ in 0..3 {
        readers.push(server.open());
        slow.push(Client::open_small(server.addr));
        server.told.expect("open");
    }
    let expected = frame(0x82, &part);
    let message = masked(&expected);
    let (sender, subscribers) = std::sync::mpsc::channel();
    let mut left = 6;
    // However much sockets hold, at some time they are full.
    while left > 3 {
        readers[0].write(&message);
        // Each reads before the next is published, so that it is not slow itself.
        for reader in &mut readers {
            reader.expect_bytes(&expected);
        }
        let sender = sender.clone();
        server.remote.run(move |peers| sender.send(peers.subscribers("news")).unwrap()).unwrap();
        left = subscribers.recv().unwrap();
    }
    assert_eq!(left, 3);
    slow.into_iter().for_each(Client::reset);
    readers.into_iter().for_each(Client::close);
    let all = server.told.wait_for("close 1000 clean Remote");
    assert!(
        all.iter().filter(|told| told.contains("close")).all(|told| told.contains("QueueFull"))
    );
}

#[test]
fn a_publication_is_the_same_as_a_message_to_each() {
    let heard = Arc::new(Mutex::new(PeerMap::<u32>::new()));
    let (mut script, told) = Script::echo();
    script.on_open = Box::new(|peer| assert!(peer.subscribe("news")));
    script.on_message = {
        let heard = Arc::clone(&heard);
        Box::new(move |peer, message| {
            let mut heard = heard.lock().unwrap();
            *heard.get_or_insert_with(peer, || 0) += 1;
            for id in peer.peers().ids().collect::<Vec<_>>() {
                assert_eq!(peer.peers().send(id, message), SendStatus::Queued);
            }
            peer.peers().publish("news", message);
        })
    };
    let server = Server::start(Config::new(), (script, told));
    let mut clients = [(); 3].map(|()| server.open());
    for payload in [vec![], vec![b'a'; 125], vec![b'b'; 126], vec![b'c'; 70_000]] {
        let message = frame(0x82, &payload);
        clients[0].write(masked(&message));
        for client in &mut clients {
            client.expect_bytes(&message);
            client.expect_bytes(&message);
        }
    }
    let counts: Vec<_> = heard.lock().unwrap().iter().map(|(_, &count)| count).collect();
    assert_eq!(counts, [4]);
    for _ in 0..4 {
        assert!(server.told.next().starts_with("binary"));
    }
    close(&server, clients);
    server.stop();
}
