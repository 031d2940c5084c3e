//! Where connections come from, and loops within loops.

use std::net::TcpListener;
use std::time::Duration;

use wsloop::{Config, EventLoop};

#[cfg(unix)]
use super::common::Door;
use super::common::{Client, NEVER, REQUEST, Script, Server, turn_until};

#[test]
fn a_loop_may_have_many_listeners() {
    let mut event_loop = EventLoop::new().unwrap();
    let mut addrs: Vec<_> = (0..10).map(|_| event_loop.listen("127.0.0.1:0").unwrap()).collect();
    // One that was bound elsewhere, such as by a service manager.
    let inherited = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = inherited.local_addr().unwrap();
    assert_eq!(event_loop.add_listener(inherited).unwrap(), addr);
    addrs.push(addr);

    let (mut script, told) = Script::echo();
    let teller = script.teller();
    script.on_open = Box::new(move |peer| {
        let [from, to] = [peer.remote_addr(), peer.local_addr()].map(Option::unwrap);
        teller.tell(&format!("{from} to {to}"));
    });
    let server = Server::run(event_loop, addr, (script, told));
    for addr in addrs {
        let mut client = server.open_at(addr);
        server.told.expect(&format!("{} to {addr}", client.local_addr()));
        client.send("81 05 'Hello'");
        client.expect("81 05 'Hello'");
        server.told.expect("text Hello");
        client.close();
        server.told.expect("close 1000 clean Remote");
    }
    server.stop();
}

#[test]
fn connections_that_came_before_the_loop_was_made_are_accepted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = Client::connect(listener.local_addr().unwrap());
    client.write(REQUEST);
    let mut event_loop = EventLoop::new().unwrap();
    let addr = event_loop.add_listener(listener).unwrap();
    let server = Server::run(event_loop, addr, Script::echo());
    client.expect_opened();
    server.told.expect("open");
    client.close();
    server.told.expect("close 1000 clean Remote");
    server.stop();
}

#[test]
fn ipv6_is_spoken_where_there_is_any() {
    let mut event_loop = EventLoop::new().unwrap();
    let Ok(addr) = event_loop.listen("[::1]:0") else { return };
    assert!(addr.is_ipv6());
    let server = Server::run(event_loop, addr, Script::echo());
    let mut client = server.open();
    client.send("81 05 'Hello'");
    client.expect("81 05 'Hello'");
    server.told.expect("text Hello");
    client.close();
    server.told.expect("close 1000 clean Remote");
    server.stop();
}

#[test]
fn an_address_that_is_taken_is_an_error() {
    let mut event_loop = EventLoop::new().unwrap();
    let addr = event_loop.listen("127.0.0.1:0").unwrap();
    let error = event_loop.listen(addr).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    // Of several, the first that can be had is taken.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(event_loop.listen(&[addr, free][..]).unwrap(), free);
    event_loop.listen(&[][..]).unwrap_err();
}

#[cfg(unix)]
#[test]
fn unix_sockets_do_as_well() {
    let (mut event_loop, door) = Door::new(Config::new().close_timeout(NEVER));
    let addr = event_loop.listen("127.0.0.1:0").unwrap();
    let (mut script, told) = Script::echo();
    script.on_open = Box::new(|peer| assert_eq!(peer.remote_addr(), None));
    let server = Server::run(event_loop, addr, (script, told));

    let connect = || {
        let mut client = door.connect();
        client.shake_hands();
        server.told.expect("open");
        client
    };
    let mut client = connect();
    client.send("81 05 'Hello'");
    client.expect("81 05 'Hello'");
    server.told.expect("text Hello");
    client.close();
    server.told.expect("close 1000 clean Remote");

    let mut client = connect();
    client.send("81 01 'a'");
    client.end();
    client.expect("81 01 'a'");
    client.expect_end();
    server.told.expect("text a");
    server.told.expect("close 1006 unclean EndOfStream");

    // Closed without reading what it was sent, which is how a Unix socket is reset.
    let mut client = connect();
    client.send("81 01 'a'");
    server.told.expect("text a");
    drop(client);
    let told = server.told.next();
    assert!(told.starts_with("close 1006 unclean "), "{told}");
    server.stop();
}

#[test]
fn nobody_is_listened_to_after_a_shutdown() {
    let mut event_loop = EventLoop::new().unwrap();
    let addr = event_loop.listen("127.0.0.1:0").unwrap();
    let (mut script, _told) = Script::echo();
    event_loop.peers().shutdown(NEVER);
    turn_until(&mut event_loop, &mut script, |event_loop, _| event_loop.is_finished());
    // The port is free again, and no listener is added behind the loop's back.
    let listener = TcpListener::bind(addr).unwrap();
    let client = Client::connect(addr);
    event_loop.add_listener(listener).unwrap_err();
    event_loop.listen("127.0.0.1:0").unwrap_err();
    event_loop.adopt(client.into_socket(), "/", [("Host", &b"a"[..])], b"").unwrap_err();
}

/// Listeners take turns: more arrive at one of them than are accepted in a turn, turn for turn.
#[cfg(unix)]
#[test]
fn a_storm_at_one_listener_does_not_keep_another_from_being_served() {
    const STORM: usize = 64;
    for calm in [0, 1] {
        let (mut event_loop, first) = Door::new(Config::new());
        let doors = [first, Door::to(&mut event_loop)];
        let (mut script, _told) = Script::echo();
        let mut client = doors[calm].connect();
        client.write(REQUEST);
        for _ in 0..3 {
            for _ in 0..STORM {
                drop(doors[1 - calm].connect());
            }
            event_loop.turn(&mut script, Some(Duration::ZERO)).unwrap();
        }
        assert!(client.has_input(), "nobody comes in by door {calm}");
        client.expect_opened();
    }
}

/// A listener whose socket was shut down fails for ever, and must not take the loop along.
#[cfg(target_os = "linux")]
#[test]
fn a_listener_that_is_broken_does_no_harm_to_others() {
    let mut event_loop = EventLoop::new().unwrap();
    let broken = TcpListener::bind("127.0.0.1:0").unwrap();
    let handle = socket2::Socket::from(broken.try_clone().unwrap());
    event_loop.add_listener(broken).unwrap();
    let addr = event_loop.listen("127.0.0.1:0").unwrap();
    handle.shutdown(std::net::Shutdown::Both).unwrap();
    let server = Server::run(event_loop, addr, Script::echo());
    let mut client = server.open();
    client.send("81 05 'Hello'");
    client.expect("81 05 'Hello'");
    server.told.expect("text Hello");
    client.close();
    server.told.expect("close 1000 clean Remote");
    server.stop();
}

/// The loop inside another one, which polls its descriptor and never blocks in a turn.
#[cfg(unix)]
#[test]
fn a_loop_may_be_nested_in_another() {
    use std::os::fd::AsRawFd;

    use mio::unix::SourceFd;
    use mio::{Events, Interest, Token};

    #[expect(clippy::disallowed_types, reason = "this is the other loop")]
    type Poll = mio::Poll;

    let config = Config::new().handshake_timeout(Duration::from_millis(20));
    let mut event_loop =
        EventLoop::with_config(config.ping_interval(None).idle_timeout(None)).unwrap();
    let addr = event_loop.listen("127.0.0.1:0").unwrap();
    let remote = event_loop.remote();
    let client = std::thread::spawn(move || {
        // This one is dropped by a deadline, of which the other loop must be told.
        Client::connect(addr).expect_end();
        remote.shutdown(NEVER);
    });

    let (mut script, _told) = Script::echo();
    let mut outer = Poll::new().unwrap();
    let fd = event_loop.as_raw_fd();
    outer.registry().register(&mut SourceFd(&fd), Token(0), Interest::READABLE).unwrap();
    let mut events = Events::with_capacity(8);
    while !event_loop.is_finished() {
        let timeout = event_loop.next_timeout().unwrap_or(super::common::HANG);
        outer.poll(&mut events, Some(timeout)).unwrap();
        event_loop.turn(&mut script, Some(Duration::ZERO)).unwrap();
    }
    client.join().unwrap();
}
