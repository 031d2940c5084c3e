//! A client that sends and never reads, beside one that behaves.

use std::error::Error;
use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use super::Options;
use super::client::{self, Echo};

/// The server takes no more once it took nothing for so long.
const STANDSTILL: Duration = Duration::from_secs(1);

/// Round trips of the other client after that: the server serves it as if nothing were.
const AFTERWARDS: usize = 10_000;

pub(crate) fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let process = options.process()?;
    let (flood, echo) = (Echo::new(options.size), Echo::new(20));
    let to_send = flood.request.len() * options.messages;

    let [flooder, mut other] =
        client::open(options.server()?, 2, None)?.try_into().map_err(|_| "two were opened")?;
    echo.round_trip(&mut other)?;
    let before = process.memory()?;

    let (mut during, mut slowest) = (0_usize, Duration::ZERO);
    let mut round_trip = || -> Result<(), Box<dyn Error>> {
        let start = Instant::now();
        echo.round_trip(&mut other)?;
        slowest = slowest.max(start.elapsed());
        Ok(())
    };
    let taken = thread::scope(|scope| -> Result<usize, Box<dyn Error>> {
        let flood = scope.spawn(|| send(&flooder, &flood.request, to_send));
        while !flood.is_finished() {
            round_trip()?;
            during += 1;
        }
        Ok(flood.join().map_err(|_| "the flooding thread panicked")??)
    })?;
    for _ in 0..AFTERWARDS {
        round_trip()?;
    }
    let grown = process.memory()?.peak.saturating_sub(before.resident);
    drop(flooder);

    let mib = |bytes: usize| bytes as f64 / f64::from(1 << 20);
    println!(
        "the server and the sockets took {:.1} of {:.0} MiB; the server grew by {:.1} MiB at most, from {:.1} MiB",
        mib(taken),
        mib(to_send),
        mib(grown),
        mib(before.resident),
    );
    println!(
        "beside it {during} round trips of 20 bytes while it was flooded, {AFTERWARDS} after that; the slowest took {:.1} ms",
        slowest.as_secs_f64() * 1e3,
    );
    if taken == to_send {
        return Err("the server took all of it: its memory was not put to the test".into());
    }
    match options.limit {
        Some(limit) if grown > limit => {
            Err(format!("the server grew by more than {:.1} MiB", mib(limit)).into())
        }
        _ => Ok(()),
    }
}

/// Sends requests up to `most` bytes, or until no more are taken. Returns how many bytes were.
fn send(mut stream: &TcpStream, request: &[u8], most: usize) -> std::io::Result<usize> {
    stream.set_write_timeout(Some(STANDSTILL))?;
    let mut taken = 0;
    while taken < most {
        match stream.write(&request[taken % request.len()..]) {
            Ok(n) => taken += n,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(taken)
}
