//! The cases of `cases-servers.txt`.

use std::error::Error;
use std::fmt::Debug;

use wsloop::handshake::{ClientRequest, WsUrl};
use wsloop::{CloseCode, Message};

use super::client::{Client, Dialer, Failure, MAX_MESSAGE, Received, Redirects};
use super::deflate;

pub(super) type Outcome = Result<(), Box<dyn Error>>;

/// Characters of one to four bytes.
const TEXT: &str = "wsloop: é € 😀";

/// Runs a case with the server at a URL.
pub(crate) fn run(dialer: &Dialer, server: &str, case: &str) -> Outcome {
    let case_of = |prefix| case.strip_prefix(prefix);
    let it = Case { dialer, server };
    if let Some(case) = case_of("deflate-")
        && case != "unoffered"
    {
        return deflate::run(dialer, server, case);
    }
    match case {
        "text" => it.echoes(["a", TEXT]),
        "binary" => it.echoes([&(0..=255).collect::<Vec<u8>>()]),
        "empty" => {
            it.echoes(["", "end"])?;
            it.echoes([&b""[..], b"end"])
        }
        "fragments-text" => it.defragments(4, Message::Text(&TEXT.repeat(20))),
        "fragments-binary" => it.defragments(4096, Message::Binary(&vec![0xa5; 1 << 20])),
        "in-order" => it.in_order("message "),
        "ping" => it.ping(),
        "ping-from-server" => it.ping_from_server(),
        "deflate-unoffered" => it.deflate_unoffered(),
        "close-1001" => it.closes(1001, "leaving: é"),
        "close-4999" => it.closes(4999, &"r".repeat(123)),
        "closed-1001" => it.is_closed(1001, "leaving: é"),
        "closed-4999" => it.is_closed(4999, &"r".repeat(123)),
        "too-big" => it.too_big(),
        "subprotocol-chosen" => it.subprotocol_chosen(),
        "subprotocol-none" => it.subprotocol_none(),
        "subprotocol-required" => it.subprotocol_required(),
        "fields" => it.fields(),
        "fields-answered" => it.fields_answered(),
        "credentials" => it.credentials(),
        "credentials-missing" => it.credentials_missing(),
        "redirect-reported" => it.redirect_reported(),
        "redirect-followed" => it.redirect_followed(),
        "redirect-away" => it.redirect_away(),
        _ => {
            if let Some(length) = case_of("length-") {
                it.length(length.parse()?)
            } else if let Some(code) = case_of("close-") {
                it.closes(code.parse()?, "")
            } else if let Some(code) = case_of("closed-") {
                it.is_closed(code.parse()?, "")
            } else if let Some(status) = case_of("refused-") {
                it.is_refused(status.parse()?)
            } else {
                Err("there is no such case".into())
            }
        }
    }
}

pub(super) struct Case<'a> {
    pub(super) dialer: &'a Dialer,
    pub(super) server: &'a str,
}

impl Case<'_> {
    fn request(&self, path: &str) -> Result<ClientRequest, Box<dyn Error>> {
        Ok(ClientRequest::new(WsUrl::parse(&format!("{}{path}", self.server))?))
    }

    pub(super) fn connect(&self, path: &str) -> Result<Box<dyn Client>, Box<dyn Error>> {
        self.open(&self.request(path)?)
    }

    fn open(&self, request: &ClientRequest) -> Result<Box<dyn Client>, Box<dyn Error>> {
        Ok(self.dialer.connect(request, Redirects::Report)?)
    }

    /// Expects that the server sends each message back as it is.
    fn echoes<'m, M: Into<Message<'m>>>(&self, messages: impl IntoIterator<Item = M>) -> Outcome {
        let mut client = self.connect("/echo")?;
        for message in messages {
            let message = message.into();
            client.send(message)?;
            expect(client.receive()?, message.into())?;
        }
        finish(client)
    }

    fn length(&self, length: usize) -> Outcome {
        self.echoes(["a".repeat(length).as_str()])?;
        self.echoes([vec![0xa5; length].as_slice()])
    }

    /// Expects one message and, as the server sends a Ping before each fragment but the first, as many
    /// of them as there are fragments after it.
    pub(super) fn defragments(&self, size: usize, message: Message<'_>) -> Outcome {
        let mut client = self.connect(&format!("/fragments/{size}"))?;
        client.send(message)?;
        let mut pings = 0;
        let received = loop {
            match client.receive()? {
                Received::Ping => pings += 1,
                received => break received,
            }
        };
        expect(received, message.into())?;
        let length = match message {
            Message::Text(text) => text.len(),
            Message::Binary(bytes) => bytes.len(),
        };
        expect(pings, length.div_ceil(size) - 1)?;
        finish(client)
    }

    pub(super) fn in_order(&self, text: &str) -> Outcome {
        let mut client = self.connect("/echo")?;
        for batch in (0..10_000).collect::<Vec<_>>().chunks(1000) {
            for n in batch {
                client.send(Message::Text(&format!("{text}{n}")))?;
            }
            for n in batch {
                expect(client.receive()?, Received::Text(format!("{text}{n}")))?;
            }
        }
        finish(client)
    }

    fn ping(&self) -> Outcome {
        let mut client = self.connect("/echo")?;
        for payload in [&b""[..], b"are you there?", &[b'p'; 125]] {
            client.ping(payload)?;
            expect(client.receive()?, Received::Pong(payload.to_owned()))?;
        }
        finish(client)
    }

    fn ping_from_server(&self) -> Outcome {
        let mut client = self.connect("/")?;
        client.send("ping are you there?".into())?;
        expect(client.receive()?, Received::Ping)?;
        expect(client.receive()?, Received::Text("pong are you there?".to_owned()))?;
        finish(client)
    }

    fn deflate_unoffered(&self) -> Outcome {
        let mut client = self.connect("/echo")?;
        let agreed = client.established().map_or(0, |it| it.extensions().count());
        expect(agreed, 0)?;
        // What a server would compress if it could.
        let text = "z".repeat(10_000);
        client.send(Message::Text(&text))?;
        expect(client.receive()?, Received::Text(text))?;
        finish(client)
    }

    /// The client closes. Not all servers repeat the reason.
    fn closes(&self, code: u16, reason: &str) -> Outcome {
        let mut client = self.connect("/")?;
        let status = CloseCode::new(code).ok_or("no such status code")?;
        expect(client.close(status, reason)?, code)?;
        drop(client);
        self.expect_last_close(&format!("client {code} {reason}"))
    }

    /// The server closes.
    fn is_closed(&self, code: u16, reason: &str) -> Outcome {
        let mut client = self.connect("/")?;
        client.send(Message::Text(&format!("close {code} {reason}")))?;
        expect(client.receive()?, Received::Closed(code, reason.to_owned()))?;
        drop(client);
        self.expect_last_close(&format!("server {code} {reason}"))
    }

    fn expect_last_close(&self, how: &str) -> Outcome {
        let mut client = self.connect("/")?;
        expect(ask(&mut *client, "last close")?.trim_end(), how.trim_end())?;
        finish(client)
    }

    pub(super) fn too_big(&self) -> Outcome {
        let mut client = self.connect("/echo")?;
        client.send(Message::Binary(&vec![0; MAX_MESSAGE + 1]))?;
        if client.receive().is_ok() {
            return Err("it was received".into());
        }
        drop(client);
        let mut client = self.connect("/")?;
        let how = ask(&mut *client, "last close")?;
        expect(how.starts_with("client 1009 "), true)?;
        finish(client)
    }

    fn subprotocol_chosen(&self) -> Outcome {
        let request = self.request("/echo")?;
        let request =
            request.subprotocol("chat.v1")?.subprotocol("other")?.subprotocol("chat.v2")?;
        let client = self.open(&request)?;
        expect(client.subprotocol(), Some("chat.v2"))?;
        finish(client)
    }

    fn subprotocol_none(&self) -> Outcome {
        let client = self.open(&self.request("/echo")?.subprotocol("other")?)?;
        expect(client.subprotocol(), None)?;
        finish(client)
    }

    fn subprotocol_required(&self) -> Outcome {
        let request = self.request("/echo")?.require_subprotocol();
        let client = self.open(&request.clone().subprotocol("chat.v1")?)?;
        expect(client.subprotocol(), Some("chat.v1"))?;
        finish(client)?;
        match self.dialer.connect(&request.subprotocol("other")?, Redirects::Report) {
            Ok(_) => Err("it is open without a subprotocol".into()),
            Err(failure) if failure.text.contains("subprotocol") => Ok(()),
            Err(failure) => Err(failure.into()),
        }
    }

    fn fields(&self) -> Outcome {
        let request = self.request("/")?.header("X-Interop", "by wsloop")?;
        let request = request.cookie("session", "31d4d96e")?.cookie("theme", "dark")?;
        let mut client = self.open(&request)?;
        expect(ask(&mut *client, "field X-Interop")?, "by wsloop".to_owned())?;
        expect(ask(&mut *client, "field Cookie")?, "session=31d4d96e; theme=dark".to_owned())?;
        finish(client)
    }

    fn fields_answered(&self) -> Outcome {
        let client = self.connect("/")?;
        let head = client.established().ok_or("this client does not tell")?.head();
        expect(head.field("Set-Cookie"), Some("session=31d4d96e"))?;
        expect(head.field("X-Interop").is_some(), true)?;
        finish(client)
    }

    fn credentials(&self) -> Outcome {
        let authority = self.server.replace("://", "://wsloop:open%20sesame@");
        let url = WsUrl::parse_with_credentials(&format!("{authority}/private"))?;
        let mut client = self.open(&ClientRequest::new(url))?;
        let authorization = ask(&mut *client, "field Authorization")?;
        expect(authorization, "Basic d3Nsb29wOm9wZW4gc2VzYW1l".to_owned())?;
        finish(client)
    }

    fn credentials_missing(&self) -> Outcome {
        let refusal = self.refusal("/private")?.refusal.ok_or("it is no refusal")?;
        expect(refusal.status(), 401)?;
        expect(refusal.head().field("WWW-Authenticate"), Some(r#"Basic realm="interop""#))?;
        expect(refusal.body().starts_with(b"who are you?"), true)
    }

    fn is_refused(&self, status: u16) -> Outcome {
        let refusal = self.refusal(&format!("/refuse/{status}"))?;
        let refusal = refusal.refusal.ok_or("it is no refusal")?;
        expect(refusal.status(), status)?;
        expect(refusal.body(), format!("refused with {status}\n").as_bytes())
    }

    fn redirect_reported(&self) -> Outcome {
        let refusal = self.refusal("/redirect")?.refusal.ok_or("it is no refusal")?;
        expect(refusal.status(), 302)?;
        expect(refusal.head().field("Location"), Some("/echo"))
    }

    fn redirect_followed(&self) -> Outcome {
        let mut client = self.dialer.connect(&self.request("/redirect")?, Redirects::Follow)?;
        client.send(TEXT.into())?;
        expect(client.receive()?, Received::Text(TEXT.to_owned()))?;
        finish(client)
    }

    fn redirect_away(&self) -> Outcome {
        let request = self.request("/redirect/away")?;
        let request = request.header("X-Interop", "secret")?.cookie("session", "31d4d96e")?;
        let mut client = self.dialer.connect(&request, Redirects::Follow)?;
        expect(ask(&mut *client, "field Host")?.starts_with("localhost:"), true)?;
        expect(ask(&mut *client, "field X-Interop")?, String::new())?;
        expect(ask(&mut *client, "field Cookie")?, String::new())?;
        finish(client)
    }

    /// Returns how the server refuses to open a connection.
    fn refusal(&self, path: &str) -> Result<Failure, Box<dyn Error>> {
        match self.dialer.connect(&self.request(path)?, Redirects::Report) {
            Ok(_) => Err("it is open".into()),
            Err(failure) => Ok(failure),
        }
    }
}

pub(super) fn ask(client: &mut dyn Client, text: &str) -> Result<String, Box<dyn Error>> {
    client.send(text.into())?;
    match client.receive()? {
        Received::Text(answer) => Ok(answer),
        other => Err(format!("to {text:?} it answers {other:?}").into()),
    }
}

/// Closes, and expects that nothing else was on its way.
pub(super) fn finish(mut client: Box<dyn Client>) -> Outcome {
    expect(client.close(CloseCode::NORMAL, "")?, 1000)
}

#[track_caller]
pub(super) fn expect<T: Debug + PartialEq>(actual: T, expected: T) -> Outcome {
    if actual == expected {
        return Ok(());
    }
    Err(format!("{} is not {}", abridged(&actual), abridged(&expected)).into())
}

fn abridged(value: &impl Debug) -> String {
    format!("{value:?}").chars().take(100).collect()
}
