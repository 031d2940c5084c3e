//! SOCKS version 5, RFC 1928, with a name and password by RFC 1929.

use core::net::{Ipv4Addr, Ipv6Addr};

use super::ProxyError;
use crate::handshake::credentials::Credentials;
use crate::handshake::url::WsUrl;

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const NAME_AND_PASSWORD: u8 = 2;
const NO_ACCEPTABLE_METHOD: u8 = 0xFF;
/// The version of the exchange of a name and a password, RFC 1929 §2.
const PASSWORD_VERSION: u8 = 1;

const IPV4: u8 = 1;
const DOMAIN_NAME: u8 = 3;
const IPV6: u8 = 4;

/// A request to be connected, under way.
#[derive(Clone, Debug)]
pub(super) struct Socks5 {
    credentials: Option<Credentials>,
    /// The request to connect, sent when it is known who asks.
    request: Vec<u8>,
    /// What has arrived of the message that is being received.
    received: Vec<u8>,
    awaited: Awaited,
}

/// What the proxy says next.
#[derive(Clone, Copy, Debug)]
enum Awaited {
    /// Which way to authenticate it picks.
    Method,
    /// Whether it accepts the name and the password.
    Status,
    /// Whether it has connected.
    Reply,
}

/// Whether credentials can be sent: both have a length of one byte, which is not 0.
pub(super) fn can_say(credentials: &Credentials) -> bool {
    let fits = |text: &str| (1..=255).contains(&text.len());
    fits(credentials.name()) && fits(credentials.password())
}

impl Socks5 {
    /// Appends the offer of ways to authenticate.
    pub(super) fn start(
        url: &WsUrl,
        credentials: Option<&Credentials>,
        output: &mut Vec<u8>,
    ) -> Self {
        match credentials {
            None => output.extend_from_slice(&[VERSION, 1, NO_AUTHENTICATION]),
            Some(_) => {
                output.extend_from_slice(&[VERSION, 2, NO_AUTHENTICATION, NAME_AND_PASSWORD]);
            }
        }
        Self {
            credentials: credentials.cloned(),
            request: connect(url),
            received: Vec::new(),
            awaited: Awaited::Method,
        }
    }

    /// Takes bytes up to the end of the last message, and returns whether the proxy has connected.
    pub(super) fn receive(
        &mut self,
        input: &mut &[u8],
        output: &mut Vec<u8>,
    ) -> Result<bool, ProxyError> {
        while let Some((&byte, rest)) = input.split_first() {
            *input = rest;
            self.received.push(byte);
            if !self.is_message_complete()? {
                continue;
            }
            let value = self.received[1];
            self.received.clear();
            match self.awaited {
                Awaited::Method => self.authenticate(value, output)?,
                Awaited::Status => self.request(output),
                Awaited::Reply => return Ok(true),
            }
        }
        Ok(false)
    }

    /// Judges what has arrived of a message as soon as it can be judged.
    fn is_message_complete(&self) -> Result<bool, ProxyError> {
        let version = match self.awaited {
            Awaited::Method | Awaited::Reply => VERSION,
            Awaited::Status => PASSWORD_VERSION,
        };
        if self.received[0] != version {
            return Err(ProxyError::SocksVersion);
        }
        let Some(&value) = self.received.get(1) else { return Ok(false) };
        match (self.awaited, value) {
            (Awaited::Method, _) | (Awaited::Status, 0) => Ok(true),
            (Awaited::Status, _) => Err(ProxyError::SocksCredentials),
            (Awaited::Reply, 0) => Ok(self.received.len() == self.reply_len()?),
            (Awaited::Reply, reply) => Err(ProxyError::SocksReply(reply)),
        }
    }

    /// How long the reply is at least, by what has arrived of it, RFC 1928 §6.
    fn reply_len(&self) -> Result<usize, ProxyError> {
        const BEFORE_ADDRESS: usize = 4;
        const PORT: usize = 2;
        let address_len = match self.received[2..] {
            [_, IPV4, ..] => 4,
            [_, IPV6, ..] => 16,
            [_, DOMAIN_NAME, len, ..] => 1 + usize::from(len),
            [_, DOMAIN_NAME] | [_] | [] => 1,
            [_, _, ..] => return Err(ProxyError::SocksAddress),
        };
        Ok(BEFORE_ADDRESS + address_len + PORT)
    }

    /// Does as the proxy picked.
    fn authenticate(&mut self, method: u8, output: &mut Vec<u8>) -> Result<(), ProxyError> {
        match (method, &self.credentials) {
            (NO_AUTHENTICATION, _) => self.request(output),
            (NAME_AND_PASSWORD, Some(credentials)) => {
                output.push(PASSWORD_VERSION);
                for text in [credentials.name(), credentials.password()] {
                    push_short(text, output);
                }
                self.awaited = Awaited::Status;
            }
            (NO_ACCEPTABLE_METHOD, _) => return Err(ProxyError::SocksMethods),
            _ => return Err(ProxyError::SocksUnofferedMethod),
        }
        Ok(())
    }

    fn request(&mut self, output: &mut Vec<u8>) {
        output.append(&mut self.request);
        self.awaited = Awaited::Reply;
    }
}

/// The request to connect to a server, by its name unless it has none, RFC 1928 §4.
fn connect(url: &WsUrl) -> Vec<u8> {
    const CONNECT: u8 = 1;
    let mut request = vec![VERSION, CONNECT, 0];
    let name = url.server_name();
    if let Ok(address) = name.parse::<Ipv4Addr>() {
        request.push(IPV4);
        request.extend_from_slice(&address.octets());
    } else if let Ok(address) = name.parse::<Ipv6Addr>() {
        request.push(IPV6);
        request.extend_from_slice(&address.octets());
    } else {
        request.push(DOMAIN_NAME);
        push_short(name, &mut request);
    }
    request.extend_from_slice(&url.port().to_be_bytes());
    request
}

/// Appends a text of up to 255 bytes after its length.
fn push_short(text: &str, output: &mut Vec<u8>) {
    debug_assert!(text.len() <= 255, "checked when the URL was parsed");
    // In one byte: were it longer, the text would be cut rather than the message torn.
    let len = u8::try_from(text.len()).unwrap_or(u8::MAX);
    output.push(len);
    output.extend_from_slice(&text.as_bytes()[..len.into()]);
}
