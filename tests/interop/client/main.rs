//! Clients of ours, for servers that nobody here wrote: `scripts/interop-servers` has them go through
//! the cases in `cases-servers.txt`, with the servers in `tests/interop/servers`.
//!
//! ```text
//! interop_client [--client NAME] [--proxy URL] SERVER CASE...
//!     reports each case in a line
//! interop_client [--client NAME] [--proxy URL] SERVER --fails TEXT
//!     reports whether to connect fails, and says TEXT
//! ```
//!
//! The client is `blocking`, which is the default, or `in-loop`, a peer of an event loop.

use std::error::Error;
use std::process::ExitCode;

use lexopt::prelude::*;
use wsloop::handshake::{ClientRequest, Proxy, WsUrl};

use self::client::{Dialer, Failure, Make, Redirects};

mod blocking;
mod cases;
mod client;
mod deflate;
mod in_loop;

fn main() -> ExitCode {
    match Arguments::parse() {
        Ok(arguments) if arguments.run() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("interop_client: {error}");
            ExitCode::from(2)
        }
    }
}

struct Arguments {
    dialer: Dialer,
    server: String,
    cases: Vec<String>,
    fails: Option<String>,
}

impl Arguments {
    fn parse() -> Result<Self, Box<dyn Error>> {
        let (mut proxy, mut server, mut cases, mut fails) = (None, None, Vec::new(), None);
        let mut make = Make::Blocking;
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("client") => make = Make::named(&parser.value()?.string()?)?,
                Long("proxy") => proxy = Some(Proxy::parse(&parser.value()?.string()?)?),
                Long("fails") => fails = Some(parser.value()?.string()?),
                Value(url) if server.is_none() => server = Some(url.string()?),
                Value(case) => cases.push(case.string()?),
                _ => return Err(argument.unexpected().into()),
            }
        }
        let server = server.ok_or("no server is named")?;
        let dialer = Dialer { make, proxy, compression: None };
        Ok(Self { dialer, server, cases, fails })
    }

    /// Returns whether all went well.
    fn run(&self) -> bool {
        match &self.fails {
            Some(text) => report(&format!("fails: {text}"), self.fails_with(text)),
            None => {
                let run =
                    |case: &String| report(case, cases::run(&self.dialer, &self.server, case));
                self.cases.iter().filter(|case| !run(case)).count() == 0
            }
        }
    }

    fn fails_with(&self, text: &str) -> Result<(), Box<dyn Error>> {
        let request = ClientRequest::new(WsUrl::parse_with_credentials(&self.server)?);
        match self.dialer.connect(&request, Redirects::Report) {
            Ok(_) => Err("it connects".into()),
            Err(Failure { text: said, .. }) if said.contains(text) => Ok(()),
            Err(Failure { text: said, .. }) => Err(format!("it says {said:?}").into()),
        }
    }
}

fn report(name: &str, result: Result<(), Box<dyn Error>>) -> bool {
    match result {
        Ok(()) => {
            println!("ok {name}");
            true
        }
        Err(error) => {
            println!("FAILED {name}: {error:.300}");
            false
        }
    }
}
