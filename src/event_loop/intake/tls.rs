//! What is different where bytes come out of TLS.

use std::io;

use super::super::close::CloseCause;
use super::super::entry::Entry;
use super::super::to_do::ToDo;
use super::super::{ConnectError, PeerId, Peers};
use super::{Intake, respond};
use crate::handshake::{Method, Refusal};

/// Reads what was sent within TLS, unless enough of this turn was spent on handshakes. Notes what is
/// left behind: in the socket, in rustls, and for the socket.
#[cold]
pub(super) fn read(
    entry: &mut Entry,
    to_do: &mut ToDo,
    buffer: &mut [u8],
) -> Option<io::Result<usize>> {
    let tls = entry.transport.tls()?;
    let is_handshaking = tls.is_handshaking();
    if is_handshaking && !to_do.take_tls_step() {
        to_do.read(entry);
        return None;
    }
    tls.hung_up = entry.flags.hung_up;
    let result = tls.read(buffer);
    let (has_more, has_unsent) = (tls.has_more(), tls.has_unsent());
    if has_more {
        to_do.read(entry);
    }
    // What waits in the queue goes out as soon as a handshake is done, of which no event tells.
    entry.flags.writable |= is_handshaking;
    if is_handshaking || has_unsent {
        to_do.settle(entry);
    }
    Some(result)
}

/// Why a connection does not come about, if that is TLS's doing.
fn connect_error(error: io::Error) -> ConnectError {
    match error.downcast::<rustls::Error>() {
        Ok(error) => error.into(),
        Err(error) => ConnectError::Lost(error),
    }
}

impl Intake {
    /// Gives up a connection on which something else than TLS was received.
    pub(super) fn fail_tls(&mut self, peers: &mut Peers, id: PeerId, error: io::Error) {
        let entry = &mut peers.entries[id.index()];
        let is_plain = entry.transport.tls().is_some_and(|tls| tls.is_plain());
        if entry.is_connecting() {
            return peers.fail_connect(id, connect_error(error));
        }
        if !entry.is_opening() {
            return peers.drop_connection(id, CloseCause::Lost(error.kind()));
        }
        self.receivers[id.index()] = super::Receiver::default();
        if is_plain {
            peers.stats.refused.count(Refusal::PlainText);
            return respond(peers, id, &Refusal::PlainText.response(), Method::Get);
        }
        peers.stats.refused.tls += 1;
        // The alert that says why is to be read before the connection is reset.
        peers.over(id);
        peers.linger(id);
    }
}
