//! The loop inside another one, which polls its descriptor.

use std::os::fd::AsRawFd;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Token};
use wsloop::Config;

use super::common::{Door, HANG, Script};

#[expect(clippy::disallowed_types, reason = "this is the other loop")]
type Poll = mio::Poll;

/// More peers than the loop takes events at a time. That it has not seen all of them is known to it alone:
/// to the outer loop its descriptor was reported once, and is not again.
#[test]
fn a_crowd_is_served_although_the_outer_loop_is_told_once() {
    let (mut event_loop, door) = Door::new(Config::new().ping_interval(None).idle_timeout(None));
    let (mut script, _told) = Script::echo();
    let mut clients = [(); 300].map(|()| door.open(&mut event_loop, &mut script));
    let mut outer = Poll::new().unwrap();
    let fd = event_loop.as_raw_fd();
    outer.registry().register(&mut SourceFd(&fd), Token(0), Interest::READABLE).unwrap();
    let mut events = Events::with_capacity(8);
    for client in &mut clients {
        client.send("81 05 'Hello'");
    }
    while !clients.iter_mut().all(|client| client.has_input()) {
        let timeout = event_loop.next_timeout().map_or(HANG, |timeout| timeout.min(HANG));
        outer.poll(&mut events, Some(timeout)).unwrap();
        assert!(timeout.is_zero() || !events.is_empty(), "the outer loop waits in vain");
        event_loop.turn(&mut script, Some(Duration::ZERO)).unwrap();
    }
}
