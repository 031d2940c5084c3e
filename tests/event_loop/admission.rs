//! How many may be shaking hands at once: who has not sent its request yet, and who waits for a decision about it.

use std::sync::mpsc;
use std::time::Duration;

use wsloop::{Acceptance, Config, EventLoop};

use super::common::{Door, NEVER, REQUEST, Script, turn_until};

/// A loop with room for two of each, and no deadline that would clear them away.
fn narrow() -> (EventLoop, Door) {
    Door::new(Config::new().max_handshakes(2).handshake_timeout(NEVER).close_timeout(NEVER))
}

/// Has the loop do whatever there is to do.
fn turn_a_few_times(event_loop: &mut EventLoop, script: &mut Script) {
    for _ in 0..5 {
        event_loop.turn(script, Some(Duration::ZERO)).unwrap();
    }
}

#[test]
fn who_was_refused_does_not_give_way_in_place_of_others() {
    let (mut script, _told) = Script::echo();
    let (mut event_loop, door) = narrow();
    // These have their answers, and do not hang up.
    let _refused = [(); 5].map(|()| {
        let mut client = door.connect();
        client.write("G\n");
        turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
        client
    });
    let mut silent = Vec::new();
    for number in 1..=7_usize {
        silent.push(door.connect());
        turn_a_few_times(&mut event_loop, &mut script);
        let gone: Vec<_> = silent.iter_mut().map(|client| client.has_input()).collect();
        let expected: Vec<_> = (0..number).map(|i| i + 2 < number).collect();
        assert_eq!(gone, expected, "the two that came last stay");
    }
}

#[test]
fn who_waits_for_a_decision_takes_no_place_from_who_is_still_to_ask() {
    let (mut script, told) = Script::echo();
    let (sender, decisions) = mpsc::channel();
    script.on_request = Box::new(move |_, request| {
        let (answer, decision) = request.defer();
        sender.send(decision).unwrap();
        answer
    });
    let (mut event_loop, door) = narrow();
    let mut waiting = [(); 2].map(|()| {
        let mut client = door.connect();
        client.write(REQUEST);
        turn_a_few_times(&mut event_loop, &mut script);
        (client, decisions.try_recv().unwrap())
    });
    // One more could not be kept waiting.
    let mut excess = door.connect();
    excess.write(REQUEST);
    turn_until(&mut event_loop, &mut script, |_, _| excess.has_input());
    excess.expect_response(503);
    drop(decisions.try_recv().unwrap());

    let mut silent = [(); 2].map(|()| door.connect());
    turn_a_few_times(&mut event_loop, &mut script);
    assert!(!silent.iter_mut().any(|client| client.has_input()));
    assert!(!waiting.iter_mut().any(|(client, _)| client.has_input()));

    let _peers = waiting.map(|(mut client, decision)| {
        decision.answer(Acceptance::new());
        turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
        client.expect_opened();
        told.expect("open");
        client
    });
    // Decided is decided: there is room to wait again.
    for client in &mut silent {
        client.write(REQUEST);
        turn_a_few_times(&mut event_loop, &mut script);
        decisions.try_recv().unwrap().answer(Acceptance::new());
        turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
        client.expect_opened();
        told.expect("open");
    }
}

/// "Later" is no answer to a request that has waited for one.
#[test]
fn a_decision_cannot_be_deferred_again() {
    let (mut script, _told) = Script::echo();
    let mut first = None;
    script.on_request = Box::new(move |_, request| {
        let (answer, decision) = request.defer();
        if let Some(first) = first.replace(decision) {
            first.answer(answer);
            return request.upgrade();
        }
        answer
    });
    let (mut event_loop, door) = narrow();
    let mut client = door.connect();
    client.write(REQUEST);
    turn_a_few_times(&mut event_loop, &mut script);
    assert!(!client.has_input());
    door.open(&mut event_loop, &mut script);
    turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
    client.expect_response(500);
}
