//! Many clients in one loop: each connects to an echo server, has messages echoed, and closes.
//!
//! ```sh
//! cargo run --release --example echo -- --listen 127.0.0.1:9001 &
//! cargo run --release --example clients -- ws://127.0.0.1:9001 --clients 1000 --messages 100
//! ```

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use lexopt::prelude::*;
use wsloop::{Close, CloseCode, Config, ConnectError, EventLoop, Handler, Message, Peer, PeerId};
use wsloop::{PeerMap, Peers};

/// How often each client has been answered, and what came of them all.
struct Clients {
    messages: u32,
    answered: PeerMap<u32>,
    clean: usize,
    failures: Vec<String>,
}

impl Handler for Clients {
    fn on_open(&mut self, peer: &mut Peer<'_>) {
        self.answered.insert(peer.id(), 0);
    }

    fn on_message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) {
        let Some(answered) = self.answered.get_mut(peer.id()) else { return };
        *answered += 1;
        if *answered < self.messages {
            peer.send(message);
        } else {
            peer.close(CloseCode::NORMAL, "");
        }
    }

    fn on_close(&mut self, peer: &mut Peer<'_>, close: Close<'_>) {
        let answered = self.answered.remove(peer.id()).unwrap_or_default();
        if close.clean && answered == self.messages {
            self.clean += 1;
        } else {
            self.failures.push(format!("after {answered} messages: {close}"));
        }
    }

    fn on_connect_error(&mut self, _: &mut Peers, _: PeerId, error: ConnectError) {
        self.failures.push(error.to_string());
    }
}

fn main() -> ExitCode {
    match Arguments::parse().map_err(Into::into).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("clients: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Option<Arguments>) -> Result<(), Box<dyn Error>> {
    let Some(Arguments { url, clients, messages, rounds }) = arguments else { return Ok(()) };
    let mut event_loop = EventLoop::with_config(Config::new())?;
    let before = Holdings::now();
    println!("before: {before}");
    let mut left = [before.kilobytes; 2];
    for _ in 0..rounds {
        round(&mut event_loop, &url, clients, messages)?;
        let after = Holdings::now();
        println!("after:  {after}");
        if after.descriptors != before.descriptors {
            return Err("descriptors were left behind".into());
        }
        left = [left[1], after.kilobytes];
    }
    // What the loop and the allocator keep for later, they keep once: after two rounds at most.
    if rounds > 2 && left[1] > left[0].map(|kb| kb + 2048) {
        return Err("each round leaves memory behind".into());
    }
    Ok(())
}

/// Connects all clients, has them say what they have to say, and waits until the last is gone.
fn round(
    event_loop: &mut EventLoop,
    url: &str,
    clients: usize,
    messages: u32,
) -> Result<(), Box<dyn Error>> {
    let mut handler =
        Clients { messages, answered: PeerMap::new(), clean: 0, failures: Vec::new() };
    let start = clock();
    for _ in 0..clients {
        event_loop.connect(url)?;
    }
    while event_loop.peers().stats().connections.connecting > 0 {
        event_loop.turn(&mut handler, None)?;
    }
    println!("{} connected in {:?}", event_loop.peers().len(), start.elapsed());
    println!("while connected: {}", Holdings::now());

    let start = clock();
    let ids: Vec<_> = event_loop.peers().ids().collect();
    for some in ids.chunks(100) {
        for &id in some {
            event_loop.peers().send(id, "twenty bytes of text");
        }
        // What is sent waits in memory until the loop turns.
        event_loop.turn(&mut handler, Some(Duration::ZERO))?;
    }
    while !event_loop.peers().is_empty() {
        event_loop.turn(&mut handler, None)?;
    }
    println!(
        "{} closed cleanly after {messages} messages each, in {:?}",
        handler.clean,
        start.elapsed()
    );
    while event_loop.peers().stats().connections.ending > 0 {
        event_loop.turn(&mut handler, None)?;
    }
    match handler.failures.first() {
        None => Ok(()),
        Some(first) => Err(format!("{} failed, the first: {first}", handler.failures.len()).into()),
    }
}

/// What the process holds, as far as the system tells.
struct Holdings {
    descriptors: Option<usize>,
    kilobytes: Option<u64>,
}

impl Holdings {
    fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let anonymous = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        Self {
            descriptors: std::fs::read_dir("/proc/self/fd").ok().map(Iterator::count),
            kilobytes: anonymous.and_then(|it| it.trim().strip_suffix(" kB")?.parse().ok()),
        }
    }
}

impl std::fmt::Display for Holdings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.descriptors, self.kilobytes) {
            (Some(descriptors), Some(kb)) => write!(f, "{descriptors} descriptors, {kb} kB"),
            _ => f.write_str("unknown on this system"),
        }
    }
}

struct Arguments {
    url: String,
    clients: usize,
    messages: u32,
    rounds: u32,
}

impl Arguments {
    /// Returns `None` after a call for help.
    fn parse() -> Result<Option<Self>, lexopt::Error> {
        let mut parser = lexopt::Parser::from_env();
        let (mut url, mut clients, mut messages, mut rounds) = (None, 1000, 100, 1);
        while let Some(argument) = parser.next()? {
            match argument {
                Value(value) if url.is_none() => url = Some(value.string()?),
                Long("clients") => clients = parser.value()?.parse()?,
                Long("messages") => messages = parser.value()?.parse()?,
                Long("rounds") => rounds = parser.value()?.parse()?,
                Short('h') | Long("help") => {
                    println!(
                        "usage: clients ws://HOST:PORT [--clients N] [--messages N] [--rounds N]"
                    );
                    return Ok(None);
                }
                _ => return Err(argument.unexpected()),
            }
        }
        let url = url.ok_or("expected the URL of a server")?;
        Ok(Some(Self { url, clients, messages, rounds }))
    }
}

#[expect(clippy::disallowed_methods, reason = "to tell how long things take")]
fn clock() -> Instant {
    Instant::now()
}
