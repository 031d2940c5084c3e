//! Goes through the cases of the Autobahn Testsuite, whose server is at a URL, with the client in the
//! event loop or with the one that blocks.
//!
//! ```sh
//! cargo run --release --example autobahn_client -- ws://127.0.0.1:9002 --blocking --deflate=dedicated
//! ```
//!
//! What is wanted in every case is the same: send back each message, until the server ends the
//! connection in one way or another. The server's reports say how well that was done.
//! `scripts/autobahn client` runs it.

use std::error::Error;
use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::time::Duration;

use lexopt::prelude::*;
#[cfg(feature = "deflate")]
use wsloop::Compression;
use wsloop::client::{self, Client, Connector};
use wsloop::handshake::{ClientRequest, WsUrl};
use wsloop::{Close, Config, ConnectError, EventLoop, Handler, Message, Peer, PeerId, Peers};

/// One client after the other, in a loop. What the server says first is how many cases there are.
struct Cases {
    urls: Urls,
    stage: Stage,
    failure: Option<Box<dyn Error>>,
}

enum Stage {
    Count,
    Echo(RangeInclusive<u32>),
    Report,
}

impl Handler for Cases {
    fn on_message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) {
        match self.stage {
            Stage::Count => match parse_count(message) {
                Ok(count) => self.stage = Stage::Echo(1..=count),
                Err(error) => self.fail(peer.peers(), error),
            },
            Stage::Echo(_) => _ = peer.send(message),
            Stage::Report => {}
        }
    }

    fn on_close(&mut self, peer: &mut Peer<'_>, _: Close<'_>) {
        if self.failure.is_some() {
            return;
        }
        // However a case ended: many do so in an error, as they should.
        let url = match &mut self.stage {
            Stage::Count => {
                return self.fail(peer.peers(), "the server did not say how many cases".into());
            }
            Stage::Echo(cases) => match cases.next() {
                Some(case) => self.urls.case(case),
                None => {
                    self.stage = Stage::Report;
                    self.urls.reports()
                }
            },
            Stage::Report => return peer.peers().shutdown(Duration::ZERO),
        };
        if let Err(error) = peer.peers().connect(&url) {
            self.fail(peer.peers(), error.into());
        }
    }

    fn on_connect_error(&mut self, peers: &mut Peers, _: PeerId, error: ConnectError) {
        self.fail(peers, error.into());
    }
}

impl Cases {
    fn fail(&mut self, peers: &mut Peers, error: Box<dyn Error>) {
        self.failure.get_or_insert(error);
        peers.shutdown(Duration::ZERO);
    }
}

fn run_in_loop(urls: Urls, config: Config) -> Result<(), Box<dyn Error>> {
    let mut event_loop = EventLoop::with_config(config)?;
    event_loop.connect(&urls.count())?;
    let mut cases = Cases { urls, stage: Stage::Count, failure: None };
    event_loop.run(&mut cases)?;
    cases.failure.map_or(Ok(()), Err)
}

fn run_blocking(urls: &Urls, connector: &Connector) -> Result<(), Box<dyn Error>> {
    let connect = |url: String| -> Result<Client, Box<dyn Error>> {
        Ok(connector.connect(&ClientRequest::new(WsUrl::parse(&url)?))?)
    };
    let mut client = connect(urls.count())?;
    let count = client.receive()?.ok_or("the server did not say how many cases")?;
    for case in 1..=parse_count(count)? {
        // Many a case ends in an error, as it should.
        _ = echo(connect(urls.case(case))?);
    }
    _ = connect(urls.reports())?.receive()?;
    Ok(())
}

/// Sends back what is received, until the connection ends.
fn echo(mut client: Client) -> Result<(), client::Error> {
    while let Some((message, writer)) = client.exchange()? {
        writer.send(message)?;
    }
    Ok(())
}

fn parse_count(message: Message<'_>) -> Result<u32, Box<dyn Error>> {
    Ok(message.as_text().ok_or("the number of cases is not text")?.parse()?)
}

/// What the server does at which URL.
struct Urls {
    server: String,
    /// What the reports call us.
    agent: &'static str,
}

impl Urls {
    fn count(&self) -> String {
        format!("{}/getCaseCount", self.server)
    }

    fn case(&self, case: u32) -> String {
        format!("{}/runCase?case={case}&agent={}", self.server, self.agent)
    }

    /// When this connection is over, the reports are on disk.
    fn reports(&self) -> String {
        format!("{}/updateReports?agent={}", self.server, self.agent)
    }
}

fn main() -> ExitCode {
    match Arguments::parse().map_err(Into::into).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("autobahn_client: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Option<Arguments>) -> Result<(), Box<dyn Error>> {
    let Some(Arguments { server, kind, config, connector }) = arguments else { return Ok(()) };
    match kind {
        Kind::InLoop => run_in_loop(Urls { server, agent: "wsloop-loop" }, config),
        Kind::Blocking => run_blocking(&Urls { server, agent: "wsloop-blocking" }, &connector),
    }
}

struct Arguments {
    server: String,
    kind: Kind,
    config: Config,
    connector: Connector,
}

enum Kind {
    InLoop,
    Blocking,
}

impl Arguments {
    /// Returns what was asked for, unless that was only help.
    fn parse() -> Result<Option<Self>, lexopt::Error> {
        let (mut url, mut kind) = (None, Kind::InLoop);
        let (mut config, mut connector) = (Config::new(), Connector::new());
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Value(value) if url.is_none() => url = Some(value.string()?),
                Long("blocking") => kind = Kind::Blocking,
                Long("deflate") => {
                    let policy = policy(&mut parser)?;
                    (config, connector) =
                        (config.compression(policy), connector.compression(policy));
                }
                Short('h') | Long("help") => {
                    println!(
                        "usage: autobahn_client URL [--blocking] [--deflate[=shared|dedicated]]"
                    );
                    return Ok(None);
                }
                _ => return Err(argument.unexpected()),
            }
        }
        let url = url.ok_or("which URL?")?;
        let server = url.trim_end_matches('/').to_owned();
        Ok(Some(Self { server, kind, config, connector }))
    }
}

/// Which policy `--deflate` asks for: shared, if it does not say.
fn policy(parser: &mut lexopt::Parser) -> Result<Compression, lexopt::Error> {
    let Some(policy) = parser.optional_value() else { return Ok(Compression::shared()) };
    policy.parse_with(|policy| match policy {
        "shared" => Ok(Compression::shared()),
        "dedicated" => Ok(Compression::dedicated()),
        _ => Err("the policies are: shared, dedicated"),
    })
}
