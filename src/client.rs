//! A client that blocks: for tools, scripts and tests, and whatever has a thread to spare.
//!
//! [`Client`] connects, sends and receives, one call after the other. [`Connector`] says how to
//! connect. [`Client::into_halves`] makes two of a client, for a thread that receives and others that
//! send.

mod connector;
mod deadline;
mod dial;
mod error;
mod outgoing;
mod reader;
mod stream;
mod writer;

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use self::deadline::Deadline;
use crate::handshake::{ClientRequest, Established, WsUrl};
#[cfg(feature = "deflate")]
use crate::protocol::Compress;
use crate::protocol::{CloseCode, Connection, Event, Message, Piece};

pub use self::connector::Connector;
pub use self::error::{Closed, Error};
pub use self::reader::Reader;
#[cfg(feature = "tls")]
pub use self::stream::tls::TlsParts;
pub use self::writer::Writer;
#[doc(no_inline)]
pub use crate::connect_error::{ConnectError, ConnectStep};

/// The client's end of a connection, with calls that wait until they are done.
///
/// # Examples
///
/// ```no_run
/// use wsloop::client::Client;
/// use wsloop::{CloseCode, Message};
///
/// let mut client = Client::connect("ws://127.0.0.1:9001/")?;
/// client.send("Hello")?;
/// while let Some(message) = client.receive()? {
///     match message {
///         Message::Text("bye") => _ = client.close(CloseCode::NORMAL, "")?,
///         Message::Text(text) => println!("{text}"),
///         Message::Binary(bytes) => println!("{} bytes", bytes.len()),
///     }
/// }
/// println!("{}", client.closed().expect("there are no more messages"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Who receives
///
/// Pings are answered, and the server's Close is noticed, in calls that receive: to go on sending for
/// minutes without one is to be taken for dead. And a server that answers each message before it reads
/// the next stops reading once nobody takes its answers; if then neither side reads, both wait until a
/// timeout. Whoever sends much receives on another thread: see [`into_halves`](Self::into_halves).
///
/// # Dropping
///
/// To drop a client is to break off the connection, without a closing handshake: [`close`](Self::close)
/// it first.
///
/// # Forking
///
/// Where a process forks, one of the two goes on with a client: both would mask with the same keys.
pub struct Client {
    reader: Reader,
    writer: Writer,
    established: Established,
}

impl Client {
    /// Connects to a `ws` URL, or with the feature `tls` to a `wss` one, with the defaults of
    /// [`Connector`].
    ///
    /// # Errors
    ///
    /// See [`Connector::connect`].
    pub fn connect(url: &str) -> Result<Self, ConnectError> {
        Connector::new().connect(&ClientRequest::new(WsUrl::parse(url)?))
    }

    /// Sends a message, and returns once the system has taken all of it.
    ///
    /// That is not to say that the server has.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Timeout`] if the server takes nothing for as long as the
    /// [write timeout](Connector::write_timeout), and then with [`Error::Unsent`] until it does. Both
    /// leave the connection as it is; see there what has been sent. Fails with [`Error::Send`] if the
    /// closing handshake has begun, or a message is being sent in pieces. Fails with [`Error::Lost`]
    /// if the connection is broken: call [`receive`](Self::receive) to see what the server has to say
    /// about that.
    pub fn send<'a>(&mut self, message: impl Into<Message<'a>>) -> Result<(), Error> {
        self.writer.send(message)
    }

    /// Sends a message, and says whether it is to be compressed, if the server has agreed to that.
    ///
    /// # Errors
    ///
    /// Fails as [`send`](Self::send) does.
    #[cfg(feature = "deflate")]
    pub fn send_with<'a>(
        &mut self,
        message: impl Into<Message<'a>>,
        compress: Compress,
    ) -> Result<(), Error> {
        self.writer.send_with(message, compress)
    }

    /// Sends a piece of a message, as one frame.
    ///
    /// # Errors
    ///
    /// Fails as [`send`](Self::send) does, and with [`Error::Send`] if the piece does not continue
    /// what was sent before.
    pub fn send_piece(&mut self, piece: Piece<'_>) -> Result<(), Error> {
        self.writer.send_piece(piece)
    }

    /// Sends a Ping with up to 125 bytes of payload.
    ///
    /// The Pong, which repeats them, is seen by those who call [`receive_event`](Self::receive_event).
    ///
    /// # Errors
    ///
    /// Fails as [`send`](Self::send) does, and with [`Error::Send`] if the payload is longer.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.writer.ping(payload)
    }

    /// Writes what is left of what an earlier call could not send in time.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Timeout`] if that still cannot be written, and with [`Error::Lost`].
    pub fn flush(&mut self) -> Result<(), Error> {
        self.writer.flush()
    }

    /// Waits for a message, and lends it.
    ///
    /// Returns `None` once the closing handshake is complete, whichever side began it:
    /// [`closed`](Self::closed) has the status code. The server's Close is answered, and the server is
    /// given the [close timeout](Connector::close_timeout) to end the TCP connection first, as RFC
    /// 6455 §7.1.1 wants it.
    ///
    /// Pings are answered on the way. A message that arrived whole is lent from the read buffer, which
    /// costs no allocation.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Timeout`] if no message is complete within the
    /// [read timeout](Connector::read_timeout); call again to go on. Any other error is the end of the
    /// connection, and is returned by every later call.
    pub fn receive(&mut self) -> Result<Option<Message<'_>>, Error> {
        self.reader.receive()
    }

    /// Does what [`receive`](Self::receive) does, and also lends what replies are sent with.
    ///
    /// The message borrows the client for as long as it is looked at. The [`Writer`] does not come
    /// under that borrow, so that a message can be answered from its own data. To
    /// [close](Self::close) is for the client, though.
    ///
    /// # Errors
    ///
    /// Fails as [`receive`](Self::receive) does.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let mut client = wsloop::client::Client::connect("ws://127.0.0.1:9001/")?;
    /// while let Some((message, writer)) = client.exchange()? {
    ///     writer.send(message)?;
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn exchange(&mut self) -> Result<Option<(Message<'_>, &Writer)>, Error> {
        let Self { reader, writer, .. } = self;
        Ok(reader.receive()?.map(|message| (message, &*writer)))
    }

    /// Waits for a message, a Ping, which has been answered, or a Pong.
    ///
    /// Returns `None` once the connection is closed: there is no [`Event::Close`], nor, as messages
    /// are whole, an [`Event::Piece`].
    ///
    /// # Errors
    ///
    /// Fails as [`receive`](Self::receive) does.
    pub fn receive_event(&mut self) -> Result<Option<Event<'_>>, Error> {
        self.reader.receive_event()
    }

    /// Closes: sends Close, waits for the server's, and for the server to end the TCP connection.
    ///
    /// Messages that arrive meanwhile are discarded. All of it takes no longer than the
    /// [close timeout](Connector::close_timeout). If the closing handshake has begun or is complete
    /// already, this waits for the rest of it. A reason longer than 123 bytes is cut.
    ///
    /// # Errors
    ///
    /// Fails with how the connection ended, if that was not by a closing handshake.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<Closed, Error> {
        let outgoing = &self.writer.outgoing;
        let deadline = Deadline::after(outgoing.close_timeout);
        outgoing.begin_close(code, reason).map_err(Error::Send)?;
        self.reader.await_end(deadline)
    }

    /// Returns how the server closed, once the closing handshake is complete.
    #[must_use]
    pub fn closed(&self) -> Option<&Closed> {
        self.reader.closed()
    }

    /// Returns the subprotocol in use, one of those that were offered.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.established.subprotocol()
    }

    /// Returns what the server answered to the opening handshake, such as cookies.
    #[must_use]
    pub fn established(&self) -> &Established {
        &self.established
    }

    /// Returns the address of this end.
    ///
    /// # Errors
    ///
    /// Fails if the connection is gone, on some systems.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.writer.outgoing.stream.local_addr()
    }

    /// Returns the address of the server, or of the proxy.
    ///
    /// # Errors
    ///
    /// Fails if the connection is gone, on some systems.
    pub fn remote_addr(&self) -> io::Result<SocketAddr> {
        self.writer.outgoing.stream.remote_addr()
    }

    /// Sets how long a call waits for something to be received whole, or that it waits for ever.
    pub fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.reader.set_read_timeout(timeout);
    }

    /// Sets how long a write waits for the server to take anything, or that it waits for ever.
    pub fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.writer.set_write_timeout(timeout);
    }

    /// Takes the two directions apart, to receive on one thread and send on others.
    ///
    /// The half that receives answers Pings and Close. It never waits for the other: a server that
    /// stops reading until it is read from does not hold up both.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::thread;
    /// use wsloop::CloseCode;
    /// use wsloop::client::Client;
    ///
    /// let (mut reader, writer) = Client::connect("ws://127.0.0.1:9001/")?.into_halves();
    /// let sending = thread::spawn(move || {
    ///     for line in std::io::stdin().lines().map_while(Result::ok) {
    ///         writer.send(&line)?;
    ///     }
    ///     writer.close(CloseCode::NORMAL, "that is all")
    /// });
    /// while let Some(message) = reader.receive()? {
    ///     println!("{message:?}");
    /// }
    /// println!("{}", sending.join().expect("no panic")?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn into_halves(self) -> (Reader, Writer) {
        (self.reader, self.writer)
    }

    /// Gives up the socket and the protocol's state, to be nested in a loop of another make.
    #[must_use]
    pub fn into_parts(self) -> Parts {
        let Self { reader: Reader { outgoing, decoder, input, .. }, writer, established } = self;
        drop(writer);
        let Ok(outgoing) = Arc::try_unwrap(outgoing) else {
            unreachable!("a client is made of one half each")
        };
        let (stream, sender) = outgoing.into_inner();
        let received = input.rest().to_vec();
        let mut connection = Connection::from_halves(decoder, sender);
        let (socket, sealed_len) = stream.into_socket();
        // What is sealed already is not to be sealed again.
        connection.consume_output(sealed_len);
        Parts { socket, connection, received, established }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("stream", &self.writer.outgoing.stream)
            .finish_non_exhaustive()
    }
}

/// What a [`Client`] consists of.
#[non_exhaustive]
#[derive(Debug)]
pub struct Parts {
    /// The socket, which blocks, with whatever timeouts it had last.
    pub socket: Socket,
    /// The protocol. What a write timeout has left over is in its
    /// [`output`](Connection::output).
    pub connection: Connection,
    /// What has been read but not looked at: give it to [`Connection::receive`] before anything that
    /// is read from the socket.
    pub received: Vec<u8>,
    /// What the server answered to the opening handshake.
    pub established: Established,
}

/// What the bytes of a [`Client`] pass through.
///
/// It is an enum so that nobody takes the socket of a `wss` URL for one that frames may be written to.
#[non_exhaustive]
#[derive(Debug)]
pub enum Socket {
    /// Nothing but TCP.
    Tcp(TcpStream),
    /// TLS on it.
    #[cfg(feature = "tls")]
    Tls(Box<TlsParts>),
}
