//! What compressing costs without a server around it: zlib-rs in a loop, called as a program in C
//! would call zlib.

use std::error::Error;
use std::hint::black_box;
use std::thread;

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Inflate, InflateFlush};

use super::Options;
use super::documents;
use super::process::Process;

/// What the server does unless it is told otherwise.
pub(crate) const LEVEL: u8 = 4;
pub(crate) const MEMORY_LEVEL: u8 = 8;

/// What each payload is without, RFC 7692 §7.2.1.
const TAIL: &[u8] = b"\x00\x00\xFF\xFF";

/// Echoes messages as a server does that compresses each by itself.
pub(crate) fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let Options { size, messages, level, memory_level, .. } = options;
    let mut bare = Bare::new(&documents::orders(*size), *level, *memory_level);
    for _ in 0..messages / 10 {
        bare.echo();
    }
    let time = time(*messages, || bare.echo())?;
    println!("zlib alone, {size} B: {time:.3} µs for each message");
    Ok(())
}

/// Compares the levels: how small messages become, and how long that takes.
pub(crate) fn compare_levels() -> Result<(), Box<dyn Error>> {
    // English, of a kind: what lies at hand.
    let text = concat!(
        include_str!("../../ARCHITECTURE.md"),
        include_str!("../../README.md"),
        include_str!("../../CONTRIBUTING.md"),
        include_str!("../../docs/from-gorilla.md"),
    );
    let documents = [
        ("JSON, 1 KiB", documents::orders(1 << 10)),
        ("JSON, 64 KiB", documents::orders(64 << 10)),
        ("text, 64 KiB", text.as_bytes()[..64 << 10].to_vec()),
        ("binary, 20 KB", documents::positions(20_000)),
    ];
    for (name, document) in documents {
        println!("{name:<16}level  memory level  compressed     deflate     inflate");
        let levels = (1..=9).map(|level| (level, MEMORY_LEVEL));
        for (level, memory_level) in levels.chain((1..=9).map(|memory| (LEVEL, memory))) {
            let mut bare = Bare::new(&document, level, memory_level);
            let size = bare.payload.len() - TAIL.len();
            let rounds = (4 << 20) / document.len().max(4 << 10);
            let deflate = quickest(|| time(rounds, || bare.deflate()))?;
            let inflate = quickest(|| time(rounds, || bare.inflate()))?;
            let share = size as f64 * 100.0 / document.len() as f64;
            print!("{level:>21}{memory_level:>14}{share:>10.1} %");
            println!("{deflate:>9.1} µs{inflate:>9.1} µs");
        }
    }
    Ok(())
}

struct Bare {
    deflate: Deflate,
    inflate: Inflate,
    /// As it arrives, and the tail.
    payload: Vec<u8>,
    message: Vec<u8>,
    len: usize,
    output: Vec<u8>,
}

impl Bare {
    fn new(message: &[u8], level: u8, memory_level: u8) -> Self {
        let config = DeflateConfig {
            level: level.into(),
            window_bits: -15,
            mem_level: memory_level.into(),
            ..DeflateConfig::default()
        };
        let mut new = Self {
            deflate: Deflate::new_with_config(config),
            inflate: Inflate::new(false, 15),
            payload: Vec::new(),
            message: [message, &vec![0; message.len()]].concat(),
            len: message.len(),
            output: vec![0; message.len() * 2],
        };
        let len = new.deflate();
        new.payload = new.output[..len].to_vec();
        new.message.fill(0);
        assert_eq!(new.inflate(), new.len);
        assert_eq!(&new.message[..new.len], message);
        new
    }

    fn echo(&mut self) {
        self.len = self.inflate();
        self.deflate();
    }

    fn inflate(&mut self) -> usize {
        self.inflate.reset(false);
        let status =
            self.inflate.decompress(&self.payload, &mut self.message, InflateFlush::SyncFlush);
        assert!(status.is_ok());
        self.inflate.total_out() as usize
    }

    fn deflate(&mut self) -> usize {
        self.deflate.reset();
        let message = &self.message[..self.len];
        let status = self.deflate.compress(message, &mut self.output, DeflateFlush::SyncFlush);
        assert!(status.is_ok());
        self.deflate.total_out() as usize
    }
}

/// How much processor time something takes on average, in microseconds.
fn time<T>(rounds: usize, mut work: impl FnMut() -> T) -> Result<f64, Box<dyn Error>> {
    let this = Process::new(std::process::id());
    let cpu_time = || {
        // Linux counts when it schedules.
        thread::yield_now();
        this.cpu_time()
    };
    let before = cpu_time()?;
    for _ in 0..rounds {
        black_box(work());
    }
    let time = cpu_time()? - before;
    Ok(time.as_secs_f64() * 1e6 / rounds as f64)
}

/// The least of a few, which is the least disturbed.
fn quickest(
    mut measure: impl FnMut() -> Result<f64, Box<dyn Error>>,
) -> Result<f64, Box<dyn Error>> {
    (0..5).try_fold(f64::MAX, |least, _| Ok(least.min(measure()?)))
}
