//! Goes through the cases of the Autobahn Testsuite, whose server is at a URL.
//!
//! ```sh
//! cargo run --release --example autobahn_client -- ws://127.0.0.1:9002 --blocking
//! ```
//!
//! What is wanted in every case is the same: send back each message, until the server ends the
//! connection in one way or another. The server's reports say how well that was done.
//! `scripts/autobahn client` runs it.

use std::error::Error;
use std::process::ExitCode;

use lexopt::prelude::*;
use wsloop::client::{self, Client};

/// What the reports call us.
const AGENT: &str = "wsloop-blocking";

fn main() -> ExitCode {
    match parse_arguments().map_err(Into::into).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("autobahn_client: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(url: Option<String>) -> Result<(), Box<dyn Error>> {
    let Some(url) = url else { return Ok(()) };
    let url = url.trim_end_matches('/');
    let cases = count_cases(&format!("{url}/getCaseCount"))?;
    for case in 1..=cases {
        let client = Client::connect(&format!("{url}/runCase?case={case}&agent={AGENT}"))?;
        // Many a case ends in an error, as it should.
        _ = echo(client);
    }
    // The reports are on disk when this is over.
    _ = Client::connect(&format!("{url}/updateReports?agent={AGENT}"))?.receive()?;
    Ok(())
}

/// The server says how many there are, and closes.
fn count_cases(url: &str) -> Result<u32, Box<dyn Error>> {
    let mut client = Client::connect(url)?;
    let message = client.receive()?.ok_or("the server has closed before it said anything")?;
    Ok(message.as_text().ok_or("the number of cases is not text")?.parse()?)
}

/// Sends back what is received, until the connection ends.
fn echo(mut client: Client) -> Result<(), client::Error> {
    while let Some((message, writer)) = client.exchange()? {
        writer.send(message)?;
    }
    Ok(())
}

fn parse_arguments() -> Result<Option<String>, lexopt::Error> {
    let mut url = None;
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Value(value) if url.is_none() => url = Some(value.string()?),
            Long("blocking") => {}
            Short('h') | Long("help") => {
                println!("usage: autobahn_client URL [--blocking]");
                return Ok(None);
            }
            _ => return Err(argument.unexpected()),
        }
    }
    url.map(Some).ok_or_else(|| "which URL?".into())
}
