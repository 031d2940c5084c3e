//! Messages that are sent as fragments and received in pieces.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use wsloop::testing::{Opening, Rehearsal};
use wsloop::{
    CloseCode, Config, Delivery, Handler, Message, MessageType, Overflow, Peer, PeerId, Peers,
    Piece, SendStatus, SharedMessage, StreamError,
};

use super::common::{
    Client, HANG, NEVER, Script, Server, Told, frame, frames, let_pass, masked, wire,
};
#[cfg(unix)]
use super::common::{Door, turn_until};

const MEGABYTE: usize = 1 << 20;

/// Timeouts that leave slow peers alone.
fn patient() -> Config {
    Config::new().idle_timeout(None).ping_interval(None).write_timeout(None).close_timeout(NEVER)
}

/// A handler that does what its peers say, and tells what came of it.
fn obedient() -> (Script, Told) {
    let (mut script, told) = Script::echo();
    let teller = script.teller();
    script.on_message = Box::new(move |peer, message| {
        let outcome = obey(peer, message.as_text().unwrap_or_default());
        teller.tell(&outcome);
    });
    (script, told)
}

fn obey(peer: &mut Peer<'_>, order: &str) -> String {
    let (verb, object) = order.split_once(' ').unwrap_or((order, ""));
    let streamed = match verb {
        "begin" if object == "text" => peer.begin_message(MessageType::Text),
        "begin" => peer.begin_message(MessageType::Binary),
        "write" => peer.write(object),
        "write-bytes" => peer.write(object.as_bytes()),
        "write-zeros" => peer.write(&vec![0; object.parse().unwrap()]),
        "write-last" => peer.write_last(object),
        "finish" => peer.finish(),
        "send" => return format!("{:?}", peer.send(object)),
        "send-zeros" => return format!("{:?}", peer.send(&vec![0; object.parse().unwrap()])),
        "share" => return format!("{:?}", peer.send_shared(&SharedMessage::new(object))),
        "ping" => return format!("{:?}", peer.ping(object.as_bytes())),
        "queued" => return peer.queued_bytes().to_string(),
        "broadcast" => {
            peer.peers().broadcast(object);
            return "done".to_owned();
        }
        "publish" => {
            peer.subscribe("all");
            peer.peers().publish("all", object);
            return "done".to_owned();
        }
        "abort" => {
            peer.abort();
            return format!("{:?} {:?}", peer.write("gone"), peer.finish());
        }
        "close" => {
            peer.close(CloseCode::NORMAL, object);
            let [write, finish] = [peer.write("too late"), peer.finish()];
            return format!("{write:?} {finish:?}, {} to go", peer.queued_bytes());
        }
        _ => unreachable!("no such order: {order}"),
    };
    match streamed {
        Ok(status) => format!("{status:?}"),
        Err(error) => format!("{error:?}"),
    }
}

/// A client whose server does what it says.
struct Stage {
    server: Server,
    client: Client,
}

impl Stage {
    fn new(config: Config) -> Self {
        Self::with(config, obedient())
    }

    fn with(config: Config, (script, told): (Script, Told)) -> Self {
        let server = Server::start(config, (script, told));
        let client = server.open();
        Self { server, client }
    }

    /// Has the handler do something, and checks what comes of it.
    #[track_caller]
    fn order(&mut self, order: &str, outcome: &str) {
        self.client.write(masked(&frame(0x81, order.as_bytes())));
        // The order itself.
        self.server.told.next();
        assert_eq!(self.server.told.next(), outcome, "{order}");
    }

    /// Does something between two turns: a peer that is congested is not read from.
    #[track_caller]
    fn run<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Peers, PeerId) -> T + Send + 'static,
    ) -> T {
        let (sender, receiver) = std::sync::mpsc::channel();
        let run = self.server.remote.run(move |peers| {
            let id = peers.ids().next().expect("a peer");
            sender.send(task(peers, id)).unwrap();
        });
        run.unwrap();
        receiver.recv_timeout(HANG).unwrap()
    }

    #[track_caller]
    fn close(self) {
        self.client.close();
        self.server.told.expect("close 1000 clean Remote");
        self.server.stop();
    }
}

#[test]
fn a_message_goes_out_as_the_pieces_that_are_written() {
    let mut stage = Stage::new(Config::new());
    stage.order("begin text", "Queued");
    stage.order("write Hel", "Queued");
    stage.client.expect("01 03 'Hel'");
    stage.order("write lo", "Queued");
    stage.client.expect("00 02 'lo'");
    stage.order("write ", "Queued");
    stage.client.expect("00 00");
    stage.order("finish", "Queued");
    stage.client.expect("80 00");

    stage.order("begin binary", "Queued");
    stage.order("write-bytes Hel", "Queued");
    stage.client.expect("02 03 'Hel'");
    stage.order("finish", "Queued");
    stage.client.expect("80 00");
    stage.close();
}

#[test]
fn the_last_piece_needs_no_empty_fragment_and_the_only_one_no_fragments() {
    let mut stage = Stage::new(Config::new());
    stage.order("begin text", "Queued");
    stage.order("write Hel", "Queued");
    stage.order("write-last lo", "Queued");
    stage.client.expect("01 03 'Hel'  80 02 'lo'");
    stage.order("begin text", "Queued");
    stage.order("write-last Hello", "Queued");
    stage.client.expect("81 05 'Hello'");
    // Without pieces it is an empty message.
    stage.order("begin binary", "Queued");
    stage.order("finish", "Queued");
    stage.client.expect("82 00");
    stage.close();
}

/// Whatever is done out of turn is an answer to the application, and nothing to the peer.
#[test]
fn an_application_out_of_step_does_not_break_the_message() {
    let mut stage = Stage::new(Config::new());
    stage.order("write x", "NoMessage");
    stage.order("write-last x", "NoMessage");
    stage.order("finish", "NoMessage");
    stage.order("begin text", "Queued");
    stage.order("begin text", "UnfinishedMessage");
    stage.order("write-bytes x", "MessageType");
    stage.order("write Hel", "Queued");
    stage.order("begin binary", "UnfinishedMessage");
    stage.order("write-bytes x", "MessageType");
    stage.order("write-last lo", "Queued");
    stage.order("write x", "NoMessage");
    stage.client.expect("01 03 'Hel'  80 02 'lo'");
    stage.close();
}

/// §5.4: "The fragments of one message MUST NOT be interleaved between the fragments of another".
#[test]
fn other_messages_wait_for_the_end_of_the_one_in_progress() {
    let mut stage = Stage::new(Config::new());
    stage.order("begin text", "Queued");
    stage.order("send 1", "Queued");
    stage.order("broadcast 2", "done");
    stage.order("write Hel", "Queued");
    stage.order("share 3", "Queued");
    stage.order("publish 4", "done");
    stage.client.expect("01 03 'Hel'");
    stage.order("queued", "12");
    stage.order("write-last lo", "Queued");
    stage.client.expect("80 02 'lo'  81 01 '1'  81 01 '2'  81 01 '3'  81 01 '4'");
    stage.order("queued", "0");
    stage.order("send 5", "Queued");
    stage.client.expect("81 01 '5'");
    stage.close();
}

/// §5.4: "Control frames themselves [...] MAY be injected in the middle of a fragmented message."
#[test]
fn control_frames_pass_between_fragments() {
    let mut stage = Stage::new(Config::new());
    stage.order("begin text", "Queued");
    stage.order("write Hel", "Queued");
    stage.order("send behind", "Queued");
    stage.client.expect("01 03 'Hel'");
    stage.client.send("89 02 'hi'");
    stage.client.expect("8A 02 'hi'");
    stage.server.told.expect("ping hi");
    stage.order("ping there?", "Queued");
    stage.client.expect("89 06 'there?'");
    stage.order("finish", "Queued");
    stage.client.expect("80 00  81 06 'behind'");
    stage.close();
}

#[test]
fn a_peer_is_asked_for_signs_of_life_in_the_middle_of_a_message() {
    let interval = Duration::from_millis(20);
    let mut stage = Stage::new(Config::new().ping_interval(Some(interval)).idle_timeout(None));
    stage.order("begin text", "Queued");
    stage.order("send behind", "Queued");
    let ping = loop {
        // Orders may come so late that there is a Ping before them.
        let ping = stage.client.read(10);
        assert_eq!(ping[..2], [0x89, 0x08]);
        if ping[2..6] == *b"wsl\0" {
            break ping;
        }
    };
    stage.client.write(masked(&frame(0x8A, &ping[2..])));
    stage.client.end();
    stage.server.told.expect("close 1006 unclean EndOfStream");
    stage.server.stop();
}

/// §5.5.1: nothing follows a Close. There is no other way to say that the message is not all there.
#[test]
fn closing_cuts_the_message_and_discards_what_waits_behind_it() {
    let mut stage = Stage::new(Config::new());
    stage.order("begin text", "Queued");
    stage.order("write Hel", "Queued");
    stage.order("send behind", "Queued");
    stage.order("close enough!", "Ok(Dropped) Ok(Dropped), 11 to go");
    stage.client.expect("01 03 'Hel'  88 09 03E8 'enough!'");
    stage.client.send("88 02 03E8");
    stage.client.expect_end();
    stage.server.told.expect("close 1000 clean Local");
    stage.server.stop();
}

#[test]
fn the_peers_end_cuts_the_message() {
    for (end, answer, told, left) in [
        ("88 02 0FA0", "88 02 0FA0", "close 4000 clean Remote", "4 to go"),
        ("83 00", "88 02 03EA", "close 1006 unclean Violation(ReservedOpcode)", "4 to go"),
        ("", "", "close 1006 unclean EndOfStream", "0 to go"),
    ] {
        let (mut script, receiver) = obedient();
        let teller = script.teller();
        script.on_close = Box::new(move |peer| {
            assert_eq!(peer.write("gone"), Ok(SendStatus::Dropped));
            teller.tell(&format!("{} to go", peer.queued_bytes()));
        });
        let mut stage = Stage::with(Config::new(), (script, receiver));
        stage.order("begin text", "Queued");
        stage.order("write Hel", "Queued");
        stage.order("send behind", "Queued");
        stage.client.expect("01 03 'Hel'");
        stage.client.send(end);
        stage.client.end();
        stage.client.expect(answer);
        stage.client.expect_end();
        stage.server.told.expect(told);
        stage.server.told.expect(left);
        stage.server.stop();
    }
}

#[test]
fn aborting_ends_the_message_with_everything_else() {
    let mut stage = Stage::new(Config::new());
    stage.order("begin text", "Queued");
    stage.order("send behind", "Queued");
    stage.order("abort", "Ok(Dropped) Ok(Dropped)");
    stage.client.expect_gone();
    stage.server.told.expect("close 1006 unclean Aborted");
    stage.server.stop();
}

#[test]
fn a_shutdown_cuts_the_message() {
    let mut stage = Stage::new(Config::new());
    stage.order("begin text", "Queued");
    stage.order("write Hel", "Queued");
    stage.order("send behind", "Queued");
    let Stage { mut server, mut client } = stage;
    server.remote.shutdown(NEVER);
    client.expect("01 03 'Hel'  88 02 03E9");
    client.send("88 02 03E9");
    client.expect_end();
    server.told.expect("close 1001 clean Shutdown");
    drop(client);
    server.join();
}

/// The abandoned message of a handler which forgot to finish it.
#[test]
fn a_peer_for_which_too_much_waits_is_closed() {
    let mut stage = Stage::new(patient().high_water_mark(1000).write_queue_limit(2000));
    stage.order("begin text", "Queued");
    stage.order("write Hel", "Queued");
    stage.order("send-zeros 900", "Queued");
    stage.order("send-zeros 900", "Congested");
    stage.order("send-zeros 900", "Dropped");
    stage.client.expect("01 03 'Hel'  88 12 03F0 'too slow to read'");
    stage.client.send("88 02 03F0");
    stage.client.expect_end();
    stage.server.told.expect("close 1008 clean QueueFull");
    stage.server.stop();
}

/// A message that cannot wait is dropped. The one in progress goes on, and whoever was told that the
/// peer is congested is told when it is not any more.
#[test]
fn waiting_messages_over_the_limit_are_dropped_if_that_is_the_policy() {
    let config = patient().high_water_mark(1000).write_queue_limit(2000);
    let mut stage = Stage::new(config.overflow(Overflow::DropMessage));
    stage.order("begin text", "Queued");
    stage.order("write Hel", "Queued");
    stage.order("send-zeros 900", "Queued");
    stage.order("send-zeros 900", "Congested");
    stage.order("send-zeros 900", "Dropped");
    stage.order("queued", "1808");
    // Fragments do not wait for what waits for them.
    stage.order("write-zeros 1", "MessageType");
    stage.order("write lo", "Queued");
    stage.order("finish", "Congested");
    stage.server.told.expect("drain");
    stage.client.expect("01 03 'Hel'  00 02 'lo'  80 00");
    let zeros = frame(0x82, &[0; 900]);
    stage.client.expect_bytes(&[&zeros[..], &zeros].concat());
    stage.order("queued", "0");
    stage.close();
}

/// It may have been because of fragments, which are written by then.
#[test]
fn whoever_was_told_that_a_peer_is_congested_is_told_when_it_is_not() {
    let mut stage = Stage::new(patient().high_water_mark(1000));
    stage.order("begin binary", "Queued");
    let outcome = stage.run(|peers, id| {
        let fragment = peers.write(id, &[0; 600]).unwrap();
        [fragment, peers.send(id, &[0; 600])]
    });
    assert_eq!(outcome, [SendStatus::Queued, SendStatus::Congested]);
    stage.client.expect_bytes(&frame(0x02, &[0; 600]));
    stage.order("queued", "604");
    stage.order("finish", "Congested");
    stage.server.told.expect("drain");
    stage.client.expect("80 00");
    stage.client.expect_bytes(&frame(0x82, &[0; 600]));
    stage.close();
}

/// What waits for the message's end is not in the way of its fragments, of which all that are
/// written in a turn go out together.
#[test]
fn fragments_are_not_written_one_by_one_because_much_waits_for_them() {
    let mut stage = Stage::new(patient().high_water_mark(1000));
    stage.order("begin text", "Queued");
    let queued = stage.run(|peers, id| {
        assert_eq!(peers.send(id, &[0; 2000]), SendStatus::Congested);
        for _ in 0..3 {
            assert_eq!(peers.write(id, "x"), Ok(SendStatus::Queued));
        }
        peers.queued_bytes(id)
    });
    assert_eq!(queued, 2004 + 3 * 3);
    stage.client.expect("01 01 'x'  00 01 'x'  00 01 'x'");
    stage.order("finish", "Congested");
    stage.server.told.expect("drain");
    stage.client.expect("80 00");
    stage.client.expect_bytes(&frame(0x82, &[0; 2000]));
    stage.close();
}

/// As is whoever finds that there is no room at all.
#[test]
fn whoever_was_refused_room_behind_a_message_is_told_when_there_is_some() {
    let (script, told) = obedient();
    let config = patient().write_queue_limit(1000).overflow(Overflow::DropMessage);
    let mut rehearsal = Rehearsal::new(config, script);
    let client = rehearsal.connect(Opening::new("/").buffer(200));
    let id = rehearsal.peer_id(client).unwrap();
    rehearsal.stop_reading(client);
    let peers = rehearsal.peers();
    peers.begin_message(id, MessageType::Binary).unwrap();
    assert_eq!(peers.send(id, &[0; 900]), SendStatus::Queued);
    assert_eq!(peers.write(id, &[0; 900]), Ok(SendStatus::Queued));
    assert_eq!(peers.send(id, &[0; 500]), SendStatus::Dropped);
    rehearsal.go_on_reading(client);
    rehearsal.peers().finish(id).unwrap();
    rehearsal.run();
    told.expect("open");
    told.expect("drain");
}

/// What the policy does about fragments is what it does about messages.
#[test]
fn a_peer_that_does_not_read_a_message_is_closed() {
    let mut stage = Stage::new(patient().high_water_mark(1000).write_queue_limit(2000));
    stage.order("begin binary", "Queued");
    stage.order("send behind", "Queued");
    // More than sockets hold.
    stage.order(&format!("write-zeros {}", 16 * MEGABYTE), "Congested");
    // It is congested, and so not read from. Others may have the handler do something.
    let outcome = stage
        .run(|peers, id| [peers.write(id, b"more"), peers.write(id, b"more"), peers.finish(id)]);
    assert_eq!(outcome, [Ok(SendStatus::Dropped); 3]);
    stage.client.expect_bytes(&frame(0x02, &vec![0; 16 * MEGABYTE]));
    stage.client.expect("88 12 03F0 'too slow to read'");
    stage.client.send("88 02 03F0");
    stage.client.expect_end();
    stage.server.told.expect("close 1008 clean QueueFull");
    stage.server.stop();
}

#[test]
fn the_end_of_a_message_has_room_in_a_queue_however_full() {
    let config = patient().high_water_mark(1000).write_queue_limit(2000);
    let mut stage = Stage::new(config.overflow(Overflow::DropMessage));
    stage.order("begin binary", "Queued");
    stage.order(&format!("write-zeros {}", 16 * MEGABYTE), "Congested");
    let outcome = stage.run(|peers, id| {
        [
            peers.write(id, b"more"),
            peers.write_last(id, b"more"),
            peers.finish(id),
            // There is none for more messages.
            peers.begin_message(id, MessageType::Text),
        ]
    });
    let [dropped, congested] = [SendStatus::Dropped, SendStatus::Congested].map(Ok);
    assert_eq!(outcome, [dropped, dropped, congested, dropped]);
    stage.client.expect_bytes(&frame(0x02, &vec![0; 16 * MEGABYTE]));
    stage.client.expect("80 00");
    stage.server.told.expect("drain");
    stage.order("finish", "NoMessage");
    stage.close();
}

#[test]
fn the_errors_say_what_is_wrong() {
    assert_eq!(StreamError::NoMessage.to_string(), "no message is being sent in fragments");
    let other = StreamError::MessageType.to_string();
    assert_eq!(other, "the message being sent in fragments is of the other type");
    let unfinished = StreamError::UnfinishedMessage.to_string();
    assert_eq!(unfinished, "a message is still being sent in fragments");
}

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

/// Settings for pieces.
fn in_pieces() -> Config {
    patient().delivery(Delivery::Pieces)
}

/// Sends what it receives, piece by piece.
fn echo(peer: &mut Peer<'_>, piece: Piece<'_>) {
    if piece.first {
        peer.begin_message(piece.message.message_type()).unwrap();
    }
    let status = match piece.last {
        true => peer.write_last(piece.message),
        false => peer.write(piece.message),
    };
    assert_ne!(status, Ok(SendStatus::Dropped));
}

fn echo_in_pieces() -> (Script, Told) {
    let (mut script, told) = Script::echo();
    script.on_message = Box::new(|_, _| unreachable!("messages come in pieces"));
    script.on_piece = Box::new(echo);
    (script, told)
}

#[test]
fn a_message_is_delivered_as_its_pieces_arrive() {
    let server = Server::start(in_pieces(), Script::echo());
    let mut client = server.open();
    // A frame in three reads.
    let hello = masked(&wire("81 05 'Hello'"));
    let (he, l, lo) = (&hello[..8], &hello[8..9], &hello[9..]);
    for (bytes, told) in [(he, "first text He"), (l, "next text l"), (lo, "last text lo")] {
        client.write(bytes);
        server.told.expect(told);
    }
    // Frames in one read.
    client.send("02 01 'a'  00 02 'bc'  80 00");
    server.told.expect("first binary a");
    server.told.expect("next binary bc");
    server.told.expect("last binary");
    client.send("81 05 'whole'  82 00");
    server.told.expect("whole text whole");
    server.told.expect("whole binary");
    client.close();
    server.told.expect("close 1000 clean Remote");
    server.stop();
}

#[test]
fn no_piece_of_text_ends_inside_a_character() {
    let server = Server::start(in_pieces(), Script::echo());
    let mut client = server.open();
    let euro = masked(&wire("81 05 'a' E282AC 'b'"));
    client.write(&euro[..8]);
    server.told.expect("first text a");
    client.write(&euro[8..]);
    server.told.expect("next text €");
    server.told.expect("last text b");
    client.send("01 02 E282  80 01 AC");
    server.told.expect("whole text €");
    client.close();
    server.told.expect("close 1000 clean Remote");
    server.stop();
}

/// What the handler is told before cannot be taken back; that no last piece came says that it is void.
#[test]
fn text_is_checked_across_pieces() {
    for (bad, told) in [
        ("01 03 'a' E282  80 01 41", &["first text a"][..]),
        ("01 01 'a'  00 01 FF", &["first text a"]),
        ("01 01 'a'  80 01 E2", &["first text a"]),
        ("81 01 FF", &[]),
    ] {
        let server = Server::start(in_pieces(), Script::echo());
        let mut client = server.open();
        client.send(bad);
        client.expect("88 02 03EF");
        client.expect_end();
        for told in told {
            server.told.expect(told);
        }
        server.told.expect("close 1006 unclean Violation(InvalidUtf8)");
        server.stop();
    }
}

#[test]
fn the_limit_is_on_all_pieces_of_a_message_together() {
    let server = Server::start(in_pieces().max_message_size(5), Script::echo());
    let mut client = server.open();
    client.send("01 02 'He'  80 03 'llo'");
    server.told.expect("first text He");
    server.told.expect("last text llo");
    client.send("01 02 'He'  00 04");
    server.told.expect("first text He");
    client.expect("88 02 03F1");
    client.expect_end();
    server.told.expect("close 1006 unclean Violation(MessageTooBig)");
    server.stop();
}

#[test]
fn without_a_limit_a_message_may_announce_any_length() {
    let server = Server::start(in_pieces().max_message_size(u64::MAX), Script::echo());
    let mut client = server.open();
    client.write(wire("82 FF 7FFFFFFFFFFFFFFF 00000000 'endless'"));
    server.told.expect("first binary endless");
    client.end();
    server.told.expect("close 1006 unclean EndOfStream");
    server.stop();
}

#[test]
fn after_our_close_no_more_pieces_are_delivered() {
    let (mut script, told) = Script::echo();
    script.on_piece = Box::new(|peer, _| peer.close(CloseCode::NORMAL, ""));
    let server = Server::start(in_pieces(), (script, told));
    let mut client = server.open();
    client.send("01 01 'a'  00 01 'b'  80 01 'c'  88 02 03E8");
    client.expect("88 02 03E8");
    client.expect_end();
    server.told.expect("first text a");
    server.told.expect("close 1000 clean Local");
    server.stop();
}

#[cfg(unix)]
#[test]
fn a_handler_that_takes_no_pieces_says_so() {
    let mut closure = |_: &mut Peer<'_>, _: Message<'_>| unreachable!("messages come in pieces");
    let (mut event_loop, door) = Door::new(in_pieces());
    let mut client = door.open(&mut event_loop, &mut closure);
    client.send("81 05 'Hello'");
    turn_until(&mut event_loop, &mut closure, |_, _| client.has_input());
    client.expect("88 27 03F3 'messages are not taken in pieces here'");
}

/// Fragments with Pings between them come back as they went out.
#[test]
fn a_message_is_echoed_piece_by_piece() {
    let server = Server::start(in_pieces(), echo_in_pieces());
    let mut client = server.open();
    client.send("01 03 'Hel'  89 02 'hi'  00 00  00 02 'lo'  89 00  80 01 '!'  82 01 'x'");
    // An empty fragment is no piece.
    client.expect("01 03 'Hel'  8A 02 'hi'  00 02 'lo'  8A 00  80 01 '!'  82 01 'x'");
    let told = server.told.wait_for("whole binary x");
    assert_eq!(told, ["first text Hel", "ping hi", "next text lo", "ping", "last text !"]);
    client.close();
    server.told.expect("close 1000 clean Remote");
    server.stop();
}

/// A frame of eight mebibytes, of which the client reads nothing until the server reads no more either.
#[test]
fn what_follows_a_piece_is_held_while_the_peer_is_congested() {
    const MARK: usize = 32 << 10;
    const LEN: usize = 8 * MEGABYTE;
    let most = Arc::new(AtomicUsize::new(0));
    let (mut script, told) = echo_in_pieces();
    script.on_piece = {
        let most = Arc::clone(&most);
        Box::new(move |peer, piece| {
            echo(peer, piece);
            most.fetch_max(peer.queued_bytes(), SeqCst);
        })
    };
    let server = Server::start(in_pieces().high_water_mark(MARK), (script, told));
    let client = Client::open_small(server.addr);
    let payload: Vec<u8> = (0..LEN).map(|i| (i / 97) as u8).collect();
    // One huge frame, and small fragments of which many come at once.
    let mut sent = frame(0x02, &payload[..LEN / 2]);
    for chunk in payload[LEN / 2..].chunks(1000) {
        sent.extend(frame(0x00, chunk));
    }
    sent.extend(frame(0x80, b""));
    let sent = masked(&sent);
    let mut writer = client.another();
    let writer = std::thread::spawn(move || writer.write(&sent));
    let mut client = client;
    let mut received = Vec::new();
    let mut last = false;
    while !last {
        let header = client.read(2);
        last = header[0] & 0x80 != 0;
        assert_eq!(header[0] & 0x0F, if received.is_empty() { 2 } else { 0 });
        let len = match header[1] {
            126 => client.read(2).iter().fold(0, |len, &byte| len << 8 | usize::from(byte)),
            127 => client.read(8).iter().fold(0, |len, &byte| len << 8 | usize::from(byte)),
            len => len.into(),
        };
        received.extend(client.read(len));
    }
    assert!(received == payload);
    writer.join().unwrap();
    // A read buffer, and a piece that found the queue at the mark.
    assert!(most.load(SeqCst) <= MARK + (68 << 10) + 10, "queued {}", most.load(SeqCst));
    client.close();
    server.told.wait_for("close 1000 clean Remote");
    server.stop();
}

/// A message may take for ever, as long as it goes on.
#[cfg(unix)]
#[test]
fn the_time_for_a_message_begins_anew_with_each_piece() {
    let timeout = Duration::from_millis(100);
    let (mut script, told) = Script::echo();
    let (mut event_loop, door) = Door::new(in_pieces().message_timeout(Some(timeout)));
    let mut client = door.open(&mut event_loop, &mut script);
    told.expect("open");
    client.send("02 01 'a'");
    turn_until(&mut event_loop, &mut script, |_, _| told.try_next().is_some());
    for _ in 0..4 {
        let_pass(timeout / 2);
        client.send("00 01 'b'");
        // What has arrived is read before anyone looks at the clock.
        event_loop.turn(&mut script, Some(Duration::ZERO)).unwrap();
        assert_eq!(told.so_far(), ["next binary b"]);
        assert!(!client.has_input());
    }
    // A Ping is no progress, nor is a header.
    client.send("89 00  00 01");
    turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
    client.expect("8A 00");
    turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
    client.expect("88 17 03F0 'message took too long'");
}
