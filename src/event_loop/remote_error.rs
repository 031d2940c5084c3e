//! Why the loop was not handed something.

use std::{error, fmt};

/// Why an [`EventLoop`](super::EventLoop) was not handed what a [`Remote`](super::Remote) was
/// given, which is in here: nothing of it has been done, and it can be handed in again.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum RemoteError<T> {
    /// As much waits for the loop already as may. There will be room when it has done some of it.
    Full(T),
    /// There is no loop any more, and there will not be.
    Gone(T),
}

impl<T> RemoteError<T> {
    /// What the loop was not handed.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(subject) | Self::Gone(subject) => subject,
        }
    }

    /// Whether there was no room, so that it is worth trying again.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }
}

/// Without what is inside: a task says nothing, and a message too much.
impl<T> fmt::Debug for RemoteError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Gone(_) => "Gone(..)",
        })
    }
}

impl<T> fmt::Display for RemoteError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "too much waits for the event loop already",
            Self::Gone(_) => "the event loop is gone",
        })
    }
}

impl<T> error::Error for RemoteError<T> {}
