//! What the parts cost, each by itself: `cargo bench`, or `cargo bench -- decode` for one.

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

mod masking {
    use super::*;
    use wsloop::protocol::mask;

    const SIZES: [usize; 5] = [16, 125, 1 << 10, 16 << 10, 1 << 20];

    #[divan::bench(args = SIZES)]
    fn in_place(bencher: Bencher<'_, '_>, size: usize) {
        let mut payload = vec![7; size];
        bencher
            .counter(BytesCount::new(size))
            .bench_local(|| mask::apply(black_box(&mut payload), black_box(KEY), 0));
    }

    #[divan::bench(args = SIZES)]
    fn while_copying(bencher: Bencher<'_, '_>, size: usize) {
        let payload = vec![7; size];
        let mut output = Vec::with_capacity(size);
        bencher.counter(BytesCount::new(size)).bench_local(|| {
            output.clear();
            mask::append(black_box(&mut output), black_box(&payload), black_box(KEY), 0);
        });
    }
}

/// Streams of 1 MiB, in messages of these sizes.
mod framing {
    use super::*;
    use wsloop::protocol::{Decoder, Encoder, Event, Message, Role};

    const SIZES: [usize; 3] = [20, 4 << 10, 64 << 10];
    const STREAM: usize = 1 << 20;

    /// Like the loop: frames are whole in the buffer, text is checked.
    #[divan::bench(args = SIZES)]
    fn decode_text(bencher: Bencher<'_, '_>, size: usize) {
        decode(bencher, Message::Text(&"x".repeat(size)), STREAM);
    }

    #[divan::bench(args = SIZES)]
    fn decode_binary(bencher: Bencher<'_, '_>, size: usize) {
        decode(bencher, Message::Binary(&vec![7; size]), STREAM);
    }

    /// The stream is cut every 1400 bytes, as TCP segments on an Ethernet would.
    #[divan::bench(args = SIZES)]
    fn decode_cut(bencher: Bencher<'_, '_>, size: usize) {
        decode(bencher, Message::Binary(&vec![7; size]), 1400);
    }

    fn decode(bencher: Bencher<'_, '_>, message: Message<'_>, cut: usize) {
        let count = STREAM / message.len();
        let mut stream = Vec::new();
        for _ in 0..count {
            Encoder::new()
                .message(message, Some(KEY), &mut stream)
                .expect("nothing is in progress");
        }
        let mut decoder = Decoder::new(Role::Server);
        bencher
            .counter(BytesCount::new(STREAM))
            .counter(ItemsCount::new(count))
            .with_inputs(|| stream.clone())
            .bench_local_refs(|stream| {
                let mut messages = 0;
                for mut input in stream.chunks_mut(cut) {
                    while let Some(event) = decoder.next(&mut input).expect("the stream is valid") {
                        messages += usize::from(matches!(black_box(event), Event::Message(_)));
                    }
                }
                assert_eq!(messages, count);
            });
    }

    #[divan::bench(args = SIZES)]
    fn encode(bencher: Bencher<'_, '_>, size: usize) {
        let (payload, count) = (vec![7; size], STREAM / size);
        let mut output = Vec::with_capacity(STREAM * 2);
        bencher.counter(BytesCount::new(STREAM)).counter(ItemsCount::new(count)).bench_local(
            || {
                output.clear();
                let mut encoder = Encoder::new();
                for _ in 0..count {
                    let message = Message::Binary(black_box(&payload));
                    encoder.message(message, None, &mut output).expect("nothing is in progress");
                }
                black_box(&output);
            },
        );
    }
}

mod handshake {
    use super::*;
    use wsloop::handshake::{Acceptance, HeadBuffer, HeadLimits, Policy, Request};

    /// From the bytes of a browser's request to those of the 101.
    #[divan::bench]
    fn accept(bencher: Bencher<'_, '_>) {
        let (limits, policy) = (HeadLimits::default(), Policy::default());
        let mut output = Vec::with_capacity(1024);
        bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
            output.clear();
            let mut head = HeadBuffer::new();
            let complete = head.receive(&mut black_box(REQUEST), &limits);
            assert_eq!(complete, Ok(true));
            let request = Request::parse(head.head(), &limits).expect("the request is valid");
            let offer = policy.judge(&request).expect("it is welcome").expect("it is an upgrade");
            offer.accept(&Acceptance::new(), &mut output).expect("nothing was asked for");
            black_box(&output);
        });
    }

    const REQUEST: &[u8] = b"GET /chat?room=42 HTTP/1.1\r\n\
        Host: server.example.com\r\n\
        Connection: Upgrade\r\n\
        Pragma: no-cache\r\n\
        Cache-Control: no-cache\r\n\
        User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
        Upgrade: websocket\r\n\
        Origin: http://server.example.com\r\n\
        Sec-WebSocket-Version: 13\r\n\
        Accept-Encoding: gzip, deflate, br\r\n\
        Accept-Language: en-US,en;q=0.9\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
        \r\n";
}

/// Tests of a handler, as users write them.
#[cfg(feature = "event-loop")]
mod rehearsal {
    use super::*;
    use wsloop::testing::{Received, Rehearsal};
    use wsloop::{CloseCode, Config, Message, Peer};

    /// Two clients connect, exchange ten messages, and close.
    #[divan::bench]
    fn conversation(bencher: Bencher<'_, '_>) {
        bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
            let mut chat =
                Rehearsal::new(Config::new(), |peer: &mut Peer<'_>, message: Message<'_>| {
                    peer.broadcast(message);
                });
            let clients = [chat.connect("/room"), chat.connect("/room")];
            for turn in 0..10 {
                chat.send(clients[turn % 2], black_box("hello"));
                let received = chat.receive(clients[1 - turn % 2]);
                assert_eq!(received, Some(Received::Text("hello")));
            }
            for client in clients {
                chat.close(client, CloseCode::NORMAL, "");
                assert_eq!(chat.receive(client), Some(Received::Close(1000, "")));
            }
        });
    }

    /// One message there and back.
    #[divan::bench]
    fn echo(bencher: Bencher<'_, '_>) {
        let mut echo =
            Rehearsal::new(Config::new(), |peer: &mut Peer<'_>, message: Message<'_>| {
                peer.send(message);
            });
        let client = echo.connect("/");
        bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
            echo.send(client, black_box("hello"));
            assert_eq!(echo.receive(client), Some(Received::Text("hello")));
        });
    }
}
