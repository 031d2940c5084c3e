//! The way out for connections: from a route to a socket that is connected.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::asking::Asking;
use super::attempts::Attempts;
use super::connect::Route;
use super::deadlines::Deadlines;
use super::entry::Stage;
use super::in_memory::Door;
use super::inbox::Inbox;
use super::lines::{Host, Lines};
use super::poller::Poller;
use super::resolver::{Lookup, Resolver};
use super::transport::Transport;
use super::unfinished::{Progress, Unfinished};
use super::upkeep::find;
use super::{ConnectError, ConnectStep};
use super::{EventLoop, PeerId, Peers, sooner};

/// The connections that are being made, until their opening handshake is done.
#[derive(Debug)]
pub(super) struct Connector {
    /// Not by index: they are few, and may come behind any number of open ones.
    dials: HashMap<PeerId, Dial>,
    deadlines: Deadlines,
    resolver: Resolver,
    lines: Lines,
}

/// One of them.
#[derive(Debug)]
struct Dial {
    state: State,
    patience: Patience,
    /// The entry among the deadlines, if there is one.
    armed: Option<Instant>,
    /// The hosts at which it takes a place.
    hosts: Vec<Host>,
}

#[derive(Debug)]
enum State {
    /// It is to begin when it has been waited for long enough.
    Waiting(Box<Route>),
    /// Its name is being resolved.
    Resolving(Box<Route>),
    /// It is connecting to one or more addresses.
    Connecting(Box<Trying>),
    /// It is connected, and the rest is [`Asking`]'s.
    Asking,
}

/// How much longer it may take.
#[derive(Clone, Copy, Debug)]
enum Patience {
    Until(Option<Instant>),
    /// So much, once it is its turn.
    InLine(Option<Duration>),
}

/// Attempts to connect.
#[derive(Debug)]
struct Trying {
    route: Box<Route>,
    attempts: Attempts,
    under_way: Vec<Unfinished>,
    /// What attempts ended with.
    error: Option<io::Error>,
}

/// Below so many, their memory is not worth giving back.
const KEPT_DIALS: usize = 64;

impl Connector {
    pub(super) fn new(inbox: &Arc<Inbox>, most_per_address: usize) -> Self {
        Self {
            dials: HashMap::new(),
            deadlines: Deadlines::default(),
            resolver: Resolver::new(inbox),
            lines: Lines::new(most_per_address),
        }
    }

    fn insert(&mut self, id: PeerId, state: State, until: Option<Instant>) {
        let patience = Patience::Until(until);
        self.dials.insert(id, Dial { state, patience, armed: None, hosts: Vec::new() });
    }

    /// When there will be something to do here.
    pub(super) fn next(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// Forgets a connection that is made, or will not be. Whoever waits for its place is called.
    pub(super) fn remove(&mut self, id: PeerId, peers: &mut Peers) {
        if let Some(dial) = self.dials.remove(&id) {
            dial.hosts.iter().for_each(|host| self.leave(host, peers));
            if self.dials.is_empty() && self.dials.capacity() > KEPT_DIALS {
                self.dials = HashMap::new();
            }
        }
    }

    fn leave(&mut self, host: &Host, peers: &mut Peers) {
        while let Some(next) = self.lines.leave(host) {
            let Peers { entries, to_do, now, .. } = &mut *peers;
            if let Some(dial) = self.dials.get_mut(&next)
                && let Some(entry) = find(entries, next)
            {
                dial.hosts.push(host.clone());
                dial.patience = dial.patience.go_on(*now);
                return to_do.settle(entry);
            }
        }
    }

    /// Sees to it that the loop looks at the connection when there is something to do.
    fn arm(&mut self, id: PeerId) {
        let Some(dial) = self.dials.get_mut(&id) else { return };
        if let Some(at) = dial.next()
            && dial.armed.is_none_or(|armed| at < armed)
        {
            dial.armed = Some(at);
            self.deadlines.arm(at, id);
        }
    }
}

impl EventLoop {
    /// Begins what is to be connected, and lets those go on who have waited for somebody else.
    pub(super) fn begin_connects(&mut self) {
        for id in std::mem::take(&mut self.peers.to_do.connected) {
            self.connector.remove(id, &mut self.peers);
        }
        for (id, route, after) in std::mem::take(&mut self.peers.to_do.connects) {
            let Some(entry) = self.peers.entry(id) else { continue };
            let is_wanted = entry.is_heard();
            self.intake.insert_client(id);
            self.connector.remove(id, &mut self.peers);
            if is_wanted {
                self.begin_after(id, route, after);
            }
        }
    }

    fn begin_after(&mut self, id: PeerId, route: Box<Route>, after: Duration) {
        if after.is_zero() {
            return self.begin_connect(id, route);
        }
        // A time too long to be counted never comes.
        let until = self.peers.now.checked_add(after);
        self.connector.insert(id, State::Waiting(route), until);
        self.connector.arm(id);
    }

    fn begin_connect(&mut self, id: PeerId, route: Box<Route>) {
        if let Poller::Memory { door, .. } = &self.poller {
            let transport = door.as_ref().map(Door::call);
            return self.connect_in_memory(id, route, transport);
        }
        let (host, port) = route.endpoint();
        let now = self.peers.now;
        let until = now.checked_add(self.peers.config.timeouts.connect);
        let state = match host.parse::<IpAddr>() {
            Ok(ip) => State::Connecting(Trying::new(route, [SocketAddr::new(ip, port)])),
            Err(_) => match self.connector.resolver.resolve((host, port), id, until, now) {
                Ok(()) => State::Resolving(route),
                Err(error) => return self.peers.fail_connect(id, ConnectError::Resolve(error)),
            },
        };
        self.connector.insert(id, state, until);
        self.go_on_connecting(id);
    }

    /// Begins the opening handshake on a connection that leads somewhere at once, if anywhere.
    fn connect_in_memory(&mut self, id: PeerId, route: Box<Route>, transport: Option<Transport>) {
        let registered = transport
            .map(|mut transport| transport.register(&self.poller, id.token()).map(|()| transport));
        match registered.unwrap_or_else(|| Err(io::ErrorKind::Unsupported.into())) {
            Ok(transport) => {
                self.connector.insert(id, State::Connecting(Trying::new(route, [])), None);
                self.ask(id, transport);
            }
            Err(error) => self.peers.fail_connect(id, ConnectError::Connect(error)),
        }
    }

    /// Goes on with all who have waited for a name.
    pub(super) fn resolved(&mut self, lookup: Lookup) {
        let waiting = self.connector.resolver.waiting_for(&lookup);
        for id in waiting {
            let Some(dial) = self.connector.dials.get_mut(&id) else { continue };
            let State::Resolving(route) = &mut dial.state else { continue };
            match &lookup.result {
                Ok(addresses) if !addresses.is_empty() => {
                    let route = route.clone();
                    dial.state = State::Connecting(Trying::new(route, addresses.iter().copied()));
                    self.go_on_connecting(id);
                }
                Ok(_) => {
                    let error = io::Error::other("the name stands for no address");
                    self.peers.fail_connect(id, ConnectError::Resolve(error));
                }
                Err(error) => {
                    let error = io::Error::new(error.kind(), error.to_string());
                    self.peers.fail_connect(id, ConnectError::Resolve(error));
                }
            }
        }
    }

    /// Looks at the connections that something is due for.
    pub(super) fn expire_connects(&mut self) {
        while let Some((at, id)) = self.connector.deadlines.pop_expired(self.peers.now) {
            if let Some(dial) = self.connector.dials.get_mut(&id)
                && dial.armed == Some(at)
            {
                dial.armed = None;
                self.go_on_connecting(id);
            }
        }
        let Connector { dials, deadlines, .. } = &mut self.connector;
        deadlines.compact(dials.len(), |at, id| {
            dials.get(&id).is_some_and(|dial| dial.armed == Some(at))
        });
    }

    /// Does what there is to do for a connection that is being made.
    pub(super) fn go_on_connecting(&mut self, id: PeerId) {
        let entry = self.peers.entry(id);
        if entry.is_none_or(|it| it.stage != Stage::Connecting || it.flags.dropped) {
            return;
        }
        if let Some(route) = self.connector.take_waiting(id, self.peers.now) {
            return self.begin_connect(id, route);
        }
        match self.try_addresses(id) {
            Ok(Some(transport)) => self.ask(id, transport),
            Ok(None) => match self.connector.expired(id, self.peers.now) {
                Some(step) => self.peers.fail_connect(id, ConnectError::TimedOut(step)),
                None => {
                    // As of one that takes nothing yet, events will tell of it.
                    self.peers.entries[id.index()].flags.blocked = true;
                    self.connector.arm(id);
                }
            },
            Err(error) => self.peers.fail_connect(id, ConnectError::Connect(error)),
        }
    }

    /// Sees how far attempts have come, and begins those that are due. Returns the connection, once
    /// there is one.
    fn try_addresses(&mut self, id: PeerId) -> io::Result<Option<Transport>> {
        let Self { connector, peers, poller, .. } = self;
        let Some(trying) = connector.trying(id) else { return Ok(None) };
        let (connected, failed) = trying.look();
        if let Some((transport, address)) = connected {
            connector.let_losers_go(id, address, peers);
            return Ok(Some(transport));
        }
        for address in failed {
            connector.let_go(id, address, peers);
        }
        while let Some(address) = connector.next_address(id, peers.now) {
            match Unfinished::begin(address, poller, id.token()) {
                Ok(unfinished) => connector.note_begun(id, unfinished),
                Err(error) => {
                    connector.note_error(id, error);
                    connector.let_go(id, address, peers);
                }
            }
        }
        connector.trying(id).map_or(Ok(None), Trying::outcome)
    }

    /// Begins the opening handshake on a connection that is made.
    fn ask(&mut self, id: PeerId, transport: Transport) {
        let Some(route) = self.connector.take_route(id) else { return };
        let transport = match &route.proxy {
            // To whom TLS would be nothing but bytes of no use.
            Some(_) => transport,
            None => match route.secure(transport) {
                Ok(transport) => transport,
                Err(error) => return self.peers.fail_connect(id, error),
            },
        };
        let Self { peers, intake, .. } = self;
        let Peers { entries, buffers, to_do, now, .. } = peers;
        let entry = &mut entries[id.index()];
        (entry.transport, entry.stage, entry.clocks.waiting) = (transport, Stage::Asking, *now);
        (entry.flags.blocked, entry.flags.writable) = (false, false);
        let mut output = Vec::new();
        intake.expect_answer(id, Asking::start(route, buffers, &mut output));
        entry.queue.push_opaque(output, buffers);
        to_do.settle(entry);
        // An event that came with the connection may have been for what is to be read.
        to_do.read(entry);
    }
}

impl Connector {
    fn trying(&mut self, id: PeerId) -> Option<&mut Trying> {
        match &mut self.dials.get_mut(&id)?.state {
            State::Connecting(trying) => Some(trying),
            State::Waiting(_) | State::Resolving(_) | State::Asking => None,
        }
    }

    fn note_begun(&mut self, id: PeerId, unfinished: Unfinished) {
        if let Some(trying) = self.trying(id) {
            trying.under_way.push(unfinished);
        }
    }

    fn note_error(&mut self, id: PeerId, error: io::Error) {
        if let Some(trying) = self.trying(id) {
            trying.note(error);
        }
    }

    /// The address that is to be tried now, if there is one and it is this peer's turn.
    ///
    /// Who connects to another address does not stand in line: two that each wait for what the
    /// other has would wait for ever.
    fn next_address(&mut self, id: PeerId, now: Instant) -> Option<SocketAddr> {
        let Self { dials, lines, .. } = self;
        let dial = dials.get_mut(&id)?;
        let (Patience::Until(_), State::Connecting(trying)) = (dial.patience, &mut dial.state)
        else {
            return None;
        };
        let address = trying.attempts.due(trying.under_way.len(), now)?;
        let host = trying.route.host_at(address);
        if !dial.hosts.contains(&host) {
            if !dial.hosts.is_empty() && !lines.has_room(&host) {
                trying.attempts.postpone(now);
                return None;
            }
            if !lines.enter(&host, id) {
                dial.patience = dial.patience.pause(now);
                return None;
            }
            dial.hosts.push(host);
        }
        trying.attempts.begin(now);
        Some(address)
    }

    /// Notes that an attempt has failed. Behind a proxy, the place is not the address's, and kept.
    fn let_go(&mut self, id: PeerId, address: SocketAddr, peers: &mut Peers) {
        let Some(dial) = self.dials.get_mut(&id) else { return };
        let host = Host::Address(address);
        if let Some(place) = dial.hosts.iter().position(|it| *it == host) {
            dial.hosts.swap_remove(place);
            self.leave(&host, peers);
        }
    }

    /// Gives up the places of attempts that another one has overtaken. That one keeps the place of
    /// the address that was tried: its socket may name another one, as 127.0.0.1 for 0.0.0.0.
    fn let_losers_go(&mut self, id: PeerId, winner: SocketAddr, peers: &mut Peers) {
        let Some(dial) = self.dials.get_mut(&id) else { return };
        let winner = Host::Address(winner);
        let is_loser = |host: &Host| matches!(host, Host::Address(_)) && *host != winner;
        let losers: Vec<_> = dial.hosts.extract_if(.., |host| is_loser(host)).collect();
        losers.iter().for_each(|host| self.leave(host, peers));
    }

    /// The step that takes too long, if one does.
    fn expired(&self, id: PeerId, now: Instant) -> Option<ConnectStep> {
        let dial = self.dials.get(&id)?;
        match (dial.patience, &dial.state) {
            (Patience::Until(Some(until)), _) if now < until => None,
            (Patience::Until(None) | Patience::InLine(_), _) => None,
            (Patience::Until(Some(_)), State::Resolving(_)) => Some(ConnectStep::Resolve),
            (Patience::Until(Some(_)), State::Connecting(_)) => Some(ConnectStep::Connect),
            (Patience::Until(Some(_)), State::Waiting(_) | State::Asking) => None,
        }
    }

    /// Takes the way that has led to a connection.
    fn take_route(&mut self, id: PeerId) -> Option<Box<Route>> {
        let dial = self.dials.get_mut(&id)?;
        match std::mem::replace(&mut dial.state, State::Asking) {
            State::Connecting(trying) => Some(trying.route),
            State::Waiting(_) | State::Resolving(_) | State::Asking => None,
        }
    }

    /// Takes the way that is to be gone from now on, if one has waited for that.
    fn take_waiting(&mut self, id: PeerId, now: Instant) -> Option<Box<Route>> {
        let dial = self.dials.get_mut(&id)?;
        match (&mut dial.state, dial.patience) {
            (State::Waiting(route), Patience::Until(Some(until))) if until <= now => {
                Some(route.clone())
            }
            _ => None,
        }
    }
}

impl Dial {
    /// When there is something to do for it, if nothing happens before.
    fn next(&self) -> Option<Instant> {
        let Patience::Until(until) = self.patience else { return None };
        match &self.state {
            State::Waiting(_) | State::Resolving(_) => until,
            State::Connecting(trying) => sooner(until, trying.attempts.next()),
            State::Asking => None,
        }
    }
}

impl Patience {
    fn pause(self, now: Instant) -> Self {
        match self {
            Self::Until(Some(until)) => Self::InLine(Some(until.saturating_duration_since(now))),
            Self::Until(None) => Self::InLine(None),
            Self::InLine(_) => self,
        }
    }

    fn go_on(self, now: Instant) -> Self {
        match self {
            Self::InLine(left) => Self::Until(left.and_then(|left| now.checked_add(left))),
            Self::Until(_) => self,
        }
    }
}

impl Trying {
    fn new(route: Box<Route>, addresses: impl IntoIterator<Item = SocketAddr>) -> Box<Self> {
        let (attempts, under_way) = (Attempts::new(addresses), Vec::new());
        Box::new(Self { route, attempts, under_way, error: None })
    }

    /// Looks how far attempts have come. Returns the first that is connected, and where others have
    /// failed.
    fn look(&mut self) -> (Option<(Transport, SocketAddr)>, Vec<SocketAddr>) {
        let mut failed = Vec::new();
        for unfinished in std::mem::take(&mut self.under_way) {
            let address = unfinished.address;
            match unfinished.progress() {
                Ok(Progress::Connected(transport)) => return (Some((transport, address)), failed),
                Ok(Progress::Pending(unfinished)) => self.under_way.push(unfinished),
                Err(error) => {
                    self.note(error);
                    failed.push(address);
                }
            }
        }
        (None, failed)
    }

    /// Notes what an attempt ended with. That a server refuses tells more than that a network is
    /// not there, as IPv6 often is not.
    fn note(&mut self, error: io::Error) {
        if self.error.as_ref().is_none_or(is_about_networks) {
            self.error = Some(error);
        }
    }

    /// Fails if nothing is left that could succeed.
    fn outcome(&mut self) -> io::Result<Option<Transport>> {
        if !self.attempts.is_empty() || !self.under_way.is_empty() {
            return Ok(None);
        }
        Err(self.error.take().unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
    }
}

fn is_about_networks(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, HostUnreachable, NetworkUnreachable};
    matches!(error.kind(), AddrNotAvailable | HostUnreachable | NetworkUnreachable)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use socket2::{Domain, Socket, Type};

    use super::super::{Handler, Peer};
    use super::*;
    use crate::protocol::Message;

    struct Nothing;

    impl Handler for Nothing {
        fn on_message(&mut self, _: &mut Peer<'_>, _: Message<'_>) {}
    }

    /// The sockets of all attempts have the same token: what an event says of the end of one is not
    /// to be believed of another.
    #[test]
    fn that_an_attempt_has_failed_is_not_held_against_the_one_that_succeeds() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // Nobody listens here, and nobody else can.
        let bound = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        bound.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let nobody = bound.local_addr().unwrap().as_socket().unwrap();
        let mut event_loop = EventLoop::new().unwrap();
        let id = event_loop.connect(&format!("ws://{nobody}")).unwrap();
        event_loop.begin_connects();
        let trying = event_loop.connector.trying(id).unwrap();
        trying.attempts = Attempts::new([listener.local_addr().unwrap()]);

        let mut failed = false;
        while event_loop.peers.stats().bytes.sent == 0 {
            event_loop.turn(&mut Nothing, None).unwrap();
            let entry = event_loop.peers.entry(id).expect("it connects");
            failed |= entry.stage == Stage::Connecting && entry.flags.hung_up;
        }
        assert!(failed, "the first attempt was not noticed");
        assert!(!event_loop.peers.entry(id).unwrap().flags.hung_up);
    }

    #[test]
    fn what_is_given_up_at_once_is_not_begun() {
        let mut event_loop = EventLoop::new().unwrap();
        let id = event_loop.connect("ws://name.invalid").unwrap();
        event_loop.peers().abort(id);
        event_loop.begin_connects();
        assert!(event_loop.connector.dials.is_empty());
        event_loop.turn(&mut Nothing, None).unwrap();
        assert_eq!(event_loop.peers.stats().connections.failed, 1);
    }
}
