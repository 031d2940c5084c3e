//! One direction of a connection: what was sent, and has to arrive.

use std::collections::VecDeque;

use wsloop::{Message, MessageType, Piece};

/// What was sent one way and has not arrived, and what arrived of a message in pieces.
#[derive(Default)]
pub(crate) struct Channel {
    sent: VecDeque<Sent>,
    /// What other threads sent. Nobody knows between which of the others that comes.
    posted: VecDeque<Sent>,
    arrived: Option<(MessageType, Vec<u8>)>,
}

struct Sent {
    message_type: MessageType,
    payload: Vec<u8>,
    /// Whether it is known to have been queued. If not, it may have been dropped.
    is_certain: bool,
    is_finished: bool,
}

impl Sent {
    fn new(message: Message<'_>, is_certain: bool) -> Self {
        let (message_type, payload) = (message.message_type(), message.as_bytes().to_vec());
        Self { message_type, payload, is_certain, is_finished: true }
    }
}

impl Channel {
    pub(crate) fn send(&mut self, message: Message<'_>, is_certain: bool) {
        self.sent.push_back(Sent::new(message, is_certain));
    }

    pub(crate) fn post(&mut self, message: Message<'_>, is_certain: bool) {
        self.posted.push_back(Sent::new(message, is_certain));
    }

    /// Sends a message in pieces. Whatever is sent before it is finished comes behind it.
    pub(crate) fn begin(&mut self, message_type: MessageType) {
        let (payload, is_certain, is_finished) = (Vec::new(), true, false);
        self.sent.push_back(Sent { message_type, payload, is_certain, is_finished });
    }

    pub(crate) fn write(&mut self, piece: &[u8]) {
        self.unfinished().payload.extend_from_slice(piece);
    }

    pub(crate) fn finish(&mut self) {
        self.unfinished().is_finished = true;
    }

    /// How long the message is that is being sent in pieces, and its type.
    pub(crate) fn in_progress(&mut self) -> Option<(usize, MessageType)> {
        let sent = self.sent.iter().find(|sent| !sent.is_finished)?;
        Some((sent.payload.len(), sent.message_type))
    }

    fn unfinished(&mut self) -> &mut Sent {
        let unfinished = self.sent.iter_mut().find(|sent| !sent.is_finished);
        unfinished.expect("a message is in progress")
    }

    /// Receives a message: whole, in its place, and with nothing missing before it.
    pub(crate) fn receive(&mut self, message_type: MessageType, payload: &[u8]) {
        let is = |sent: &Sent| sent.message_type == message_type && sent.payload == payload;
        if self.posted.iter().any(is) {
            while self.posted.pop_front().is_some_and(|sent| !is(&sent)) {}
            return;
        }
        loop {
            let Some(sent) = self.sent.pop_front() else {
                panic!("nobody sent {:?}", String::from_utf8_lossy(payload));
            };
            assert!(sent.is_finished, "this is not finished");
            if is(&sent) {
                return;
            }
            assert!(!sent.is_certain, "lost: {:?}", String::from_utf8_lossy(&sent.payload));
        }
    }

    /// Receives a piece of a message.
    pub(crate) fn receive_piece(&mut self, piece: Piece<'_>) {
        let Piece { message, first, last } = piece;
        assert_eq!(first, self.arrived.is_none(), "a piece that is out of place");
        let arrived = self.arrived.get_or_insert_with(|| (message.message_type(), Vec::new()));
        assert_eq!(arrived.0, message.message_type());
        arrived.1.extend_from_slice(message.as_bytes());
        if last && let Some((message_type, payload)) = self.arrived.take() {
            self.receive(message_type, &payload);
        }
    }

    /// Checks that nothing is missing. What is behind a message that is cut short is lost with it.
    pub(crate) fn check_complete(&self) {
        let mut whole = self.sent.iter().take_while(|sent| sent.is_finished);
        if let Some(lost) = whole.find(|sent| sent.is_certain) {
            panic!("lost: {:?}", String::from_utf8_lossy(&lost.payload));
        }
    }

    /// Whether something that other threads sent is missing.
    pub(crate) fn lacks_posted(&self) -> bool {
        self.posted.iter().any(|sent| sent.is_certain)
    }
}
