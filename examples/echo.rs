//! An echo server, with a page to talk to it from a browser.
//!
//! ```sh
//! cargo run --release --example echo -- --listen 127.0.0.1:9001 --max-message 16777216 --deflate
//! ```
//!
//! Within TLS, if the crate is built with it, and with a certificate for tests:
//!
//! ```sh
//! openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
//!     -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
//!     -addext basicConstraints=critical,CA:FALSE \
//!     -keyout key.pem -out cert.pem
//! cargo run --release --features tls --example echo -- --tls-cert cert.pem --tls-key key.pem
//! ```

use std::error::Error;
use std::io::{self, Write, stdout};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
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
    let Some(Arguments { listen, config, tls }) = arguments else { return Ok(()) };
    let mut event_loop = EventLoop::with_config(config)?;
    let (scheme, addr) = match &tls {
        None => ("ws", event_loop.listen(&listen)),
        Some((certificate, key)) => {
            ("wss", listen_tls(&mut event_loop, &listen, certificate, key)?)
        }
    };
    let addr = addr.map_err(|error| format!("cannot listen on {listen}: {error}"))?;

    let remote = event_loop.remote();
    ctrlc::set_handler(move || remote.shutdown(Duration::from_secs(3)))?;
    println!("listening on {scheme}://{addr}");
    stdout().flush()?;
    event_loop.run(&mut Echo)?;
    Ok(())
}

#[cfg(feature = "tls")]
fn listen_tls(
    event_loop: &mut EventLoop,
    listen: &str,
    certificate: &Path,
    key: &Path,
) -> Result<io::Result<SocketAddr>, Box<dyn Error>> {
    let identity = wsloop::TlsIdentity::from_pem_files(certificate, key)?;
    Ok(event_loop.listen_tls(listen, identity))
}

#[cfg(not(feature = "tls"))]
fn listen_tls(
    _: &mut EventLoop,
    _: &str,
    _: &Path,
    _: &Path,
) -> Result<io::Result<SocketAddr>, Box<dyn Error>> {
    Err("built without TLS: add --features tls".into())
}

struct Arguments {
    listen: String,
    config: Config,
    /// The files with certificate and key.
    tls: Option<(PathBuf, PathBuf)>,
}

const USAGE: &str = "usage: echo [--listen ADDR] [--max-message BYTES] [--subprotocol NAME]...
            [--deflate[=POLICY]] [--tls-cert FILE --tls-key FILE]

  --listen ADDR         where to listen; port 0 lets the system choose [127.0.0.1:9001]
  --max-message BYTES   the largest message that is accepted [16777216]
  --subprotocol NAME    one that is spoken if the client offers it, the preferred one first
  --deflate[=POLICY]    compress messages if the client offers it: each by itself with the policy
                        `shared` [shared], with reference to those before it with `dedicated`.
                        Behind it there may be, separated by commas: window-bits=N, level=N,
                        memory-level=N, threshold=BYTES, release-after=SECONDS
  --tls-cert FILE       the certificate and those that vouch for it, in PEM: wss instead of ws
  --tls-key FILE        its private key, in PEM";

impl Arguments {
    fn parse() -> Result<Option<Self>, lexopt::Error> {
        let mut listen = "127.0.0.1:9001".to_owned();
        let mut config = Config::new();
        let mut subprotocols = Vec::new();
        let (mut certificate, mut key) = (None, None);
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("listen") => listen = parser.value()?.string()?,
                Long("max-message") => config = config.max_message_size(parser.value()?.parse()?),
                Long("subprotocol") => subprotocols.push(parser.value()?.string()?),
                #[cfg(feature = "deflate")]
                Long("deflate") => config = config.compression(policy(&mut parser)?),
                Long("tls-cert") => certificate = Some(parser.value()?.into()),
                Long("tls-key") => key = Some(parser.value()?.into()),
                Short('h') | Long("help") => {
                    println!("{USAGE}");
                    return Ok(None);
                }
                _ => return Err(argument.unexpected()),
            }
        }
        let tls = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err("--tls-cert and --tls-key go together".into()),
        };
        Ok(Some(Self { listen, config: config.subprotocols(subprotocols), tls }))
    }
}

/// What `--deflate` asks for: shared, if it does not say.
#[cfg(feature = "deflate")]
fn policy(parser: &mut lexopt::Parser) -> Result<Compression, lexopt::Error> {
    let Some(value) = parser.optional_value() else { return Ok(Compression::shared()) };
    let value = value.string()?;
    let mut settings = value.split(',');
    let mut compression = match settings.next() {
        Some("shared") => Compression::shared(),
        Some("dedicated") => Compression::dedicated(),
        _ => return Err("the policies are: shared, dedicated".into()),
    };
    for setting in settings {
        let (name, number) = setting.split_once('=').ok_or("a setting has a value")?;
        let number: u32 = number.parse().map_err(|_| "the value of a setting is a number")?;
        let small = u8::try_from(number).unwrap_or(u8::MAX);
        compression = match name {
            "window-bits" if (9..=15).contains(&small) => compression.window_bits(small),
            "level" if (1..=9).contains(&small) => compression.level(small),
            "memory-level" if (1..=9).contains(&small) => compression.memory_level(small),
            "threshold" => compression.threshold(number as usize),
            "release-after" => compression.release_after(Some(Duration::from_secs(number.into()))),
            _ => {
                return Err("expected window-bits=9 to 15, level or memory-level=1 to 9, \
                            threshold=BYTES or release-after=SECONDS"
                    .into());
            }
        };
    }
    Ok(compression)
}
