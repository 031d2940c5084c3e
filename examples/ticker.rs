//! The server says hello to everyone, every five seconds. Pages of other origins may listen only if
//! they are named; others are answered 403.
//!
//! ```sh
//! cargo run --example ticker -- --listen 127.0.0.1:9001 --every 5
//! cargo run --example ticker -- --listen 127.0.0.1:9002 --origin http://127.0.0.1:9001
//! ```
//!
//! With both running, the page at <http://127.0.0.1:9001/?server=127.0.0.1:9002> may listen to the
//! second one, and the page at <http://127.0.0.1:9002/> may not.

use std::error::Error;
use std::io::{Write, stdout};
use std::time::Duration;

use lexopt::prelude::*;
use wsloop::{
    Answer, Config, EventLoop, Handler, IncomingRequest, Message, OriginPolicy, Peer, Peers,
    Response, TimerId,
};

struct Ticker;

impl Handler for Ticker {
    fn on_request(&mut self, _: &mut Peers, request: &IncomingRequest<'_>) -> Answer {
        if request.offer().is_none() && request.path() == "/" {
            return Response::html(include_str!("ticker.html")).into();
        }
        request.upgrade()
    }

    fn on_timer(&mut self, peers: &mut Peers, _: TimerId) {
        peers.broadcast("hello");
    }

    fn on_message(&mut self, _: &mut Peer<'_>, _: Message<'_>) {}
}

fn main() -> Result<(), Box<dyn Error>> {
    let Some(Arguments { listen, every, origins }) = Arguments::parse()? else { return Ok(()) };
    let origins = match origins.is_empty() {
        true => OriginPolicy::SameHost,
        false => OriginPolicy::AnyOf(origins),
    };
    let mut event_loop = EventLoop::with_config(Config::new().origin(origins))?;
    let addr = event_loop.listen(&listen).map_err(|error| format!("{listen}: {error}"))?;
    event_loop.peers().set_interval(every);

    let remote = event_loop.remote();
    ctrlc::set_handler(move || remote.shutdown(Duration::from_secs(3)))?;
    println!("listening on ws://{addr}");
    stdout().flush()?;
    event_loop.run(&mut Ticker)?;
    Ok(())
}

struct Arguments {
    listen: String,
    every: Duration,
    origins: Vec<String>,
}

const USAGE: &str = "usage: ticker [--listen ADDR] [--every SECONDS] [--origin ORIGIN]...

  --listen ADDR     where to listen; port 0 lets the system choose [127.0.0.1:9001]
  --every SECONDS   how often to say hello, such as 0.5 [5]
  --origin ORIGIN   a page's origin, such as https://app.example, that may connect;
                    without any, those may that come from here";

impl Arguments {
    fn parse() -> Result<Option<Self>, Box<dyn Error>> {
        let mut arguments = Self {
            listen: "127.0.0.1:9001".to_owned(),
            every: Duration::from_secs(5),
            origins: Vec::new(),
        };
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("listen") => arguments.listen = parser.value()?.string()?,
                Long("every") => {
                    arguments.every = Duration::try_from_secs_f64(parser.value()?.parse()?)?;
                }
                Long("origin") => arguments.origins.push(parser.value()?.string()?),
                Short('h') | Long("help") => {
                    println!("{USAGE}");
                    return Ok(None);
                }
                _ => return Err(argument.unexpected().into()),
            }
        }
        // An interval of zero would fire in every turn, and never let the loop wait.
        if arguments.every < Duration::from_millis(1) {
            return Err("--every is at least 0.001".into());
        }
        Ok(Some(arguments))
    }
}
