//! What is different where bytes come out of TLS.

use std::io;

use super::super::close::CloseCause;
use super::super::entry::Entry;
use super::super::to_do::ToDo;
use super::super::{ConnectError, PeerId, Peers};
use super::{Intake, respond};
use crate::handshake::{Method, Refusal};

/// Whether a connection has to wait for the next turn, as enough of this one was spent on TLS
/// handshakes.
#[cold]
pub(super) fn postpone(entry: &mut Entry, to_do: &mut ToDo) -> bool {
    if !entry.transport.is_handshaking() {
        return false;
    }
    if !to_do.take_tls_step() {
        to_do.read(entry);
        return true;
    }
    // What waits in the queue goes out as soon as the handshake is done, of which no event tells.
    entry.flags.writable = true;
    to_do.settle(entry);
    false
}

/// Notes what was left behind by a read: in the socket, in rustls, and for the socket.
#[cold]
pub(super) fn note_left(entry: &mut Entry, to_do: &mut ToDo) {
    let Some(tls) = entry.transport.tls() else { return };
    let (has_more, has_unsent) = (tls.has_more(), tls.has_unsent());
    if has_more {
        to_do.read(entry);
    }
    if has_unsent {
        to_do.settle(entry);
    }
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
