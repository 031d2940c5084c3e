//! A chat: people sign in with a name, and speak to all or to one. Messages are JSON.
//!
//! ```sh
//! cargo run --example chat --features json -- --listen 127.0.0.1:9001
//! ```
//!
//! The first message of a connection is `{"name": …}`, all others are `{"text": …}` or
//! `{"to": …, "text": …}`. The server sends what is in [`room::Event`].
//!
//! Whoever signs in under a name that is taken takes it over, and the older connection is closed
//! with status code 4001: mostly it is the same person, whose older connection is lost, and nobody
//! knows yet. There are no passwords here; where there are, look at a cookie in `on_request`.

mod room;

use std::error::Error;
use std::io::{Write, stdout};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, SystemTime};

use lexopt::prelude::*;
use wsloop::{Config, EventLoop, Rate, RateLimit, Remote, SharedMessage};

use self::room::{Chat, Event, MAX_MESSAGE_SIZE, MAX_PEOPLE, SIGNED_IN};

/// Those in the middle of their opening handshake are not to take the room of people, nor to find
/// none for themselves.
const MAX_HANDSHAKES: usize = 100;

/// More than a burst of talk. A thousand people who do not read it take half a gigabyte.
const MAX_QUEUED: usize = 512 << 10;

/// Tells everyone the time, from another thread, until the other end of `stop` is dropped.
fn tell_time(remote: &Remote, every: Duration, stop: &Receiver<()>) {
    while stop.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
        #[expect(clippy::disallowed_methods, reason = "it is this that is told")]
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let time = Event::Time { seconds: since_1970.unwrap_or_default().as_secs() };
        let Ok(time) = SharedMessage::json(&time) else { return };
        // Fails if the loop is stuck: then nobody is told.
        let _ = remote.publish(SIGNED_IN, time);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let Some(Arguments { listen, clock }) = Arguments::parse()? else { return Ok(()) };
    // What one says, all are sent: people type no faster than this.
    let rate_limit = RateLimit::new()
        .messages(Rate::per_second(5).burst(20))
        .bytes(Rate::per_second(16 << 10).burst(64 << 10));
    let config = Config::new()
        .max_message_size(MAX_MESSAGE_SIZE)
        .max_connections(MAX_PEOPLE + MAX_HANDSHAKES)
        .max_handshakes(MAX_HANDSHAKES)
        .write_queue_limit(MAX_QUEUED)
        .rate_limit(rate_limit);
    let mut event_loop = EventLoop::with_config(config)?;
    let addr = event_loop.listen(&listen).map_err(|error| format!("{listen}: {error}"))?;

    let (remote, (running, stop)) = (event_loop.remote(), mpsc::channel());
    let clock = thread::spawn(move || tell_time(&remote, clock, &stop));
    let remote = event_loop.remote();
    ctrlc::set_handler(move || remote.shutdown(Duration::from_secs(3)))?;
    println!("listening on ws://{addr}");
    stdout().flush()?;
    event_loop.run(&mut Chat::default())?;
    drop(running);
    clock.join().map_err(|_| "the clock has panicked".into())
}

struct Arguments {
    listen: String,
    clock: Duration,
}

impl Arguments {
    fn parse() -> Result<Option<Self>, Box<dyn Error>> {
        let mut arguments =
            Self { listen: "127.0.0.1:9001".to_owned(), clock: Duration::from_secs(60) };
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("listen") => arguments.listen = parser.value()?.string()?,
                Long("clock") => {
                    arguments.clock = Duration::try_from_secs_f64(parser.value()?.parse()?)?;
                }
                Short('h') | Long("help") => {
                    println!("usage: chat [--listen ADDR] [--clock SECONDS]");
                    return Ok(None);
                }
                _ => return Err(argument.unexpected().into()),
            }
        }
        if arguments.clock < Duration::from_millis(1) {
            return Err("--clock is at least 0.001".into());
        }
        Ok(Some(arguments))
    }
}
