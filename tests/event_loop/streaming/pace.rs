//! Messages in fragments to peers that read slowly, fast or not at all.

use super::*;

/// Sends numbered fragments of a kibibyte to whoever asks, as fast as that reads.
#[cfg(unix)]
struct Source {
    fragments: u32,
    sent: u32,
    /// How many were written in the latest call.
    at_once: u32,
    drains: u32,
    /// What was told by the peer.
    heard: Vec<String>,
}

#[cfg(unix)]
impl Source {
    fn new(fragments: u32) -> Self {
        Self { fragments, sent: 0, at_once: 0, drains: 0, heard: Vec::new() }
    }

    fn go_on(&mut self, peer: &mut Peer<'_>) {
        self.at_once = 0;
        while self.sent < self.fragments {
            match peer.write(&numbered(self.sent)).unwrap() {
                // It is to be tried again.
                SendStatus::Dropped => return,
                status => {
                    self.sent += 1;
                    self.at_once += 1;
                    if status == SendStatus::Congested {
                        return;
                    }
                }
            }
        }
        if self.sent == self.fragments {
            self.sent += 1;
            peer.finish().unwrap();
        }
    }
}

#[cfg(unix)]
impl Handler for Source {
    fn on_message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) {
        self.heard.push(message.as_text().unwrap().to_owned());
        if self.sent == 0 {
            peer.begin_message(MessageType::Binary).unwrap();
            self.go_on(peer);
        }
    }

    fn on_drain(&mut self, peer: &mut Peer<'_>) {
        self.drains += 1;
        self.go_on(peer);
    }
}

fn numbered(number: u32) -> Vec<u8> {
    [&number.to_be_bytes()[..], &[0x55; 1020]].concat()
}

/// A queue for fragments of a kibibyte: so many and one may wait.
const MARK: usize = 64 << 10;

/// What a fragment of a kibibyte takes on the wire.
const FRAGMENT: usize = 1024 + 4;

/// Checks that these are the frames of a [`Source`], and returns the others that came between them.
fn expect_fragments(received: &[u8], fragments: u32) -> Vec<(u8, Vec<u8>)> {
    let mut others = Vec::new();
    let (mut number, mut ended) = (0, false);
    for (first_byte, payload) in frames(received) {
        match first_byte {
            0x02 | 0x00 => {
                assert_eq!(first_byte == 0x02, number == 0);
                assert!(payload == numbered(number), "fragment {number}");
                number += 1;
            }
            0x80 => {
                assert!(number == fragments && payload.is_empty());
                ended = true;
            }
            other => {
                assert!(ended || other & 0x08 != 0, "a message inside another");
                others.push((other, payload.to_owned()));
            }
        }
    }
    assert!(ended);
    others
}

#[cfg(unix)]
#[test]
fn a_message_of_64_mebibytes_to_a_slow_reader_takes_no_more_than_the_mark() {
    const FRAGMENTS: u32 = 64 << 10;
    let mut source = Source::new(FRAGMENTS);
    let (mut event_loop, door) = Door::new(patient().high_water_mark(MARK));
    let mut client = door.open(&mut event_loop, &mut source);
    let id = event_loop.peers().ids().next().unwrap();
    client.send("81 02 'go'");
    let mut received = Vec::new();
    let mut most = 0;
    let whole = FRAGMENTS as usize * FRAGMENT + 2;
    while received.len() < whole {
        turn_until(&mut event_loop, &mut source, |event_loop, _| {
            most = most.max(event_loop.peers().queued_bytes(id));
            client.has_input()
        });
        received.extend(client.read_available_of((100 << 10).min(whole - received.len())));
    }
    assert_eq!(expect_fragments(&received, FRAGMENTS), []);
    assert!(most <= MARK + FRAGMENT, "queued {most}");
    assert!(source.drains > 100, "{} drains", source.drains);
}

/// The one message that ends an endless one, say. Whoever streams to a peer fills its queue whenever that
/// has drained; the peer is heard nevertheless.
#[cfg(unix)]
#[test]
fn a_peer_is_heard_while_a_message_is_sent_to_it() {
    let mut source = Source::new(u32::MAX);
    let (mut event_loop, door) = Door::new(patient().high_water_mark(MARK));
    let mut client = door.open(&mut event_loop, &mut source);
    client.send("81 02 'go'");
    turn_until(&mut event_loop, &mut source, |_, _| client.has_input());
    client.send("81 04 'stop'  89 02 'hi'");
    let mut received = client.read_available_of(MEGABYTE);
    let stopped = loop {
        turn_until(&mut event_loop, &mut source, |_, source| {
            client.has_input() || source.fragments < u32::MAX
        });
        received.extend(client.read_available_of(MEGABYTE));
        if source.heard == ["go", "stop"] {
            source.fragments = source.sent;
            break source.sent;
        }
        assert!(source.sent < 1_000_000, "nothing was heard all the while");
    };
    let whole = stopped as usize * FRAGMENT + 4 + 2;
    while received.len() < whole {
        turn_until(&mut event_loop, &mut source, |_, _| client.has_input());
        received.extend(client.read_available_of(whole - received.len()));
    }
    assert_eq!(expect_fragments(&received, stopped), [(0x8A, b"hi".to_vec())]);
}

/// Its socket would take more and more, and all others would wait.
#[cfg(unix)]
#[test]
fn a_peer_that_reads_as_fast_as_it_is_written_to_has_its_share_of_a_turn() {
    let mut source = Source::new(1000);
    let (mut event_loop, door) = Door::new(patient().high_water_mark(4 * FRAGMENT));
    let mut client = door.open(&mut event_loop, &mut source);
    client.send("81 02 'go'");
    turn_until(&mut event_loop, &mut source, |_, source| {
        assert!(source.at_once <= 5, "{} at once", source.at_once);
        client.read_available();
        source.sent > 1000
    });
    assert!(source.drains >= 1000 / 5, "{} drains", source.drains);
}

/// A Pong that found no room is due as soon as there is some. The queue may not be empty for hours.
#[cfg(unix)]
#[test]
fn an_owed_pong_does_not_wait_for_the_end_of_a_message() {
    // The mark: more than a socket holds.
    let fragment = vec![0x55; MEGABYTE - 10];
    let (mut script, _told) = Script::echo();
    script.on_message = {
        let fragment = fragment.clone();
        Box::new(move |peer, _| {
            peer.begin_message(MessageType::Binary).unwrap();
            assert_eq!(peer.write(&fragment), Ok(SendStatus::Queued));
        })
    };
    let mut drains = 0;
    script.on_drain = {
        let fragment = fragment.clone();
        Box::new(move |peer| {
            drains += 1;
            let status = if drains < 4 { peer.write(&fragment) } else { peer.finish() };
            assert_ne!(status, Ok(SendStatus::Dropped));
        })
    };
    let (mut event_loop, door) = Door::new(patient().high_water_mark(MEGABYTE));
    let mut client = door.open(&mut event_loop, &mut script);
    let id = event_loop.peers().ids().next().unwrap();
    // The Ping finds the queue at the mark.
    client.send("81 00  89 02 'hi'");
    turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
    assert_eq!(event_loop.peers().write(id, &fragment), Ok(SendStatus::Congested));
    let mut received = Vec::new();
    while !received.ends_with(&[0x80, 0]) {
        turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
        received.extend(client.read_available_of(100 << 10));
    }
    let order: Vec<_> = frames(&received).into_iter().map(|(first_byte, _)| first_byte).collect();
    assert_eq!(order, [0x02, 0x00, 0x8A, 0x00, 0x00, 0x00, 0x80]);
}

/// Nobody has to look at what `write` returns: what the socket takes is not held against the peer.
#[cfg(unix)]
#[test]
fn a_burst_of_fragments_over_the_limit_reaches_a_peer_whose_socket_takes_it() {
    let mut burst = |peer: &mut Peer<'_>, _: Message<'_>| {
        peer.begin_message(MessageType::Binary).unwrap();
        for number in 0..100 {
            assert_ne!(peer.write(&numbered(number)), Ok(SendStatus::Dropped));
            assert!(peer.queued_bytes() <= 8 << 10);
        }
        peer.finish().unwrap();
    };
    let config = patient().write_queue_limit(8 << 10).high_water_mark(4 << 10);
    let (mut event_loop, door) = Door::new(config);
    let mut client = door.open(&mut event_loop, &mut burst);
    client.send("81 00");
    turn_until(&mut event_loop, &mut burst, |_, _| client.has_input());
    let received = client.read(100 * FRAGMENT + 2);
    assert_eq!(expect_fragments(&received, 100), []);
}

/// The same for what is sent behind them.
#[cfg(unix)]
#[test]
fn fragments_that_the_socket_takes_are_not_held_against_what_waits_for_them() {
    let mut burst = |peer: &mut Peer<'_>, _: Message<'_>| {
        peer.begin_message(MessageType::Binary).unwrap();
        for number in 0..4 {
            assert_eq!(peer.write(&numbered(number)), Ok(SendStatus::Queued));
        }
        for _ in 0..4 {
            assert_ne!(peer.send(&[0; 1024]), SendStatus::Dropped);
        }
        peer.finish().unwrap();
    };
    let config = patient().write_queue_limit(6 << 10).high_water_mark(5 << 10);
    let (mut event_loop, door) = Door::new(config);
    let mut client = door.open(&mut event_loop, &mut burst);
    client.send("81 00");
    turn_until(&mut event_loop, &mut burst, |_, _| client.has_input());
    let received = client.read(8 * FRAGMENT + 2);
    assert_eq!(expect_fragments(&received, 4), vec![(0x82, vec![0; 1024]); 4]);
}

/// A handler that does not care for the mark, only for the limit.
#[cfg(unix)]
#[test]
fn a_piece_that_was_dropped_can_be_written_again() {
    const FRAGMENTS: u32 = 4000;
    let (mut script, _told) = Script::echo();
    let mut sent = 0;
    let dropped = Arc::new(AtomicUsize::new(0));
    let go_on = {
        let dropped = Arc::clone(&dropped);
        move |peer: &mut Peer<'_>| {
            if sent == 0 {
                peer.begin_message(MessageType::Binary).unwrap();
            }
            while sent < FRAGMENTS {
                if peer.write(&numbered(sent)) == Ok(SendStatus::Dropped) {
                    dropped.fetch_add(1, SeqCst);
                    return;
                }
                sent += 1;
            }
            if sent == FRAGMENTS {
                sent += 1;
                assert_ne!(peer.finish(), Ok(SendStatus::Dropped));
            }
        }
    };
    let go_on = Arc::new(std::sync::Mutex::new(go_on));
    script.on_drain = {
        let go_on = Arc::clone(&go_on);
        Box::new(move |peer| (go_on.lock().unwrap())(peer))
    };
    script.on_message = Box::new(move |peer, _| (go_on.lock().unwrap())(peer));
    let config = patient().high_water_mark(MARK).write_queue_limit(2 * MARK);
    let (mut event_loop, door) = Door::new(config.overflow(Overflow::DropMessage));
    let mut client = door.open(&mut event_loop, &mut script);
    let id = event_loop.peers().ids().next().unwrap();
    client.send("81 00");
    let whole = FRAGMENTS as usize * FRAGMENT + 2;
    let mut received = Vec::new();
    while received.len() < whole {
        turn_until(&mut event_loop, &mut script, |event_loop, _| {
            assert!(event_loop.peers().queued_bytes(id) <= 2 * MARK + 2);
            client.has_input()
        });
        received.extend(client.read_available_of(whole - received.len()));
    }
    assert_eq!(expect_fragments(&received, FRAGMENTS), []);
    assert!(dropped.load(SeqCst) > 10, "dropped {}", dropped.load(SeqCst));
}

/// However much waits for the message: what waits does not keep it from being finished.
#[cfg(unix)]
#[test]
fn a_message_goes_on_while_others_fill_the_queue_behind_it() {
    const FRAGMENTS: u32 = 4000;
    let mut source = Source::new(FRAGMENTS);
    let config = patient().high_water_mark(MARK).write_queue_limit(2 * MARK);
    let (mut event_loop, door) = Door::new(config.overflow(Overflow::DropMessage));
    let mut client = door.open(&mut event_loop, &mut source);
    let id = event_loop.peers().ids().next().unwrap();
    client.send("81 02 'go'");
    let mut waiting = 0;
    let mut received = Vec::new();
    loop {
        turn_until(&mut event_loop, &mut source, |event_loop, source| {
            while source.sent <= FRAGMENTS
                && source.sent > 0
                && event_loop.peers().send(id, &[0x66; 1024]) != SendStatus::Dropped
            {
                waiting += 1;
            }
            let queued = event_loop.peers().queued_bytes(id);
            assert!(queued <= 2 * MARK + MARK + FRAGMENT, "queued {queued}");
            client.has_input()
        });
        let whole = FRAGMENTS as usize * FRAGMENT + 2 + waiting * FRAGMENT;
        received.extend(client.read_available_of(whole - received.len()));
        if source.sent > FRAGMENTS && received.len() == whole {
            break;
        }
    }
    let others = expect_fragments(&received, FRAGMENTS);
    assert_eq!(others, vec![(0x82, vec![0x66; 1024]); waiting]);
    assert!(waiting * FRAGMENT > MARK, "{waiting} messages are not enough");
}
