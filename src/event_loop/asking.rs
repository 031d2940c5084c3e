//! A client's opening handshake, and what a proxy wants said before.

use super::buffers::BufferPool;
use super::connect::Route;
use super::{ConnectError, ConnectStep};
use crate::handshake::{
    ClientHandshake, Established, Reply, ResponseError, ServerRefusal, Tunnel, TunnelReply,
};

/// What is being asked on a connection: of a proxy, and then of the server.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) route: Box<Route>,
    whom: Whom,
}

#[derive(Debug)]
enum Whom {
    Proxy(Tunnel),
    Server(ClientHandshake),
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The connection is open.
    Established(Box<Established>),
    /// The proxy has connected to the server, of which nothing has been asked yet.
    Tunnel,
    /// The server does not want it so.
    Refused(ServerRefusal),
}

impl Asking {
    /// Begins to ask, on a connection to where the route begins: appends what to send.
    pub(super) fn start(
        route: Box<Route>,
        buffers: &mut BufferPool,
        output: &mut Vec<u8>,
    ) -> Box<Self> {
        let whom = match &route.proxy {
            Some(proxy) => Whom::Proxy(proxy.open(route.request().url(), output)),
            None => ask_server(&route, buffers, output),
        };
        Box::new(Self { route, whom })
    }

    /// Begins to ask the server, to which a proxy has connected: appends what to send.
    pub(super) fn ask_server(&mut self, buffers: &mut BufferPool, output: &mut Vec<u8>) {
        self.whom = ask_server(&self.route, buffers, output);
    }

    /// Takes bytes from the front of `input`, and appends what to send in return. What is left
    /// after [`Outcome::Established`] are frames.
    pub(super) fn receive(
        &mut self,
        input: &mut &[u8],
        output: &mut Vec<u8>,
    ) -> Result<Option<Outcome>, ConnectError> {
        match &mut self.whom {
            Whom::Proxy(tunnel) => {
                match tunnel.receive(input, output).map_err(ConnectError::Proxy)? {
                    None => {}
                    Some(TunnelReply::Open) => return Ok(Some(Outcome::Tunnel)),
                    Some(TunnelReply::Refused(refusal)) => {
                        return Err(ConnectError::ProxyRefused(Box::new(refusal)));
                    }
                }
                Ok(None)
            }
            Whom::Server(handshake) => {
                let reply = handshake.receive(input).map_err(ConnectError::Response)?;
                Ok(reply.map(Outcome::from))
            }
        }
    }

    /// Takes the end of the stream.
    pub(super) fn end(&mut self) -> Result<Outcome, ConnectError> {
        match &mut self.whom {
            Whom::Proxy(tunnel) => match tunnel.end().map_err(ConnectError::Proxy)? {
                Some(TunnelReply::Refused(refusal)) => {
                    Err(ConnectError::ProxyRefused(Box::new(refusal)))
                }
                // The tunnel is open as soon as it can be, and the end then the server's.
                Some(TunnelReply::Open) | None => {
                    Err(ConnectError::Response(ResponseError::NoResponse))
                }
            },
            Whom::Server(handshake) => match handshake.end().map_err(ConnectError::Response)? {
                Some(reply) => Ok(reply.into()),
                None => Err(ConnectError::Response(ResponseError::Incomplete)),
            },
        }
    }

    /// Takes the end of our patience. A refusal that has not ended by then is one all the same.
    pub(super) fn give_up(&mut self) -> Result<Outcome, ConnectError> {
        let step = match self.whom {
            Whom::Proxy(_) => ConnectStep::Proxy,
            Whom::Server(_) => ConnectStep::Handshake,
        };
        match self.end() {
            Err(ConnectError::Proxy(_) | ConnectError::Response(_)) => {
                Err(ConnectError::TimedOut(step))
            }
            result => result,
        }
    }
}

impl From<Reply> for Outcome {
    fn from(reply: Reply) -> Self {
        match reply {
            Reply::Established(established) => Self::Established(Box::new(established)),
            Reply::Refused(refusal) => Self::Refused(refusal),
        }
    }
}

fn ask_server(route: &Route, buffers: &mut BufferPool, output: &mut Vec<u8>) -> Whom {
    Whom::Server(ClientHandshake::start(route.request(), buffers.nonce(), output))
}
