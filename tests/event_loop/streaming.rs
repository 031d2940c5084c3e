//! Messages that are sent as fragments and received in pieces.

mod pace;
mod pieces;

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
