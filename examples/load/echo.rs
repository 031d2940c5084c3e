//! Busy connections: each has a number of messages in flight, and sends another for each that comes
//! back.

#![expect(clippy::disallowed_types, reason = "the client polls too")]

use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::time::Instant;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::Options;
use super::client::{self, Echo, Offer, TIMEOUT};

pub(crate) fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    if options.deflate == Some(Offer::Dedicated) {
        return Err("echo knows the replies in advance, so it takes --deflate=shared".into());
    }
    let mut load = Load::new(options)?;
    // Before anything is counted: pools fill, tables grow, caches warm.
    load.exchange(options.messages / 10)?;

    let cpu_before = options.process.map(|process| process.cpu_time()).transpose()?;
    let start = Instant::now();
    load.exchange(options.messages)?;
    let elapsed = start.elapsed().as_secs_f64();
    let cpu_after = options.process.map(|process| process.cpu_time()).transpose()?;

    let Options { connections, in_flight, size, messages, .. } = options;
    let rate = *messages as f64 / elapsed;
    print!("{connections} connections, {in_flight} in flight, {size} B: ");
    print!("{messages} messages in {elapsed:.2} s, {rate:.0}/s");
    if let (Some(before), Some(after)) = (cpu_before, cpu_after) {
        let per_message = (after - before).as_secs_f64() * 1e6 / *messages as f64;
        print!("; {per_message:.3} µs of the server's CPU each");
    }
    println!();
    Ok(())
}

struct Load {
    poll: Poll,
    connections: Vec<Connection>,
    in_flight: usize,
    request_len: usize,
    reply_len: usize,
    /// As many requests and replies as are in flight, one behind the other.
    requests: Vec<u8>,
    replies: Vec<u8>,
    buffer: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    /// How many bytes of requests are to be sent, have been, and how many of replies have been
    /// received.
    owed: usize,
    sent: usize,
    received: usize,
}

impl Load {
    fn new(options: &Options) -> Result<Self, Box<dyn Error>> {
        let poll = Poll::new()?;
        let mut connections = Vec::new();
        let mut streams = client::open(options.server()?, options.connections, options.deflate)?;
        let echo = Echo::agree(options, &mut streams[0])?;
        for stream in streams {
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            let both = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut stream, Token(connections.len()), both)?;
            connections.push(Connection { stream, owed: 0, sent: 0, received: 0 });
        }
        Ok(Self {
            poll,
            connections,
            in_flight: options.in_flight,
            request_len: echo.request.len(),
            reply_len: echo.reply.len(),
            requests: echo.request.repeat(options.in_flight),
            replies: echo.reply.repeat(options.in_flight),
            buffer: vec![0; 256 << 10],
        })
    }

    /// Has `messages` of them echoed by all connections together.
    fn exchange(&mut self, messages: usize) -> Result<(), Box<dyn Error>> {
        let (mut to_send, mut to_receive) = (messages, messages);
        for index in 0..self.connections.len() {
            let first = self.in_flight.min(to_send);
            to_send -= first;
            self.send(index, first)?;
        }
        let mut events = Events::with_capacity(1024);
        while to_receive > 0 {
            self.poll.poll(&mut events, Some(TIMEOUT))?;
            if events.is_empty() {
                return Err(format!("stuck with {to_receive} of {messages} to receive").into());
            }
            for event in &events {
                let received = self.receive(event.token().0)?;
                to_receive -= received;
                let next = received.min(to_send);
                to_send -= next;
                self.send(event.token().0, next)?;
            }
        }
        Ok(())
    }

    /// Sends more messages on a connection, and what the socket did not take before.
    fn send(&mut self, index: usize, messages: usize) -> Result<(), Box<dyn Error>> {
        let connection = &mut self.connections[index];
        connection.owed += messages * self.request_len;
        while connection.sent < connection.owed {
            let requests = &self.requests[connection.sent % self.request_len..];
            let len = requests.len().min(connection.owed - connection.sent);
            match connection.stream.write(&requests[..len]) {
                Ok(n) => connection.sent += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads and checks what has come back. Returns how many replies that completes.
    fn receive(&mut self, index: usize) -> Result<usize, Box<dyn Error>> {
        let connection = &mut self.connections[index];
        let before = connection.received / self.reply_len;
        loop {
            let n = match connection.stream.read(&mut self.buffer) {
                Ok(0) => return Err("the server closed a connection".into()),
                Ok(n) => n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            };
            let mut received = &self.buffer[..n];
            while !received.is_empty() {
                let expected = &self.replies[connection.received % self.reply_len..];
                let len = expected.len().min(received.len());
                if received[..len] != expected[..len] {
                    return Err("a reply is not what was sent".into());
                }
                connection.received += len;
                received = &received[len..];
            }
            if n < self.buffer.len() {
                break;
            }
        }
        Ok(connection.received / self.reply_len - before)
    }
}
