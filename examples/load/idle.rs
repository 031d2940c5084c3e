//! Connections on which nothing happens: what they cost in memory.

use std::error::Error;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use super::Options;
use super::client::{self, Echo, TIMEOUT};
use super::process::Process;

pub(crate) fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let process = options.process()?;
    let count = options.connections;

    let descriptors = process.descriptors()?;
    // What is taken with the first connection is not for each of them.
    let mut streams = client::open(options.server()?, 1, options.deflate)?;
    let echo = Echo::agree(options, &mut streams[0])?;
    let before = process.memory()?;
    println!("{:<28}{:>12}{:>12}", "bytes per connection", "resident", "anonymous");
    let report = |stage: &str| -> Result<usize, Box<dyn Error>> {
        let now = process.memory()?;
        let each = |now: usize, before| now.saturating_sub(before) / count;
        let resident = each(now.resident, before.resident);
        println!("{stage:<28}{resident:>12}{:>12}", each(now.anonymous, before.anonymous));
        Ok(resident)
    };

    streams.extend(client::open(options.server()?, count, options.deflate)?);
    let idle = report("open")?;
    for stream in &mut streams[1..] {
        echo.round_trip(stream)?;
    }
    let used = report("after one message each")?;
    if options.releases {
        wait_until_smaller(process)?;
        report("after that is released")?;
    }
    let busy = process.memory()?;
    for stream in streams {
        client::close(stream)?;
    }
    wait_until(|| Ok(process.descriptors()? <= descriptors))?;
    report("left after all have closed")?;

    println!(
        "{count} connections: {idle} bytes of memory each; the process {} KiB before, {} KiB with them",
        before.resident / 1024,
        busy.resident / 1024,
    );
    match options.limit {
        Some(limit) if idle.max(used) > limit => {
            Err(format!("more than {limit} bytes for each connection").into())
        }
        _ if used < options.least => {
            Err(format!("less than {} bytes for each connection", options.least).into())
        }
        _ => Ok(()),
    }
}

/// Waits until a process has given up memory, and gives up no more.
fn wait_until_smaller(process: Process) -> Result<(), Box<dyn Error>> {
    let (start, before) = (Instant::now(), process.memory()?.resident);
    let mut last = before;
    while start.elapsed() < TIMEOUT {
        thread::sleep(Duration::from_millis(500));
        let now = process.memory()?.resident;
        if now < before && now == last {
            return Ok(());
        }
        last = now;
    }
    Err("the server has released nothing".into())
}

/// Waits for what the server will do without telling.
fn wait_until(done: impl Fn() -> io::Result<bool>) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    while !done()? {
        if start.elapsed() > TIMEOUT {
            return Err("the server has not closed all connections".into());
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
