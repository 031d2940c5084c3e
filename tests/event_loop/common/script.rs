//! A handler that does what a test wants, and tells what it was told.

use std::sync::mpsc;

use wsloop::{Answer, Close, ConnectError, Handler, IncomingRequest, Message, Peer, PeerId, Peers};
use wsloop::{Piece, Retry, TimerId};

use super::HANG;

/// What a handler does. Before it does it, it tells that it was called.
pub(crate) struct Script {
    pub(crate) on_request: Box<OnRequest>,
    pub(crate) on_open: Box<OnEvent>,
    pub(crate) on_message: Box<OnMessage>,
    pub(crate) on_piece: Box<OnPiece>,
    pub(crate) on_ping: Box<OnEvent>,
    pub(crate) on_pong: Box<OnEvent>,
    pub(crate) on_drain: Box<OnEvent>,
    pub(crate) on_close: Box<OnEvent>,
    pub(crate) on_connect_error: Box<OnConnectError>,
    pub(crate) on_timer: Box<OnTimer>,
    told: Teller,
}

type OnRequest = dyn FnMut(&mut Peers, &IncomingRequest<'_>) -> Answer + Send;
type OnMessage = dyn FnMut(&mut Peer<'_>, Message<'_>) + Send;
type OnPiece = dyn FnMut(&mut Peer<'_>, Piece<'_>) + Send;
type OnEvent = dyn FnMut(&mut Peer<'_>) + Send;
type OnConnectError = dyn FnMut(&mut Peers, PeerId, ConnectError) + Send;
type OnTimer = dyn FnMut(&mut Peers, TimerId) + Send;

/// Tells the test that something happened, from whatever thread.
#[derive(Clone)]
pub(crate) struct Teller(mpsc::Sender<String>);

/// What was told, in order.
pub(crate) struct Told(mpsc::Receiver<String>);

impl Script {
    /// Echoes messages, and lets in whoever asks properly.
    pub(crate) fn echo() -> (Self, Told) {
        let (sender, receiver) = mpsc::channel();
        let script = Self {
            on_request: Box::new(|_, request| request.upgrade()),
            on_open: Box::new(|_| {}),
            on_message: Box::new(|peer, message| {
                peer.send(message);
            }),
            on_piece: Box::new(|_, _| {}),
            on_ping: Box::new(|_| {}),
            on_pong: Box::new(|_| {}),
            on_drain: Box::new(|_| {}),
            on_close: Box::new(|_| {}),
            on_connect_error: Box::new(|_, _, _| {}),
            on_timer: Box::new(|_, _| {}),
            told: Teller(sender),
        };
        (script, Told(receiver))
    }

    /// To tell more than that.
    pub(crate) fn teller(&self) -> Teller {
        self.told.clone()
    }
}

impl Handler for Script {
    fn on_request(&mut self, peers: &mut Peers, request: &IncomingRequest<'_>) -> Answer {
        (self.on_request)(peers, request)
    }

    fn on_open(&mut self, peer: &mut Peer<'_>) {
        self.told.tell("open");
        (self.on_open)(peer);
    }

    fn on_message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) {
        self.told.tell(&abbreviate(message));
        (self.on_message)(peer, message);
    }

    fn on_piece(&mut self, peer: &mut Peer<'_>, piece: Piece<'_>) {
        let Piece { message, first, last } = piece;
        let place = match (first, last) {
            (true, true) => "whole",
            (true, false) => "first",
            (false, false) => "next",
            (false, true) => "last",
        };
        self.told.tell(&format!("{place} {}", abbreviate(message)));
        (self.on_piece)(peer, piece);
    }

    fn on_ping(&mut self, peer: &mut Peer<'_>, payload: &[u8]) {
        (self.on_ping)(peer);
        self.told.tell(format!("ping {}", payload.escape_ascii()).trim_end());
    }

    fn on_pong(&mut self, peer: &mut Peer<'_>, payload: &[u8]) {
        (self.on_pong)(peer);
        self.told.tell(format!("pong {}", payload.escape_ascii()).trim_end());
    }

    fn on_drain(&mut self, peer: &mut Peer<'_>) {
        self.told.tell("drain");
        (self.on_drain)(peer);
    }

    fn on_close(&mut self, peer: &mut Peer<'_>, close: Close<'_>) {
        let Close { code, reason, clean, cause, .. } = close;
        let how = if clean { "clean" } else { "unclean" };
        self.told.tell(format!("close {code} {how} {cause:?} {reason}").trim_end());
        let id = peer.id();
        assert!(!peer.peers().contains(id), "it is no peer any more");
        (self.on_close)(peer);
    }

    fn on_connect_error(&mut self, peers: &mut Peers, id: PeerId, error: ConnectError) {
        self.told.tell(&format!("connect error: {error}"));
        assert!(!peers.contains(id), "it never was a peer");
        (self.on_connect_error)(peers, id, error);
    }

    fn on_reconnect(&mut self, _: &mut Peers, retry: Retry) {
        self.told.tell(&format!("reconnect {}", retry.attempt));
    }

    fn on_timer(&mut self, peers: &mut Peers, timer: TimerId) {
        self.told.tell("timer");
        (self.on_timer)(peers, timer);
    }
}

/// Short messages as they are, long ones by their length.
fn abbreviate(message: Message<'_>) -> String {
    match message {
        Message::Text(text) if text.len() <= 32 => format!("text {text}").trim_end().to_owned(),
        Message::Text(text) => format!("text of {}", text.len()),
        Message::Binary(bytes) if bytes.len() <= 32 => {
            format!("binary {}", bytes.escape_ascii()).trim_end().to_owned()
        }
        Message::Binary(bytes) => format!("binary of {}", bytes.len()),
    }
}

impl Teller {
    pub(crate) fn tell(&self, happened: &str) {
        // A test that knows enough no longer listens.
        let _ = self.0.send(happened.to_owned());
    }
}

impl Told {
    /// Waits for the next thing that is told, and checks that it is this.
    #[track_caller]
    pub(crate) fn expect(&self, expected: &str) {
        assert_eq!(self.next(), expected);
    }

    /// Waits for the next thing that is told.
    #[track_caller]
    pub(crate) fn next(&self) -> String {
        self.0.recv_timeout(HANG).expect("something more is told")
    }

    /// Waits until this is told, and returns what was told before.
    #[track_caller]
    pub(crate) fn wait_for(&self, last: &str) -> Vec<String> {
        std::iter::from_fn(|| Some(self.next()).filter(|told| told != last)).collect()
    }

    /// The next thing that has been told, if there is one by now.
    pub(crate) fn try_next(&self) -> Option<String> {
        self.0.try_recv().ok()
    }

    /// What has been told up to now and not been looked at.
    pub(crate) fn so_far(&self) -> Vec<String> {
        self.0.try_iter().collect()
    }
}
