//! The end of a connection, as the application is told of it.

use super::close::{Close, CloseCause};
use super::entry::Stage;
use super::handler::Handler;
use super::reconnect::{Again, reconnect};
use super::{ConnectError, Peer, PeerId, Peers};

/// §7.4.1 of RFC 6455: 1005 "to indicate that no status code was actually present".
pub(super) const NO_STATUS_RECEIVED: u16 = 1005;

/// What is reported where no Close was received. §7.4.1: 1006 "to indicate that the connection was
/// closed abnormally".
pub(super) const NO_CLOSE: (u16, &str) = (1006, "");

/// Tells the handler that a connection is over, unless it knows or never knew of it.
///
/// If something else began the end, such as a Close of our own, that is the cause, not `cause`.
/// What becomes of the socket is for the caller to say.
pub(super) fn finish(
    peers: &mut Peers,
    handler: &mut (impl Handler + ?Sized),
    id: PeerId,
    (code, reason): (u16, &str),
    cause: CloseCause,
) {
    let Some(entry) = peers.entry_mut(id).filter(|entry| entry.stage == Stage::Open) else {
        return;
    };
    let cause = *entry.cause.get_or_insert(cause);
    let link = entry.take_link();
    peers.stats.closed.count(cause);
    peers.over(id);
    let close = Close { code, reason, clean: code != NO_CLOSE.0, cause };
    handler.on_close(&mut Peer::new(peers, id), close);
    if let Some(link) = link {
        let again = link.after_close(cause, code);
        reconnect(peers, handler, id, link, again);
    }
}

/// Tells the handler that a connection does not come about, if that is so and it does not know yet.
pub(super) fn fail(peers: &mut Peers, handler: &mut (impl Handler + ?Sized), id: PeerId) {
    let Some(entry) = peers.entry_mut(id).filter(|entry| entry.is_connecting()) else { return };
    let failure = entry.particulars.as_mut().and_then(|particulars| particulars.failure.take());
    let error = match (failure, entry.cause) {
        (Some(error), _) => *error,
        (None, Some(CloseCause::Lost(kind))) => ConnectError::Lost(kind.into()),
        (None, Some(CloseCause::Shutdown)) => ConnectError::ShuttingDown,
        (None, _) => ConnectError::Aborted,
    };
    let link = entry.take_link();
    let again = Again::after_error(&error);
    peers.over(id);
    peers.stats.connections.failed += 1;
    handler.on_connect_error(peers, id, error);
    if let Some(link) = link {
        reconnect(peers, handler, id, link, again);
    }
}
