//! Ten thousand short lives of the loop, each reproducible by its seed.
//!
//! `WSLOOP_SEED=N` runs that one alone, and `WSLOOP_SEEDS=N` as many.

use std::sync::atomic::{AtomicU64, Ordering};

use super::simulation::{Choices, run};

/// Enough to find what is rare, within half a minute of debug code.
const SEEDS: u64 = 10_000;

/// So many are run twice, to see that they are the same both times.
const TWICE: u64 = 100;

/// Says which seed it was, should that panic.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let seed = self.0;
            eprintln!("seed {seed}: WSLOOP_SEED={seed} cargo test --test event_loop simulations");
        }
    }
}

fn live(seed: u64) -> String {
    let _seed = Seed(seed);
    run(&Choices::seed(seed))
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("it is a number"))
}

#[test]
fn whatever_happens_messages_arrive_in_order_and_in_the_end_nothing_is_left() {
    if let Some(seed) = number("WSLOOP_SEED") {
        return drop(live(seed));
    }
    let (next, seeds) = (AtomicU64::new(0), number("WSLOOP_SEEDS").unwrap_or(SEEDS));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut seed = next.fetch_add(1, Ordering::Relaxed);
                while seed < seeds {
                    live(seed);
                    seed = next.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
}

#[test]
fn what_happens_is_the_same_every_time() {
    for seed in 0..TWICE {
        assert_eq!(live(seed), live(seed), "seed {seed}");
    }
}

/// What a fuzzer does is kept as its bytes.
#[test]
fn a_life_ends_when_there_is_nothing_left_to_choose_from() {
    run(&Choices::bytes(&[]));
    run(&Choices::bytes(&[7; 500]));
}
