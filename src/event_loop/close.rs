//! How a connection ended.

use std::{fmt, io};

use crate::protocol::Violation;

/// How a connection ended, as [`Handler::on_close`](super::Handler::on_close) is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Close<'a> {
    /// The status code in the Close frame of the remote endpoint, RFC 6455 §7.1.5; 1005 if that
    /// frame held none, 1006 if there was no such frame.
    pub code: u16,
    /// The reason that came with it, or nothing. Not to be trusted: any text may be in it.
    pub reason: &'a str,
    /// Whether the closing handshake was completed: both endpoints sent Close.
    pub clean: bool,
    /// What began the end.
    pub cause: CloseCause,
}

/// What began the end of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CloseCause {
    /// The remote endpoint sent Close.
    Remote,
    /// The application called `close`.
    Local,
    /// The application called `abort`.
    Aborted,
    /// The loop is shutting down.
    Shutdown,
    /// The remote endpoint broke the protocol. It was sent Close with [`Violation::code`].
    Violation(Violation),
    /// The peer did not read what it was sent, and its write queue was full
    /// ([`Overflow::Close`](super::Overflow::Close)).
    QueueFull,
    /// The peer sent more than [`Config::rate_limit`](super::Config::rate_limit) allows
    /// ([`Excess::Close`](super::Excess::Close)).
    RateLimit,
    /// Nothing was heard from the peer for [`Config::idle_timeout`](super::Config::idle_timeout).
    IdleTimeout,
    /// A message took longer to arrive than
    /// [`Config::message_timeout`](super::Config::message_timeout).
    MessageTimeout,
    /// Compressed messages that had not arrived whole took more memory than
    /// `Config::inflating_limit` allows, and the peer's had been in progress for longest, or took
    /// far more than the others.
    InflatingLimit,
    /// The peer took nothing for [`Config::write_timeout`](super::Config::write_timeout).
    WriteTimeout,
    /// The TCP connection was ended by the remote endpoint, without a Close.
    EndOfStream,
    /// The TCP connection broke.
    Lost(io::ErrorKind),
}

impl fmt::Display for Close<'_> {
    /// Writes the end in a line that is safe to log: control characters in the reason are escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.clean { "clean" } else { "not clean" };
        write!(f, "{} ({how}; {})", self.code, self.cause)?;
        if !self.reason.is_empty() {
            write!(f, ": {:?}", self.reason)?;
        }
        Ok(())
    }
}

impl fmt::Display for CloseCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remote => f.write_str("the peer closed"),
            Self::Local => f.write_str("the application closed"),
            Self::Aborted => f.write_str("the application aborted"),
            Self::Shutdown => f.write_str("the server is shutting down"),
            Self::Violation(violation) => write!(f, "protocol violation: {violation}"),
            Self::QueueFull => f.write_str("the peer did not read, and its queue was full"),
            Self::RateLimit => f.write_str("the peer sent more than it may"),
            Self::IdleTimeout => f.write_str("nothing was heard from the peer"),
            Self::MessageTimeout => f.write_str("a message took too long to arrive"),
            Self::InflatingLimit => f.write_str("too much had to be inflated at a time"),
            Self::WriteTimeout => f.write_str("the peer took nothing"),
            Self::EndOfStream => f.write_str("the stream ended without a Close"),
            Self::Lost(kind) => write!(f, "the connection broke: {kind}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6455 §7.1.6 lets a reason be any text: a line break, or what a terminal obeys.
    #[test]
    fn what_is_logged_of_a_reason_stays_on_its_line() {
        let reason = "bye\r\n2026 INFO all is well \u{1b}[2J\u{202e}\u{2028}";
        let close = Close { code: 4000, reason, clean: true, cause: CloseCause::Remote };
        let logged = close.to_string();
        assert_eq!(
            logged,
            "4000 (clean; the peer closed): \
             \"bye\\r\\n2026 INFO all is well \\u{1b}[2J\\u{202e}\\u{2028}\""
        );
    }
}
