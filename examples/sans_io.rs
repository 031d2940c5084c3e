//! An echo server without the event loop: the protocol as values, and a transport of one's own.
//!
//! ```sh
//! cargo run --example sans_io --no-default-features -- --listen 127.0.0.1:9001
//! ```
//!
//! The transport here is whatever can be read and written, and blocks. `converse` never learns that
//! it is TCP: a TLS stream, a pipe or a test's vector does as well. What an event loop would see to
//! is left to whoever brings the transport: time above all.

use std::error::Error;
use std::io::{self, Read, Write, stdout};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, SystemTime};

use lexopt::prelude::*;
use wsloop::handshake::{Acceptance, HeadBuffer, HeadLimits, Policy, Refusal, Request};
use wsloop::protocol::{Connection, Event};

/// Shakes hands, echoes messages, and returns when the connection is closed or failed.
fn converse(mut transport: impl Read + Write) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    // Frames may have come right behind the request: they are at the front of the buffer then.
    let Some(mut len) = shake_hands(&mut transport, &mut buffer)? else { return Ok(()) };
    let mut connection = Connection::server();
    loop {
        let mut input = &mut buffer[..len];
        while let Ok(Some((event, sender))) = connection.exchange(&mut input) {
            if let Event::Message(message) = event {
                // Fails only once the connection is closing, and then nobody waits for it.
                let _ = sender.send(message);
            }
        }
        // Echoes, and answers to Ping and Close. After a violation, a Close that says why.
        transport.write_all(connection.output())?;
        connection.consume_output(connection.output().len());
        if connection.is_closed() {
            return Ok(());
        }
        len = transport.read(&mut buffer)?;
        if len == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Answers the request. If that was an opening handshake, returns how many bytes of frames are in
/// the buffer.
fn shake_hands(
    transport: &mut (impl Read + Write),
    buffer: &mut [u8],
) -> io::Result<Option<usize>> {
    let (mut head, limits, mut output) = (HeadBuffer::new(), HeadLimits::default(), Vec::new());
    loop {
        let len = transport.read(buffer)?;
        if len == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut input = &buffer[..len];
        let result = match head.receive(&mut input, &limits) {
            Ok(false) => continue,
            Ok(true) => accept(head.head(), &limits, &mut output),
            Err(refusal) => Err(refusal),
        };
        let behind_head = input.len();
        if let Err(refusal) = result {
            #[expect(clippy::disallowed_methods, reason = "for the Date of the response")]
            refusal.response().encode(head.method(), SystemTime::now(), &mut output);
        }
        transport.write_all(&output)?;
        buffer.copy_within(len - behind_head..len, 0);
        return Ok(result.is_ok().then_some(behind_head));
    }
}

/// Writes the 101, if the request is an opening handshake.
fn accept(head: &[u8], limits: &HeadLimits, output: &mut Vec<u8>) -> Result<(), Refusal> {
    let request = Request::parse(head, limits)?;
    let offer = Policy::default().judge(&request)?.ok_or(Refusal::UpgradeRequired)?;
    offer.accept(&Acceptance::new(), output).map(drop).map_err(|_| Refusal::HandlerFailed)
}

/// Gives a connection to `converse`, and sees to what only the owner of the socket can.
fn serve(stream: &TcpStream) -> io::Result<()> {
    // Whoever sends nothing for so long, or takes nothing, is gone.
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    converse(stream)?;
    // To close a socket with unread input is to send a reset, which may overtake the Close.
    stream.shutdown(Shutdown::Write)?;
    io::copy(&mut stream.take(1 << 20), &mut io::sink())?;
    Ok(())
}

const PATIENCE: Duration = Duration::from_secs(60);

/// How many are served at once; more wait to be accepted. A thread for everyone who comes would
/// leave it to strangers when the process runs out of threads or descriptors.
const THREADS: usize = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let Some(listen) = parse_arguments()? else { return Ok(()) };
    let listener = TcpListener::bind(&listen).map_err(|error| format!("{listen}: {error}"))?;
    // Threads that block cannot be asked to say goodbye: that is one thing the event loop is for.
    ctrlc::set_handler(|| std::process::exit(0))?;
    println!("listening on ws://{}", listener.local_addr()?);
    stdout().flush()?;
    thread::scope(|scope| {
        for _ in 0..THREADS {
            thread::Builder::new().spawn_scoped(scope, || serve_one_by_one(&listener))?;
        }
        Ok(())
    })
}

/// Accepts connections, until the system denies one: those who have theirs keep it, and their
/// threads go on.
fn serve_one_by_one(listener: &TcpListener) {
    loop {
        let result = match listener.accept() {
            Ok((stream, _)) => serve(&stream),
            // The client has changed its mind.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) => return eprintln!("sans_io: one thread less: {error}"),
        };
        if let Err(error) = result {
            eprintln!("sans_io: {error}");
        }
    }
}

/// Returns where to listen, unless it was only asked for help.
fn parse_arguments() -> Result<Option<String>, lexopt::Error> {
    let mut listen = "127.0.0.1:9001".to_owned();
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("listen") => listen = parser.value()?.string()?,
            Short('h') | Long("help") => {
                println!("usage: sans_io [--listen ADDR]");
                return Ok(None);
            }
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(Some(listen))
}
