//! RFC 6455 §7: how far the closing handshake has come.

use core::mem;

/// How far the closing handshake has come (RFC 6455 §7.1).
///
/// ```text
///  Open ── send_close() ──▶ CloseSent ── receive_close(), fail() ──▶ Finished
///    └── receive_close(), which is to be answered, or fail() ───────────▲
/// ```
///
/// Transitions say whether a Close is owed; sending it is the caller's work.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Closing {
    /// Messages flow both ways.
    #[default]
    Open,
    /// Our Close is sent. Messages may still arrive, and Pongs be sent, but no messages.
    CloseSent,
    /// Nothing more is sent or read. What is left is to flush the output and close TCP.
    Finished,
}

impl Closing {
    /// Notes that we want to close. Returns whether to send Close, which happens only once.
    pub(crate) fn send_close(&mut self) -> bool {
        if *self != Self::Open {
            return false;
        }
        *self = Self::CloseSent;
        true
    }

    /// Notes that the remote endpoint sent Close. Returns whether ours is still owed.
    pub(crate) fn receive_close(&mut self) -> bool {
        mem::replace(self, Self::Finished) == Self::Open
    }

    /// Notes that the connection is failed (§7.1.7). Returns whether to send a Close saying why.
    pub(crate) fn fail(&mut self) -> bool {
        mem::replace(self, Self::Finished) == Self::Open
    }

    /// Returns whether messages may be sent.
    pub(crate) fn is_open(self) -> bool {
        self == Self::Open
    }

    /// Returns whether nothing more is sent or read.
    pub(crate) fn is_finished(self) -> bool {
        self == Self::Finished
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_is_sent_only_once() {
        let mut closing = Closing::Open;
        assert!(closing.is_open() && !closing.is_finished());
        assert!(closing.send_close());
        assert!(!closing.is_open() && !closing.is_finished());
        assert!(!closing.send_close());
    }

    #[test]
    fn a_received_close_is_answered_unless_ours_is_sent() {
        let mut closing = Closing::Open;
        assert!(closing.receive_close());
        assert!(closing.is_finished() && !closing.is_open());

        let mut closing = Closing::CloseSent;
        assert!(!closing.receive_close());
        assert!(closing.is_finished());
        assert!(!closing.send_close());
    }

    #[test]
    fn failing_says_why_unless_a_close_is_sent() {
        let mut closing = Closing::Open;
        assert!(closing.fail());
        assert!(!closing.fail() && !closing.receive_close() && !closing.send_close());

        let mut closing = Closing::CloseSent;
        assert!(!closing.fail());
        assert!(closing.is_finished());
    }
}
