//! Whatever one peer sends, all get, itself included.
//!
//! ```sh
//! cargo run --example broadcast -- --listen 127.0.0.1:9001
//! ```
//!
//! Open the page in two windows.

use std::error::Error;
use std::io::{Write, stdout};
use std::time::Duration;

use lexopt::prelude::*;
use wsloop::{Answer, Config, EventLoop, Handler, IncomingRequest, Message, Peer, Peers, Response};

struct Broadcast;

impl Handler for Broadcast {
    fn on_request(&mut self, _: &mut Peers, request: &IncomingRequest<'_>) -> Answer {
        if request.offer().is_none() && request.path() == "/" {
            return Response::html(include_str!("broadcast.html")).into();
        }
        request.upgrade()
    }

    fn on_message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) {
        // `peer.broadcast` would leave out the peer itself.
        peer.peers().broadcast(message);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let Some((listen, config)) = parse_arguments()? else { return Ok(()) };
    let mut event_loop = EventLoop::with_config(config)?;
    let addr = event_loop.listen(&listen).map_err(|error| format!("{listen}: {error}"))?;
    let remote = event_loop.remote();
    ctrlc::set_handler(move || remote.shutdown(Duration::from_secs(3)))?;
    println!("listening on ws://{addr}");
    stdout().flush()?;
    event_loop.run(&mut Broadcast)?;
    Ok(())
}

/// Returns where to listen and how, unless it was only asked for help.
fn parse_arguments() -> Result<Option<(String, Config)>, lexopt::Error> {
    let mut listen = "127.0.0.1:9001".to_owned();
    let mut config = Config::new();
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("listen") => listen = parser.value()?.string()?,
            #[cfg(feature = "deflate")]
            Long("deflate") => config = config.compression(wsloop::Compression::shared()),
            Short('h') | Long("help") => {
                println!("usage: broadcast [--listen ADDR] [--deflate]");
                return Ok(None);
            }
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(Some((listen, config)))
}
