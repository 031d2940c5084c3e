//! The client's side of the opening handshake, RFC 6455 §4.1: is the answer what we asked for?

use super::accept_key::{accept_written_key, written_key};
#[cfg(feature = "deflate")]
use super::deflate::{self, DeflateOptions};
use super::extensions::{Extension, Extensions, Malformed};
use super::received_fields::{ReceivedFields, parse_length};
use super::response_error::ResponseError;
use super::response_head::{ResponseHead, ResponseLimits};
use super::response_reader::{Answer, RequestKind, ResponseReader};
use super::server_refusal::ServerRefusal;
use super::subprotocol::Subprotocols;
#[cfg(feature = "deflate")]
use crate::protocol::DeflateParameters;

pub use self::request::{ClientRequest, InvalidOffer, RedirectError};

mod request;

/// A client's opening handshake under way: the request is sent, the answer is awaited.
///
/// Until the answer is there, send nothing more (RFC 6455 §4.1).
///
/// # Examples
///
/// ```
/// use wsloop::handshake::{ClientHandshake, ClientRequest, Reply, WsUrl};
/// use wsloop::protocol::{Connection, Event, Message};
///
/// let request = ClientRequest::new(WsUrl::parse("ws://server.example/chat")?);
/// // 16 bytes from a source that nobody can foretell; this one is for examples.
/// let key = *b"the sample nonce";
/// let mut output = Vec::new();
/// let mut handshake = ClientHandshake::start(&request, key, &mut output);
/// // Write `output` to the transport, then give what is read from it to `receive`.
///
/// let mut read = *b"HTTP/1.1 101 Switching Protocols\r\n\
///     Upgrade: websocket\r\n\
///     Connection: Upgrade\r\n\
///     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
///     \r\n\x81\x05Hello";
/// let mut input = &read[..];
/// let Some(Reply::Established(established)) = handshake.receive(&mut input)? else {
///     panic!("the answer is whole, and no refusal");
/// };
/// assert_eq!(established.subprotocol(), None);
///
/// // What is left of the input is the beginning of the frames.
/// let frames = read.len() - input.len();
/// let mut connection = Connection::client(|| [1, 2, 3, 4]); // keys nobody can foretell, too
/// let mut input = &mut read[frames..];
/// let hello = connection.receive(&mut input)?;
/// assert_eq!(hello, Some(Event::Message(Message::Text("Hello"))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ClientHandshake {
    reader: ResponseReader,
    accept_key: [u8; 28],
    subprotocols: Subprotocols,
    requires_subprotocol: bool,
    extensions: Extensions,
    #[cfg(feature = "deflate")]
    deflate: Option<DeflateOptions>,
}

/// What a server answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reply {
    /// The connection is open: frames follow.
    Established(Established),
    /// The server does not upgrade. Close the connection.
    ///
    /// A redirection is one of these: [`ClientRequest::redirected`] follows it, if that is wanted.
    Refused(ServerRefusal),
}

impl ClientHandshake {
    /// Appends the request to `output`, and expects the answer to it, within the default limits.
    ///
    /// `key` is 16 bytes nobody can foretell, other ones for every connection (RFC 6455 §4.1).
    pub fn start(request: &ClientRequest, key: [u8; 16], output: &mut Vec<u8>) -> Self {
        request.encode(key, output);
        Self {
            reader: ResponseReader::new(RequestKind::Upgrade, ResponseLimits::default()),
            accept_key: accept_written_key(&written_key(key)),
            subprotocols: request.subprotocols.clone(),
            requires_subprotocol: request.requires_subprotocol,
            extensions: request.offered_extensions().into_owned(),
            #[cfg(feature = "deflate")]
            deflate: request.offered_deflate(),
        }
    }

    /// Sets how much of an answer is accepted. Do so before anything is received.
    #[must_use]
    pub fn limits(self, limits: ResponseLimits) -> Self {
        Self { reader: ResponseReader::new(RequestKind::Upgrade, limits), ..self }
    }

    /// Takes bytes from the front of `input` until the answer is complete, and returns it then.
    ///
    /// Returns `None` if there must be more to come. Interim responses such as 100 and 103 are
    /// skipped, eight at most. After [`Reply::Established`], what is left in `input` are frames.
    /// After [`Reply::Refused`] nothing in it has a meaning. Once the reply has been returned, this
    /// takes nothing and returns `None`.
    ///
    /// # Errors
    ///
    /// Fails as soon as it is clear that this can be no valid answer. It then keeps failing.
    pub fn receive(&mut self, input: &mut &[u8]) -> Result<Option<Reply>, ResponseError> {
        let answer = self.reader.receive(input)?;
        self.judge(answer)
    }

    /// Takes the end of the stream, or of the caller's patience.
    ///
    /// A refusal whose body has not ended by then is complete with what there is of it.
    ///
    /// # Errors
    ///
    /// Fails if the head of the answer is not complete.
    pub fn end(&mut self) -> Result<Option<Reply>, ResponseError> {
        let answer = self.reader.end()?;
        self.judge(answer)
    }

    fn judge(&mut self, answer: Option<Answer>) -> Result<Option<Reply>, ResponseError> {
        match answer {
            None => Ok(None),
            Some(Answer::Refused(refusal)) => Ok(Some(Reply::Refused(refusal))),
            Some(Answer::Switched(head)) => match self.establish(head) {
                Ok(established) => Ok(Some(Reply::Established(established))),
                Err(error) => Err(self.reader.fail(error)),
            },
        }
    }

    /// Checks a 101 in the order of §4.1.
    fn establish(&self, head: ResponseHead) -> Result<Established, ResponseError> {
        let fields = head.received_fields();
        if head.minor_version() == 0 {
            return Err(ResponseError::HttpVersion);
        }
        match fields.single("Upgrade", ResponseError::Upgrade)? {
            Some(upgrade) if upgrade.eq_ignore_ascii_case(b"websocket") => {}
            _ => return Err(ResponseError::Upgrade),
        }
        if !fields.lists("Connection", "Upgrade") {
            return Err(ResponseError::Connection);
        }
        match fields.single("Sec-WebSocket-Accept", ResponseError::RepeatedAcceptKey)? {
            Some(accept_key) if accept_key == self.accept_key => {}
            Some(_) => return Err(ResponseError::AcceptKey),
            None => return Err(ResponseError::NoAcceptKey),
        }
        check_content(&fields)?;
        let extensions = self.agreed_extensions(&fields)?;
        #[cfg(feature = "deflate")]
        let deflate = self.agreed_deflate(&extensions)?;
        let subprotocol = self.agreed_subprotocol(&fields)?;
        Ok(Established {
            subprotocol,
            extensions,
            #[cfg(feature = "deflate")]
            deflate,
            head,
        })
    }

    fn agreed_extensions(&self, fields: &ReceivedFields<'_>) -> Result<Extensions, ResponseError> {
        let agreed = Extensions::parse(fields.values("Sec-WebSocket-Extensions"))
            .map_err(|Malformed| ResponseError::Extensions)?;
        // Only names that were offered are looked for twice: a server cannot make this long.
        let mut names = Vec::new();
        for extension in agreed.iter() {
            if !self.extensions.iter().any(|offered| offered.name() == extension.name()) {
                return Err(ResponseError::UnofferedExtension);
            }
            if names.contains(&extension.name()) {
                return Err(ResponseError::RepeatedExtension);
            }
            names.push(extension.name());
        }
        Ok(agreed)
    }

    /// Judges the answer to our offer to compress. One that the application wrote is its to judge.
    #[cfg(feature = "deflate")]
    fn agreed_deflate(
        &self,
        agreed: &Extensions,
    ) -> Result<Option<DeflateParameters>, ResponseError> {
        let Some(options) = self.deflate else { return Ok(None) };
        let answer = agreed.iter().find(|extension| extension.name() == deflate::NAME);
        answer.map(|answer| options.judge(&answer)).transpose()
    }

    fn agreed_subprotocol(
        &self,
        fields: &ReceivedFields<'_>,
    ) -> Result<Option<Box<str>>, ResponseError> {
        let name = "Sec-WebSocket-Protocol";
        let Some(agreed) = fields.single(name, ResponseError::RepeatedSubprotocol)? else {
            let missing = self.requires_subprotocol && self.subprotocols.iter().next().is_some();
            return if missing { Err(ResponseError::NoSubprotocol) } else { Ok(None) };
        };
        let offered = self.subprotocols.iter().find(|offered| offered.as_bytes() == agreed);
        offered.map(|name| Some(name.into())).ok_or(ResponseError::UnofferedSubprotocol)
    }
}

/// Checks that a 101 announces no content. A length of 0 is harmless, and some devices send it.
///
/// RFC 9112 §6.3 has it ignored; but a server that announces a body, or a proxy that let one pass,
/// does not agree with us on where the frames begin.
fn check_content(fields: &ReceivedFields<'_>) -> Result<(), ResponseError> {
    let length = fields.single("Content-Length", ResponseError::Content)?;
    let empty = length.is_none_or(|length| parse_length(length) == Some(0));
    let coded = fields.values("Transfer-Encoding").next().is_some();
    if empty && !coded { Ok(()) } else { Err(ResponseError::Content) }
}

/// What both endpoints have agreed on, and all that the server said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Established {
    subprotocol: Option<Box<str>>,
    extensions: Extensions,
    #[cfg(feature = "deflate")]
    deflate: Option<DeflateParameters>,
    head: ResponseHead,
}

impl Established {
    /// The subprotocol in use, one of those that were offered.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// The extensions in use, each one that was offered, in the order in which they apply.
    ///
    /// Whether their parameters answer what was offered has not been checked, but for those of
    /// permessage-deflate where [`ClientRequest`] was told to offer it.
    pub fn extensions(&self) -> impl Iterator<Item = Extension<'_>> {
        self.extensions.iter()
    }

    /// How messages may be compressed, if [`ClientRequest::deflate`] offered it and the server
    /// agreed.
    #[cfg(feature = "deflate")]
    pub fn deflate(&self) -> Option<DeflateParameters> {
        self.deflate
    }

    /// The head of the answer, with the cookies that it sets.
    pub fn head(&self) -> &ResponseHead {
        &self.head
    }
}

#[cfg(test)]
mod tests;
