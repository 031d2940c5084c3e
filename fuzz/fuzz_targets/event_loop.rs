//! The simulation of tests/event_loop, in which the fuzzer decides what happens.

#![no_main]

#[expect(dead_code, reason = "tests have seeds, which a fuzzer does not need")]
#[path = "../../tests/event_loop/simulation/mod.rs"]
mod simulation;

use libfuzzer_sys::fuzz_target;

use self::simulation::Choices;

fuzz_target!(|bytes: &[u8]| {
    simulation::run(&Choices::bytes(bytes));
});
