//! What other threads ask of the loop.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use wsloop::{
    Acceptance, CloseCode, Config, EventLoop, Message, PeerId, Peers, Remote, RemoteError,
    SharedMessage,
};

use super::common::{Client, HANG, NEVER, REQUEST, Script, Server, Told, frame, turn_until};
#[cfg(unix)]
use super::common::{Door, assert_quietly, turn_until_panic};

/// A loop is taken for stuck if that many errands wait for it.
const MAX_ERRANDS: usize = 65_536;

/// An echo server's script, and the ids of those who came, in order.
fn with_ids() -> ((Script, Told), Arc<Mutex<Vec<PeerId>>>) {
    let (mut script, told) = Script::echo();
    let ids = Arc::new(Mutex::new(Vec::new()));
    script.on_open = {
        let ids = Arc::clone(&ids);
        Box::new(move |peer| ids.lock().unwrap().push(peer.id()))
    };
    ((script, told), ids)
}

/// Hands a message in, again and again if there is no room: always the same, encoded once.
fn persist(remote: &Remote, id: PeerId, message: impl Into<SharedMessage>) {
    let mut result = remote.send(id, message);
    while let Err(RemoteError::Full(message)) = result {
        std::thread::yield_now();
        result = remote.send(id, message);
    }
    result.expect("there is a loop");
}

/// The only peer is closed by a shutdown, and the loop ends.
#[track_caller]
fn expect_shutdown(mut server: Server, mut client: Client) {
    client.expect("88 02 03E9");
    client.send("88 02 03E9");
    client.expect_end();
    server.join();
    server.told.expect("close 1001 clean Shutdown");
    server.stop();
}

/// So little is sent to each peer that none can be too slow for it: 56 kB.
#[test]
fn of_800_000_messages_from_8_threads_each_arrives_once_and_in_the_order_of_its_thread() {
    const THREADS: usize = 8;
    const MESSAGES: usize = 100_000;
    const PEERS: usize = 100;
    let (script, ids) = with_ids();
    let config = Config::new().ping_interval(None).idle_timeout(None).write_timeout(None);
    let server = Server::start(config, script);
    let mut clients: Vec<_> = (0..PEERS).map(|_| server.open()).collect();
    let ids: Arc<[PeerId]> = ids.lock().unwrap().as_slice().into();
    let threads: Vec<_> = (0..THREADS as u8)
        .map(|thread| {
            let (remote, ids) = (server.remote.clone(), Arc::clone(&ids));
            std::thread::spawn(move || {
                for i in 0..MESSAGES {
                    let message = [&[thread][..], &(i as u32).to_be_bytes()].concat();
                    persist(&remote, ids[i % PEERS], &message);
                }
            })
        })
        .collect();
    for (peer, client) in clients.iter_mut().enumerate() {
        let mut next = [peer; THREADS];
        let received = client.read(THREADS * MESSAGES / PEERS * 7);
        for message in received.chunks(7) {
            let thread = usize::from(message[2]);
            let number = (next[thread] as u32).to_be_bytes();
            assert_eq!(message, frame(0x82, &[&message[2..3], &number].concat()));
            next[thread] += PEERS;
        }
        assert_eq!(next, [MESSAGES + peer; THREADS]);
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    for client in clients {
        client.close();
        server.told.expect("close 1000 clean Remote");
    }
    server.stop();
}

#[test]
fn whatever_a_thread_asks_is_done_in_that_order() {
    let ((mut script, told), ids) = with_ids();
    let mut on_open = script.on_open;
    script.on_open = Box::new(move |peer| {
        on_open(peer);
        assert!(peer.subscribe("news"));
    });
    let server = Server::start(Config::new(), (script, told));
    let [mut client, mut other] = [(); 2].map(|()| server.open());
    let ids = ids.lock().unwrap().clone();
    let remote = &server.remote;
    let id = ids[0];
    remote.send(id, "1").unwrap();
    remote.clone().broadcast(&String::from("2")).unwrap();
    remote.publish("news", &[3][..]).unwrap();
    remote.run(move |peers| _ = peers.send(id, "4")).unwrap();
    remote.broadcast_except(ids[1], &vec![5]).unwrap();
    remote.publish_except(ids[1], "news", Message::Text("6")).unwrap();
    remote.publish("olds", "to nobody").unwrap();
    remote.send(id, SharedMessage::new("7")).unwrap();
    remote.close(id, CloseCode::NORMAL, "bye").unwrap();
    remote.send(id, "after the Close").unwrap();
    remote.broadcast("8").unwrap();
    client.expect("81 01 '1'  81 01 '2'  82 01 03  81 01 '4'  82 01 05  81 01 '6'  81 01 '7'");
    client.expect("88 05 03E8 'bye'");
    other.expect("81 01 '2'  82 01 03  81 01 '8'");
    client.send("88 05 03E8 'bye'");
    client.expect_end();
    server.told.expect("close 1000 clean Local bye");
    other.close();
    server.told.expect("close 1000 clean Remote");
    // To one who is gone, nothing happens.
    server.remote.send(id, "again").unwrap();
    server.remote.close(id, CloseCode::NORMAL, "").unwrap();
    server.stop();
}

/// Whoever decides about a request may greet the peer at once: that a peer is let in is no exception.
#[test]
fn a_decision_comes_before_what_its_thread_asks_behind_it() {
    let (mut script, told) = Script::echo();
    let (sender, decisions) = mpsc::channel();
    script.on_request = Box::new(move |_, request| {
        let (later, decision) = request.defer();
        sender.send(decision).unwrap();
        later
    });
    let server = Server::start(Config::new(), (script, told));
    let mut client = Client::connect(server.addr);
    client.write(REQUEST);
    let decision = decisions.recv_timeout(HANG).unwrap();
    let id = decision.id();
    server.remote.send(id, "too early").unwrap();
    decision.answer(Acceptance::new());
    server.remote.send(id, "welcome").unwrap();
    client.expect_opened();
    client.expect("81 07 'welcome'");
    server.told.expect("open");
    client.close();
    server.told.expect("close 1000 clean Remote");
    server.stop();
}

/// Also if it is more than the loop does in a turn.
#[test]
fn a_shutdown_comes_behind_what_its_thread_asked_before() {
    const MESSAGES: usize = 5000;
    let server = Server::echo();
    let mut client = server.open();
    for _ in 0..MESSAGES {
        server.remote.broadcast("bye").unwrap();
    }
    server.remote.shutdown(NEVER);
    server.remote.broadcast("too late").unwrap();
    client.expect_bytes(&frame(0x81, b"bye").repeat(MESSAGES));
    expect_shutdown(server, client);
}

#[test]
fn a_task_may_do_anything_to_any_peer() {
    let server = Server::echo();
    let mut client = server.open();
    server
        .remote
        .run(|peers| {
            let all: Vec<_> = peers.ids().collect();
            for id in all {
                peers.send(id, "farewell");
                peers.close(id, CloseCode::NORMAL, "");
            }
        })
        .unwrap();
    client.expect("81 08 'farewell'  88 02 03E8");
    client.send("88 02 03E8");
    client.expect_end();
    server.told.expect("close 1000 clean Local");
    server.stop();
}

#[test]
fn tasks_wait_for_the_loop_to_run_and_are_not_run_without_it() {
    let ran = Arc::new(AtomicUsize::new(0));
    let task = || {
        let ran = Arc::clone(&ran);
        move |_: &mut Peers| {
            ran.fetch_add(1, SeqCst);
        }
    };
    let mut event_loop = EventLoop::new().unwrap();
    let remote = event_loop.remote();
    remote.run(task()).unwrap();
    remote.run(task()).unwrap();
    assert_eq!(ran.load(SeqCst), 0);

    let (mut script, _told) = Script::echo();
    turn_until(&mut event_loop, &mut script, |_, _| ran.load(SeqCst) == 2);
    remote.run(task()).unwrap();
    drop(event_loop);
    remote.run(task()).unwrap_err();
    assert_eq!(ran.load(SeqCst), 2);
    drop(remote);
    assert_eq!(Arc::strong_count(&ran), 1, "nobody keeps what will not be run");
}

#[test]
fn once_the_loop_is_gone_everything_comes_back_but_a_shutdown() {
    let mut event_loop = EventLoop::new().unwrap();
    let remote = event_loop.remote();
    let (sender, receiver) = mpsc::channel();
    remote.run(move |peers| sender.send(peers.len()).unwrap()).unwrap();
    let (mut script, _told) = Script::echo();
    turn_until(&mut event_loop, &mut script, |_, _| receiver.try_recv() == Ok(0));
    drop(event_loop);
    let message = SharedMessage::new("Hello");
    assert_eq!(remote.broadcast("Hello"), Err(RemoteError::Gone(message.clone())));
    assert_eq!(remote.publish("news", "Hello"), Err(RemoteError::Gone(message)));
    let error = remote.run(|_| {}).unwrap_err();
    assert_eq!(error.to_string(), "the event loop is gone");
    assert_eq!(format!("{error:?}"), "Gone(..)");
    assert!(!error.is_full());
    remote.shutdown(NEVER);
}

#[test]
fn the_number_of_errands_is_limited_and_a_shutdown_is_not_refused() {
    let mut event_loop = EventLoop::new().unwrap();
    let remote = event_loop.remote();
    let taken_in = (0..).find(|_| remote.broadcast("Hello").is_err()).unwrap();
    assert_eq!(taken_in, MAX_ERRANDS);
    let error = remote.broadcast("Hello").unwrap_err();
    assert_eq!(error.to_string(), "too much waits for the event loop already");
    assert_eq!(error.into_inner().message(), Message::Text("Hello"));
    // A task comes back as it was, and can still be run.
    let error = remote.run(|peers: &mut Peers| assert!(peers.is_empty())).unwrap_err();
    (error.into_inner())(event_loop.peers());
    // Any number of times.
    for _ in 0..2 * MAX_ERRANDS {
        remote.shutdown(NEVER);
    }
    // Once they are done, there is room again.
    let (mut script, _told) = Script::echo();
    turn_until(&mut event_loop, &mut script, |_, _| remote.broadcast("Hello").is_ok());
    let finished = |event_loop: &mut EventLoop, _: &mut Script| event_loop.is_finished();
    turn_until(&mut event_loop, &mut script, finished);
    // They came to one.
    event_loop.turn(&mut script, Some(Duration::ZERO)).unwrap();
    assert_ne!(event_loop.next_timeout(), Some(Duration::ZERO));
}

/// What waits is counted until the turn is over in which it is done, wherever it waits.
#[test]
fn bytes_are_limited_and_counted_until_they_are_done() {
    let config = Config::new().remote_queue_limit(1000).high_water_mark(100);
    let mut event_loop = EventLoop::with_config(config).unwrap();
    let remote = event_loop.remote();
    let (mut script, _told) = Script::echo();

    // A task counts for what it holds by value, a publication also for its topic.
    let (sender, receiver) = mpsc::channel();
    let again = remote.clone();
    let task = move |_: &mut Peers| sender.send(again.broadcast("")).unwrap();
    let rest = 1000 - size_of_val(&task);
    remote.run(task).unwrap();
    remote.publish("news", &vec![7; rest - 8]).unwrap();
    assert!(remote.broadcast("").unwrap_err().is_full());
    remote.run(|_| {}).unwrap();
    let mut result = None;
    turn_until(&mut event_loop, &mut script, |_, _| {
        result = result.take().or_else(|| receiver.try_recv().ok());
        result.is_some()
    });
    assert!(result.unwrap().unwrap_err().is_full(), "while the task ran");

    turn_until(&mut event_loop, &mut script, |event_loop, _| {
        event_loop.next_timeout() != Some(Duration::ZERO)
    });
    let message = SharedMessage::new(&[7; 296]);
    let hand_in = || (0..).find(|_| remote.broadcast(&message).is_err()).unwrap();
    assert_eq!(hand_in(), 3);
    // The loop takes all of them, and does one: more is not to be done in one turn.
    for _ in 0..10 {
        event_loop.turn(&mut script, Some(HANG)).unwrap();
        assert_eq!(hand_in(), 1);
    }
}

/// Otherwise it never could.
#[test]
fn when_nothing_else_waits_a_message_may_be_larger_than_the_limit() {
    let mut event_loop = EventLoop::with_config(Config::new().remote_queue_limit(0)).unwrap();
    let remote = event_loop.remote();
    let (mut script, _told) = Script::echo();
    remote.broadcast("Hello").unwrap();
    let mut message = remote.broadcast("World").unwrap_err().into_inner();
    turn_until(&mut event_loop, &mut script, |_, _| match remote.broadcast(&message) {
        Ok(()) => true,
        Err(error) => {
            message = error.into_inner();
            false
        }
    });
}

/// Whatever is dropped may itself ask for something while it is.
#[test]
fn what_is_refused_or_discarded_is_dropped_when_the_inbox_can_be_used() {
    struct Parting(Remote, mpsc::Sender<bool>);
    impl Drop for Parting {
        fn drop(&mut self) {
            let result = self.0.broadcast("so long");
            let _ = self.1.send(matches!(result, Err(RemoteError::Gone(_))));
        }
    }
    let (sender, receiver) = mpsc::channel();
    let parting = |remote: &Remote| {
        let parting = Parting(remote.clone(), sender.clone());
        move |_: &mut Peers| drop(parting)
    };
    let event_loop = EventLoop::new().unwrap();
    let remote = event_loop.remote();
    remote.run(parting(&remote)).unwrap();
    while remote.broadcast("and no more").is_ok() {}
    let refused = parting(&remote);
    // A thread that waits for itself would wait for ever.
    std::thread::spawn(move || {
        drop(remote.run(refused));
        drop(event_loop);
    });
    assert!(!receiver.recv_timeout(HANG).unwrap(), "refused");
    assert!(receiver.recv_timeout(HANG).unwrap(), "discarded");
}

#[test]
fn handlers_and_tasks_may_ask_and_it_is_done_in_the_next_turn() {
    let (mut script, told) = Script::echo();
    let mut event_loop = EventLoop::new().unwrap();
    let addr = event_loop.listen("127.0.0.1:0").unwrap();
    let remote = event_loop.remote();
    script.on_message = Box::new(move |peer, message| {
        let again = remote.clone();
        remote.run(move |_| again.broadcast("third").unwrap()).unwrap();
        remote.send(peer.id(), "second").unwrap();
        peer.send(message);
    });
    let server = Server::run(event_loop, addr, (script, told));
    let mut client = server.open();
    client.send("81 05 'first'");
    server.told.expect("text first");
    client.expect("81 05 'first'  81 06 'second'  81 05 'third'");
    client.close();
    server.told.expect("close 1000 clean Remote");
    server.stop();
}

/// In each turn a neighbour is served, and some of what threads have asked is done.
#[cfg(unix)]
#[test]
fn neither_peers_nor_threads_keep_the_loop_to_themselves() {
    const MESSAGES: usize = 20_000;
    let ((mut script, told), ids) = with_ids();
    let (mut event_loop, door) = Door::new(Config::new());
    let mut neighbour = door.open(&mut event_loop, &mut script);
    let mut addressee = door.open(&mut event_loop, &mut script);
    told.expect("open");
    told.expect("open");
    let addressee_id = ids.lock().unwrap()[1];
    for _ in 0..MESSAGES {
        event_loop.remote().send(addressee_id, "x").unwrap();
    }
    let (mut received, mut turns) = (0, 0);
    while received < MESSAGES * 3 {
        neighbour.send("81 02 'hi'");
        event_loop.turn(&mut script, Some(HANG)).unwrap();
        assert!(neighbour.has_input(), "served in this turn");
        neighbour.expect("81 02 'hi'");
        let now_received = addressee.read_available();
        assert!(now_received > 0, "done in this turn");
        received += now_received;
        turns += 1;
    }
    assert!((10..100).contains(&turns), "{turns} turns");
}

/// A broadcast counts as what it is: a message to everyone.
#[cfg(unix)]
#[test]
fn what_is_done_in_a_turn_depends_on_how_many_peers_it_is_for() {
    const PEERS: usize = 64;
    const BROADCASTS: usize = 1000;
    let (mut script, _told) = Script::echo();
    let (mut event_loop, door) = Door::new(Config::new());
    let mut clients: Vec<_> = (0..PEERS).map(|_| door.open(&mut event_loop, &mut script)).collect();
    for _ in 0..BROADCASTS {
        event_loop.remote().broadcast("x").unwrap();
    }
    let mut received = 0;
    let turns = turn_until(&mut event_loop, &mut script, |_, _| {
        received += clients[0].read_available();
        received == BROADCASTS * 3
    });
    assert_eq!(turns, (BROADCASTS * PEERS).div_ceil(16_384));
    for client in &mut clients[1..] {
        client.expect_bytes(&frame(0x81, b"x").repeat(BROADCASTS));
    }
}

/// Although it is sixteen times what may wait for a peer.
#[cfg(unix)]
#[test]
fn a_burst_is_no_reason_to_take_a_peer_for_slow() {
    const MESSAGES: usize = 4096;
    let ((mut script, told), ids) = with_ids();
    let config = Config::new().write_queue_limit(256 << 10).high_water_mark(32 << 10);
    let (mut event_loop, door) = Door::new(config);
    let mut client = door.open(&mut event_loop, &mut script);
    told.expect("open");
    let id = ids.lock().unwrap()[0];
    let message = SharedMessage::new(&vec![7; 1024]);
    for _ in 0..MESSAGES {
        event_loop.remote().send(id, &message).unwrap();
    }
    let mut received = Vec::new();
    let expected = frame(0x82, &[7; 1024]).repeat(MESSAGES);
    turn_until(&mut event_loop, &mut script, |_, _| {
        received.extend(client.read_available_of(1 << 20));
        received.len() == expected.len()
    });
    assert_eq!(received, expected);
    assert_eq!(told.so_far(), [""; 0], "it was not even congested");
}

/// A panic that somebody catches takes nothing else with it: no errand, no wake-up, no room.
#[cfg(unix)]
#[test]
fn a_panic_loses_nothing_that_was_asked() {
    let (mut script, _told) = Script::echo();
    let mut panicked = false;
    script.on_message =
        Box::new(move |_, _| assert_quietly(std::mem::replace(&mut panicked, true)));
    let config = Config::new().remote_queue_limit(500);
    let (mut event_loop, door) = Door::new(config);
    let mut unlucky = door.open(&mut event_loop, &mut script);
    let mut client = door.open(&mut event_loop, &mut script);
    let remote = event_loop.remote();
    // The loop is called for this, and the handler panics before it comes to it.
    remote.broadcast(&[7; 123]).unwrap();
    unlucky.send("81 01 'x'");
    turn_until_panic(&mut event_loop, &mut script);
    assert_eq!(event_loop.next_timeout(), Some(Duration::ZERO));
    turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
    client.expect_bytes(&frame(0x82, &[7; 123]));
    // Tasks that panic, and one that is behind each.
    for _ in 0..10 {
        let captured = [7_u8; 400];
        remote.run(move |_| assert_quietly(captured[0] == 0)).unwrap();
        remote.broadcast("x").unwrap();
        turn_until_panic(&mut event_loop, &mut script);
        turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
        client.expect("81 01 'x'");
    }
    // With nothing behind it, the loop still has room to make.
    remote.run(|_| assert_quietly(false)).unwrap();
    turn_until_panic(&mut event_loop, &mut script);
    assert_eq!(event_loop.next_timeout(), Some(Duration::ZERO));
}

#[test]
fn a_task_that_shuts_down_ends_the_loop() {
    let server = Server::echo();
    let client = server.open();
    server.remote.run(|peers| peers.shutdown(NEVER)).unwrap();
    expect_shutdown(server, client);
}
