//! What happens because the application asked for it to happen later.

use std::time::Duration;

use wsloop::{Config, EventLoop};

#[cfg(unix)]
use super::common::{Door, REQUEST};
use super::common::{NEVER, Script, Server, Told, at_least, let_pass, turn_until};

/// Soon, but nothing here depends on how soon.
const SOON: Duration = Duration::from_millis(20);

#[test]
fn a_timer_fires_once() {
    let (mut script, told) = Script::echo();
    let mut event_loop = EventLoop::new().unwrap();
    at_least(SOON, || {
        event_loop.peers().set_timer(SOON);
        turn_until_told(&mut event_loop, &mut script, &told, "timer");
    });
    assert_eq!(event_loop.next_timeout(), None);
    event_loop.turn(&mut script, Some(SOON)).unwrap();
    assert_eq!(told.so_far(), [""; 0]);
}

#[test]
fn an_interval_repeats_until_it_is_cancelled() {
    let (mut script, told) = Script::echo();
    let mut event_loop = EventLoop::new().unwrap();
    let mut left = 3;
    script.on_timer = Box::new(move |peers, interval| {
        left -= 1;
        if left == 0 {
            assert!(peers.cancel_timer(interval));
            assert!(!peers.cancel_timer(interval));
        }
    });
    at_least(3 * SOON, || {
        event_loop.peers().set_interval(SOON);
        turn_until(&mut event_loop, &mut script, |event_loop, _| {
            event_loop.next_timeout().is_none()
        });
    });
    assert_eq!(told.so_far(), ["timer"; 3]);
}

#[test]
fn timers_are_told_apart_and_fire_in_the_order_of_their_times() {
    let (mut script, told) = Script::echo();
    let mut event_loop = EventLoop::new().unwrap();
    let peers = event_loop.peers();
    let [second, first] = [2 * SOON, SOON].map(|after| peers.set_timer(after));
    let teller = script.teller();
    script.on_timer = Box::new(move |peers, timer| {
        assert!(!peers.cancel_timer(timer), "it is gone already");
        teller.tell(if timer == first { "first" } else { "second" });
        assert!(timer == first || timer == second);
    });
    turn_until_told(&mut event_loop, &mut script, &told, "timer");
    told.expect("first");
    turn_until_told(&mut event_loop, &mut script, &told, "timer");
    told.expect("second");
}

#[test]
fn a_cancelled_timer_neither_fires_nor_wakes_the_loop() {
    let (mut script, told) = Script::echo();
    let mut event_loop = EventLoop::new().unwrap();
    let timer = event_loop.peers().set_timer(Duration::ZERO);
    let interval = event_loop.peers().set_interval(Duration::ZERO);
    assert!(event_loop.peers().cancel_timer(timer));
    assert!(!event_loop.peers().cancel_timer(timer));
    assert!(event_loop.peers().cancel_timer(interval));
    assert_eq!(event_loop.next_timeout(), None);
    event_loop.turn(&mut script, Some(SOON)).unwrap();
    assert_eq!(told.so_far(), [""; 0]);
}

#[test]
fn a_timer_may_cancel_another_whose_time_has_come() {
    let (mut script, told) = Script::echo();
    let mut event_loop = EventLoop::new().unwrap();
    let _first = event_loop.peers().set_timer(Duration::ZERO);
    let second = event_loop.peers().set_timer(Duration::from_nanos(1));
    script.on_timer = Box::new(move |peers, _| assert!(peers.cancel_timer(second)));
    let_pass(SOON);
    event_loop.turn(&mut script, Some(Duration::ZERO)).unwrap();
    told.expect("timer");
    assert_eq!(event_loop.next_timeout(), None);
    event_loop.turn(&mut script, Some(Duration::ZERO)).unwrap();
    assert_eq!(told.so_far(), [""; 0]);
}

#[test]
fn timers_that_are_set_before_the_loop_runs_fire() {
    let mut event_loop = EventLoop::new().unwrap();
    let (mut script, told) = Script::echo();
    event_loop.peers().set_timer(NEVER);
    event_loop.peers().set_timer(SOON);
    script.on_timer = Box::new(|peers, _| peers.shutdown(NEVER));
    event_loop.run(&mut script).unwrap();
    told.expect("timer");
}

#[test]
fn a_thread_may_have_a_timer_set_sooner_than_the_loop_was_to_wait() {
    let server = Server::echo();
    for _ in 0..3 {
        server.remote.run(|peers| _ = peers.set_timer(NEVER)).unwrap();
        server.remote.run(|peers| _ = peers.set_timer(SOON)).unwrap();
        server.told.expect("timer");
    }
    server.stop();
}

#[test]
fn a_ticker_reaches_everyone() {
    let (mut script, told) = Script::echo();
    script.on_timer = Box::new(|peers, _| peers.broadcast("tick"));
    let server = Server::start(Config::new(), (script, told));
    let mut clients = [(); 3].map(|()| server.open());
    server.remote.run(|peers| _ = peers.set_interval(SOON)).unwrap();
    for _ in 0..3 {
        clients.iter_mut().for_each(|client| client.expect("81 04 'tick'"));
    }
}

#[cfg(unix)]
#[test]
fn what_a_timer_sends_goes_out_in_the_same_turn() {
    let (mut script, told) = Script::echo();
    script.on_timer = Box::new(|peers, _| peers.broadcast("now"));
    let (mut event_loop, door) = Door::new(Config::new());
    let mut client = door.open(&mut event_loop, &mut script);
    told.expect("open");
    event_loop.peers().set_timer(SOON);
    turn_until_told(&mut event_loop, &mut script, &told, "timer");
    assert!(client.has_input());
    client.expect("81 03 'now'");
}

#[test]
fn what_a_timer_sets_is_for_a_later_turn() {
    let (mut script, told) = Script::echo();
    let mut event_loop = EventLoop::new().unwrap();
    script.on_timer = Box::new(|peers, _| {
        peers.set_timer(Duration::ZERO);
    });
    event_loop.peers().set_timer(Duration::ZERO);
    check_once_per_turn(&mut event_loop, &mut script, &told);
}

#[test]
fn an_interval_of_zero_fires_once_per_turn() {
    let (mut script, told) = Script::echo();
    let mut event_loop = EventLoop::new().unwrap();
    event_loop.peers().set_interval(Duration::ZERO);
    check_once_per_turn(&mut event_loop, &mut script, &told);
}

#[test]
fn periods_that_were_missed_are_skipped() {
    let (mut script, told) = Script::echo();
    let mut event_loop = EventLoop::new().unwrap();
    event_loop.peers().set_interval(SOON);
    let_pass(5 * SOON);
    event_loop.turn(&mut script, Some(Duration::ZERO)).unwrap();
    assert_eq!(told.so_far(), ["timer"]);
    assert!(event_loop.next_timeout().unwrap() <= SOON);
}

#[cfg(unix)]
#[test]
fn peers_are_served_while_an_interval_of_zero_keeps_the_loop_awake() {
    let (mut script, _told) = Script::echo();
    let (mut event_loop, door) = Door::new(Config::new());
    event_loop.peers().set_interval(Duration::ZERO);
    let mut client = door.connect();
    client.write(REQUEST);
    turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
    client.expect_opened();
    client.send("81 02 'hi'");
    turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
    client.expect("81 02 'hi'");
}

/// A handler that takes long does not shorten the times that it sets.
#[test]
fn time_is_counted_from_when_the_timer_is_set() {
    let (mut script, told) = Script::echo();
    let mut event_loop = EventLoop::new().unwrap();
    let mut first = true;
    script.on_timer = Box::new(move |peers, _| {
        if std::mem::take(&mut first) {
            let_pass(2 * SOON);
            peers.set_timer(2 * SOON);
        }
    });
    at_least(4 * SOON, || {
        event_loop.peers().set_timer(Duration::ZERO);
        turn_until_told(&mut event_loop, &mut script, &told, "timer");
        turn_until_told(&mut event_loop, &mut script, &told, "timer");
    });
}

#[test]
fn a_time_too_long_to_be_counted_never_comes() {
    let mut event_loop = EventLoop::new().unwrap();
    let timer = event_loop.peers().set_timer(Duration::MAX);
    let interval = event_loop.peers().set_interval(Duration::MAX);
    assert_ne!(timer, interval);
    assert_eq!(event_loop.next_timeout(), None);
    assert!(event_loop.peers().cancel_timer(timer));
    assert!(event_loop.peers().cancel_timer(interval));
}

#[test]
fn timers_go_on_during_a_shutdown_but_do_not_delay_its_end() {
    let mut server = Server::start(Config::new().close_timeout(NEVER), Script::echo());
    let mut client = server.open();
    server.remote.run(|peers| peers.shutdown(NEVER)).unwrap();
    client.expect("88 02 03E9");
    server.remote.run(|peers| _ = peers.set_timer(NEVER)).unwrap();
    server.remote.run(|peers| _ = peers.set_interval(SOON)).unwrap();
    server.told.expect("timer");
    server.told.expect("timer");
    client.send("88 02 03E9");
    client.expect_end();
    drop(client);
    server.join();
    server.told.wait_for("close 1001 clean Shutdown");
}

#[track_caller]
fn check_once_per_turn(event_loop: &mut EventLoop, script: &mut Script, told: &Told) {
    let mut fired = 0;
    turn_until(event_loop, script, |_, _| {
        let so_far = told.so_far();
        assert!(so_far.len() <= 1, "in one turn: {so_far:?}");
        fired += so_far.len();
        fired == 5
    });
}

#[track_caller]
fn turn_until_told(event_loop: &mut EventLoop, script: &mut Script, told: &Told, expected: &str) {
    let mut first = None;
    turn_until(event_loop, script, |_, _| {
        first = told.try_next();
        first.is_some()
    });
    assert_eq!(first.as_deref(), Some(expected));
}
