//! A server that does what its clients ask for, so that clients nobody here wrote can be shown
//! what the `echo` example never does. `scripts/interop` starts it.
//!
//! What it is asked for is a text message:
//!
//! ```text
//! field NAME         sends the values of a header field of the opening handshake
//! client addr        sends the address of the client, as far as proxies that are trusted tell
//! ping PAYLOAD       sends a Ping
//! close CODE REASON  closes
//! last close         sends how the latest closing handshake began: by whom, code, reason
//! ```
//!
//! A Pong it tells by a message, "pong PAYLOAD".
//!
//! At the path `/deflate/POLICY/BITS` it compresses, by the policy `shared` or `dedicated` and with
//! windows of no more than so many bits, and sends back what it is sent. But a text message `agreed`
//! is answered with what was agreed on: "server 15, client 10 alone", the window bits of each, and
//! whether it compresses each message by itself. Any other path is not found.
//!
//! ```text
//! --ping-interval SECONDS   when to send Pings of its own, 0 for never [30]
//! --trust ADDRESS           a proxy that is trusted to say in X-Forwarded-For who is behind it
//! --tls-cert FILE           a certificate in PEM: wss instead of ws
//! --tls-key FILE            its private key
//! ```

use std::error::Error;
use std::io::{Write, stdout};
use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::*;
use wsloop::handshake::{Acceptance, DeflateOptions};
use wsloop::{
    Answer, Close, CloseCause, CloseCode, Compress, Config, EventLoop, Handler, IncomingRequest,
    Message, Peer, PeerMap, Peers, ProxyField, Response, TlsIdentity, TrustedProxies,
};

/// Small enough that a message beyond it is quickly sent.
const MAX_MESSAGE: u64 = 2 << 20;

#[derive(Default)]
struct Obliging {
    /// The header of each peer's opening handshake: names and values.
    fields: PeerMap<Vec<(String, String)>>,
    last_close: String,
}

impl Handler for Obliging {
    fn on_request(&mut self, _: &mut Peers, request: &IncomingRequest<'_>) -> Answer {
        if let Some(options) = deflate_options(request.path()) {
            return Acceptance::new().deflate(options).into();
        }
        if request.path() != "/" {
            return Response::text(404, "not found\n").into();
        }
        let field = |(name, value): (&str, &[u8])| {
            (name.to_owned(), String::from_utf8_lossy(value).into_owned())
        };
        self.fields.insert(request.id(), request.fields().map(field).collect());
        request.upgrade()
    }

    fn on_message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) {
        if !self.fields.contains(peer.id()) {
            return echo(peer, message);
        }
        let Message::Text(text) = message else { return };
        match text.split_once(' ') {
            Some(("field", name)) => {
                peer.send(self.values(peer, name).as_str());
            }
            Some(("ping", payload)) => {
                peer.ping(payload.as_bytes());
            }
            Some(("client", "addr")) => {
                let addr = peer.client_addr().map(|addr| addr.to_string());
                peer.send(addr.unwrap_or_default().as_str());
            }
            Some(("close", how)) => close(peer, how),
            Some(("last", "close")) => {
                peer.send(self.last_close.as_str());
            }
            _ => peer.close(CloseCode::UNSUPPORTED_DATA, "no such request"),
        }
    }

    fn on_pong(&mut self, peer: &mut Peer<'_>, payload: &[u8]) {
        peer.send(format!("pong {}", String::from_utf8_lossy(payload)).as_str());
    }

    fn on_close(&mut self, peer: &mut Peer<'_>, close: Close<'_>) {
        self.fields.remove(peer.id());
        let by = match close.cause {
            CloseCause::Remote => "client",
            CloseCause::Local => "server",
            _ => "neither",
        };
        let how = if close.clean { "clean" } else { "not clean" };
        self.last_close = format!("{by} {how} {} {}", close.code, close.reason);
    }
}

impl Obliging {
    fn values(&self, peer: &Peer<'_>, name: &str) -> String {
        let fields = self.fields.get(peer.id()).map(Vec::as_slice).unwrap_or_default();
        let named = fields.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// What the path has it agree to.
fn deflate_options(path: &str) -> Option<DeflateOptions> {
    let (policy, bits) = path.strip_prefix("/deflate/")?.split_once('/')?;
    let (alone, bits) = (policy == "shared", bits.parse().ok()?);
    Some(DeflateOptions {
        server_no_context_takeover: alone,
        client_no_context_takeover: alone,
        server_max_window_bits: bits,
        client_max_window_bits: bits,
    })
}

/// Sends a message back, or what was agreed on if that is what it asks for.
fn echo(peer: &mut Peer<'_>, message: Message<'_>) {
    if message != Message::Text("agreed") {
        peer.send(message);
        return;
    }
    let id = peer.id();
    let text = match peer.peers().deflate(id) {
        Some(agreed) => format!(
            "server {}{}, client {}{}",
            agreed.server_max_window_bits,
            if agreed.server_no_context_takeover { " alone" } else { "" },
            agreed.client_max_window_bits,
            if agreed.client_no_context_takeover { " alone" } else { "" },
        ),
        None => "nothing".to_owned(),
    };
    peer.send_with(text.as_str(), Compress::Never);
}

/// Closes as "CODE REASON" says.
fn close(peer: &mut Peer<'_>, how: &str) {
    let (code, reason) = how.split_once(' ').unwrap_or((how, ""));
    match code.parse().ok().and_then(CloseCode::new) {
        Some(code) => peer.close(code, reason),
        None => peer.close(CloseCode::UNSUPPORTED_DATA, "no such status code"),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { config, certificate, key } = Arguments::parse()?;
    let mut event_loop = EventLoop::with_config(config)?;
    let (scheme, addr) = match certificate.zip(key) {
        None => ("ws", event_loop.listen("127.0.0.1:0")?),
        Some((certificate, key)) => {
            let identity = TlsIdentity::from_pem_files(certificate, key)?;
            ("wss", event_loop.listen_tls("127.0.0.1:0", identity)?)
        }
    };
    println!("listening on {scheme}://{addr}");
    stdout().flush()?;
    event_loop.run(&mut Obliging::default())?;
    Ok(())
}

struct Arguments {
    config: Config,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl Arguments {
    fn parse() -> Result<Self, Box<dyn Error>> {
        let mut config =
            Config::new().max_message_size(MAX_MESSAGE).subprotocols(["chat.v2", "chat.v1"]);
        let (mut certificate, mut key) = (None, None);
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("ping-interval") => {
                    let seconds: u64 = parser.value()?.parse()?;
                    let interval = (seconds != 0).then(|| Duration::from_secs(seconds));
                    config = config.ping_interval(interval);
                }
                Long("trust") => {
                    let addr = parser.value()?.string()?;
                    let proxies = TrustedProxies::new(ProxyField::XForwardedFor, [addr])?;
                    config = config.trusted_proxies(proxies);
                }
                Long("tls-cert") => certificate = Some(parser.value()?.into()),
                Long("tls-key") => key = Some(parser.value()?.into()),
                _ => return Err(argument.unexpected().into()),
            }
        }
        Ok(Self { config, certificate, key })
    }
}
