//! What other threads ask of the loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use wsloop::{CloseCode, EventLoop, RemoteFull};

use super::common::{NEVER, Script, Server, frame, turn_until};

#[test]
fn what_threads_have_the_loop_send_arrives_in_the_order_of_each() {
    const MESSAGES: u32 = 1000;
    let server = Server::echo();
    let mut client = server.open();
    let threads: Vec<_> = (0..4)
        .map(|thread: u8| {
            let remote = server.remote.clone();
            std::thread::spawn(move || {
                for number in 0..MESSAGES {
                    let message = [&[thread][..], &number.to_be_bytes()].concat();
                    remote.run(move |peers| peers.broadcast(&message)).unwrap();
                }
            })
        })
        .collect();
    let mut next = [0; 4];
    for _ in 0..4 * MESSAGES {
        let received = client.read(7);
        let thread = received[2];
        let number = &mut next[usize::from(thread)];
        let expected = [&[thread][..], &u32::to_be_bytes(*number)].concat();
        assert_eq!(received, frame(0x82, &expected));
        *number += 1;
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    client.close();
    server.told.expect("close 1000 clean Remote");
    server.stop();
}

#[test]
fn a_task_may_do_anything_to_any_peer() {
    let server = Server::echo();
    let mut client = server.open();
    server
        .remote
        .run(|peers| {
            let all: Vec<_> = peers.ids().collect();
            for id in all {
                peers.send(id, "farewell");
                peers.close(id, CloseCode::NORMAL, "");
            }
        })
        .unwrap();
    client.expect("81 08 'farewell'  88 02 03E8");
    client.send("88 02 03E8");
    client.expect_end();
    server.told.expect("close 1000 clean Local");
    server.stop();
}

#[test]
fn tasks_wait_for_the_loop_to_run_and_are_not_run_without_it() {
    let ran = Arc::new(AtomicUsize::new(0));
    let task = || {
        let ran = Arc::clone(&ran);
        move |_: &mut wsloop::Peers| {
            ran.fetch_add(1, SeqCst);
        }
    };
    let mut event_loop = EventLoop::new().unwrap();
    let remote = event_loop.remote();
    remote.run(task()).unwrap();
    remote.run(task()).unwrap();
    assert_eq!(ran.load(SeqCst), 0);

    let (mut script, _told) = Script::echo();
    turn_until(&mut event_loop, &mut script, |_, _| ran.load(SeqCst) == 2);
    remote.run(task()).unwrap();
    drop(event_loop);
    remote.run(task()).unwrap();
    assert_eq!(ran.load(SeqCst), 2);
    drop(remote);
    assert_eq!(Arc::strong_count(&ran), 1, "nobody keeps what will not be run");
}

#[test]
fn tasks_for_a_loop_that_takes_none_are_bounded() {
    let mut event_loop = EventLoop::new().unwrap();
    let remote = event_loop.remote();
    let handed_in = (0..).find(|_| remote.run(|_| {}) == Err(RemoteFull)).unwrap();
    assert_eq!(handed_in, 65_536);
    // Once they have been taken, there is room again.
    let (mut script, _told) = Script::echo();
    turn_until(&mut event_loop, &mut script, |_, _| remote.run(|_| {}).is_ok());
}

#[test]
fn a_task_that_shuts_down_ends_the_loop() {
    let mut server = Server::echo();
    let mut client = server.open();
    server.remote.run(|peers| peers.shutdown(NEVER)).unwrap();
    client.expect("88 02 03E9");
    client.send("88 02 03E9");
    client.expect_end();
    server.join();
    server.told.expect("close 1001 clean Shutdown");
    server.stop();
}
