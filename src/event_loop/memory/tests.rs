use io::ErrorKind::{BrokenPipe, ConnectionReset, Interrupted, NotConnected, WouldBlock};

use super::super::faults::Faults;
use super::super::poller::Poller;
use super::*;

const TOKEN: Token = Token(7);

#[test]
fn bytes_arrive_in_order_and_no_more_than_there_is_room_for() {
    let (mut left, mut right) = pair(4);
    check_read(&mut right, 8, Err(WouldBlock));
    check_write(&mut left, "abcdef", Ok(4));
    check_write(&mut left, "ef", Err(WouldBlock));
    check_read(&mut right, 3, Ok("abc"));
    // Around the end of the ring that it is.
    check_write(&mut left, "ef", Ok(2));
    check_read(&mut right, 8, Ok("def"));
    check_read(&mut right, 8, Err(WouldBlock));
    // Neither way takes room from the other.
    check_write(&mut right, "1234", Ok(4));
    check_write(&mut left, "g", Ok(1));
    check_read(&mut left, 8, Ok("1234"));
}

#[test]
fn nothing_is_read_or_written_of_nothing() {
    let (mut left, mut right) = pair(1);
    check_write(&mut left, "", Ok(0));
    check_read(&mut right, 0, Ok(""));
    check_write(&mut left, "a", Ok(1));
    check_write(&mut left, "", Ok(0));
    check_read(&mut right, 0, Ok(""));
}

#[test]
fn a_vectored_write_goes_on_where_a_slice_ends() {
    let (mut left, mut right) = pair(4);
    let slices = ["a", "", "bc", "def"].map(|slice| IoSlice::new(slice.as_bytes()));
    assert_eq!(left.write_vectored(&slices).unwrap(), 4);
    check_read(&mut right, 8, Ok("abcd"));
}

#[test]
fn the_end_of_a_stream_comes_behind_what_was_written_and_ends_one_way() {
    let (mut left, mut right) = pair(4);
    check_write(&mut left, "abc", Ok(3));
    left.shutdown_write().unwrap();
    left.shutdown_write().unwrap();
    check_write(&mut left, "d", Err(BrokenPipe));
    check_read(&mut right, 2, Ok("ab"));
    check_read(&mut right, 2, Ok("c"));
    check_read(&mut right, 2, Ok(""));
    check_read(&mut right, 2, Ok(""));
    check_write(&mut right, "xyz", Ok(3));
    check_read(&mut left, 4, Ok("xyz"));
}

#[test]
fn dropping_an_end_ends_its_stream() {
    let (mut left, right) = pair(4);
    drop(right);
    check_read(&mut left, 4, Ok(""));
    check_write(&mut left, "a", Err(BrokenPipe));

    let (mut left, mut right) = pair(4);
    check_write(&mut left, "abc", Ok(3));
    drop(left);
    check_read(&mut right, 4, Ok("abc"));
    check_read(&mut right, 4, Ok(""));
}

#[test]
fn dropping_an_end_that_has_not_read_everything_resets_the_connection() {
    let (mut left, mut right) = pair(4);
    check_write(&mut left, "unread", Ok(4));
    check_write(&mut right, "lost", Ok(4));
    drop(right);
    check_read(&mut left, 4, Err(ConnectionReset));
}

#[test]
fn a_reset_loses_what_is_on_its_way_and_shows_at_both_ends() {
    let (mut left, mut right) = pair(4);
    check_write(&mut left, "lost", Ok(4));
    right.reset();
    for end in [&mut left, &mut right] {
        check_read(end, 4, Err(ConnectionReset));
        check_write(end, "a", Err(ConnectionReset));
        assert_eq!(end.shutdown_write().unwrap_err().kind(), NotConnected);
    }
    // Not even the end of a stream undoes that.
    drop(left);
    check_read(&mut right, 4, Err(ConnectionReset));
}

#[test]
fn arrivals_and_ends_are_edges() {
    let (mut left, right, mut poller) = registered(4);
    check_edges(&mut poller, &[Edge::writable(TOKEN)]);
    check_edges(&mut poller, &[]);
    check_write(&mut left, "a", Ok(1));
    check_write(&mut left, "b", Ok(1));
    check_edges(&mut poller, &[Edge::readable(TOKEN)]);
    // It has been said once, although nothing was read.
    check_edges(&mut poller, &[]);
    check_write(&mut left, "c", Ok(1));
    check_edges(&mut poller, &[Edge::readable(TOKEN)]);
    left.shutdown_write().unwrap();
    left.shutdown_write().unwrap();
    check_edges(&mut poller, &[Edge::ended(TOKEN)]);
    drop(left);
    check_edges(&mut poller, &[]);
    drop(right);
}

#[test]
fn room_is_an_edge_for_whoever_found_none() {
    let (mut left, mut right, mut poller) = registered(4);
    check_write(&mut right, "abc", Ok(3));
    check_edges(&mut poller, &[Edge::writable(TOKEN)]);
    check_read(&mut left, 1, Ok("a"));
    check_edges(&mut poller, &[]);
    // A short write is as much a refusal as one that would block.
    check_write(&mut right, "def", Ok(2));
    check_read(&mut left, 1, Ok("b"));
    check_edges(&mut poller, &[Edge::writable(TOKEN)]);
    check_read(&mut left, 1, Ok("c"));
    check_edges(&mut poller, &[]);
    check_write(&mut right, "gh", Ok(2));
    check_write(&mut right, "i", Err(WouldBlock));
    check_read(&mut left, 4, Ok("degh"));
    check_edges(&mut poller, &[Edge::writable(TOKEN)]);
}

#[test]
fn a_reset_is_an_edge_whoever_does_it() {
    let (left, _right, mut poller) = registered(4);
    left.reset();
    check_edges(&mut poller, &[Edge::broken(TOKEN)]);
    drop(left);
    check_edges(&mut poller, &[]);

    let (left, mut right, mut poller) = registered(4);
    check_write(&mut right, "unread", Ok(4));
    check_edges(&mut poller, &[Edge::writable(TOKEN)]);
    drop(left);
    check_edges(&mut poller, &[Edge::broken(TOKEN)]);
}

#[test]
fn whoever_registers_is_told_what_is_the_case() {
    let (mut left, right) = pair(4);
    check_write(&mut left, "a", Ok(1));
    let mut poller = Poller::memory();
    register(&right, &poller);
    let both = Edge { writable: true, ..Edge::readable(TOKEN) };
    check_edges(&mut poller, &[both]);

    left.shutdown_write().unwrap();
    let mut poller = Poller::memory();
    register(&right, &poller);
    check_edges(&mut poller, &[Edge::broken(TOKEN)]);
}

#[test]
fn whoever_is_gone_is_told_nothing() {
    let (mut left, right, mut poller) = registered(4);
    check_edges(&mut poller, &[Edge::writable(TOKEN)]);
    drop(right);
    check_read(&mut left, 4, Ok(""));
    left.reset();
    check_edges(&mut poller, &[]);
}

/// A connection of which the right end is registered.
fn registered(capacity: usize) -> (MemoryStream, MemoryStream, Poller) {
    let (left, right) = pair(capacity);
    let poller = Poller::memory();
    register(&right, &poller);
    (left, right, poller)
}

fn register(end: &MemoryStream, poller: &Poller) {
    let Poller::Memory { readiness, .. } = poller else { unreachable!("it was made in memory") };
    end.register(readiness, TOKEN);
}

#[track_caller]
fn check_edges(poller: &mut Poller, expected: &[Edge]) {
    poller.poll(None).unwrap();
    let Poller::Memory { edges, .. } = poller else { unreachable!("it was made in memory") };
    assert_eq!(edges, expected);
}

#[track_caller]
fn check_write(end: &mut MemoryStream, text: &str, expected: Result<usize, io::ErrorKind>) {
    assert_eq!(end.write(text.as_bytes()).map_err(|error| error.kind()), expected);
}

#[track_caller]
fn check_read(end: &mut MemoryStream, at_most: usize, expected: Result<&str, io::ErrorKind>) {
    let mut buffer = vec![0; at_most];
    let result = end.read(&mut buffer).map_err(|error| error.kind());
    assert_eq!(result.map(|n| std::str::from_utf8(&buffer[..n]).unwrap()), expected);
}

#[test]
fn however_inconvenient_nothing_is_lost_and_whoever_waits_is_told() {
    for seed in 0..200 {
        let (mut left, mut right) = pair(64);
        let mut poller = suffering(&right, Faults::new(seed));
        let sent: Vec<_> = (0..=255).collect();
        let (mut unsent, mut received) = (&sent[..], Vec::new());
        let mut buffer = [0; 16];
        // One read for each event, as the loop does, and as many more as are full.
        while !received.ends_with(&[255]) {
            let n = left.write(unsent).unwrap_or(0);
            unsent = &unsent[n..];
            assert!(is_told(&mut poller), "seed {seed}");
            while let Ok(16) | Err(Interrupted) = read(&mut right, &mut buffer, &mut received) {}
        }
        assert_eq!(received, sent, "seed {seed}");
    }
}

#[test]
fn writing_that_finds_no_room_is_told_of_some() {
    for seed in 0..200 {
        let (left, mut right) = pair(1000);
        let mut poller = suffering(&right, Faults::new(seed));
        let mut written = 0;
        while written < 1000 {
            match right.write(&[7; 16][..16.min(1000 - written)]).map_err(|it| it.kind()) {
                Ok(n) => written += n,
                Err(Interrupted) => {}
                Err(WouldBlock) => assert!(is_told(&mut poller), "seed {seed}"),
                Err(other) => panic!("seed {seed}: {other}"),
            }
        }
        drop(left);
    }
}

#[test]
fn connections_break_in_either_way_or_not_at_all() {
    let (mut resets, mut ends, mut well) = (0, 0, 0);
    for seed in 0..200 {
        let (mut left, mut right) = pair(1 << 20);
        let _poller = suffering(&right, Faults::new(seed).breaks());
        left.write_all(&[7; 20_000]).unwrap();
        let (mut buffer, mut received) = ([0; 999], Vec::new());
        let end = loop {
            match read(&mut right, &mut buffer, &mut received) {
                Ok(0) | Err(ConnectionReset) if received.len() == 20_000 => panic!("too late"),
                Ok(0) => break &mut ends,
                Err(ConnectionReset) => break &mut resets,
                _ if received.len() == 20_000 => break &mut well,
                _ => {}
            }
        };
        *end += 1;
        let after = left.write(b"more").map_err(|error| error.kind());
        assert_eq!(after.is_ok(), received.len() == 20_000, "seed {seed}");
    }
    assert!(resets > 20 && ends > 20 && well > 100, "{resets} {ends} {well}");
}

fn suffering(end: &MemoryStream, mut faults: Faults) -> Poller {
    let mut poller = Poller::memory();
    register(end, &poller);
    check_edges(&mut poller, &[Edge::writable(TOKEN)]);
    end.suffer(faults.trouble());
    poller
}

/// Whether anything is told.
fn is_told(poller: &mut Poller) -> bool {
    poller.poll(None).unwrap();
    let Poller::Memory { edges, .. } = poller else { unreachable!("it was made in memory") };
    !edges.is_empty()
}

fn read(
    end: &mut MemoryStream,
    buffer: &mut [u8],
    received: &mut Vec<u8>,
) -> Result<usize, io::ErrorKind> {
    let n = end.read(buffer).map_err(|error| error.kind())?;
    received.extend_from_slice(&buffer[..n]);
    Ok(n)
}
