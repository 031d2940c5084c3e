//! Whatever a server receives and is asked to send, a client accepts what comes out of it.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use wsloop::protocol::{CloseCode, Connection, Decoder, Role};

#[derive(Arbitrary, Debug)]
enum Step {
    Receive(Vec<u8>),
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Close(u16, String),
    Write(u16),
}

fuzz_target!(|steps: Vec<Step>| {
    let mut server = Connection::server();
    let mut written = Vec::new();
    for step in steps {
        match step {
            Step::Receive(mut bytes) => {
                let mut input = &mut bytes[..];
                while let Ok(Some(_)) = server.receive(&mut input) {}
            }
            Step::Text(text) => _ = server.send(&text),
            Step::Binary(bytes) => _ = server.send(&bytes),
            Step::Ping(payload) => _ = server.ping(&payload),
            Step::Close(code, reason) => {
                _ = CloseCode::new(code).map(|code| server.close(code, &reason));
            }
            Step::Write(n) => {
                let n = server.output().len().min(n.into());
                written.extend_from_slice(&server.output()[..n]);
                server.consume_output(n);
            }
        }
    }
    written.extend_from_slice(server.output());

    let mut client = Decoder::new(Role::Client).max_message_size(u64::MAX);
    let mut input = &mut written[..];
    while client.next(&mut input).expect("a server's output is valid").is_some() {}
    assert!(client.is_between_messages(), "a server's output ends with a whole frame");
});
