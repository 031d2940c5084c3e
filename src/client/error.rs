//! How calls fail, and how a connection ends.

use std::{error, fmt, io};

use crate::protocol::{SendError, Violation};
#[cfg(feature = "tls")]
use crate::tls::TlsError;

/// Why a call on a client failed.
///
/// After [`Timeout`](Self::Timeout), [`Unsent`](Self::Unsent) and [`Send`](Self::Send) the connection
/// is as it was. Everything else is the end of it, and what later calls return as well. Only a call
/// that sends and finds the connection broken leaves it to be received what the server has to say, such
/// as a Close.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// When receiving: nothing was complete within the read timeout. What has arrived of it is kept,
    /// and the next call goes on from there.
    ///
    /// When sending: the server took nothing for as long as the write timeout. What was to be sent is
    /// on its way, so do not send it again: the rest of it goes out with the next call of any kind.
    Timeout,
    /// The server still has not taken what was sent before: nothing of this was sent.
    Unsent,
    /// It cannot be sent, and nothing of it was.
    Send(SendError),
    /// The server broke the protocol. It was sent Close with [`Violation::code`].
    Violation(Violation),
    /// The server did not answer Close in time.
    CloseTimeout,
    /// The server ended the TCP connection without a Close, which counts as 1006 (RFC 6455 §7.1.5).
    EndOfStream,
    /// The TCP connection broke, which counts as 1006 as well.
    Lost(io::ErrorKind),
    /// TLS failed, which counts as 1006 too. With [`TlsError::Truncated`], it was the TCP connection
    /// that ended, and TLS can tell that nobody who knows the keys wanted that.
    #[cfg(feature = "tls")]
    Tls(TlsError),
}

impl Error {
    /// What became of a connection that could not be read from.
    pub(super) fn of_reading(error: &io::Error) -> Self {
        #[cfg(feature = "tls")]
        if let Some(error) = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>())
        {
            return Self::Tls(error.into());
        }
        #[cfg(feature = "tls")]
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return Self::Tls(TlsError::Truncated);
        }
        Self::Lost(error.kind())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("the time was up"),
            Self::Unsent => f.write_str("the server has not taken what was sent before"),
            Self::Send(error) => write!(f, "{error}"),
            Self::Violation(violation) => write!(f, "protocol violation: {violation}"),
            Self::CloseTimeout => f.write_str("the server did not answer Close in time"),
            Self::EndOfStream => f.write_str("the stream ended without a Close"),
            Self::Lost(kind) => write!(f, "the connection broke: {kind}"),
            #[cfg(feature = "tls")]
            Self::Tls(error) => write!(f, "{error}"),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Send(error) => Some(error),
            Self::Violation(violation) => Some(violation),
            #[cfg(feature = "tls")]
            Self::Tls(error) => Some(error),
            Self::Timeout
            | Self::Unsent
            | Self::CloseTimeout
            | Self::EndOfStream
            | Self::Lost(_) => None,
        }
    }
}

/// How the server closed: both endpoints have sent Close.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Closed {
    /// The status code in the server's Close, RFC 6455 §7.1.5; 1005 if it held none.
    pub code: u16,
    /// The reason that came with it, or nothing. Not to be trusted: any text may be in it.
    pub reason: Box<str>,
}

impl fmt::Display for Closed {
    /// Writes a line that is safe to log: control characters in the reason are escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "closed with status code {}", self.code)?;
        if !self.reason.is_empty() {
            write!(f, ": {:?}", self.reason)?;
        }
        Ok(())
    }
}
