//! Within TLS: what idle connections cost in memory, and what a storm of handshakes costs others in
//! time.

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use wsloop::tls::rustls::client::Resumption;
use wsloop::tls::rustls::pki_types::ServerName;
use wsloop::tls::rustls::{ClientConfig, ClientConnection, StreamOwned};
use wsloop::tls::{client_config, roots_in_pem};

use super::Options;
use super::client::{self, Echo, TIMEOUT};

type Secured = StreamOwned<ClientConnection, TcpStream>;

/// So many handshakes come at once.
const STORM: usize = 200;

/// Tells how much larger the server is for each connection that has echoed a message and is idle.
pub(crate) fn idle(options: &Options) -> Result<(), Box<dyn Error>> {
    let (process, echo, config) = (options.process()?, Echo::new(options.size), trusting(options)?);
    let mut streams = open(options, &config, 1)?;
    round_trip(&echo, &mut streams[0])?;
    let before = process.memory()?;
    streams.extend(open(options, &config, options.connections)?);
    for stream in &mut streams {
        round_trip(&echo, stream)?;
    }
    let now = process.memory()?;
    let each = now.resident.saturating_sub(before.resident) / options.connections;
    println!("{} connections within TLS: {each} bytes of memory each", options.connections);
    Ok(())
}

/// Tells how long round trips take with nobody else there, and while handshakes come in bursts.
pub(crate) fn storm(options: &Options) -> Result<(), Box<dyn Error>> {
    let (echo, config) = (Echo::new(options.size), trusting(options)?);
    let mut streams = open(options, &config, options.connections)?;
    let rounds = (options.messages / options.connections).max(1);
    round_trips(&echo, &mut streams, rounds / 10)?;
    let calm = round_trips(&echo, &mut streams, rounds)?;

    let (over, handshakes) = (AtomicBool::new(false), AtomicU64::new(0));
    let stormy = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Relaxed) {
                burst(options, &config, &handshakes).expect("the server takes them all");
            }
        });
        let stormy = round_trips(&echo, &mut streams, rounds);
        over.store(true, Relaxed);
        stormy
    })?;
    println!(
        "{} connections: {calm}; with {STORM} handshakes at once, {} in all: {stormy}",
        options.connections,
        handshakes.load(Relaxed)
    );
    Ok(())
}

/// Sends all first words at once, and reads an answer to each.
fn burst(
    options: &Options,
    config: &Arc<ClientConfig>,
    handshakes: &AtomicU64,
) -> Result<(), Box<dyn Error>> {
    let mut waiting = Vec::new();
    for _ in 0..STORM {
        let stream = TcpStream::connect(options.server()?)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        let mut hello = Vec::new();
        session(config)?.write_tls(&mut hello)?;
        waiting.push((stream, hello));
    }
    for (stream, hello) in &mut waiting {
        stream.write_all(hello)?;
    }
    for (mut stream, _) in waiting {
        stream.read_exact(&mut [0])?;
        handshakes.fetch_add(1, Relaxed);
    }
    Ok(())
}

/// How long round trips took.
struct Times {
    median: Duration,
    p99: Duration,
    longest: Duration,
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "median {:?}, p99 {:?}, longest {:?}", self.median, self.p99, self.longest)
    }
}

/// Has every connection echo a message, again and again.
fn round_trips(
    echo: &Echo,
    streams: &mut [Secured],
    rounds: usize,
) -> Result<Times, Box<dyn Error>> {
    let mut times = Vec::new();
    for _ in 0..rounds.max(1) {
        let mut begun = Vec::new();
        for stream in &mut *streams {
            begun.push(Instant::now());
            stream.write_all(&echo.request)?;
        }
        for (stream, begun) in streams.iter_mut().zip(begun) {
            expect_reply(echo, stream)?;
            times.push(begun.elapsed());
        }
    }
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    Ok(Times { median: at(50), p99: at(99), longest: at(100) })
}

fn round_trip(echo: &Echo, stream: &mut Secured) -> Result<(), Box<dyn Error>> {
    stream.write_all(&echo.request)?;
    expect_reply(echo, stream)
}

fn expect_reply(echo: &Echo, stream: &mut Secured) -> Result<(), Box<dyn Error>> {
    let mut reply = vec![0; echo.reply.len()];
    stream.read_exact(&mut reply)?;
    if reply != echo.reply {
        return Err("the reply is not what was sent".into());
    }
    Ok(())
}

fn open(
    options: &Options,
    config: &Arc<ClientConfig>,
    count: usize,
) -> Result<Vec<Secured>, Box<dyn Error>> {
    let mut streams = Vec::with_capacity(count);
    for _ in 0..count {
        let socket = TcpStream::connect(options.server()?)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        socket.set_write_timeout(Some(TIMEOUT))?;
        let mut stream = StreamOwned::new(session(config)?, socket);
        stream.write_all(&client::request(None))?;
        client::finish_handshake(&mut stream, None)?;
        streams.push(stream);
    }
    Ok(streams)
}

fn session(config: &Arc<ClientConfig>) -> Result<ClientConnection, Box<dyn Error>> {
    Ok(ClientConnection::new(Arc::clone(config), ServerName::try_from("localhost")?)?)
}

/// Trusts the certificate in `--ca`. Sessions are not resumed: it is full handshakes that are
/// measured.
fn trusting(options: &Options) -> Result<Arc<ClientConfig>, Box<dyn Error>> {
    let file = options.ca.as_deref().ok_or("this mode needs --ca")?;
    let mut config = ClientConfig::clone(&*client_config(roots_in_pem(&std::fs::read(file)?)?));
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}
