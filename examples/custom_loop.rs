//! The library inside somebody else's event loop: here a program that has its own `mio::Poll`, with
//! a UDP socket and a deadline of its own in it. What datagrams bring, all peers get.
//!
//! ```sh
//! cargo run --example custom_loop -- --listen 127.0.0.1:9001 --udp 127.0.0.1:9002
//! echo Hello >/dev/udp/127.0.0.1/9002    # in bash
//! ```
//!
//! Three things make a guest of an `EventLoop`: its descriptor is polled with the others, no longer
//! than `next_timeout` says, and then it takes a turn that does not wait.

#![cfg_attr(not(unix), allow(dead_code, unused_imports, reason = "there is no descriptor to poll"))]
#![expect(clippy::disallowed_types, reason = "this program polls")]
#![expect(clippy::disallowed_methods, reason = "this program reads the clock")]

use std::error::Error;
use std::io::{ErrorKind, Write, stdout};
#[cfg(unix)]
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use lexopt::prelude::*;
use mio::net::UdpSocket;
#[cfg(unix)]
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use wsloop::{EventLoop, Message, Peer};

const PEERS: Token = Token(0);
const DATAGRAMS: Token = Token(1);

const REPORT: Duration = Duration::from_secs(10);

#[cfg(unix)]
fn main() -> Result<(), Box<dyn Error>> {
    let Some(Arguments { listen, udp }) = Arguments::parse()? else { return Ok(()) };
    let mut event_loop = EventLoop::new()?;
    let addr = event_loop.listen(&listen).map_err(|error| format!("{listen}: {error}"))?;
    let mut socket =
        UdpSocket::bind(udp.parse()?).map_err(|error| format!("UDP, {udp}: {error}"))?;

    let mut poll = Poll::new()?;
    let descriptor = event_loop.as_raw_fd();
    poll.registry().register(&mut SourceFd(&descriptor), PEERS, Interest::READABLE)?;
    poll.registry().register(&mut socket, DATAGRAMS, Interest::READABLE)?;

    // Wakes the guest, whose descriptor then wakes this loop.
    let remote = event_loop.remote();
    ctrlc::set_handler(move || remote.shutdown(Duration::from_secs(3)))?;
    println!("listening on ws://{addr} and udp://{}", socket.local_addr()?);
    stdout().flush()?;

    let mut on_message = |peer: &mut Peer<'_>, _: Message<'_>| {
        peer.send("send your datagrams by UDP");
    };
    let mut events = Events::with_capacity(64);
    let (mut has_datagrams, mut next_report) = (false, Instant::now() + REPORT);
    while !event_loop.is_finished() {
        let until_report = next_report.saturating_duration_since(Instant::now());
        let until_turn = event_loop.next_timeout().unwrap_or(until_report);
        let timeout = if has_datagrams { Duration::ZERO } else { until_report.min(until_turn) };
        match poll.poll(&mut events, Some(timeout)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => events.clear(),
            result => result?,
        }
        has_datagrams |= events.iter().any(|event| event.token() == DATAGRAMS);
        if has_datagrams {
            has_datagrams = pass_on(&socket, &mut event_loop)?;
        }
        if Instant::now() >= next_report {
            eprintln!("{} peers", event_loop.peers().len());
            next_report += REPORT;
        }
        // In every round: its time may have come, and what was sent above goes out in its turn.
        event_loop.turn(&mut on_message, Some(Duration::ZERO))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn main() {
    eprintln!("custom_loop: only on Unix does a loop have a descriptor to poll");
}

/// Sends everyone what has arrived, and returns whether there may be more.
fn pass_on(socket: &UdpSocket, event_loop: &mut EventLoop) -> std::io::Result<bool> {
    let mut buffer = [0; 65_536];
    // However fast datagrams come, the peers are not to wait for the end of them.
    for _ in 0..64 {
        match socket.recv(&mut buffer) {
            Ok(len) => event_loop.peers().broadcast(&*String::from_utf8_lossy(&buffer[..len])),
            // mio tells of readiness once, and again only after this.
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

struct Arguments {
    listen: String,
    udp: String,
}

impl Arguments {
    fn parse() -> Result<Option<Self>, lexopt::Error> {
        let [listen, udp] = ["127.0.0.1:9001", "127.0.0.1:9002"].map(str::to_owned);
        let mut arguments = Self { listen, udp };
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("listen") => arguments.listen = parser.value()?.string()?,
                Long("udp") => arguments.udp = parser.value()?.string()?,
                Short('h') | Long("help") => {
                    println!("usage: custom_loop [--listen ADDR] [--udp ADDR]");
                    return Ok(None);
                }
                _ => return Err(argument.unexpected()),
            }
        }
        Ok(Some(arguments))
    }
}
