//! Both ends of a connection: a raw client, and a handler that tells what it was told.

mod client;
mod random;
mod script;
mod scripted_server;
mod server;
mod wire;

use std::time::Duration;

pub(crate) use self::client::{Client, REQUEST, Socket};
pub(crate) use self::random::Random;
pub(crate) use self::script::{Script, Told};
pub(crate) use self::scripted_server::{ScriptedServer, accept};
#[cfg(unix)]
pub(crate) use self::server::{Door, assert_quietly, turn_until_panic};
pub(crate) use self::server::{Server, at_least, turn_until};
pub(crate) use self::wire::{frame, frames, masked, wire};

/// A test that waits this long waits in vain. Nothing is ever expected to be quicker than this.
pub(crate) const HANG: Duration = Duration::from_secs(60);

/// Longer than any test: for timeouts that are not to expire.
pub(crate) const NEVER: Duration = Duration::from_secs(3600);

/// Lets time pass, for tests of what happens after that.
///
/// Not to wait for something to happen: how long that takes is never known.
pub(crate) fn let_pass(time: Duration) {
    let (_sender, silence) = std::sync::mpsc::channel::<()>();
    silence.recv_timeout(time).unwrap_err();
}

/// Runs the test with this path in a process of its own, and returns whether this is that process.
///
/// For tests that look at, or limit, what all tests of a process share. `limits` are arguments of the
/// shell's `ulimit`.
#[cfg(unix)]
#[track_caller]
pub(crate) fn in_own_process(test: &str, limits: &str) -> bool {
    use std::process::Command;

    const MARK: &str = "WSLOOP_TEST_IN_OWN_PROCESS";
    if std::env::var_os(MARK).is_some() {
        return true;
    }
    let ulimit = if limits.is_empty() { String::new() } else { format!("ulimit {limits} && ") };
    let output = Command::new("sh")
        .args(["-c", &format!("{ulimit}exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(MARK, "1")
        .output()
        .unwrap();
    let [stdout, stderr] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(output.status.success(), "in its own process:\n{stdout}\n{stderr}");
    assert!(stdout.contains("1 passed"), "there is no test {test}:\n{stdout}");
    false
}

/// How many descriptors this process has open.
#[cfg(target_os = "linux")]
pub(crate) fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}
