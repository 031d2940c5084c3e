//! The client and this library's own server.

use std::time::Duration;

use wsloop::client::Client;
use wsloop::protocol::Message;
use wsloop::{CloseCode, EventLoop, Handler, Peer};

struct Echo;

impl Handler for Echo {
    fn on_message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) {
        peer.send(message);
    }
}

/// Runs a test with a client of an echo server.
fn with_echo(test: impl FnOnce(Client)) {
    let mut event_loop = EventLoop::new().unwrap();
    let addr = event_loop.listen("127.0.0.1:0").unwrap();
    let remote = event_loop.remote();
    let server = std::thread::spawn(move || event_loop.run(&mut Echo).unwrap());
    let client = Client::connect(&format!("ws://{addr}/")).unwrap();
    test(client);
    remote.shutdown(Duration::ZERO);
    server.join().unwrap();
}

#[test]
fn what_is_sent_comes_back() {
    with_echo(|mut client| {
        let page = "€".repeat(1400);
        for text in ["", "Hello", &page] {
            client.send(text).unwrap();
            assert_eq!(client.receive(), Ok(Some(Message::Text(text))));
        }
        let large: Vec<u8> = (0..1 << 20).map(|i: u32| (i % 251) as u8).collect();
        client.send(&large).unwrap();
        assert!(client.receive() == Ok(Some(Message::Binary(&large))));
        assert_eq!(client.close(CloseCode::NORMAL, "").unwrap().code, 1000);
    });
}

#[test]
fn what_is_received_is_sent_from_where_it_is() {
    with_echo(|mut client| {
        client.send("Hello").unwrap();
        for _ in 0..100 {
            let (message, writer) = client.exchange().unwrap().unwrap();
            writer.send(message).unwrap();
        }
        assert_eq!(client.receive(), Ok(Some(Message::Text("Hello"))));
    });
}

/// Ten thousand messages each way, on two threads.
#[test]
fn halves_on_two_threads_lose_nothing() {
    with_echo(|client| {
        let (mut reader, writer) = client.into_halves();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for i in 0..10_000 {
                    writer.send(&format!("{i} {}", "x".repeat(i % 2000))).unwrap();
                }
            });
            for i in 0..10_000 {
                let expected = format!("{i} {}", "x".repeat(i % 2000));
                assert_eq!(reader.receive(), Ok(Some(Message::Text(&expected))));
            }
        });
        let closing = std::thread::spawn(move || writer.close(CloseCode::NORMAL, "done"));
        assert_eq!(reader.receive(), Ok(None));
        assert_eq!(closing.join().unwrap().unwrap().code, 1000);
    });
}
