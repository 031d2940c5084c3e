//! An echo server, with a page to talk to it from a browser.
//!
//! ```sh
//! cargo run --release --example echo -- --listen 127.0.0.1:9001 --max-message 16777216 --deflate
//! ```

use std::error::Error;
use std::io::{Write, stdout};
use std::process::ExitCode;
use std::time::Duration;

use lexopt::prelude::*;
#[cfg(feature = "deflate")]
use wsloop::Compression;
use wsloop::{Answer, Config, EventLoop, Handler, IncomingRequest, Message, Peer, Peers, Response};

struct Echo;

impl Handler for Echo {
    fn on_request(&mut self, _: &mut Peers, request: &IncomingRequest<'_>) -> Answer {
        if request.offer().is_none() && request.path() == "/" {
            return Response::html(include_str!("echo.html")).into();
        }
        request.upgrade()
    }

    fn on_message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) {
        peer.send(message);
    }
}

fn main() -> ExitCode {
    match Arguments::parse().map_err(Into::into).and_then(serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: Option<Arguments>) -> Result<(), Box<dyn Error>> {
    let Some(Arguments { listen, config }) = arguments else { return Ok(()) };
    let mut event_loop = EventLoop::with_config(config)?;
    let addr = event_loop
        .listen(&listen)
        .map_err(|error| format!("cannot listen on {listen}: {error}"))?;

    let remote = event_loop.remote();
    ctrlc::set_handler(move || remote.shutdown(Duration::from_secs(3)))?;
    println!("listening on ws://{addr}");
    stdout().flush()?;
    event_loop.run(&mut Echo)?;
    Ok(())
}

struct Arguments {
    listen: String,
    config: Config,
}

const USAGE: &str = "usage: echo [--listen ADDR] [--max-message BYTES] [--subprotocol NAME]...
            [--deflate[=POLICY]]

  --listen ADDR         where to listen; port 0 lets the system choose [127.0.0.1:9001]
  --max-message BYTES   the largest message that is accepted [16777216]
  --subprotocol NAME    one that is spoken if the client offers it, the preferred one first
  --deflate[=POLICY]    compress messages if the client offers it: each by itself with the policy
                        `shared` [shared], with reference to those before it with `dedicated`";

impl Arguments {
    fn parse() -> Result<Option<Self>, lexopt::Error> {
        let mut listen = "127.0.0.1:9001".to_owned();
        let mut config = Config::new();
        let mut subprotocols = Vec::new();
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("listen") => listen = parser.value()?.string()?,
                Long("max-message") => config = config.max_message_size(parser.value()?.parse()?),
                Long("subprotocol") => subprotocols.push(parser.value()?.string()?),
                #[cfg(feature = "deflate")]
                Long("deflate") => config = config.compression(policy(&mut parser)?),
                Short('h') | Long("help") => {
                    println!("{USAGE}");
                    return Ok(None);
                }
                _ => return Err(argument.unexpected()),
            }
        }
        Ok(Some(Self { listen, config: config.subprotocols(subprotocols) }))
    }
}

/// Which policy `--deflate` asks for: shared, if it does not say.
#[cfg(feature = "deflate")]
fn policy(parser: &mut lexopt::Parser) -> Result<Compression, lexopt::Error> {
    let Some(policy) = parser.optional_value() else { return Ok(Compression::shared()) };
    policy.parse_with(|policy| match policy {
        "shared" => Ok(Compression::shared()),
        "dedicated" => Ok(Compression::dedicated()),
        _ => Err("the policies are: shared, dedicated"),
    })
}
