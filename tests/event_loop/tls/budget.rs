//! How many TLS handshakes others wait for.

use std::sync::Arc;
use std::time::Duration;

use wsloop::{Config, EventLoop};

use super::authority::Authority;
use super::peer::{connection, flight};
use crate::common::{Client, NEVER, Script, turn_until};

/// How many steps of handshakes a turn may take: not so many that it takes long.
const MOST: usize = 2;

#[test]
fn a_storm_of_handshakes_is_spread_over_turns() {
    let authority = Authority::new();
    let mut event_loop = EventLoop::with_config(Config::new()).unwrap();
    let addr = event_loop.listen_tls("127.0.0.1:0", authority.identity("localhost")).unwrap();
    let (mut script, _told) = Script::echo();
    let config = Arc::new(authority.clients());
    let mut clients: Vec<_> = (0..20)
        .map(|_| {
            let mut client = Client::connect(addr);
            client.write(flight(&mut connection("localhost", Arc::clone(&config))));
            client
        })
        .collect();
    turn_until(&mut event_loop, &mut script, |event_loop, _| {
        event_loop.peers().stats().connections.accepted == 20
    });

    let mut answered = clients.iter_mut().filter_map(|it| it.has_input().then_some(())).count();
    while answered < 20 {
        event_loop.turn(&mut script, Some(crate::common::HANG)).unwrap();
        let now = clients.iter_mut().filter_map(|it| it.has_input().then_some(())).count();
        assert!(now <= answered + MOST, "{} in one turn", now - answered);
        if now < 20 && now > answered {
            assert_eq!(event_loop.next_timeout(), Some(Duration::ZERO), "others wait");
        }
        answered = now;
    }
}

/// Of what is behind garbage no event tells: it is read, and then the loop waits.
#[test]
fn garbage_without_an_end_does_not_keep_the_loop_busy() {
    let authority = Authority::new();
    let mut event_loop = EventLoop::with_config(Config::new().close_timeout(NEVER)).unwrap();
    let addr = event_loop.listen_tls("127.0.0.1:0", authority.identity("localhost")).unwrap();
    let (mut script, _told) = Script::echo();
    let mut client = Client::connect(addr);
    client.write([0xFF; 20_000]);
    turn_until(&mut event_loop, &mut script, |event_loop, _| {
        let is_refused = event_loop.peers().stats().refused.tls == 1;
        is_refused && event_loop.next_timeout() != Some(Duration::ZERO)
    });
    // The alert, and the end: it would be a reset if anything had been left.
    assert_eq!(client.read_to_end()[0], 21);
}
