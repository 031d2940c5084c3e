//! A client that sends the time every second and prints what arrives.
//!
//! ```sh
//! cargo run --example client -- ws://127.0.0.1:9001/
//! ```
//!
//! With the feature `tls`, it connects to `wss` URLs too. Where the server's certificate is not signed
//! by whom the system trusts, say whom to trust instead:
//!
//! ```sh
//! cargo run --example client --features tls -- --ca authority.pem wss://localhost:9001/
//! ```
//!
//! Ctrl-C closes the connection. The program ends when the connection does, says how that was, and
//! fails if it was not by a closing handshake.

use std::error::Error;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, SystemTime};

use lexopt::prelude::*;
use wsloop::client::{self, Closed, Connector, Reader, Writer};
use wsloop::handshake::{ClientRequest, WsUrl};
use wsloop::{CloseCode, Message};

fn main() -> ExitCode {
    match parse_arguments().map_err(Into::into).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("client: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Option<Arguments>) -> Result<(), Box<dyn Error>> {
    let Some(Arguments { url, ca }) = arguments else { return Ok(()) };
    // People who press Ctrl-C do not wait for long.
    let mut connector = Connector::new().close_timeout(Duration::from_secs(1));
    if let Some(ca) = ca {
        connector = trusting(connector, &ca)?;
    }
    let client = connector.connect(&ClientRequest::new(WsUrl::parse(&url)?))?;
    // From here on, Ctrl-C is a message rather than the end of the process.
    let (interrupt, interrupts) = mpsc::channel();
    ctrlc::set_handler(move || _ = interrupt.send(()))?;
    println!("connected to {url}");
    stdout().flush()?;

    let (reader, writer) = client.into_halves();
    thread::Builder::new().spawn(move || tell_time(&writer, &interrupts))?;
    println!("{}", print_messages(reader)?);
    Ok(())
}

/// Has a connector trust the authorities in a PEM file, and nobody else.
#[cfg(feature = "tls")]
fn trusting(connector: Connector, file: &Path) -> Result<Connector, Box<dyn Error>> {
    use wsloop::tls;

    let roots = std::fs::read(file).and_then(|pem| tls::roots_in_pem(&pem));
    let roots = roots.map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(connector.tls(tls::client_config(roots)))
}

#[cfg(not(feature = "tls"))]
fn trusting(_: Connector, _: &Path) -> Result<Connector, Box<dyn Error>> {
    Err("--ca is for wss URLs, which take the feature `tls`".into())
}

/// Prints what arrives, until the connection ends. Says how the server closed.
fn print_messages(mut reader: Reader) -> Result<Closed, Box<dyn Error>> {
    while let Some(message) = reader.receive()? {
        match message {
            Message::Text(text) => println!("received: {text}"),
            Message::Binary(bytes) => println!("received: {} bytes", bytes.len()),
        }
        stdout().flush()?;
    }
    Ok(reader.closed().cloned().expect("there are no more messages"))
}

/// Sends the time every second, until Ctrl-C: then it closes. The other thread notices either.
fn tell_time(writer: &Writer, interrupts: &Receiver<()>) {
    while let Err(RecvTimeoutError::Timeout) = interrupts.recv_timeout(Duration::from_secs(1)) {
        match writer.send(&time()) {
            // It goes out as soon as the server takes anything. The next ones need not be queued.
            Ok(()) | Err(client::Error::Timeout | client::Error::Unsent) => {}
            Err(_) => return,
        }
    }
    _ = writer.close(CloseCode::NORMAL, "interrupted");
}

/// The time of day, UTC.
#[expect(clippy::disallowed_methods, reason = "it is the time that is sent")]
fn time() -> String {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seconds = since_1970.as_secs() % (24 * 60 * 60);
    format!("{:02}:{:02}:{:02} UTC", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

struct Arguments {
    url: String,
    ca: Option<PathBuf>,
}

/// Returns the arguments, unless it was only asked for help.
fn parse_arguments() -> Result<Option<Arguments>, lexopt::Error> {
    let mut arguments = Arguments { url: "ws://127.0.0.1:9001/".to_owned(), ca: None };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("ca") => arguments.ca = Some(parser.value()?.into()),
            Value(value) => arguments.url = value.string()?,
            Short('h') | Long("help") => {
                println!("usage: client [--ca FILE] [URL]");
                return Ok(None);
            }
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(Some(arguments))
}
