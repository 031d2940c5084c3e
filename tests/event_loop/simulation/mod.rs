//! The loop under whatever may happen to it: clients that do anything, an application that does
//! anything, and a network that does what networks do. What happens is chosen by a seed or by a fuzzer.
//!
//! Through all of that, messages arrive whole, once and in order, and none is missing on a connection
//! that is there or was closed in order; every peer is opened and closed once; nothing is queued beyond
//! the limits; what is counted in two places is the same; nothing keeps the loop busy; and in the end
//! there is nothing left. That frames are valid, both ends see to: each is decoded by the other's role.

mod application;
mod channel;
mod choices;
mod player;

use std::time::Duration;

use wsloop::protocol::{Encoder, Piece};
use wsloop::testing::{ClientId, Faults, Opening, Rehearsal};
use wsloop::{
    CloseCode, Compression, Config, Delivery, Excess, Message, Overflow, PeerId, RateLimit,
};

use self::application::{Application, LONGEST, Line, rate_limit};
pub(crate) use self::choices::Choices;
use self::player::Player;

/// A short life. What is rare comes from many of them.
const STEPS: usize = 40;

/// How much the application does in a step, at most.
const ENERGY: usize = 20;

/// As long as any timer of the application's takes.
const TIMERS: Duration = Duration::from_secs(6);

/// How long shutting down may take.
const GRACE: Duration = Duration::from_secs(5);

/// The most that control frames take in a queue beside the messages: a Close, a Pong that is owed, and
/// what was queued below the mark.
const CONTROL: usize = 3 * 131;

struct Simulation {
    choices: Choices,
    play: Rehearsal<Application>,
    players: Vec<Player>,
    /// How much may be queued for a peer.
    most_queued: usize,
}

/// Runs one simulation. Returns what came of it, to tell whether two are the same.
pub(crate) fn run(choices: &Choices) -> String {
    let mut simulation = Simulation::new(choices.clone());
    for _ in 0..STEPS {
        if choices.are_used_up() {
            break;
        }
        simulation.play.handler_mut().energy = ENERGY;
        simulation.act();
        simulation.listen();
        simulation.check();
    }
    simulation.settle();
    simulation.end()
}

impl Simulation {
    fn new(choices: Choices) -> Self {
        let (mark, limit) = (50 + choices.below(3000), choices.one_of([3000, 10_000]));
        let config = config(&choices).high_water_mark(mark).write_queue_limit(limit);
        let mut play = Rehearsal::new(config, Application::new(choices.clone()));
        play.connect_to_itself();
        match choices.below(4) {
            0 => {}
            1 | 2 => play.faults(Faults::new(choices.number())),
            _ => play.faults(Faults::new(choices.number()).breaks()),
        }
        let remote = play.remote();
        play.handler_mut().remote = Some(remote);
        // As much again may wait behind a message in pieces.
        let most_queued = 2 * limit.max(mark + LONGEST + 14) + CONTROL;
        Self { choices, play, players: Vec::new(), most_queued }
    }

    fn act(&mut self) {
        if self.players.is_empty() || self.choices.once_in(12) {
            return self.connect();
        }
        let at = self.choices.below(self.players.len());
        let Player { id, line, .. } = self.players[at];
        match self.choices.below(24) {
            0 => {
                self.players[at].is_patient = false;
                self.play.stop_reading(id);
            }
            1 | 2 => self.play.go_on_reading(id),
            3 => self.advance(20_000),
            4 => self.advance(300),
            5 => self.advance(3000),
            6 if self.choices.once_in(4) => {
                self.players[at].has_left = true;
                self.play.reset(id);
            }
            7 if self.choices.once_in(4) => {
                self.players[at].has_left = true;
                self.play.end_stream(id);
            }
            8 if self.choices.once_in(4) => self.garble(id, line),
            9 if self.choices.once_in(20) => self.play.peers().shutdown(GRACE),
            _ if !self.play.is_open(id) => {}
            10 => self.play.ping(id, b"?"),
            11 if self.choices.once_in(4) => {
                self.players[at].closes = true;
                self.play.close(id, CloseCode::NORMAL, "enough");
            }
            12 => {
                self.players[at].is_patient = false;
                self.send_slowly(id, line);
            }
            13 | 14 => self.send_many(id, line),
            15..18 => self.send_pieces(id, line),
            _ => self.send(id, line),
        }
    }

    fn advance(&mut self, most: usize) {
        self.play.advance(Duration::from_millis(self.choices.below(most) as u64));
    }

    /// Connects, or does something that may look like it.
    fn connect(&mut self) {
        let lines = &mut self.play.handler_mut().lines;
        lines.push(Line::default());
        let line = lines.len() - 1;
        let target = format!("/{line}");
        let opening = Opening::new(&target).buffer(1 + self.choices.below(3000));
        let id = match self.choices.below(12) {
            0 => self.play.request(Opening::page(&target)),
            1 => {
                let id = self.play.connect_silently(opening);
                self.play.send_raw(id, b"GET /half HTTP/1.1\r\nHost: a.exam");
                id
            }
            2 => {
                let id = self.play.connect_silently(opening);
                self.play.send_raw(id, b"\x16\x03\x01\x02");
                id
            }
            _ => self.play.request(opening),
        };
        self.players.push(Player::new(id, line));
    }

    /// What a player says, noted as what has to arrive.
    fn say(&mut self, line: usize) -> String {
        let application = self.play.handler_mut();
        let text = application.text();
        application.lines[line].to_server.send(Message::Text(&text), true);
        text
    }

    fn send(&mut self, id: ClientId, line: usize) {
        let text = self.say(line);
        self.play.send(id, &*text);
    }

    fn send_pieces(&mut self, id: ClientId, line: usize) {
        let text = self.say(line);
        let (front, back) = text.split_at(self.choices.below(text.len() + 1));
        for (text, first, last) in [(front, true, false), (back, false, true)] {
            self.play.send_piece(id, Piece { message: Message::Text(text), first, last });
            if !self.play.is_open(id) {
                return;
            }
        }
    }

    /// Sends so much at once that some of it must wait.
    fn send_many(&mut self, id: ClientId, line: usize) {
        let mut frames = Vec::new();
        for _ in 0..self.choices.below(10) {
            let text = self.say(line);
            encode(&text, &mut frames);
        }
        self.play.send_raw(id, &frames);
    }

    /// Sends a message of which the second half comes later.
    fn send_slowly(&mut self, id: ClientId, line: usize) {
        let (text, mut frame) = (self.say(line), Vec::new());
        encode(&text, &mut frame);
        let (front, back) = frame.split_at(self.choices.below(frame.len()));
        // What it reads it might answer, in the middle of this.
        self.play.stop_reading(id);
        self.play.send_raw(id, front);
        self.advance(3000);
        self.play.send_raw(id, back);
        self.play.go_on_reading(id);
    }

    /// Sends what is no frame, or half of one, of which nobody knows what it makes of the rest.
    fn garble(&mut self, id: ClientId, line: usize) {
        self.play.handler_mut().lines[line].is_garbled = true;
        let nonsense: [&[u8]; 6] = [
            b"\xFF",
            b"\x81\xFE\xFF\xFF\x00\x00\x00\x00half",
            b"\x81\x05Hello",
            b"\x80\x80\x00\x00\x00\x00",
            b"\x81\x81\x00\x00\x00\x00\xFF",
            b"\x88\x81\x00\x00\x00\x00\x03",
        ];
        self.play.send_raw(id, nonsense[self.choices.below(nonsense.len())]);
    }

    fn listen(&mut self) {
        for player in &mut self.players {
            player.listen(&mut self.play);
        }
    }

    /// Checks that what is counted in two places is the same in both, and that limits hold.
    fn check(&mut self) {
        let stats = self.play.peers().stats();
        let ids: Vec<_> = self.play.peers().ids().collect();
        let queued: Vec<_> = ids.iter().map(|&id| self.play.peers().queued_bytes(id)).collect();
        let sum: usize = queued.iter().sum();
        assert!(queued.iter().all(|&queued| queued <= self.most_queued), "{queued:?}");
        assert!(stats.bytes.queued >= sum as u64);
        let (connections, handler) = (stats.connections, self.play.handler());
        if connections.opening + connections.connecting + connections.ending == 0 {
            assert_eq!(stats.bytes.queued, sum as u64);
        }
        let let_in = connections.opened - connections.connected;
        assert_eq!(
            connections.accepted,
            connections.opening + let_in + connections.answered + stats.refused.total(),
        );
        assert_eq!(
            connections.begun,
            connections.connecting + connections.connected + connections.failed
        );
        assert_eq!(stats.messages.received, handler.received);
        assert_eq!((connections.opened, stats.closed.total()), (handler.opened, handler.closed));
        assert_eq!(connections.failed, handler.failed);
        assert_eq!(connections.open, ids.len() as u64);
        assert_eq!(handler.opened - handler.closed, ids.len() as u64);
    }

    /// Lets all that was held up go on, after which nothing is missing.
    fn settle(&mut self) {
        self.play.handler_mut().energy = 0;
        self.play.handler_mut().decide_all();
        for player in &self.players {
            self.play.go_on_reading(player.id);
        }
        for id in self.play.peers().ids().collect::<Vec<_>>() {
            if self.play.handler_mut().is_in_message(id) {
                let status = self.play.peers().finish(id);
                self.play.handler_mut().finished(id, status);
            }
            self.play.peers().set_rate_limit(id, RateLimit::new());
            // So much from elsewhere that it takes more than a turn.
            for _ in 0..4 {
                self.play.handler_mut().post_message(id);
            }
        }
        self.play.run();
        self.listen();
        self.check();
        for line in 0..self.play.handler().lines.len() {
            self.check_line(line);
        }
    }

    /// Checks that both ends of a line know the same, and that nothing is on its way.
    fn check_line(&mut self, place: usize) {
        let player = self.players.iter().find(|player| player.line == place);
        let is_played = player.is_some_and(|player| self.play.is_open(player.id));
        let has_left = player.is_some_and(|player| player.has_left);
        let Line { server, client, .. } = self.play.handler().lines[place];
        let peers = self.play.peers();
        let is_peer = |id: Option<PeerId>| id.is_some_and(|id| peers.contains(id));
        let queued = |id: Option<PeerId>| id.map_or(0, |id| peers.queued_bytes(id));

        // Who is congested is not read from. Two who are that for each other wait until the time of one
        // of them is up.
        let is_stuck = queued(server) > 0 && queued(client) > 0;
        let is_server = is_peer(server);
        assert!(!(is_server && has_left), "nobody noticed that the client has left");
        let knows = is_stuck || client.is_none() || is_server == is_peer(client);
        assert!(knows, "one end does not know of the other's");
        if is_server && !is_stuck && (is_peer(client) || is_played) {
            let dropped = peers.stats().messages.dropped > 0;
            let line = &self.play.handler().lines[place];
            self.play.handler().check_drained(line);
            if !line.is_garbled {
                line.check_complete(dropped);
            }
        }
    }

    /// Ends it all, in bounded time, and looks for what is left.
    fn end(mut self) -> String {
        for interval in self.play.handler_mut().take_intervals() {
            assert!(self.play.peers().cancel_timer(interval));
        }
        self.play.advance(TIMERS);
        assert!(self.play.handler().timers.is_empty(), "a timer did not fire");
        self.play.peers().shutdown(GRACE);
        self.play.advance(GRACE);
        self.listen();
        self.check();
        assert!(self.play.is_finished(), "it goes on");
        let stats = self.play.peers().stats();
        assert_eq!((stats.connections.ending, stats.bytes.queued), (0, 0));
        assert!(self.play.handler().peers.values().all(|known| !known.is_open), "nobody was told");
        format!("{stats:?}")
    }
}

fn encode(text: &str, frames: &mut Vec<u8>) {
    let frame = Encoder::new().message(Message::Text(text), Some([7, 1, 8, 2]), frames);
    frame.expect("nothing was sent before");
}

fn config(choices: &Choices) -> Config {
    let excess = [Excess::Pause, Excess::Pause, Excess::Close][choices.below(3)];
    let compression = match choices.below(4) {
        0 | 1 => None,
        2 => Some(Compression::shared().threshold(100)),
        _ => Some(Compression::dedicated().window_bits(9).memory_level(1)),
    };
    let compression = compression.map(|some| match choices.below(2) {
        0 => some.release_after(None),
        _ => some.release_after(Some(Duration::from_secs(2))),
    });
    Config::new()
        .read_buffer_size(1 + choices.below(3000))
        .max_message_size(5000)
        .max_connections(10)
        .max_handshakes(1 + choices.below(4))
        .max_subscriptions(choices.below(3))
        .remote_queue_limit(5000)
        .compression(compression)
        .inflating_limit(choices.one_of([1 << 20, 1 << 20, 500]))
        .rate_limit(rate_limit(choices).excess(excess))
        .delivery([Delivery::Messages, Delivery::Pieces][choices.below(2)])
        .overflow([Overflow::Close, Overflow::DropMessage][choices.below(2)])
        .idle_timeout(choices.one_of([None, Some(Duration::from_secs(15))]))
        .ping_interval(choices.one_of([None, Some(Duration::from_secs(4))]))
        .message_timeout(choices.one_of([None, Some(Duration::from_secs(2))]))
        .write_timeout(choices.one_of([None, Some(Duration::from_secs(3))]))
        .handshake_timeout(Duration::from_secs(3))
        .close_timeout(Duration::from_secs(4))
}
