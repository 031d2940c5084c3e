//! Puts load on an echo server, or one that broadcasts, checks every reply, and tells what it cost the server.
//!
//! ```sh
//! cargo run --release --example load -- echo --server 127.0.0.1:9001 --connections 100 --size 20
//! ```
//!
//! It speaks to any WebSocket server that echoes. With `--pid`, on Linux, it also tells how much
//! memory and processor time that process took. `scripts/measure-*` start the server and this
//! together.

#![expect(clippy::disallowed_methods, reason = "this measures time")]

mod client;
mod documents;
mod echo;
mod fanout;
mod flood;
mod idle;
mod process;
#[cfg(feature = "tls")]
mod tls;
mod zlib;

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;

use lexopt::prelude::*;

use self::client::Offer;
use self::process::Process;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let Some(options) = Options::parse()? else { return Ok(()) };
    match options.mode.as_str() {
        "echo" => echo::run(&options),
        "idle" => idle::run(&options),
        "flood" => flood::run(&options),
        "fanout" => fanout::run(&options),
        #[cfg(feature = "tls")]
        "tls-idle" => tls::idle(&options),
        #[cfg(feature = "tls")]
        "tls-storm" => tls::storm(&options),
        "zlib" => zlib::run(&options),
        "levels" => zlib::compare_levels(),
        mode => Err(format!("unknown mode '{mode}'\n{USAGE}").into()),
    }
}

/// What the command line says.
struct Options {
    mode: String,
    server: Option<SocketAddr>,
    process: Option<Process>,
    connections: usize,
    in_flight: usize,
    size: usize,
    messages: usize,
    limit: Option<usize>,
    /// A file with the certificate of whom to trust.
    #[cfg(feature = "tls")]
    ca: Option<String>,
    least: usize,
    releases: bool,
    json: bool,
    deflate: Option<Offer>,
    level: u8,
    memory_level: u8,
}

const USAGE: &str = "usage: load MODE --server ADDR [OPTION]...

  load echo    keeps connections busy: each has a number of messages in flight until all are echoed
  load idle    opens connections, has each echo one message, and closes them
  load flood   sends messages and reads none, until the server takes no more, beside one that does read
  load fanout  sends messages on one connection that the server passes on to all, this one included
  load tls-idle   opens connections within TLS, and has each echo one message (with feature `tls`)
  load tls-storm  has connections within TLS echo messages, at last beside bursts of handshakes
  load zlib    inflates and deflates messages by itself, without a server
  load levels  compares the levels of compression, without a server

  --server ADDR       where the server listens, such as 127.0.0.1:9001
  --pid PID           the server's process, to tell what it used; idle and flood need it
  --connections N     [100]
  --in-flight N       messages that each connection waits for at a time, of echo [1]
  --size BYTES        of each message; 20, but 16384 for flood, 1024 for fanout and of JSON
  --json              messages are JSON, and no longer bytes that mean nothing
  --deflate=POLICY    messages are JSON and compressed: `shared`, each by itself, or `dedicated`
  --level N           how hard zlib tries, of zlib [3]
  --memory-level N    how much memory it uses [8]
  --messages N        in all: of echo, at most of flood, of fanout [100000, 65536, 100]
  --limit BYTES       fail if the server takes more: for each connection of idle, in all of flood
  --least BYTES       fail if a connection of idle takes less, once it has echoed a message
  --releases          wait until the server has released what idle connections have of their own
  --ca FILE           the certificate to trust, of tls-idle and tls-storm";

impl Options {
    fn parse() -> Result<Option<Self>, Box<dyn Error>> {
        let mut parser = lexopt::Parser::from_env();
        let (mut mode, mut server, mut process, mut limit) = (None, None, None, None);
        let (mut json, mut deflate) = (false, None);
        let (mut level, mut memory_level) = (zlib::LEVEL, zlib::MEMORY_LEVEL);
        let (mut least, mut releases) = (0, false);
        let (mut connections, mut in_flight, mut size, mut messages) = (100, 1, None, None);
        #[cfg(feature = "tls")]
        let mut ca = None;
        while let Some(argument) = parser.next()? {
            match argument {
                #[cfg(feature = "tls")]
                Long("ca") => ca = Some(parser.value()?.string()?),
                Value(value) if mode.is_none() => mode = Some(value.string()?),
                Long("server") => server = Some(parser.value()?.parse()?),
                Long("pid") => process = Some(Process::new(parser.value()?.parse()?)),
                Long("connections") => connections = parser.value()?.parse()?,
                Long("in-flight") => in_flight = parser.value()?.parse()?,
                Long("size") => size = Some(parser.value()?.parse()?),
                Long("messages") => messages = Some(parser.value()?.parse()?),
                Long("json") => json = true,
                Long("deflate") => deflate = Some(parser.value()?.parse_with(offer)?),
                Long("level") => level = parser.value()?.parse()?,
                Long("memory-level") => memory_level = parser.value()?.parse()?,
                Long("least") => least = parser.value()?.parse()?,
                Long("releases") => releases = true,
                Long("limit") => limit = Some(parser.value()?.parse()?),
                Short('h') | Long("help") => {
                    println!("{USAGE}");
                    return Ok(None);
                }
                _ => return Err(argument.unexpected().into()),
            }
        }
        let mode = mode.ok_or_else(|| format!("no mode\n{USAGE}"))?;
        if connections == 0 || in_flight == 0 {
            return Err("--connections and --in-flight are at least 1".into());
        }
        let (usual_size, usual_messages) = match mode.as_str() {
            "flood" => (16 << 10, 64 << 10),
            "fanout" => (1 << 10, 100),
            "zlib" => (1 << 10, 100_000),
            _ if json || deflate.is_some() => (1 << 10, 100_000),
            _ => (20, 100_000),
        };
        let size = size.unwrap_or(usual_size);
        let messages = messages.unwrap_or(usual_messages);
        let json = json || deflate.is_some();
        Ok(Some(Self {
            mode,
            server,
            process,
            connections,
            in_flight,
            size,
            messages,
            limit,
            least,
            releases,
            json,
            deflate,
            level,
            memory_level,
            #[cfg(feature = "tls")]
            ca,
        }))
    }

    fn server(&self) -> Result<SocketAddr, Box<dyn Error>> {
        self.server.ok_or_else(|| "this mode needs --server".into())
    }

    fn process(&self) -> Result<Process, Box<dyn Error>> {
        self.process.ok_or_else(|| "this mode needs --pid".into())
    }
}

fn offer(policy: &str) -> Result<Offer, &'static str> {
    match policy {
        "shared" => Ok(Offer::Shared),
        "dedicated" => Ok(Offer::Dedicated),
        _ => Err("the policies are: shared, dedicated"),
    }
}
