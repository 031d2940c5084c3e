use proptest::prelude::*;

use super::*;
use crate::protocol::CloseCode;

/// Takes as many bytes at a time as it is told to, and then would block.
#[derive(Debug, Default)]
struct Socket {
    taken: Vec<u8>,
    /// How much each coming write takes.
    room: VecDeque<usize>,
    writes: usize,
}

impl Socket {
    fn with_room(room: impl IntoIterator<Item = usize>) -> Self {
        Self { room: room.into_iter().collect(), ..Self::default() }
    }

    fn endless() -> Self {
        Self::with_room([usize::MAX; 1000])
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let room = self.room.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        self.writes += 1;
        let before = self.taken.len();
        self.taken.extend(slices.iter().flat_map(|slice| slice.iter()).take(room));
        Ok(self.taken.len() - before)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A queue, its pool, and a copy of all that should come out of it.
#[derive(Default)]
struct Rig {
    queue: WriteQueue,
    pool: BufferPool,
    expected: Vec<u8>,
}

impl Rig {
    fn push(&mut self, opcode: Opcode, payload: &[u8]) {
        let header = Header::new(opcode, payload.len() as u64);
        self.queue.push_frame(header, payload, &mut self.pool);
        encode_frame(header, payload, &mut self.expected);
    }

    fn push_shared(&mut self, payload: &[u8]) {
        let frame = frame(Opcode::Binary, payload);
        self.expected.extend_from_slice(&frame);
        self.queue.push_shared(&Arc::new(Frame::from(frame)), &mut self.pool);
    }

    fn flush(&mut self, socket: &mut Socket) -> Flushed {
        let flushed = self.queue.flush(socket, &mut self.pool).unwrap();
        assert_eq!(self.pool.ledger.queued, self.queue.len());
        assert_eq!(self.pool.ledger.written, socket.taken.len() as u64);
        flushed
    }
}

/// Whatever a test did, the ledger agrees with what is in the queue at its end.
impl Drop for Rig {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        assert_eq!(self.pool.ledger.queued, self.queue.len());
        self.queue.clear(&mut self.pool);
        assert_eq!(self.pool.ledger.queued, 0);
    }
}

fn frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    encode_frame(Header::new(opcode, payload.len() as u64), payload, &mut frame);
    frame
}

fn shared_frame(opcode: Opcode, payload: &[u8]) -> Arc<Frame> {
    Arc::new(Frame::from(frame(opcode, payload)))
}

#[test]
fn everything_sent_in_a_turn_goes_out_in_one_write() {
    let mut rig = Rig::default();
    for n in 0..100 {
        rig.push(Opcode::Binary, &[n; 20]);
    }
    let mut socket = Socket::endless();
    assert_eq!(rig.flush(&mut socket), Flushed::All);
    assert_eq!((socket.writes, &socket.taken), (1, &rig.expected));
}

#[test]
fn small_large_and_shared_frames_go_out_in_one_vectored_write_in_order() {
    let mut rig = Rig::default();
    rig.push(Opcode::Text, b"small");
    rig.push(Opcode::Binary, &[1; 3 * BLOCK_SIZE]);
    rig.push_shared(&[2; 2 * BLOCK_SIZE]);
    rig.push(Opcode::Ping, b"");
    let mut socket = Socket::endless();
    assert_eq!(rig.flush(&mut socket), Flushed::All);
    assert_eq!((socket.writes, &socket.taken), (1, &rig.expected));
}

#[test]
fn a_queue_with_more_segments_than_a_write_takes_is_still_written_whole() {
    let mut rig = Rig::default();
    for n in 0..3 * MAX_SLICES {
        rig.push_shared(&[n as u8; BLOCK_SIZE]);
    }
    let mut socket = Socket::endless();
    assert_eq!(rig.flush(&mut socket), Flushed::All);
    assert_eq!((socket.writes, &socket.taken), (3, &rig.expected));
}

#[test]
fn what_a_socket_does_not_take_stays_for_the_next_time() {
    let mut rig = Rig::default();
    rig.push(Opcode::Text, b"Hello");
    assert_eq!(rig.flush(&mut Socket::with_room([])), Flushed::Blocked);
    assert_eq!(rig.queue.len(), 7);

    let mut socket = Socket::with_room([3]);
    assert_eq!(rig.flush(&mut socket), Flushed::Blocked);
    assert_eq!((rig.queue.len(), rig.queue.is_empty()), (4, false));

    socket.room = [1, 3].into();
    assert_eq!(rig.flush(&mut socket), Flushed::All);
    assert_eq!((rig.queue.len(), rig.queue.is_empty()), (0, true));
    assert_eq!(socket.taken, rig.expected);
}

#[test]
fn a_socket_that_takes_nothing_without_a_reason_is_an_error() {
    let mut rig = Rig::default();
    rig.push(Opcode::Text, b"Hello");
    let error = rig.queue.flush(&mut Socket::with_room([0]), &mut rig.pool).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WriteZero);
}

#[test]
fn shared_frames_are_not_copied() {
    let mut rig = Rig::default();
    let shared = shared_frame(Opcode::Text, b"to all");
    rig.queue.push_shared(&shared, &mut rig.pool);
    assert_eq!(Arc::strong_count(&shared), 2);
    rig.flush(&mut Socket::endless());
    assert_eq!(Arc::strong_count(&shared), 1);
}

#[test]
fn of_many_owed_pongs_the_latest_goes_out_when_all_else_has() {
    let mut rig = Rig::default();
    rig.push(Opcode::Text, b"Hello");
    for payload in [&b"first"[..], b"second", b"last"] {
        rig.queue.owe_pong(Header::new(Opcode::Pong, payload.len() as u64), payload, &mut rig.pool);
    }
    rig.expected.extend(frame(Opcode::Pong, b"last"));
    assert_eq!(rig.queue.len(), rig.expected.len());

    let mut socket = Socket::with_room([5]);
    assert_eq!(rig.flush(&mut socket), Flushed::Blocked);
    socket.room = [usize::MAX; 2].into();
    assert_eq!(rig.flush(&mut socket), Flushed::All);
    assert_eq!(socket.taken, rig.expected);
    assert!(rig.queue.is_empty());
}

#[test]
fn an_owed_pong_is_paid_before_what_must_be_last() {
    let mut rig = Rig::default();
    rig.queue.owe_pong(Header::new(Opcode::Pong, 1), b"x", &mut rig.pool);
    rig.queue.pay_pong(&mut rig.pool);
    rig.expected.extend(frame(Opcode::Pong, b"x"));
    rig.push(Opcode::Close, b"");
    let mut socket = Socket::endless();
    assert_eq!(rig.flush(&mut socket), Flushed::All);
    assert_eq!(socket.taken, rig.expected);
}

#[test]
fn discarding_keeps_the_frame_that_was_begun_control_frames_and_what_is_no_frame() {
    let mut rig = Rig::default();
    let response = b"HTTP/1.1 101 Switching Protocols\r\n\r\n".to_vec();
    rig.queue.push_opaque(response.clone(), &mut rig.pool);
    rig.expected.extend(response);
    rig.push(Opcode::Text, b"gone");
    rig.push(Opcode::Text, b"begun");
    let kept = rig.expected.clone();
    rig.push(Opcode::Text, b"not begun");
    rig.queue.push_frame(Header::new(Opcode::Ping, 4), b"ping", &mut rig.pool);
    rig.push_shared(&[7; 100]);

    let mut socket = Socket::with_room([kept.len() - 2]);
    rig.flush(&mut socket);
    rig.queue.discard_data(&mut rig.pool);
    rig.queue.push_frame(Header::new(Opcode::Close, 0), b"", &mut rig.pool);

    socket.room = [1, 1, usize::MAX].into();
    assert_eq!(rig.flush(&mut socket), Flushed::All);
    let last = [frame(Opcode::Ping, b"ping"), frame(Opcode::Close, b"")].concat();
    assert_eq!(socket.taken, [kept, last].concat());
}

#[test]
fn discarding_between_two_frames_keeps_neither() {
    let mut rig = Rig::default();
    rig.push(Opcode::Text, b"gone");
    let gone = rig.expected.clone();
    rig.push(Opcode::Text, b"not begun");
    let mut socket = Socket::with_room([gone.len()]);
    rig.flush(&mut socket);
    rig.queue.discard_data(&mut rig.pool);
    assert!(rig.queue.is_empty());
    assert_eq!(socket.taken, gone);
}

#[test]
fn a_shared_frame_that_was_begun_is_not_discarded() {
    let mut rig = Rig::default();
    rig.push_shared(&[3; 1000]);
    let mut socket = Socket::with_room([10]);
    rig.flush(&mut socket);
    rig.queue.discard_data(&mut rig.pool);
    socket.room = [usize::MAX].into();
    assert_eq!(rig.flush(&mut socket), Flushed::All);
    assert_eq!(socket.taken, rig.expected);
}

#[test]
fn of_a_message_in_fragments_none_is_kept_behind_one_that_is_discarded() {
    let mut rig = Rig::default();
    let fragment = |opcode, fin| Header { fin, ..Header::new(opcode, 0) };
    let push = |rig: &mut Rig, header, payload: &[u8]| {
        rig.queue.push_frame(header, payload, &mut rig.pool);
        encode_frame(header, payload, &mut rig.expected);
    };
    push(&mut rig, fragment(Opcode::Text, false), b"begun");
    let begun = rig.expected.clone();
    push(&mut rig, fragment(Opcode::Continuation, false), b"not begun");
    push(&mut rig, fragment(Opcode::Ping, true), b"ping");
    push(&mut rig, fragment(Opcode::Continuation, false), &[7; 2 * BLOCK_SIZE]);
    push(&mut rig, fragment(Opcode::Continuation, true), b"last");
    let mut socket = Socket::with_room([1]);
    rig.flush(&mut socket);
    rig.queue.discard_data(&mut rig.pool);
    socket.room = [usize::MAX; 2].into();
    assert_eq!(rig.flush(&mut socket), Flushed::All);
    assert_eq!(socket.taken, [begun, frame(Opcode::Ping, b"ping")].concat());
}

#[test]
fn a_queue_that_is_appended_comes_out_behind_without_a_copy() {
    for ahead in [&b""[..], b"ahead"] {
        let mut rig = Rig::default();
        if !ahead.is_empty() {
            rig.push(Opcode::Text, ahead);
        }
        let mut behind = WriteQueue::default();
        let shared = shared_frame(Opcode::Binary, &[1; 2 * BLOCK_SIZE]);
        behind.push_frame(Header::new(Opcode::Text, 5), b"small", &mut rig.pool);
        behind.push_shared(&shared, &mut rig.pool);
        rig.expected.extend([frame(Opcode::Text, b"small"), shared.bytes().to_vec()].concat());

        rig.queue.append(&mut behind, &mut rig.pool);
        rig.push(Opcode::Text, b"after");
        assert!(behind.is_empty());
        assert_eq!((rig.queue.len(), Arc::strong_count(&shared)), (rig.expected.len(), 2));
        let mut socket = Socket::endless();
        assert_eq!(rig.flush(&mut socket), Flushed::All);
        assert_eq!((socket.writes, socket.taken), (1, rig.expected.clone()));
        assert_eq!(Arc::strong_count(&shared), 1);
    }
}

#[test]
fn to_append_an_empty_queue_changes_nothing() {
    let mut rig = Rig::default();
    rig.queue.append(&mut WriteQueue::default(), &mut rig.pool);
    assert!(rig.queue.is_empty());
    rig.push(Opcode::Text, b"Hello");
    rig.queue.append(&mut WriteQueue::default(), &mut rig.pool);
    assert_eq!(rig.queue.len(), rig.expected.len());
}

#[test]
fn an_empty_queue_holds_no_memory_and_a_busy_one_allocates_nothing_new() {
    let mut rig = Rig::default();
    rig.push(Opcode::Text, b"Hello");
    rig.flush(&mut Socket::endless());
    assert!(rig.queue.pending.is_none());
    let block = rig.pool.take(1);
    let address = block.as_ptr();
    rig.pool.give(block);

    rig.push(Opcode::Text, b"again");
    match &rig.queue.pending.as_ref().unwrap().segments[0] {
        Segment::Owned(block) => assert_eq!(block.as_ptr(), address),
        segment => panic!("a small frame is copied to a block, not {segment:?}"),
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push(Vec<u8>),
    Share(Vec<u8>),
    Append(Vec<Vec<u8>>),
    Flush(Vec<usize>),
}

fn step() -> impl Strategy<Value = Step> {
    let payload = || {
        prop_oneof![
            4 => prop::collection::vec(any::<u8>(), 0..300),
            1 => prop::collection::vec(any::<u8>(), BLOCK_SIZE - 20..BLOCK_SIZE + 20),
        ]
    };
    prop_oneof![
        payload().prop_map(Step::Push),
        payload().prop_map(Step::Share),
        prop::collection::vec(payload(), 0..4).prop_map(Step::Append),
        prop::collection::vec(1..20_000_usize, 0..4).prop_map(Step::Flush),
    ]
}

proptest! {
    /// However frames are pushed and however little the socket takes at a time, the same bytes come
    /// out.
    #[test]
    fn bytes_come_out_in_the_order_of_the_pushes(steps in prop::collection::vec(step(), 0..25)) {
        let (mut rig, mut socket) = (Rig::default(), Socket::default());
        for step in steps {
            match step {
                Step::Push(payload) => rig.push(Opcode::Binary, &payload),
                Step::Share(payload) => rig.push_shared(&payload),
                Step::Append(payloads) => {
                    let mut behind = WriteQueue::default();
                    for payload in payloads {
                        let shared = shared_frame(Opcode::Binary, &payload);
                        behind.push_shared(&shared, &mut rig.pool);
                        rig.expected.extend_from_slice(shared.bytes());
                    }
                    rig.queue.append(&mut behind, &mut rig.pool);
                }
                Step::Flush(room) => {
                    socket.room = room.into();
                    rig.flush(&mut socket);
                }
            }
            prop_assert_eq!(rig.queue.len(), rig.expected.len() - socket.taken.len());
            prop_assert_eq!(rig.queue.is_empty(), rig.expected.len() == socket.taken.len());
        }
        socket.room = [usize::MAX; 1000].into();
        prop_assert_eq!(rig.flush(&mut socket), Flushed::All);
        prop_assert_eq!(&socket.taken, &rig.expected);
    }

    /// Whatever was taken when data is discarded, what comes out is whole frames.
    #[test]
    fn discarding_cuts_no_frame(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..20),
        taken in any::<prop::sample::Index>(),
    ) {
        let (mut rig, mut socket) = (Rig::default(), Socket::default());
        let mut ends = vec![0];
        for payload in &payloads {
            rig.push(Opcode::Binary, payload);
            ends.push(rig.expected.len());
        }
        let taken = taken.index(rig.expected.len() + 1);
        socket.room = (taken > 0).then_some(taken).into_iter().collect();
        rig.flush(&mut socket);
        rig.queue.discard_data(&mut rig.pool);
        socket.room = [usize::MAX; 1000].into();
        prop_assert_eq!(rig.flush(&mut socket), Flushed::All);
        let end = ends.into_iter().find(|&end| end >= taken).unwrap();
        prop_assert_eq!(socket.taken, &rig.expected[..end]);
    }
}

#[test]
fn masked_frames_are_told_apart_as_others_are() {
    let mut rig = Rig::default();
    // Keys and payloads that would be taken for headers, were they looked at in the wrong place.
    let header = |opcode, key| Header { masking_key: Some(key), ..Header::new(opcode, 0) };
    let push = |rig: &mut Rig, header, payload: &[u8]| {
        rig.queue.push_frame(header, payload, &mut rig.pool);
        let mut frame = Vec::new();
        encode_frame(header, payload, &mut frame);
        frame
    };
    let begun = push(&mut rig, header(Opcode::Text, [0x88; 4]), &[0; 200]);
    push(&mut rig, header(Opcode::Text, [0x89, 0, 0x89, 0]), b"gone");
    let ping = push(&mut rig, header(Opcode::Ping, [0x81, 0xFF, 0xFF, 0xFF]), b"ping");
    let shared = shared_frame(Opcode::Binary, &[7; 3 * BLOCK_SIZE]);
    rig.queue.push_masked(&shared, [1, 2, 3, 4], &mut rig.pool);

    let mut socket = Socket::with_room([10]);
    rig.flush(&mut socket);
    rig.queue.discard_data(&mut rig.pool);
    let body = CloseBody { code: CloseCode::GOING_AWAY, reason: "" };
    rig.queue.push_close(Some(body), Some([0; 4]), &mut rig.pool);
    socket.room = [usize::MAX; 4].into();
    assert_eq!(rig.flush(&mut socket), Flushed::All);
    assert_eq!(socket.taken, [begun, ping, b"\x88\x82\0\0\0\0\x03\xE9".to_vec()].concat());
}

#[test]
fn a_shared_frame_is_masked_for_one_and_stays_as_it_is_for_others() {
    let shared = shared_frame(Opcode::Text, b"Hello");
    let mut rig = Rig::default();
    rig.queue.push_masked(&shared, [0x37, 0xFA, 0x21, 0x3D], &mut rig.pool);
    let mut socket = Socket::endless();
    rig.flush(&mut socket);
    // The example of RFC 6455 §5.7.
    assert_eq!(socket.taken, b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    assert_eq!(shared.bytes(), frame(Opcode::Text, b"Hello"));
}
