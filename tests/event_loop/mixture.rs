//! Whatever applications do at once: messages in fragments, broadcasts, rate limits, slow readers and
//! deadlines, in any order. Each seed is one rehearsal, after every step of which all accounts agree.

use std::collections::HashMap;
use std::time::Duration;

use wsloop::protocol::{Encoder, Piece};
use wsloop::testing::{ClientId, Opening, Received, Rehearsal};
use wsloop::{
    Close, CloseCode, Config, Delivery, Excess, Handler, Message, MessageType, Overflow, Peer,
    PeerId, Rate, RateLimit, SendStatus, StreamError,
};

use super::common::Random;

const SEEDS: u64 = 100;
const STEPS: usize = 150;

/// Does anything to anyone whenever it is told something, and keeps an account of what comes of it.
struct Mixture {
    random: Random,
    peers: HashMap<PeerId, Known>,
    opened: u64,
    closed: u64,
    received: u64,
    /// Whether it does nothing any more.
    rests: bool,
    /// Of the latest message. A client receives ever larger numbers.
    number: u64,
}

/// What is known of a peer.
#[derive(Default)]
struct Known {
    /// The number of the message that it is being sent in fragments, until that is written.
    streaming: Option<String>,
    /// It is owed a call of `on_drain`.
    congested: bool,
    /// How many messages it has sent, each of which begins with its number.
    sent: u64,
    /// The beginning of the message that it is sending.
    prefix: String,
}

/// Digits of the number that a message begins with.
const DIGITS: usize = 6;

impl Mixture {
    fn act(&mut self, peer: &mut Peer<'_>) {
        if self.rests {
            return;
        }
        let ids: Vec<_> = peer.peers().ids().collect();
        let Some(&id) = ids.get(self.random.below(ids.len().max(1))) else { return };
        let peers = peer.peers();
        self.number += 1;
        let text = format!("{:0DIGITS$}{}", self.number, "x".repeat(self.random.below(700)));
        match self.random.below(20) {
            0 | 1 => peers.broadcast(&text),
            2 => peers.publish("topic", &text),
            3 => drop(peers.subscribe(id, "topic")),
            4..8 => self.note(id, peers.send(id, &text)),
            8 => {
                let begun = peers.begin_message(id, MessageType::Text);
                self.note_stream(id, begun, StreamError::UnfinishedMessage);
                if begun.is_ok_and(|status| status != SendStatus::Dropped) {
                    self.known(id).streaming = Some(text[..DIGITS].to_owned());
                }
            }
            9..14 => {
                let piece = self.known(id).streaming.clone().unwrap_or_default() + &text[DIGITS..];
                let written = peers.write(id, &piece);
                self.note_stream(id, written, StreamError::NoMessage);
                if written.is_ok_and(|status| status != SendStatus::Dropped) {
                    self.known(id).streaming = Some(String::new());
                }
            }
            14 => {
                let finished = peers.finish(id);
                self.note_stream(id, finished, StreamError::NoMessage);
                self.known(id).streaming = None;
            }
            15 => {
                let piece = self.known(id).streaming.clone().unwrap_or_default();
                let written = peers.write_last(id, &piece);
                self.note_stream(id, written, StreamError::NoMessage);
                if written != Ok(SendStatus::Dropped) {
                    self.known(id).streaming = None;
                }
            }
            16 => self.note(id, peers.ping(id, b"!")),
            17 => peers.set_rate_limit(id, rate_limit(&mut self.random)),
            18 if self.random.below(8) == 0 => peers.close(id, CloseCode::NORMAL, "bye"),
            19 if self.random.below(8) == 0 => peers.abort(id),
            _ => {}
        }
    }

    fn known(&mut self, id: PeerId) -> &mut Known {
        self.peers.get_mut(&id).expect("only peers that are open are heard")
    }

    fn note(&mut self, id: PeerId, status: SendStatus) {
        self.known(id).congested |= status == SendStatus::Congested;
    }

    /// Notes what came of a step of a message in fragments, which fails with `error` if it is out of
    /// step.
    fn note_stream(
        &mut self,
        id: PeerId,
        result: Result<SendStatus, StreamError>,
        error: StreamError,
    ) {
        let needs_message = error == StreamError::NoMessage;
        let in_step = self.known(id).streaming.is_some() == needs_message;
        match result {
            Ok(SendStatus::Dropped) => {}
            Ok(status) => {
                assert!(in_step);
                self.note(id, status);
            }
            Err(actual) => assert!(!in_step && actual == error),
        }
    }
}

impl Handler for Mixture {
    fn on_open(&mut self, peer: &mut Peer<'_>) {
        self.opened += 1;
        assert!(self.peers.insert(peer.id(), Known::default()).is_none(), "it was open already");
        self.act(peer);
    }

    fn on_message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) {
        self.on_piece(peer, message.into());
    }

    fn on_piece(&mut self, peer: &mut Peer<'_>, piece: Piece<'_>) {
        let known = self.known(peer.id());
        assert_eq!(piece.first, known.prefix.is_empty());
        let missing = DIGITS.saturating_sub(known.prefix.len()).min(piece.message.len());
        known.prefix += &piece.message.as_text().unwrap()[..missing];
        if piece.last {
            assert_eq!(std::mem::take(&mut known.prefix).parse(), Ok(known.sent));
            known.sent += 1;
            self.received += 1;
        }
        for _ in 0..self.random.below(4) {
            self.act(peer);
        }
    }

    fn on_ping(&mut self, peer: &mut Peer<'_>, _: &[u8]) {
        self.act(peer);
    }

    fn on_drain(&mut self, peer: &mut Peer<'_>) {
        self.known(peer.id()).congested = false;
        if self.random.below(2) == 0 {
            self.act(peer);
        }
    }

    fn on_close(&mut self, peer: &mut Peer<'_>, _: Close<'_>) {
        self.closed += 1;
        assert!(self.peers.remove(&peer.id()).is_some(), "it was never open, or is closed");
        assert_eq!(peer.begin_message(MessageType::Text), Ok(SendStatus::Dropped));
        assert_eq!(peer.write("x"), Ok(SendStatus::Dropped));
        assert_eq!(peer.finish(), Ok(SendStatus::Dropped));
    }
}

/// What a test knows of a client.
struct Listener {
    id: ClientId,
    sent: u64,
    /// The number of the message that it received last.
    received: u64,
}

#[test]
fn whatever_is_done_at_once_all_accounts_agree() {
    for seed in 0..SEEDS {
        rehearse(seed);
    }
}

fn rehearse(seed: u64) {
    let mut random = Random::new(seed);
    let config = config(&mut random);
    let mixture = Mixture {
        random: Random::new(!seed),
        peers: HashMap::new(),
        opened: 0,
        closed: 0,
        received: 0,
        rests: false,
        number: 0,
    };
    let mut play = Rehearsal::new(config, mixture);
    let mut clients: Vec<Listener> = Vec::new();
    for step in 0..STEPS {
        if clients.is_empty() || random.below(12) == 0 {
            let id = play.request(Opening::new("/").buffer(1 + random.below(2000)));
            clients.push(Listener { id, sent: 0, received: 0 });
        }
        let at = random.below(clients.len());
        act(&mut play, &mut clients[at], &mut random);
        clients.iter_mut().for_each(|client| listen(&mut play, client));
        check(&mut play, &format!("seed {seed}, step {step}"));
    }

    // Whoever was told that a peer is congested is told when it is not any more.
    play.handler_mut().rests = true;
    clients.iter().for_each(|client| play.go_on_reading(client.id));
    for id in play.peers().ids().collect::<Vec<_>>() {
        if play.handler_mut().known(id).streaming.take().is_some() {
            let status = play.peers().finish(id).unwrap();
            play.handler_mut().note(id, status);
        }
    }
    play.run();
    for (id, known) in &play.handler().peers {
        assert!(!known.congested, "seed {seed}: {id} never drained");
    }

    // What was held up is heard once it may be.
    for id in play.peers().ids().collect::<Vec<_>>() {
        play.peers().set_rate_limit(id, RateLimit::new());
    }
    play.run();
    for client in &clients {
        let id = play.peer_id(client.id).filter(|_| play.is_open(client.id));
        if let Some(known) = id.and_then(|id| play.handler().peers.get(&id)) {
            assert_eq!(known.sent, client.sent, "seed {seed}");
        }
    }

    play.peers().shutdown(Duration::from_secs(5));
    play.advance(Duration::from_secs(5));
    check(&mut play, &format!("seed {seed}, at the end"));
    assert!(play.is_finished() && play.peers().stats().bytes.queued == 0, "seed {seed}");
}

fn config(random: &mut Random) -> Config {
    let excess = [Excess::Pause, Excess::Pause, Excess::Pause, Excess::Close][random.below(4)];
    Config::new()
        .high_water_mark(300 + random.below(2000))
        .write_queue_limit(3000)
        .read_buffer_size(1 + random.below(3000))
        .max_connections(6)
        .rate_limit(rate_limit(random).excess(excess))
        .delivery([Delivery::Messages, Delivery::Pieces][random.below(2)])
        .overflow([Overflow::Close, Overflow::DropMessage][random.below(2)])
}

fn rate_limit(random: &mut Random) -> RateLimit {
    let mut rate = |most| Rate::per_second(1 + random.below(most) as u64);
    let (messages, bytes) = (rate(30).burst(30), rate(4000).burst(3000));
    match random.below(4) {
        0 => RateLimit::new(),
        1 => RateLimit::new().messages(messages),
        2 => RateLimit::new().bytes(bytes),
        _ => RateLimit::new().messages(messages).bytes(bytes),
    }
}

fn act(play: &mut Rehearsal<Mixture>, client: &mut Listener, random: &mut Random) {
    let id = client.id;
    match random.below(20) {
        0 | 1 => play.stop_reading(id),
        2 | 3 => play.go_on_reading(id),
        4 => play.advance(Duration::from_millis(random.below(20_000) as u64)),
        5 => play.advance(Duration::from_millis(random.below(300) as u64)),
        6 if random.below(6) == 0 => play.reset(id),
        7 if random.below(6) == 0 => play.end_stream(id),
        8 if random.below(6) == 0 => play.send_raw(id, b"\xFF"),
        _ if !play.is_open(id) => {}
        9 => play.ping(id, b"?"),
        10 if random.below(6) == 0 => play.close(id, CloseCode::NORMAL, "enough"),
        // So much at once that some of it must wait.
        11 | 12 => {
            let mut frames = Vec::new();
            for _ in 0..random.below(12) {
                let text = client.next(random.below(400));
                Encoder::new().message(Message::Text(&text), Some([7; 4]), &mut frames).unwrap();
            }
            play.send_raw(id, &frames);
        }
        _ => {
            let text = client.next(random.below(800));
            let (front, back) = text.split_at(random.below(text.len() + 1));
            for (text, first, last) in [(front, true, false), (back, false, true)] {
                play.send_piece(id, Piece { message: Message::Text(text), first, last });
                if !play.is_open(id) {
                    break;
                }
            }
        }
    }
}

impl Listener {
    /// The next message to send.
    fn next(&mut self, len: usize) -> String {
        self.sent += 1;
        format!("{:0DIGITS$}{}", self.sent - 1, "y".repeat(len))
    }
}

/// Receives what a client was sent: each message whole and in its place, whatever way it came.
fn listen(play: &mut Rehearsal<Mixture>, client: &mut Listener) {
    while let Some(received) = play.receive(client.id) {
        if let Received::Text(text) = received
            && !text.is_empty()
        {
            let (number, rest) = text.split_at(DIGITS);
            let number = number.parse().unwrap();
            assert!(number > client.received, "{number} after {}", client.received);
            assert!(rest.bytes().all(|byte| byte == b'x'), "{rest}");
            client.received = number;
        }
    }
}

/// Checks that what is counted in two places is the same in both.
#[track_caller]
fn check(play: &mut Rehearsal<Mixture>, when: &str) {
    let stats = play.peers().stats();
    let ids: Vec<_> = play.peers().ids().collect();
    let queued: usize = ids.iter().map(|&id| play.peers().queued_bytes(id)).sum();
    let (connections, handler) = (stats.connections, play.handler());
    assert!(stats.bytes.queued >= queued as u64, "{when}");
    if connections.opening + connections.ending == 0 {
        assert_eq!(stats.bytes.queued, queued as u64, "{when}");
    }
    assert_eq!(
        connections.accepted,
        connections.opening + connections.opened + connections.answered + stats.refused.total(),
        "{when}"
    );
    assert_eq!(stats.messages.received, handler.received, "{when}");
    assert_eq!((connections.opened, stats.closed.total()), (handler.opened, handler.closed));
    assert_eq!((connections.open as usize, ids.len()), (handler.peers.len(), handler.peers.len()));
}
