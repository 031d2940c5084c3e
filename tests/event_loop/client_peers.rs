//! Peers that the loop has connected to: it is their client.

use wsloop::{CloseCode, Config, EventLoop, Peer};

use super::common::{Script, Server, Told, turn_until};

#[test]
fn a_client_connects_exchanges_messages_and_closes() {
    let server = Server::echo();
    let (mut event_loop, (mut script, told)) = client();
    script.on_open = Box::new(|peer| {
        assert!(peer.is_server());
        peer.send("Hello");
    });
    script.on_message = Box::new(|peer: &mut Peer<'_>, _| peer.close(CloseCode::NORMAL, "bye"));
    let id = event_loop.connect(&format!("ws://{}/chat", server.addr)).unwrap();
    assert!(!event_loop.peers().contains(id), "not yet");

    turn_until(&mut event_loop, &mut script, |event_loop, _| {
        event_loop.peers().stats().closed.total() == 1
    });
    assert_eq!(told.so_far(), ["open", "text Hello", "close 1000 clean Local"]);
    for expected in ["open", "text Hello", "close 1000 clean Remote bye"] {
        server.told.expect(expected);
    }
    turn_until(&mut event_loop, &mut script, |event_loop, _| {
        event_loop.peers().stats().connections.ending == 0
    });
    server.stop();
}

fn client() -> (EventLoop, (Script, Told)) {
    (EventLoop::with_config(Config::new()).unwrap(), Script::echo())
}
