//! What messages cost in allocations, once the client is warm: nothing.

use std::sync::mpsc;

use allocation_counter::measure;

use crate::common::{HANG, Server, frame};

#[test]
fn a_message_received_or_sent_allocates_nothing() {
    const MESSAGES: usize = 10_000;
    for (len, cut) in [(20, 22), (20, 7), (4096, 4100), (4096, 1000)] {
        let (go, gone) = mpsc::channel();
        let server = Server::run(move |mut peer| {
            peer.accept();
            let frame = frame(0x81, &vec![b'x'; len]);
            for _ in 0..2 * MESSAGES {
                peer.write(&frame[..cut]);
                peer.write(&frame[cut..]);
                assert_eq!(peer.read_frame().2.len(), len);
            }
            gone.recv_timeout(HANG).unwrap();
        });
        let mut client = server.connect();
        let mut echo = || {
            for _ in 0..MESSAGES {
                let (message, writer) = client.exchange().unwrap().unwrap();
                assert_eq!(message.len(), len);
                writer.send(message).unwrap();
            }
        };
        echo();
        assert_eq!(measure(echo).count_total, 0, "{len} bytes, cut at {cut}");
        go.send(()).unwrap();
        server.join();
    }
}
