//! A client that is at the test's command.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use super::{HttpResponse, MemoryStream};
use crate::event_loop::clocks::PING_TAG;
use crate::event_loop::ending::NO_STATUS_RECEIVED;
use crate::protocol::{Connection, Event, Message, SendError};

/// Something that a client received.
///
/// The Pings with which the loop finds out who is still there are answered and not reported.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Received<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
    /// A Ping that the handler sent. It has been answered.
    Ping(&'a [u8]),
    /// A Pong.
    Pong(&'a [u8]),
    /// A Close, with its status code (1005 if it has none) and reason. It has been answered.
    Close(u16, &'a str),
    /// The end of the stream. What follows is nothing.
    End,
    /// The connection was reset: this was its end, and not an orderly one.
    Reset,
}

/// A client's end of a connection.
#[derive(Debug)]
pub(super) struct Client {
    /// `None` once the connection is over.
    stream: Option<MemoryStream>,
    connection: Connection,
    stage: Stage,
    /// Of the request, if it was answered.
    response: Option<HttpResponse>,
    /// What the stream has not taken yet.
    unsent: VecDeque<u8>,
    ending: Ending,
    /// Whether it reads what it is sent.
    pub(super) reads: bool,
    /// What it has read and the test has not looked at.
    received: VecDeque<Kept>,
    /// What the test is looking at.
    shown: Option<Kept>,
}

/// How far a client has come with the end of its own stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ending {
    NotYet,
    /// The end comes behind what is unsent.
    Due,
    Done,
}

/// What the bytes are that a client reads.
#[derive(Debug)]
enum Stage {
    /// The head of a response, as far as it has come.
    Head(Vec<u8>),
    /// What follows the head of a response that did not let the client in.
    Body,
    Frames,
}

/// A [`Received`] that is kept.
#[derive(Debug)]
enum Kept {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(u16, String),
    End,
    Reset,
}

impl Client {
    pub(super) fn new(stream: MemoryStream) -> Self {
        // Keys that anyone can predict harm nobody here, and are the same every time.
        let mut key = 0_u32;
        let keys = move || {
            key = key.wrapping_add(0x9E37_79B9);
            key.to_be_bytes()
        };
        Self {
            stream: Some(stream),
            connection: Connection::client(keys).max_message_size(u64::MAX),
            stage: Stage::Head(Vec::new()),
            response: None,
            unsent: VecDeque::new(),
            ending: Ending::NotYet,
            reads: true,
            received: VecDeque::new(),
            shown: None,
        }
    }

    pub(super) fn stream(&self) -> Option<&MemoryStream> {
        self.stream.as_ref()
    }

    pub(super) fn response(&self) -> Option<&HttpResponse> {
        self.response.as_ref()
    }

    pub(super) fn is_open(&self) -> bool {
        let is_let_in = matches!(self.stage, Stage::Frames);
        let is_connected = self.stream.is_some() && self.ending == Ending::NotYet;
        is_let_in && is_connected && self.connection.is_open()
    }

    /// Does something with the protocol, of which the output is to be sent.
    pub(super) fn act(
        &mut self,
        act: impl FnOnce(&mut Connection) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        if !self.is_open() {
            return Err(SendError::Closing);
        }
        act(&mut self.connection)?;
        self.take_output();
        Ok(())
    }

    pub(super) fn send_raw(&mut self, bytes: &[u8]) {
        if self.stream.is_some() {
            self.unsent.extend(bytes);
        }
    }

    pub(super) fn end_stream(&mut self) {
        if self.ending == Ending::NotYet {
            self.ending = Ending::Due;
        }
    }

    pub(super) fn reset(&mut self) {
        if let Some(stream) = self.stream.take() {
            stream.reset();
        }
    }

    /// The next thing that was received.
    pub(super) fn receive(&mut self) -> Option<Received<'_>> {
        self.shown = self.received.pop_front();
        self.shown.as_ref().map(Kept::show)
    }

    /// Writes and reads what can be. Returns whether that was anything.
    ///
    /// What is read passes through `buffer`.
    pub(super) fn exchange(&mut self, buffer: &mut [u8]) -> bool {
        let wrote = self.write();
        self.reads && self.read(buffer) || wrote
    }

    fn write(&mut self) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        let mut wrote = false;
        while !self.unsent.is_empty() {
            match stream.write(self.unsent.as_slices().0) {
                Ok(n) => drop(self.unsent.drain(..n)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return wrote,
                // Nobody reads it any more. Why not, reading will tell.
                Err(_) => self.unsent.clear(),
            }
            wrote = true;
        }
        if self.ending == Ending::Due {
            self.ending = Ending::Done;
            // On a connection that is reset there is nothing to end.
            let _ = stream.shutdown_write();
            wrote = true;
        }
        wrote
    }

    fn read(&mut self, buffer: &mut [u8]) -> bool {
        let mut read = false;
        while let Some(stream) = &mut self.stream {
            match stream.read(buffer) {
                Ok(0) => self.over(Kept::End),
                Ok(n) => self.handle(&mut buffer[..n]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => self.over(Kept::Reset),
            }
            read = true;
        }
        read
    }

    fn over(&mut self, end: Kept) {
        self.received.push_back(end);
        // What was not sent by now never will be.
        self.unsent.clear();
        self.stream = None;
    }

    fn handle(&mut self, input: &mut [u8]) {
        match &mut self.stage {
            Stage::Head(head) => {
                head.extend_from_slice(input);
                let Some(response) = HttpResponse::parse(head) else { return };
                let mut rest = std::mem::take(head);
                let is_let_in = response.status() == 101;
                self.stage = if is_let_in { Stage::Frames } else { Stage::Body };
                self.response = Some(response);
                self.handle(&mut rest);
            }
            Stage::Body => {
                let response = self.response.as_mut().expect("its head is complete");
                response.body.extend_from_slice(input);
            }
            Stage::Frames => self.decode(input),
        }
    }

    fn decode(&mut self, mut input: &mut [u8]) {
        loop {
            let event = match self.connection.receive(&mut input) {
                Ok(Some(event)) => event,
                Ok(None) => break,
                Err(violation) => panic!("the server broke the protocol: {violation}"),
            };
            self.received.extend(Kept::new(event));
        }
        self.take_output();
    }

    fn take_output(&mut self) {
        let output = self.connection.output();
        let len = output.len();
        self.unsent.extend(output);
        self.connection.consume_output(len);
    }
}

impl Kept {
    /// Keeps what the test is to be told of.
    fn new(event: Event<'_>) -> Option<Self> {
        match event {
            Event::Message(Message::Text(text)) => Some(Self::Text(text.to_owned())),
            Event::Message(Message::Binary(bytes)) => Some(Self::Binary(bytes.to_vec())),
            Event::Piece(_) => unreachable!("messages are assembled"),
            Event::Ping(payload) if payload.starts_with(&PING_TAG) => None,
            Event::Ping(payload) => Some(Self::Ping(payload.to_vec())),
            Event::Pong(payload) => Some(Self::Pong(payload.to_vec())),
            Event::Close(None) => Some(Self::Close(NO_STATUS_RECEIVED, String::new())),
            Event::Close(Some(body)) => Some(Self::Close(body.code.into(), body.reason.to_owned())),
        }
    }

    fn show(&self) -> Received<'_> {
        match self {
            Self::Text(text) => Received::Text(text),
            Self::Binary(bytes) => Received::Binary(bytes),
            Self::Ping(payload) => Received::Ping(payload),
            Self::Pong(payload) => Received::Pong(payload),
            Self::Close(code, reason) => Received::Close(*code, reason),
            Self::End => Received::End,
            Self::Reset => Received::Reset,
        }
    }
}
