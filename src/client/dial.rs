//! From a name to a TCP connection.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::deadline::Deadline;
use super::stream::is_timeout;
use super::{ConnectError, ConnectStep};

/// Connects to the first of a host's addresses that accepts. `host` has no brackets.
pub(super) fn dial(host: &str, port: u16, deadline: Deadline) -> Result<TcpStream, ConnectError> {
    let addresses = in_turns(&resolve(host, port, deadline)?);
    let mut failure = None;
    for (i, address) in addresses.iter().enumerate() {
        if deadline.is_over() {
            break;
        }
        let time = deadline.left().map(|left| share(left, addresses.len() - i));
        match connect(*address, time) {
            Ok(stream) => {
                stream.set_nodelay(true).map_err(ConnectError::Connect)?;
                return Ok(stream);
            }
            // That an address is silent matters only if no other has a reason.
            Err(error) if is_timeout(&error) => {}
            Err(error) => failure = Some(error),
        }
    }
    Err(match failure {
        Some(error) => ConnectError::Connect(error),
        None if addresses.is_empty() => {
            let error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            ConnectError::Resolve(error)
        }
        None => ConnectError::TimedOut(ConnectStep::Connect),
    })
}

/// Asks the system for the addresses of a name.
///
/// The system cannot be asked to hurry, so a thread asks, which is left behind if it takes too long.
fn resolve(host: &str, port: u16, deadline: Deadline) -> Result<Vec<SocketAddr>, ConnectError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let timeout = || ConnectError::TimedOut(ConnectStep::Resolve);
    let left = deadline.left().unwrap_or(Duration::MAX);
    let (sender, receiver) = mpsc::sync_channel(1);
    let host = host.to_owned();
    let ask = move || {
        let addresses = (host.as_str(), port).to_socket_addrs().map(Iterator::collect);
        // Nobody may be waiting any more.
        _ = sender.send(addresses);
    };
    thread::Builder::new().spawn(ask).map_err(ConnectError::Resolve)?;
    match receiver.recv_timeout(left) {
        Ok(addresses) => addresses.map_err(ConnectError::Resolve),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Err(timeout()),
    }
}

/// Has the families take turns, in the order that the system prefers within each: where one of them
/// leads nowhere, the second attempt is one with the other.
fn in_turns(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let Some(first) = addresses.first() else { return Vec::new() };
    let of_family = |v4| addresses.iter().copied().filter(move |it| it.is_ipv4() == v4);
    let (mut these, mut others) = (of_family(first.is_ipv4()), of_family(!first.is_ipv4()));
    let mut turns = Vec::with_capacity(addresses.len());
    while turns.len() < addresses.len() {
        turns.extend(these.next());
        turns.extend(others.next());
    }
    turns
}

/// The part of the time that is left which one of `attempts` addresses gets, as Go's `net.Dialer` has
/// it: the same for each, but no less than two seconds, in which a lost packet is sent again.
fn share(left: Duration, attempts: usize) -> Duration {
    let least = left.min(Duration::from_secs(2));
    (left / u32::try_from(attempts).unwrap_or(u32::MAX)).max(least)
}

fn connect(address: SocketAddr, timeout: Option<Duration>) -> io::Result<TcpStream> {
    let stream = match timeout {
        Some(timeout) => TcpStream::connect_timeout(&address, timeout)?,
        None => TcpStream::connect(address)?,
    };
    // Where nobody listens on a port of the range that clients get, the system may choose the very
    // same for us, and TCP connects it to itself.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns_and_keep_their_order() {
        let parse = |list: &[&str]| -> Vec<SocketAddr> {
            list.iter().map(|it| it.parse().unwrap()).collect()
        };
        let addresses = parse(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"]);
        let expected = parse(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]);
        assert_eq!(in_turns(&addresses), expected);
        let addresses = parse(&["1.1.1.1:1", "[::1]:1", "[::2]:1"]);
        assert_eq!(in_turns(&addresses), addresses);
        assert_eq!(in_turns(&[]), []);
    }

    #[test]
    fn the_first_of_many_addresses_does_not_use_up_the_time() {
        let seconds = Duration::from_secs;
        assert_eq!(share(seconds(30), 3), seconds(10));
        assert_eq!(share(seconds(30), 1), seconds(30));
        assert_eq!(share(seconds(30), 100), seconds(2));
        assert_eq!(share(seconds(1), 100), seconds(1));
    }
}
