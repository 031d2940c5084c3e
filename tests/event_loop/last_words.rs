//! How long a connection may take to end: as long as its last words are being taken, but no longer.

use std::time::Duration;

use wsloop::{CloseCode, Config, Response};

use super::common::{Door, NEVER, REQUEST, Script, let_pass, masked, turn_until, wire};

const MEGABYTE: usize = 1 << 20;

/// More than a socket holds, many times over.
const LAST_WORDS: usize = 4 * MEGABYTE;

/// More than the kernel keeps in one piece, less than it must be rid of before it reports room.
const PORTION: usize = 40 << 10;

#[test]
fn whoever_takes_its_last_words_steadily_may_take_its_time() {
    let timeout = Duration::from_secs(1);
    let (mut script, _told) = Script::echo();
    script.on_request = Box::new(|_, request| match request.path() {
        "/chat" => request.upgrade(),
        _ => Response::new(200).body(vec![0x55; LAST_WORDS]).into(),
    });
    script.on_open = Box::new(|peer| {
        peer.send(&*vec![0x55; LAST_WORDS]);
    });
    script.on_message = Box::new(|peer, _| peer.close(CloseCode::NORMAL, ""));
    // A peer that is congested is not read from, and so could not end anything.
    let config = Config::new().high_water_mark(64 * MEGABYTE).close_timeout(timeout);
    let (mut event_loop, door) = Door::new(config);
    // A response, our Close, theirs, the end of their stream, and a violation.
    let ends = [None, Some("81 00"), Some("88 00"), Some(""), Some("83 00")];
    let mut clients = ends.map(|end| {
        let mut client = door.connect();
        match end {
            None => client.write(REQUEST.replace("/chat", "/long")),
            Some(end) => {
                client.write([REQUEST.as_bytes(), &masked(&wire(end))].concat());
                if end.is_empty() {
                    client.end();
                }
            }
        }
        turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
        client
    });
    let mut left = ends.map(|_| LAST_WORDS);
    for pass in 0.. {
        // In all, longer than any of them may take to do nothing. They read too little at a time for the system to
        // say that there is room again.
        let (pause, most) =
            if pass < 6 { (timeout / 4, PORTION) } else { (Duration::ZERO, LAST_WORDS) };
        let_pass(pause);
        for ((client, left), end) in clients.iter_mut().zip(&mut left).zip(ends) {
            let received = client.read_available_of(most.min(*left)).len();
            assert!(received > 0 || *left == 0, "after {end:?}, with {left} to come");
            *left -= received;
        }
        if left == ends.map(|_| 0) {
            assert!(pass > 6, "too little to say, at {pass}");
            return;
        }
        event_loop.turn(&mut script, Some(Duration::ZERO)).unwrap();
    }
}

/// Its Pings are answered (§5.5.2), but they do not make up for the Close that it owes.
#[test]
fn pings_do_not_prolong_the_wait_for_a_close() {
    let (mut script, told) = Script::echo();
    script.on_open = Box::new(|peer| peer.close(CloseCode::NORMAL, ""));
    let config = Config::new().close_timeout(Duration::from_millis(50)).idle_timeout(Some(NEVER));
    let (mut event_loop, door) = Door::new(config);
    let mut client = door.open(&mut event_loop, &mut script);
    client.expect("88 02 03E8");
    told.expect("open");
    let mut ended = Vec::new();
    turn_until(&mut event_loop, &mut script, |_, _| {
        ended.extend(told.so_far());
        if ended.is_empty() {
            client.send("89 00");
            client.read_available();
        }
        !ended.is_empty()
    });
    assert_eq!(ended, ["close 1006 unclean Local"]);
}
