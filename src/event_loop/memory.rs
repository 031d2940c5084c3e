//! Connections without sockets: two byte streams in memory, and the edges that tell of them.
//!
//! This is the whole of the network that a loop in memory has. What it does to the bytes that pass
//! through it (how many it takes at once, when it breaks) is decided here and nowhere else.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::Token;

use super::faults::{Break, Trouble};
use super::poller::{Edge, Readiness};

/// Makes two connected endpoints. Each way holds `capacity` bytes that were written and not yet
/// read.
///
/// For tests of whatever moves the bytes of a [`Connection`](crate::protocol::Connection): short
/// reads and writes, full buffers and broken connections come when the test says so. To test a
/// handler, use a [`Rehearsal`](crate::testing::Rehearsal).
///
/// # Examples
///
/// ```
/// use std::io::{ErrorKind, Read, Write};
/// use wsloop::testing;
///
/// let (mut client, mut server) = testing::pair(4);
/// // A write takes what there is room for, and no more until the other end has read.
/// assert_eq!(client.write(b"Hello")?, 4);
/// assert_eq!(client.write(b"o").unwrap_err().kind(), ErrorKind::WouldBlock);
/// let mut buffer = [0; 8];
/// assert_eq!(server.read(&mut buffer)?, 4);
/// assert_eq!(client.write(b"o")?, 1);
///
/// // The end of the stream comes behind what was written. The other way stays open.
/// client.shutdown_write()?;
/// assert_eq!(server.read(&mut buffer)?, 1);
/// assert_eq!(server.read(&mut buffer)?, 0);
/// assert_eq!(server.write(b"Bye")?, 3);
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub fn pair(capacity: usize) -> (MemoryStream, MemoryStream) {
    let link = Arc::new(Mutex::new(Link { ends: [End::default(), End::default()], capacity }));
    (MemoryStream { link: Arc::clone(&link), side: 0 }, MemoryStream { link, side: 1 })
}

/// One end of a connection in memory, made by [`pair`].
///
/// Reading and writing never block: where there is nothing to read or no room to write, they fail
/// with `WouldBlock`. Dropping an end ends its stream, as closing a socket does; if the end was
/// sent something that it has not read, it resets the connection instead, as TCP does.
#[derive(Debug)]
pub struct MemoryStream {
    link: Arc<Mutex<Link>>,
    /// Which of the ends this is.
    side: usize,
}

/// Both ends of a connection.
#[derive(Debug)]
struct Link {
    ends: [End; 2],
    capacity: usize,
}

/// What is the case at one end of a connection.
#[derive(Debug, Default)]
struct End {
    /// What the other end has written and this one has not read.
    received: VecDeque<u8>,
    /// The other end has ended its stream, behind what is received.
    ended: bool,
    /// This end has found no room for all that it wrote, and is owed an edge when there is some.
    blocked: bool,
    /// This end was dropped.
    gone: bool,
    /// The connection was reset.
    reset: bool,
    registration: Option<(Token, Arc<Readiness>)>,
    /// What the network does to what this end reads and writes.
    trouble: Option<Box<Trouble>>,
}

impl MemoryStream {
    /// Says that nothing more will be written: TCP's FIN, behind all that was.
    ///
    /// # Errors
    ///
    /// Fails with `NotConnected` if the connection was reset.
    pub fn shutdown_write(&self) -> io::Result<()> {
        let mut link = self.lock();
        let (own, other) = link.ends(self.side);
        if own.reset {
            return Err(io::ErrorKind::NotConnected.into());
        }
        if !std::mem::replace(&mut other.ended, true) {
            other.report(Edge::ended);
        }
        Ok(())
    }

    /// Breaks the connection: TCP's RST. What is on its way is lost, both ways.
    pub fn reset(&self) {
        let mut link = self.lock();
        let (own, other) = link.ends(self.side);
        own.reset();
        other.reset();
    }

    /// Has events of this end reported, the present ones included.
    pub(super) fn register(&self, readiness: &Arc<Readiness>, token: Token) {
        let mut link = self.lock();
        let has_room = link.room(self.side) > 0;
        let (own, _) = link.ends(self.side);
        own.registration = Some((token, Arc::clone(readiness)));
        if own.ended || own.reset {
            own.report(Edge::ended);
        }
        if !own.received.is_empty() {
            own.report(Edge::readable);
        }
        if has_room {
            own.report(Edge::writable);
        }
    }

    /// Has what this end reads and writes suffer.
    pub(super) fn suffer(&self, trouble: Trouble) {
        self.lock().ends(self.side).0.trouble = Some(Box::new(trouble));
    }

    pub(super) fn is_connected_to(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.link, &other.link) && self.side != other.side
    }

    fn lock(&self) -> MutexGuard<'_, Link> {
        // What is in it is whole between any two calls.
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read for MemoryStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut link = self.lock();
        let (own, other) = link.ends(self.side);
        if own.reset {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let most = buffer.len().min(own.received.len());
        let n = own.pass_in(most)?;
        if own.received.is_empty() && !own.ended && !buffer.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let (front, back) = own.received.as_slices();
        let from_front = n.min(front.len());
        buffer[..from_front].copy_from_slice(&front[..from_front]);
        buffer[from_front..n].copy_from_slice(&back[..n - from_front]);
        own.received.drain(..n);
        if n > 0 && std::mem::take(&mut other.blocked) {
            other.report(Edge::writable);
        }
        if n < most {
            // As if the rest had only just arrived.
            own.report_arrival();
        }
        link.passed(self.side, n);
        Ok(n)
    }
}

impl Write for MemoryStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut link = self.lock();
        let mut room = link.room(self.side);
        let (own, other) = link.ends(self.side);
        if own.reset {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if other.ended || other.gone {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if own.trouble.is_some() {
            room = own.pass_out(room.min(slices.iter().map(|slice| slice.len()).sum()))?;
        }
        let before = other.received.len();
        for slice in slices {
            let n = room.min(slice.len());
            other.received.extend(&slice[..n]);
            own.blocked |= n < slice.len();
            room -= n;
        }
        let written = other.received.len() - before;
        if written > 0 {
            other.report(Edge::readable);
        } else if own.blocked {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        link.passed(self.side, written);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for MemoryStream {
    fn drop(&mut self) {
        let mut link = self.lock();
        let (own, other) = link.ends(self.side);
        own.gone = true;
        own.registration = None;
        if !own.received.is_empty() {
            other.reset();
        } else if !other.reset && !std::mem::replace(&mut other.ended, true) {
            other.report(Edge::ended);
        }
    }
}

impl Link {
    /// The end on this side, and the other.
    fn ends(&mut self, side: usize) -> (&mut End, &mut End) {
        let [first, second] = &mut self.ends;
        if side == 0 { (first, second) } else { (second, first) }
    }

    /// Notes what has passed through the end on this side, which may be too much.
    fn passed(&mut self, side: usize, n: usize) {
        let (own, other) = self.ends(side);
        match own.trouble.as_mut().and_then(|trouble| trouble.passed(n)) {
            None => {}
            Some(Break::Reset) => {
                own.reset();
                other.reset();
            }
            Some(Break::End) => {
                own.received.clear();
                own.ended = true;
                own.report(Edge::ended);
                // Whatever it goes on writing fails. It is told so, if it waits for room.
                other.report(Edge::writable);
            }
        }
    }

    /// How many bytes the end on this side can write.
    fn room(&self, side: usize) -> usize {
        self.capacity.saturating_sub(self.ends[1 - side].received.len())
    }
}

impl End {
    fn report(&self, edge: impl FnOnce(Token) -> Edge) {
        if let Some((token, readiness)) = &self.registration {
            readiness.report(edge(*token));
        }
    }

    fn report_arrival(&self) {
        self.report(if self.ended { Edge::ended } else { Edge::readable });
    }

    /// How many of `n` bytes that are there can be read.
    fn pass_in(&mut self, n: usize) -> io::Result<usize> {
        let Some(trouble) = &mut self.trouble else { return Ok(n) };
        match trouble.pass(n) {
            // They are not there yet, then. But where the end is known to be, all is.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if self.ended {
                    return Ok(n);
                }
                self.report_arrival();
                Err(error)
            }
            result => result,
        }
    }

    /// For how many of `n` bytes there is room, beyond which writing has to wait for an edge.
    fn pass_out(&mut self, n: usize) -> io::Result<usize> {
        let Some(trouble) = &mut self.trouble else { return Ok(n) };
        let result = trouble.pass(n);
        if result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            // Room comes at once, but who writes cannot know.
            self.report(Edge::writable);
        }
        result
    }

    fn reset(&mut self) {
        self.received.clear();
        if !std::mem::replace(&mut self.reset, true) {
            self.report(Edge::broken);
        }
    }
}

#[cfg(test)]
mod tests;
