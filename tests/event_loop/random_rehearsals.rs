//! Whatever clients do, and in whatever order: random rehearsals, of which each seed is one.

use std::collections::HashMap;
use std::time::Duration;

use wsloop::protocol::{Encoder, Piece};
use wsloop::testing::{ClientId, Opening, Received, Rehearsal};
use wsloop::{Close, CloseCode, Config, Handler, Message, Overflow, Peer, PeerId, Peers, TimerId};

use super::common::Random;

const SEEDS: u64 = 200;
const STEPS: usize = 120;

/// Repeats to everyone what anyone says, and checks that it is told everything in order.
#[derive(Default)]
struct Chorus {
    log: Vec<String>,
    /// For each peer, how many messages it has sent, each of which says its number.
    peers: HashMap<PeerId, u64>,
    opened: usize,
    closed: usize,
}

impl Handler for Chorus {
    fn on_open(&mut self, peer: &mut Peer<'_>) {
        self.log.push(format!("open {}", peer.id()));
        self.opened += 1;
        assert!(self.peers.insert(peer.id(), 0).is_none(), "it was open already");
    }

    fn on_message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) {
        self.log.push(format!("message of {} from {}", message.len(), peer.id()));
        let sent = self.peers.get_mut(&peer.id()).expect("only peers that are open are heard");
        assert_eq!(number(message), *sent);
        *sent += 1;
        let text = message.as_text().unwrap();
        peer.peers().broadcast(text);
        match text.as_bytes().last() {
            Some(b'!') => peer.close(CloseCode::NORMAL, "as you wish"),
            Some(b'?') => peer.abort(),
            Some(b'.') => drop(peer.ping(b"!")),
            _ => {}
        }
    }

    fn on_pong(&mut self, peer: &mut Peer<'_>, _: &[u8]) {
        assert!(self.peers.contains_key(&peer.id()));
    }

    fn on_drain(&mut self, peer: &mut Peer<'_>) {
        self.log.push(format!("drain {}", peer.id()));
        assert!(self.peers.contains_key(&peer.id()));
    }

    fn on_close(&mut self, peer: &mut Peer<'_>, close: Close<'_>) {
        self.log.push(format!("close {}: {close}", peer.id()));
        self.closed += 1;
        assert!(self.peers.remove(&peer.id()).is_some(), "it was never open, or is closed");
    }

    fn on_timer(&mut self, peers: &mut Peers, timer: TimerId) {
        self.log.push(format!("timer {timer:?}"));
        assert_eq!(peers.len(), self.peers.len());
    }
}

/// What a test knows of a client: how many messages it has sent, and which it has received last of
/// each of the others.
#[derive(Default)]
struct Known {
    sent: u64,
    received: HashMap<u64, u64>,
    is_over: bool,
}

#[test]
fn whatever_clients_do_everyone_is_heard_in_order_and_every_end_is_told_once() {
    for seed in 0..SEEDS {
        let log = rehearse(seed);
        if seed % 10 == 0 {
            assert_eq!(log, rehearse(seed), "seed {seed} is another play each time");
        }
    }
}

fn rehearse(seed: u64) -> Vec<String> {
    let mut random = Random::new(seed);
    let overflow = [Overflow::Close, Overflow::DropMessage][random.below(2)];
    let config = Config::new()
        .high_water_mark(500 + random.below(2000))
        .write_queue_limit(3000)
        .max_connections(6)
        .overflow(overflow);
    let mut chorus = Rehearsal::new(config, Chorus::default());
    let (mut clients, mut known) = (Vec::new(), Vec::new());
    for _ in 0..STEPS {
        if clients.is_empty() || random.below(12) == 0 {
            let opening = Opening::new("/").buffer(1 + random.below(2000));
            clients.push(chorus.request(opening));
            known.push(Known::default());
        }
        let name = random.below(clients.len());
        step(&mut chorus, clients[name], (name as u64, &mut known[name]), &mut random);
        let contiguous = overflow == Overflow::Close;
        listen(&mut chorus, &clients, &mut known, contiguous);
        let peers = chorus.peers().len();
        let Chorus { opened, closed, peers: open, .. } = chorus.handler();
        assert_eq!((open.len(), opened - closed), (peers, peers), "seed {seed}");
    }
    chorus.peers().shutdown(Duration::from_secs(5));
    chorus.advance(Duration::from_secs(5));
    assert!(chorus.is_finished(), "seed {seed}");
    assert_eq!(chorus.handler().opened, chorus.handler().closed, "seed {seed}");
    std::mem::take(&mut chorus.handler_mut().log)
}

fn step(
    chorus: &mut Rehearsal<Chorus>,
    client: ClientId,
    (name, known): (u64, &mut Known),
    random: &mut Random,
) {
    match random.below(20) {
        0 => chorus.stop_reading(client),
        1..4 => chorus.go_on_reading(client),
        4 => chorus.advance(Duration::from_millis(random.below(40_000) as u64)),
        5 => {
            let after = Duration::from_millis(random.below(40_000) as u64);
            chorus.peers().set_timer(after);
        }
        6 if random.below(3) == 0 => chorus.reset(client),
        7 if random.below(3) == 0 => chorus.end_stream(client),
        8 if random.below(3) == 0 => chorus.send_raw(client, b"\xFF"),
        _ if !chorus.is_open(client) => {}
        9 => chorus.ping(client, b"?"),
        10 if random.below(3) == 0 => chorus.close(client, CloseCode::NORMAL, "enough"),
        // So much at once that some of it must wait, and in any pieces.
        11 | 12 => {
            let mut frames = Vec::new();
            for _ in 0..random.below(12) {
                let text = format!("{name} {} {}", known.sent, "x".repeat(random.below(400)));
                known.sent += 1;
                let message = Message::Text(&text);
                Encoder::new().message(message, Some([7; 4]), &mut frames).unwrap();
            }
            chorus.send_raw(client, &frames);
        }
        _ => {
            let end = ["", "", "", "", ".", ".", "!", "?"][random.below(8)];
            let text = format!("{name} {} {}{end}", known.sent, "x".repeat(random.below(800)));
            known.sent += 1;
            let middle = random.below(text.len());
            let (front, back) = text.split_at(middle);
            for (text, first, last) in [(front, true, false), (back, false, true)] {
                chorus.send_piece(client, Piece { message: Message::Text(text), first, last });
                if !chorus.is_open(client) {
                    break;
                }
            }
        }
    }
}

/// Receives what all clients were sent. Of each sender, it is in order; and if nothing is dropped,
/// nothing is missing.
fn listen(
    chorus: &mut Rehearsal<Chorus>,
    clients: &[ClientId],
    known: &mut [Known],
    contiguous: bool,
) {
    for (&client, known) in clients.iter().zip(known) {
        while let Some(received) = chorus.receive(client) {
            assert!(!known.is_over, "something after the end");
            match received {
                Received::Text(text) => {
                    let sender = text.split(' ').next().unwrap().parse().unwrap();
                    let number = number(Message::Text(text));
                    if let Some(last) = known.received.insert(sender, number) {
                        assert!(number > last && (number == last + 1 || !contiguous));
                    }
                }
                Received::End | Received::Reset => known.is_over = true,
                _ => {}
            }
        }
    }
}

fn number(message: Message<'_>) -> u64 {
    message.as_text().unwrap().split(' ').nth(1).unwrap().parse().unwrap()
}
