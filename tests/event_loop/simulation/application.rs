//! The application: it does anything to anyone whenever it is told something, and keeps an account
//! of what has to come of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::time::Duration;

use wsloop::{
    Acceptance, Answer, Close, CloseCause, CloseCode, Compress, ConnectError, Deferred, Handler,
    IncomingRequest, Message, MessageType, Peer, PeerId, Peers, Piece, Rate, RateLimit, Remote,
    Response, SendStatus, SharedMessage, StreamError, TimerId,
};

use super::channel::Channel;
use super::choices::Choices;

/// No message that the application sends is longer.
pub(crate) const LONGEST: usize = 4000;

/// What a peer is told that cannot be sent what it is to be sent.
pub(crate) const TOO_SLOW: &str = "too slow to read";

pub(crate) struct Application {
    pub(crate) choices: Choices,
    pub(crate) remote: Option<Remote>,
    /// By the number in the target of their request.
    pub(crate) lines: Vec<Line>,
    /// Both ends of a line may be peers.
    pub(crate) peers: BTreeMap<PeerId, Known>,
    pub(crate) opened: u64,
    pub(crate) closed: u64,
    pub(crate) failed: u64,
    pub(crate) received: u64,
    pub(crate) timers: BTreeSet<TimerId>,
    intervals: Vec<TimerId>,
    deferred: Vec<Deferred>,
    /// How much it may still do for now: what it says to itself makes it do more. At rest, nothing.
    pub(crate) energy: usize,
    /// Of the latest message: each is unlike all others.
    number: u64,
    /// Everyone it ever heard of.
    known: Vec<PeerId>,
}

/// A connection, and what is under way on it.
#[derive(Default)]
pub(crate) struct Line {
    pub(crate) to_client: Channel,
    pub(crate) to_server: Channel,
    /// The client has sent what breaks the protocol, or may have.
    pub(crate) is_garbled: bool,
    /// How it ended for the server.
    pub(crate) ended: Option<CloseCause>,
    /// The ids of its ends.
    pub(crate) server: Option<PeerId>,
    pub(crate) client: Option<PeerId>,
}

/// What is known of a peer that is open, or is being connected to.
#[derive(Debug)]
pub(crate) struct Known {
    line: usize,
    /// Whether the peer is a server to us.
    is_server: bool,
    pub(crate) is_open: bool,
    /// It is owed a call of `on_drain`.
    pub(crate) congested: bool,
}

impl Line {
    /// Checks that nothing is missing. If any message was dropped, nobody knows whether those from
    /// other threads were.
    pub(crate) fn check_complete(&self, dropped: bool) {
        for channel in [&self.to_client, &self.to_server] {
            channel.check_complete();
            assert!(dropped || !channel.lacks_posted(), "lost on its way from another thread");
        }
    }
}

impl Application {
    pub(crate) fn new(choices: Choices) -> Self {
        Self {
            choices,
            remote: None,
            lines: Vec::new(),
            peers: BTreeMap::new(),
            opened: 0,
            closed: 0,
            failed: 0,
            received: 0,
            timers: BTreeSet::new(),
            intervals: Vec::new(),
            deferred: Vec::new(),
            energy: 0,
            number: 0,
            known: Vec::new(),
        }
    }

    /// Checks that whoever was told that an end of the line is congested was told of its end.
    pub(crate) fn check_drained(&self, line: &Line) {
        for id in [line.server, line.client].into_iter().flatten() {
            assert!(!self.peers[&id].congested, "{id} never drained");
        }
    }

    /// A text unlike all others.
    pub(crate) fn text(&mut self) -> String {
        self.number += 1;
        let len = match self.choices.below(8) {
            0 => 0,
            1 => self.choices.below(LONGEST - 16),
            _ => self.choices.below(200),
        };
        // Some can be compressed, and others cannot.
        let mut text = format!("{:08}.", self.number);
        if self.choices.once_in(2) {
            text.extend(std::iter::repeat_n('x', len));
        } else {
            let mut state = self.number as u32;
            text.extend((0..len).map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                char::from(b' ' + (state >> 25) as u8 % 95)
            }));
        }
        text
    }

    /// What is sent to this peer.
    fn outgoing(&mut self, id: PeerId) -> Option<&mut Channel> {
        self.peers.get(&id).filter(|known| known.is_open)?;
        self.outgoing_once_open(id)
    }

    fn outgoing_once_open(&mut self, id: PeerId) -> Option<&mut Channel> {
        let known = self.peers.get(&id)?;
        let line = &mut self.lines[known.line];
        Some(if known.is_server { &mut line.to_server } else { &mut line.to_client })
    }

    /// What this peer sends.
    fn incoming(&mut self, id: PeerId) -> &mut Channel {
        let known = &self.peers[&id];
        assert!(known.is_open, "only peers that are open are heard");
        let line = &mut self.lines[known.line];
        if known.is_server { &mut line.to_client } else { &mut line.to_server }
    }

    fn note(&mut self, id: PeerId, status: SendStatus) {
        if status == SendStatus::Congested {
            self.peers.get_mut(&id).expect("it was sent something").congested = true;
        }
    }

    /// Anyone, and at times somebody who is gone.
    fn anyone(&self, peers: &Peers) -> Option<PeerId> {
        let ids: Vec<_> = peers.ids().collect();
        let pick = |ids: &[PeerId]| ids.get(self.choices.below(ids.len().max(1))).copied();
        if self.choices.once_in(12) { pick(&self.known) } else { pick(&ids) }
    }

    pub(crate) fn act(&mut self, peers: &mut Peers) {
        let Some(energy) = self.energy.checked_sub(1) else { return };
        self.energy = energy;
        let Some(id) = self.anyone(peers) else { return };
        match self.choices.below(32) {
            0..9 => self.send(peers, id),
            9..12 => self.broadcast(peers, id),
            12 => _ = peers.subscribe(id, self.choices.one_of(["one", "two"])),
            13 => _ = peers.unsubscribe(id, self.choices.one_of(["one", "two"])),
            14..21 => self.stream(peers, id),
            21 => {
                let status = peers.ping(id, &b"!!!!!!!!"[..self.choices.below(9)]);
                self.note(id, status);
            }
            22 => peers.set_rate_limit(id, rate_limit(&self.choices)),
            23 if self.choices.once_in(4) => peers.close(id, CloseCode::NORMAL, "bye"),
            24 if self.choices.once_in(4) => peers.abort(id),
            25 => {
                let after = Duration::from_millis(self.choices.below(5000) as u64);
                self.timers.insert(peers.set_timer(after));
            }
            26 if self.choices.once_in(2) => self.set_interval(peers),
            27 => self.cancel(peers),
            28 => self.post(id),
            29 | 30 => self.connect(peers),
            31 => self.decide(),
            _ => {}
        }
    }

    fn send(&mut self, peers: &mut Peers, id: PeerId) {
        let text = self.text();
        let message = match self.choices.below(2) {
            0 => Message::Text(&text),
            _ => Message::Binary(text.as_bytes()),
        };
        let compress = self.choices.one_of([Compress::Auto, Compress::Always, Compress::Never]);
        let status = match self.choices.below(4) {
            0 | 1 => peers.send(id, message),
            2 => peers.send_with(id, message, compress),
            _ => peers.send_shared(id, &SharedMessage::new(message).compress(compress)),
        };
        if status != SendStatus::Dropped {
            let outgoing = self.outgoing(id).expect("only peers that are open are sent messages");
            outgoing.send(message, true);
            self.note(id, status);
        }
    }

    /// Sends one message to many. Nobody says what became of it, unless it reached them all.
    fn broadcast(&mut self, peers: &mut Peers, id: PeerId) {
        let text = self.text();
        let everyone: Vec<_> = peers.ids().collect();
        let before = peers.stats().messages.sent;
        match self.choices.below(4) {
            0 => peers.broadcast(&text),
            1 => peers.broadcast_except(id, &text),
            2 => peers.publish("one", &text),
            _ => peers.publish_except(id, "two", &text),
        }
        let is_certain = peers.stats().messages.sent == before + everyone.len() as u64;
        for id in everyone {
            if let Some(outgoing) = self.outgoing(id) {
                outgoing.send(Message::Text(&text), is_certain);
            }
        }
    }

    /// Goes on with a message in pieces, or begins one.
    fn stream(&mut self, peers: &mut Peers, id: PeerId) {
        let in_progress = self.outgoing(id).and_then(Channel::in_progress);
        let Some((len, message_type)) = in_progress else { return self.begin(peers, id) };
        let text = match len {
            0 => self.text(),
            _ => "y".repeat(self.choices.below(300)),
        };
        let piece = match message_type {
            MessageType::Text => Message::Text(&text),
            MessageType::Binary => Message::Binary(text.as_bytes()),
        };
        if len + text.len() > LONGEST || self.choices.once_in(4) {
            let status = peers.finish(id);
            return self.finished(id, status);
        }
        if self.choices.once_in(3) {
            let status = peers.write_last(id, piece);
            if status.is_ok_and(|status| status != SendStatus::Dropped) {
                self.outgoing(id).expect("it is open").write(piece.as_bytes());
            }
            return self.finished(id, status);
        }
        let another = peers.begin_message(id, message_type);
        assert!(matches!(another, Err(StreamError::UnfinishedMessage) | Ok(SendStatus::Dropped)));
        match peers.write(id, piece) {
            Ok(SendStatus::Dropped) => {}
            Ok(status) => {
                self.outgoing(id).expect("it is open").write(piece.as_bytes());
                self.note(id, status);
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn begin(&mut self, peers: &mut Peers, id: PeerId) {
        let nothing = peers.finish(id);
        assert!(matches!(nothing, Err(StreamError::NoMessage) | Ok(SendStatus::Dropped)));
        let message_type = self.choices.one_of([MessageType::Text, MessageType::Binary]);
        match peers.begin_message(id, message_type) {
            Ok(SendStatus::Dropped) => {}
            Ok(status) => {
                self.outgoing(id).expect("it is open").begin(message_type);
                self.note(id, status);
            }
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) fn finished(&mut self, id: PeerId, status: Result<SendStatus, StreamError>) {
        match status {
            Ok(SendStatus::Dropped) => {}
            Ok(status) => {
                self.outgoing(id).expect("it is open").finish();
                self.note(id, status);
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Whether a peer is being sent a message in pieces.
    pub(crate) fn is_in_message(&mut self, id: PeerId) -> bool {
        self.outgoing(id).and_then(Channel::in_progress).is_some()
    }

    fn set_interval(&mut self, peers: &mut Peers) {
        if self.intervals.len() < 2 {
            let every = Duration::from_millis(200 + self.choices.below(5000) as u64);
            self.intervals.push(peers.set_interval(every));
        }
    }

    fn cancel(&mut self, peers: &mut Peers) {
        if let Some(timer) = self.timers.pop_first() {
            assert!(peers.cancel_timer(timer), "it was set, and did not fire");
        }
    }

    pub(crate) fn take_intervals(&mut self) -> Vec<TimerId> {
        std::mem::take(&mut self.intervals)
    }

    /// Does something as other threads do.
    fn post(&mut self, id: PeerId) {
        let Some(remote) = &self.remote else { return };
        // There may be no room for it.
        match self.choices.below(8) {
            0 => drop(remote.close(id, CloseCode::GOING_AWAY, "from afar")),
            1 | 2 => drop(remote.run(move |peers| _ = peers.ping(id, b"run"))),
            _ => self.post_message(id),
        }
    }

    /// Sends a message as other threads do, if there is room for it.
    pub(crate) fn post_message(&mut self, id: PeerId) {
        let text = self.text();
        let is_sent = self.remote.as_ref().is_some_and(|remote| remote.send(id, &*text).is_ok());
        let is_open = self.outgoing(id).is_some();
        if let Some(outgoing) = self.outgoing_once_open(id).filter(|_| is_sent) {
            outgoing.post(Message::Text(&text), is_open);
        }
    }

    fn connect(&mut self, peers: &mut Peers) {
        let line = self.lines.len();
        if line >= 24 {
            return;
        }
        match peers.connect(&format!("ws://server.example/{line}")) {
            Ok(id) => {
                self.lines.push(Line { client: Some(id), ..Line::default() });
                self.insert(id, Known { line, is_server: true, is_open: false, congested: false });
            }
            Err(ConnectError::TooManyConnections | ConnectError::ShuttingDown) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn insert(&mut self, id: PeerId, known: Known) {
        self.known.push(id);
        assert!(self.peers.insert(id, known).is_none(), "ids are given once");
    }

    pub(crate) fn decide(&mut self) {
        if let Some(deferred) = self.deferred.pop() {
            match self.choices.below(3) {
                0 => deferred.answer(Response::text(403, "no")),
                1 => drop(deferred),
                _ => deferred.answer(Acceptance::new()),
            }
        }
    }

    pub(crate) fn decide_all(&mut self) {
        while !self.deferred.is_empty() {
            self.decide();
        }
    }

    fn hear(&mut self, peer: &mut Peer<'_>) {
        for _ in 0..self.choices.below(4) {
            self.act(peer.peers());
        }
    }
}

/// A connection is lost if it was reset, or nobody reads any more. Everything else passes.
fn check_lost(kind: ErrorKind) {
    assert!(matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{kind}");
}

pub(crate) fn rate_limit(choices: &Choices) -> RateLimit {
    let rate = |most| Rate::per_second(1 + choices.below(most) as u64);
    let (messages, bytes) = (rate(30).burst(10), rate(4000).burst(3000));
    match choices.below(4) {
        0 | 1 => RateLimit::new(),
        2 => RateLimit::new().messages(messages),
        _ => RateLimit::new().messages(messages).bytes(bytes),
    }
}

impl Handler for Application {
    fn on_request(&mut self, peers: &mut Peers, request: &IncomingRequest<'_>) -> Answer {
        // What a client's half of a head is made whole with has no number.
        let line = request.target()[1..].parse::<usize>().ok();
        if let Some(line) = line.filter(|line| *line < self.lines.len()) {
            let id = request.id();
            self.lines[line].server = Some(id);
            self.insert(id, Known { line, is_server: false, is_open: false, congested: false });
        } else {
            return Response::text(404, "nothing").into();
        }
        self.act(peers);
        match self.choices.below(10) {
            0 => Response::text(403, "no").into(),
            1 | 2 if self.energy > 0 => {
                let (answer, deferred) = request.defer();
                self.deferred.push(deferred);
                answer
            }
            _ => request.upgrade(),
        }
    }

    fn on_open(&mut self, peer: &mut Peer<'_>) {
        self.opened += 1;
        let known = self.peers.get_mut(&peer.id()).expect("it was let in, or connected to");
        assert!(!std::mem::replace(&mut known.is_open, true), "it was open already");
        assert_eq!(known.is_server, peer.is_server());
        self.hear(peer);
    }

    fn on_message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) {
        self.received += 1;
        self.incoming(peer.id()).receive(message.message_type(), message.as_bytes());
        self.hear(peer);
    }

    fn on_piece(&mut self, peer: &mut Peer<'_>, piece: Piece<'_>) {
        self.received += u64::from(piece.last);
        self.incoming(peer.id()).receive_piece(piece);
        self.hear(peer);
    }

    fn on_ping(&mut self, peer: &mut Peer<'_>, _: &[u8]) {
        self.incoming(peer.id());
        self.act(peer.peers());
    }

    fn on_pong(&mut self, peer: &mut Peer<'_>, _: &[u8]) {
        self.incoming(peer.id());
        self.act(peer.peers());
    }

    fn on_drain(&mut self, peer: &mut Peer<'_>) {
        self.peers.get_mut(&peer.id()).expect("it is open").congested = false;
        if self.choices.below(2) == 0 {
            self.act(peer.peers());
        }
    }

    fn on_close(&mut self, peer: &mut Peer<'_>, close: Close<'_>) {
        self.closed += 1;
        let id = peer.id();
        let Known { line, is_server, .. } = self.peers[&id];
        if !is_server {
            self.lines[line].ended = Some(close.cause);
        }
        let is_garbled = self.lines[line].is_garbled;
        let is_broken = matches!(close.cause, CloseCause::Violation(_));
        assert!(!is_broken || is_garbled, "the other end is ours: {close:?}");
        if let CloseCause::Lost(kind) = close.cause {
            check_lost(kind);
        }
        // A Close comes behind all that was sent, but for a queue that was full.
        if close.cause == CloseCause::Remote && close.clean && close.reason != TOO_SLOW {
            let incoming = self.incoming(id);
            if !is_garbled {
                incoming.check_complete();
            }
        }
        assert!(self.peers.remove(&id).is_some_and(|known| known.is_open), "it is closed already");
        assert_eq!(peer.send("too late"), SendStatus::Dropped);
        self.act(peer.peers());
    }

    fn on_connect_error(&mut self, peers: &mut Peers, id: PeerId, error: ConnectError) {
        self.failed += 1;
        if let ConnectError::Lost(error) = error {
            check_lost(error.kind());
        }
        let known = self.peers.remove(&id).expect("it is known once");
        assert!(known.is_server && !known.is_open, "it was open");
        self.act(peers);
    }

    fn on_timer(&mut self, peers: &mut Peers, timer: TimerId) {
        assert!(self.timers.remove(&timer) || self.intervals.contains(&timer), "nobody set it");
        for _ in 0..4 {
            self.act(peers);
        }
    }
}
