//! The loop, on a thread of its own or turned by hand.

use std::net::SocketAddr;
#[cfg(unix)]
use std::os::unix::net::{UnixListener, UnixStream};
#[cfg(unix)]
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use wsloop::{Config, EventLoop, Handler, Remote};

#[cfg(unix)]
use super::REQUEST;
use super::{Client, HANG, Script, Told};

/// A loop on a thread, listening on a port of the system's choice.
///
/// End with [`stop`](Self::stop), which checks that nothing happened of which the test does not know.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) told: Told,
    pub(crate) remote: Remote,
    thread: Option<JoinHandle<()>>,
    /// Says when the thread ends: its other end is dropped then.
    end: mpsc::Receiver<()>,
}

impl Server {
    /// An echo server.
    pub(crate) fn echo() -> Self {
        Self::start(Config::new(), Script::echo())
    }

    pub(crate) fn start(config: Config, (script, told): (Script, Told)) -> Self {
        let mut event_loop = EventLoop::with_config(config).unwrap();
        let addr = event_loop.listen("127.0.0.1:0").unwrap();
        Self::run(event_loop, addr, (script, told))
    }

    /// Runs a loop that has been prepared.
    pub(crate) fn run(
        mut event_loop: EventLoop,
        addr: SocketAddr,
        (mut script, told): (Script, Told),
    ) -> Self {
        let remote = event_loop.remote();
        let (running, end) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let _running: mpsc::Sender<()> = running;
            event_loop.run(&mut script).unwrap();
            assert!(event_loop.peers().is_empty());
        });
        Self { addr, told, remote, thread: Some(thread), end }
    }

    /// Connects and shakes hands, of which the handler is told.
    #[track_caller]
    pub(crate) fn open(&self) -> Client {
        self.open_at(self.addr)
    }

    /// The same at another of the loop's addresses.
    #[track_caller]
    pub(crate) fn open_at(&self, addr: SocketAddr) -> Client {
        let client = Client::open(addr);
        self.told.expect("open");
        client
    }

    /// Waits for the loop to end by itself.
    #[track_caller]
    pub(crate) fn join(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        let end = self.end.recv_timeout(HANG);
        assert_eq!(end, Err(RecvTimeoutError::Disconnected), "the loop does not end");
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    }

    /// Ends the loop. All that was told must have been looked at by then, and nothing more may follow.
    #[track_caller]
    pub(crate) fn stop(mut self) {
        self.remote.shutdown(Duration::ZERO);
        self.join();
        assert_eq!(self.told.so_far(), [""; 0], "told, but not expected");
    }

    /// Ends the loop, as the last peer is told by this.
    #[track_caller]
    pub(crate) fn stop_at(mut self, expected: &str) {
        self.remote.shutdown(Duration::ZERO);
        self.join();
        assert_eq!(self.told.so_far(), [expected]);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.remote.shutdown(Duration::ZERO);
        // One panic is enough; that of the loop, if there is one, is printed.
        if !std::thread::panicking() {
            self.join();
        }
    }
}

/// A way into a loop that is turned by hand: a Unix socket.
///
/// What a client does is there for the loop as soon as the client has done it, and the other way round. Over
/// TCP that is not certain, not even on one machine: a busy kernel passes packets on later.
#[cfg(unix)]
pub(crate) struct Door {
    path: std::path::PathBuf,
}

#[cfg(unix)]
impl Door {
    pub(crate) fn new(config: Config) -> (EventLoop, Self) {
        let mut event_loop = EventLoop::with_config(config).unwrap();
        let door = Self::to(&mut event_loop);
        (event_loop, door)
    }

    /// One door more.
    pub(crate) fn to(event_loop: &mut EventLoop) -> Self {
        static DOORS: AtomicUsize = AtomicUsize::new(0);
        let number = DOORS.fetch_add(1, SeqCst);
        let name = format!("wsloop-test-{}-{number}.socket", std::process::id());
        let door = Self { path: std::env::temp_dir().join(name) };
        // One of a process that had the same number, and crashed.
        let _ = std::fs::remove_file(&door.path);
        event_loop.add_unix_listener(UnixListener::bind(&door.path).unwrap()).unwrap();
        door
    }

    pub(crate) fn connect(&self) -> Client<UnixStream> {
        Client::over(self.knock())
    }

    /// Connects, with nothing but a socket.
    pub(crate) fn knock(&self) -> UnixStream {
        UnixStream::connect(&self.path).unwrap()
    }

    /// Connects, and has the loop shake hands.
    pub(crate) fn open(
        &self,
        event_loop: &mut EventLoop,
        handler: &mut impl Handler,
    ) -> Client<UnixStream> {
        let mut client = self.connect();
        client.write(REQUEST);
        turn_until(event_loop, handler, |_, _| client.has_input());
        client.expect_opened();
        client
    }
}

#[cfg(unix)]
impl Drop for Door {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Turns a loop until something is so, and returns how many turns that took.
#[track_caller]
pub(crate) fn turn_until<H: Handler>(
    event_loop: &mut EventLoop,
    handler: &mut H,
    mut done: impl FnMut(&mut EventLoop, &mut H) -> bool,
) -> usize {
    let mut turns = 0;
    while !done(event_loop, handler) {
        let start = clock();
        event_loop.turn(handler, Some(HANG)).unwrap();
        assert!(start.elapsed() < HANG, "the loop waits in vain");
        turns += 1;
        assert!(turns < 1_000_000, "the loop spins");
    }
    turns
}

/// Turns a loop until its handler panics, as an application does that survives that.
#[cfg(unix)]
#[track_caller]
pub(crate) fn turn_until_panic(event_loop: &mut EventLoop, handler: &mut impl Handler) {
    let turns = || turn_until(event_loop, handler, |_, _| false);
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(turns)).unwrap_err();
    assert!(panic.is::<Bug>(), "it is the loop that panics");
}

/// Panics unless something is so, of which nothing is printed: a bug of the application's.
#[cfg(unix)]
pub(crate) fn assert_quietly(so: bool) {
    if !so {
        std::panic::resume_unwind(Box::new(Bug));
    }
}

#[cfg(unix)]
struct Bug;

/// Checks that something takes at least so much time. It may always take more.
#[track_caller]
pub(crate) fn at_least(time: Duration, takes: impl FnOnce()) {
    let start = clock();
    takes();
    assert!(start.elapsed() >= time, "after {:?} already", start.elapsed());
}

#[expect(
    clippy::disallowed_methods,
    reason = "to find out that a test hangs, or that a deadline comes too soon"
)]
fn clock() -> Instant {
    Instant::now()
}
