//! One connection that speaks, and many that listen: for servers that pass on to all what any of
//! them sends.

use std::error::Error;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use super::Options;
use super::client::{self, Echo};

pub(crate) fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    // There is nobody else yet when the reply is learned.
    let mut streams = client::open(options.server()?, 1, options.deflate)?;
    let message = Echo::agree(options, &mut streams[0])?;
    streams.extend(client::open(options.server()?, options.connections - 1, options.deflate)?);
    let mut received = vec![0; message.reply.len()];
    let mut slowest = Duration::ZERO;

    let cpu_before = options.process.map(|process| process.cpu_time()).transpose()?;
    let start = Instant::now();
    for _ in 0..options.messages {
        let start = Instant::now();
        streams[0].write_all(&message.request)?;
        for stream in &mut streams {
            stream.read_exact(&mut received)?;
            if received != message.reply {
                return Err("what was received is not what was sent".into());
            }
        }
        slowest = slowest.max(start.elapsed());
    }
    let elapsed = start.elapsed();
    let cpu_after = options.process.map(|process| process.cpu_time()).transpose()?;
    // Nothing but what was sent, and only once.
    for stream in streams {
        client::close(stream)?;
    }

    let Options { connections, size, messages, .. } = options;
    let deliveries = (connections * messages) as f64;
    print!("{messages} messages of {size} B to {connections} connections each: ");
    print!("{:.0} deliveries/s, the slowest ", deliveries / elapsed.as_secs_f64());
    print!("message to all in {:.1} ms", slowest.as_secs_f64() * 1e3);
    if let (Some(before), Some(after)) = (cpu_before, cpu_after) {
        let per_delivery = (after - before).as_secs_f64() * 1e6 / deliveries;
        print!("; {per_delivery:.3} µs of the server's CPU for each delivery");
    }
    println!();
    Ok(())
}
