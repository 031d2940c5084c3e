//! What arrives before frames do: requests, and the answers of servers.

use std::sync::Arc;

use super::super::asking::{Asking, Outcome};
use super::super::connect::Route;
use super::super::handler::{Answer, Decision, Handler, IncomingRequest};
use super::super::transport::Transport;
use super::super::{ConnectError, Peer, PeerId, Peers};
use super::{Receiving, Reception, Undecided, respond};
use crate::handshake::{HeadBuffer, Method, ProxyError, Refusal, Request, ServerRefusal};

impl<H: Handler + ?Sized> Reception<'_, H> {
    /// Takes what a server or a proxy answers.
    pub(super) fn answer(&mut self, mut asking: Box<Asking>, input: &mut &[u8]) -> Receiving {
        let mut output = Vec::new();
        let outcome = asking.receive(input, &mut output);
        self.peers.say(self.id, output);
        match outcome {
            Ok(None) => Receiving::Answer(asking),
            Ok(Some(Outcome::Tunnel)) => self.ask_through_tunnel(asking),
            Ok(Some(Outcome::Established(established))) => {
                #[cfg(feature = "deflate")]
                self.peers.agree_on(self.id, established.deflate());
                self.peers.open(self.id, established.subprotocol().map(Box::from));
                self.handler.on_open(&mut Peer::new(self.peers, self.id));
                Receiving::Frames(None)
            }
            Ok(Some(Outcome::Refused(refusal))) => {
                refused(self.peers, self.id, &asking.route, refusal)
            }
            Err(error) => fail(self.peers, self.id, error),
        }
    }

    /// Asks the server, now that a proxy has connected to it.
    fn ask_through_tunnel(&mut self, mut asking: Box<Asking>) -> Receiving {
        let entry = &mut self.peers.entries[self.id.index()];
        if !entry.queue.is_empty() {
            // It says yes to what it has not heard. The rest of that is not for the server.
            return fail(self.peers, self.id, ConnectError::Proxy(ProxyError::EarlyBytes));
        }
        let transport = std::mem::replace(&mut entry.transport, Transport::Unconnected);
        match asking.route.secure(transport) {
            Ok(transport) => entry.transport = transport,
            Err(error) => return fail(self.peers, self.id, error),
        }
        let mut output = Vec::new();
        asking.ask_server(&mut self.peers.buffers, &mut output);
        self.peers.say(self.id, output);
        Receiving::Answer(asking)
    }

    /// Asks the handler about a request whose head is complete.
    pub(super) fn request(&mut self, head: &HeadBuffer) -> Receiving {
        let Peers { entries, config, .. } = &mut *self.peers;
        let entry = &mut entries[self.id.index()];
        let judged = Request::parse(head.head(), &config.head).and_then(|request| {
            let from = config
                .proxies
                .locate(&request, entry.transport.remote_addr().map(|addr| addr.ip()));
            entry.set_client_addr(from.client);
            Ok((config.policy.judge_forwarded(&request, from.host)?, request))
        });
        let (offer, request) = match judged {
            Ok(judged) => judged,
            Err(refusal) => return self.refuse(refusal, head.method()),
        };
        #[cfg(feature = "tls")]
        let tls = entry.transport.tls().and_then(|tls| tls.session());
        let incoming = IncomingRequest {
            request: &request,
            offer: offer.as_ref(),
            id: self.id,
            remote_addr: entry.transport.remote_addr(),
            client_addr: entry.client_addr(),
            inbox: &self.shared.inbox,
            #[cfg(feature = "tls")]
            tls: tls.as_ref(),
        };
        let answer = self.handler.on_request(self.peers, &incoming);
        let undecided = Undecided { method: request.method(), offer, ticket: None };
        self.conclude(answer, undecided)
    }

    /// Does what was decided about a request.
    pub(super) fn conclude(&mut self, answer: Answer, mut undecided: Undecided) -> Receiving {
        let method = undecided.method;
        match (answer.0, &undecided.offer) {
            (Decision::Upgrade(acceptance), Some(offer)) => {
                let mut response = Vec::new();
                #[cfg(feature = "deflate")]
                let acceptance = acceptance.deflate_by_default(self.peers.config.deflate_options());
                let Ok(agreement) = offer.accept(&acceptance, &mut response) else {
                    return self.refuse(Refusal::HandlerFailed, method);
                };
                self.peers.say(self.id, response);
                #[cfg(feature = "deflate")]
                self.peers.agree_on(self.id, agreement.deflate());
                self.peers.open(self.id, agreement.into_subprotocol());
                self.handler.on_open(&mut Peer::new(self.peers, self.id));
                Receiving::Frames(None)
            }
            (Decision::Upgrade(_), None) => self.refuse(Refusal::UpgradeRequired, method),
            (Decision::Refuse(refusal), _) => self.refuse(refusal, method),
            (Decision::Respond(response), _) => {
                self.peers.stats.count_response(&response);
                respond(self.peers, self.id, &response, method);
                Receiving::default()
            }
            // It was deferred before: that cannot be the answer.
            (Decision::Deferred, _) if undecided.ticket.is_some() => {
                self.refuse(Refusal::Abandoned, method)
            }
            (Decision::Deferred, _)
                if self.shared.undecided() >= self.peers.config.limits.handshakes =>
            {
                self.refuse(Refusal::Overloaded, method)
            }
            (Decision::Deferred, _) => {
                undecided.ticket = Some(Arc::clone(&self.shared.tickets));
                Receiving::Decision(Box::new(undecided))
            }
        }
    }

    pub(super) fn refuse(&mut self, refusal: Refusal, method: Method) -> Receiving {
        self.peers.stats.refused.count(refusal);
        respond(self.peers, self.id, &refusal.response(), method);
        Receiving::default()
    }
}

/// Follows a redirection, if that is wanted, or gives the connection up.
pub(super) fn refused(
    peers: &mut Peers,
    id: PeerId,
    route: &Route,
    refusal: ServerRefusal,
) -> Receiving {
    match route.redirected(refusal) {
        Ok(route) => {
            peers.connect_elsewhere(id, route);
            Receiving::Unconnected
        }
        Err(error) => fail(peers, id, error),
    }
}

pub(super) fn fail(peers: &mut Peers, id: PeerId, error: ConnectError) -> Receiving {
    peers.fail_connect(id, error);
    Receiving::default()
}
