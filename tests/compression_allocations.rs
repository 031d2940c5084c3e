//! What compressed messages cost in allocations and memory: nothing once the loop is warm, and no more
//! than the limits say whatever arrives.
//!
//! Loops, handlers and clients share a thread, the allocations of which are counted.

#![cfg(all(feature = "deflate", feature = "event-loop"))]

use std::time::Duration;

use allocation_counter::measure;
use wsloop::protocol::{
    Compressor, CompressorOptions, DeflateParameters, Encoder, Header, Role, mask,
};
use wsloop::testing::{ClientId, Opening, Rehearsal};
use wsloop::{Compression, Config, Delivery, EventLoop, Handler, Message, Peer, Piece};

const WARM_UP: usize = 50;

/// Sends back what it receives, and counts: a server and its client in one loop keep each other busy.
struct Rally {
    messages: usize,
    /// What the client serves.
    text: String,
}

impl Handler for Rally {
    fn on_open(&mut self, peer: &mut Peer<'_>) {
        if peer.is_server() {
            peer.send(&self.text);
        }
    }

    fn on_message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) {
        self.messages += 1;
        peer.send(message);
    }
}

/// Text that compresses as text does.
fn words(len: usize) -> String {
    let mut state = len as u32;
    let mut text = String::new();
    while text.len() < len {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text += ["price", "of", "the", "{\"id\":", "1848", ",", "at ", " "][state as usize >> 29];
    }
    text.truncate(len);
    text
}

#[test]
fn messages_to_and_from_a_server() {
    for compression in [Compression::shared(), Compression::dedicated()] {
        for (len, messages) in [(20, 2000), (1 << 10, 500), (100 << 10, 20)] {
            let config = Config::new().compression(compression);
            let mut event_loop = EventLoop::with_config(config).unwrap();
            let addr = event_loop.listen("127.0.0.1:0").unwrap();
            event_loop.connect(&format!("ws://{addr}")).unwrap();
            let mut rally = Rally { messages: 0, text: words(len) };
            let mut play = |messages| {
                let end = rally.messages + messages;
                while rally.messages < end {
                    event_loop.turn(&mut rally, Some(Duration::from_secs(60))).unwrap();
                }
            };
            play(WARM_UP);
            let allocations = measure(|| play(messages)).count_total;
            assert_eq!(allocations, 0, "{messages} messages of {len} bytes, {compression:?}");
            let bytes = event_loop.peers().stats().bytes;
            let plain = (len * (WARM_UP + messages)) as u64;
            assert!(len == 20 || bytes.sent < plain / 2, "they are compressed");
        }
    }
}

/// Counts what it receives, and says what it is told to.
#[derive(Default)]
struct Count {
    messages: usize,
    bytes: usize,
    closed: usize,
}

impl Handler for Count {
    fn on_message(&mut self, _: &mut Peer<'_>, message: Message<'_>) {
        self.messages += 1;
        self.bytes += message.len();
    }

    fn on_piece(&mut self, _: &mut Peer<'_>, piece: Piece<'_>) {
        self.messages += usize::from(piece.last);
        self.bytes += piece.message.len();
    }

    fn on_close(&mut self, _: &mut Peer<'_>, _: wsloop::Close<'_>) {
        self.closed += 1;
    }
}

fn connect(play: &mut Rehearsal<Count>) -> ClientId {
    play.connect(Opening::new("/").field("Sec-WebSocket-Extensions", "permessage-deflate"))
}

fn compressor() -> Compressor {
    let options = CompressorOptions::new(DeflateParameters::default(), Role::Client);
    Compressor::new(CompressorOptions { context_takeover: false, ..options })
}

/// The frame of a client's message, compressed.
fn compressed(message: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let key = Some([1, 2, 3, 4]);
    Encoder::new().compressed(message.into(), &mut compressor(), key, &mut frame).unwrap();
    frame
}

/// The same cut into fragments, with a Ping after each.
fn fragmented(frame: &[u8]) -> Vec<u8> {
    let mut payload = frame;
    let header = Header::parse(&mut payload).unwrap().unwrap();
    let mut payload = payload.to_vec();
    mask::apply(&mut payload, header.masking_key.unwrap(), 0);
    let mut fragments = Vec::new();
    for (i, part) in payload.chunks(100).enumerate() {
        fragments.extend([if i == 0 { 0x42 } else { 0 }, 0x80 | part.len() as u8, 0, 0, 0, 0]);
        fragments.extend(part);
        fragments.extend([0x89, 0x80, 0, 0, 0, 0]);
    }
    fragments
}

/// Both policies, and both ways to deliver.
fn configs() -> impl Iterator<Item = Config> {
    [Compression::shared(), Compression::dedicated()].into_iter().flat_map(|compression| {
        [Delivery::Messages, Delivery::Pieces]
            .map(|delivery| Config::new().compression(compression).delivery(delivery))
    })
}

/// What goes on beside what is looked at: clients' ends of connections, decompressors, read buffers.
const BESIDE: u64 = 500 << 10;

#[test]
fn a_bomb_takes_no_more_memory_than_the_limit_allows() {
    let bomb = compressed(&vec![0; 5_000_000]);
    for (config, frames) in
        configs().flat_map(|config| [(config.clone(), bomb.clone()), (config, fragmented(&bomb))])
    {
        for limit in [8 << 10, 1 << 20] {
            let mut play = Rehearsal::new(config.clone().max_message_size(limit), Count::default());
            let client = connect(&mut play);
            let memory = measure(|| play.send_raw(client, &frames));
            assert_eq!(play.handler().closed, 1);
            // As a buffer grows, there is the old one and the new one, which is no longer than the limit.
            assert!(memory.bytes_max <= limit * 3 / 2 + BESIDE, "{} of {limit}", memory.bytes_max);
        }
    }
}

/// What messages took that are over is not held for those who then say half a word, nor what it takes to
/// inflate.
#[test]
fn nothing_is_held_for_peers_in_the_middle_of_what_is_not_compressed() {
    const PEERS: usize = 8;
    const LEN: usize = 1 << 20;
    let message = compressed(&vec![0; LEN]);
    // A byte of a header, parts of messages that are not compressed, and part of a Ping.
    for rest in [&b"\x82"[..], b"\x02\x81\0\0\0\0x", b"\x82\xFE\x04\0\0\0\0\0x", b"\x89\x83\0"] {
        for config in configs() {
            let dedicated = format!("{config:?}").contains("context_takeover: true");
            let config = config.max_message_size(LEN as u64).message_timeout(None);
            let mut play = Rehearsal::new(config, Count::default());
            let mut clients: Vec<_> = (0..PEERS + 1).map(|_| connect(&mut play)).collect();
            let first = clients.pop().unwrap();
            play.send_raw(first, &message);
            let memory = measure(|| {
                clients.iter().for_each(|client| {
                    play.send_raw(*client, &[&message, rest].concat());
                });
            });
            assert!(play.handler().bytes >= (PEERS + 1) * LEN);
            let of_each = memory.bytes_current / PEERS as i64;
            let most = if dedicated { 150 << 10 } else { 68 << 10 };
            assert!(of_each <= most, "{of_each} bytes for each, after {rest:?}");
        }
    }
}

/// What a peer has of its own goes after a while, if only Pings and Pongs come and go.
#[test]
fn what_is_not_used_is_given_up() {
    const PEERS: i64 = 10;
    const AFTER: Duration = Duration::from_secs(60);
    let message = compressed(words(2000).as_bytes());
    let text = words(2000);
    for release in [Some(AFTER), None] {
        let compression = Compression::dedicated().release_after(release);
        let config = Config::new().compression(compression).ping_interval(Some(AFTER / 10));
        let mut play = Rehearsal::new(config, Count::default());
        let clients: Vec<_> = (0..PEERS).map(|_| connect(&mut play)).collect();
        let ids: Vec<_> = clients.iter().map(|client| play.peer_id(*client).unwrap()).collect();
        let kib_of_each = |bytes: i64| bytes / PEERS / 1024;

        // In one direction, in which Pongs are sent as well.
        let received = measure(|| clients.iter().for_each(|it| play.send_raw(*it, &message)));
        let inflating = kib_of_each(received.bytes_current);
        assert!((60..110).contains(&inflating), "{inflating} KiB");
        let early = measure(|| play.advance(AFTER / 2));
        assert!(kib_of_each(early.bytes_current) > -5);
        // What is used is kept.
        clients.iter().for_each(|it| play.send_raw(*it, &message));
        let early = measure(|| play.advance(AFTER - AFTER / 10));
        assert!(kib_of_each(early.bytes_current) > -5, "it was used meanwhile");
        let late = measure(|| play.advance(AFTER / 5));
        let released = -kib_of_each(late.bytes_current);
        assert_eq!(released > inflating - 12, release.is_some(), "{released} of {inflating} KiB");

        // In the other, towards clients that do not look.
        clients.iter().for_each(|it| play.stop_reading(*it));
        let sent = measure(|| {
            ids.iter().for_each(|id| _ = play.peers().send(*id, &text));
            play.run();
        });
        let deflating = kib_of_each(sent.bytes_current);
        assert!((250..450).contains(&deflating), "{deflating} KiB");
        let late = measure(|| play.advance(AFTER));
        let released = -kib_of_each(late.bytes_current);
        assert_eq!(released > deflating - 12, release.is_some(), "{released} of {deflating} KiB");
    }
}

/// Its socket may be there for a while yet, until the peer has ended the stream.
#[test]
fn what_a_peer_has_of_its_own_goes_when_it_is_over() {
    let config = Config::new().compression(Compression::dedicated());
    let mut play = Rehearsal::new(config, Count::default());
    let client = connect(&mut play);
    let id = play.peer_id(client).unwrap();
    play.stop_reading(client);
    let held = measure(|| {
        play.peers().send(id, &words(2000));
        play.send_raw(client, &compressed(words(2000).as_bytes()));
    });
    assert!(held.bytes_current > 300 << 10);
    let over = measure(|| play.send_raw(client, b"\x88\x80\0\0\0\0"));
    assert_eq!((play.handler().closed, play.peer_id(client)), (1, Some(id)), "it lingers");
    assert!(over.bytes_current < -(300 << 10), "{} bytes", over.bytes_current);
}

/// What is sent is in the peer's queue until its socket takes it, and nowhere else.
#[test]
fn a_long_message_is_held_once_for_its_peer() {
    const PEERS: usize = 8;
    const LEN: usize = 1 << 20;
    let config = Config::new().compression(Compression::dedicated());
    let mut play = Rehearsal::new(config, Count::default());
    let clients: Vec<_> = (0..PEERS).map(|_| connect(&mut play)).collect();
    clients.iter().for_each(|it| play.stop_reading(*it));
    let message = noise(LEN);
    let held = measure(|| {
        clients.iter().for_each(|it| {
            let id = play.peer_id(*it).unwrap();
            play.peers().send(id, &message);
        });
        play.run();
    });
    let of_each = held.bytes_current / PEERS as i64;
    assert!((LEN..LEN * 7 / 4).contains(&(of_each as usize)), "{of_each} bytes for each");
}

/// Bytes that nothing compresses.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// A message is compressed when the first peer is sent it, and what it takes is shared.
#[test]
fn a_broadcast_is_compressed_once_however_many_peers_there_are() {
    let text = words(200_000);
    let bytes_with = |peers: usize| {
        let config = Config::new().compression(Compression::shared());
        let mut play = Rehearsal::new(config, Count::default());
        let clients: Vec<_> = (0..peers).map(|_| connect(&mut play)).collect();
        clients.iter().for_each(|it| play.stop_reading(*it));
        for _ in 0..3 {
            play.peers().broadcast(&text);
        }
        measure(|| play.peers().broadcast(&text)).bytes_total
    };
    let few = bytes_with(2);
    let many = bytes_with(60);
    assert!(few < 400_000 && many < few + 10_000, "{many} bytes for 60 peers, {few} for 2");
}
