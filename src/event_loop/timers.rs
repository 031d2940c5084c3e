//! Timers of the application's.
//!
//! A timer that is cancelled leaves its entry in the heap behind, as finding it would take longer
//! than all the rest. Such entries are dropped when they come to the top or are more than half.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::{Duration, Instant};

use super::handler::Handler;
use super::{EventLoop, Peers};

/// Identifies a timer of one [`EventLoop`]. Ids are not reused.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TimerId(u64);

/// Timers: a handler's, or set between turns.
///
/// A timer fires in the first turn that begins after its time: never too soon, and late by as long
/// as handlers keep the loop busy, or by the millisecond to which most systems round a wait up.
/// Timers fire in the order of their times. After a [shutdown](Self::shutdown) they go on as
/// before, until the last peer is gone; the loop does not wait for them then.
impl Peers {
    /// Has [`on_timer`](Handler::on_timer) called once, when `after` has passed from now.
    ///
    /// Not in the same turn, however short that is. A time too long to be counted never passes.
    pub fn set_timer(&mut self, after: Duration) -> TimerId {
        self.timers.set(self.clock.now().checked_add(after), None)
    }

    /// Has [`on_timer`](Handler::on_timer) called again and again, for the first time when `every`
    /// has passed from now.
    ///
    /// Intervals do not drift: each time is counted from the one before, not from when that was
    /// reported. If the loop was kept busy for several of them, it reports one, skips the others,
    /// and goes on with the next that is still to come.
    ///
    /// An interval fires at most once per turn. One of zero fires in every turn: peers are served
    /// in between, but the loop never rests.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use wsloop::{EventLoop, Handler, Message, Peer, Peers, TimerId};
    ///
    /// struct Ticker {
    ///     ticks: u64,
    /// }
    ///
    /// impl Handler for Ticker {
    ///     fn on_timer(&mut self, peers: &mut Peers, _: TimerId) {
    ///         self.ticks += 1;
    ///         peers.broadcast(&format!("tick {}", self.ticks));
    ///     }
    ///
    ///     fn on_message(&mut self, _: &mut Peer<'_>, _: Message<'_>) {}
    /// }
    ///
    /// let mut event_loop = EventLoop::new()?;
    /// event_loop.listen("127.0.0.1:9001")?;
    /// event_loop.peers().set_interval(Duration::from_secs(1));
    /// event_loop.run(&mut Ticker { ticks: 0 })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_interval(&mut self, every: Duration) -> TimerId {
        self.timers.set(self.clock.now().checked_add(every), Some(every))
    }

    /// Cancels a timer: it does not fire any more, not even if its time has come.
    ///
    /// Returns whether there was anything to cancel. A timer that is not an interval is gone when
    /// `on_timer` is called for it.
    pub fn cancel_timer(&mut self, id: TimerId) -> bool {
        self.timers.cancel(id)
    }
}

impl EventLoop {
    /// Calls the handler for the timers whose time has passed.
    ///
    /// This comes to an end because nothing that is set meanwhile is due before this turn began.
    pub(super) fn fire_timers(&mut self, handler: &mut (impl Handler + ?Sized)) {
        while let Some(id) = self.peers.timers.pop_due(self.peers.now) {
            handler.on_timer(&mut self.peers, id);
        }
    }
}

/// All timers, soonest first.
#[derive(Debug, Default)]
pub(super) struct Timers {
    /// One entry for each timer whose time can be counted, and those of timers that are cancelled;
    /// the first is never one of these.
    entries: BinaryHeap<Reverse<(Instant, TimerId)>>,
    /// The timers that are set, with the period of those that repeat.
    periods: HashMap<TimerId, Option<Duration>>,
    set: u64,
}

/// So many entries are not worth looking at, or giving back.
const KEPT_ENTRIES: usize = 64;

impl Timers {
    /// When the next timer is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.entries.peek().map(|Reverse((at, _))| *at)
    }

    fn set(&mut self, at: Option<Instant>, period: Option<Duration>) -> TimerId {
        let id = TimerId(self.set);
        self.set += 1;
        self.periods.insert(id, period);
        self.entries.extend(at.map(|at| Reverse((at, id))));
        id
    }

    fn cancel(&mut self, id: TimerId) -> bool {
        let was_set = self.periods.remove(&id).is_some();
        self.tidy();
        was_set
    }

    /// Takes out the next timer that was due before `now`, the beginning of this turn. An interval
    /// is entered anew, for a time that is not before `now`.
    ///
    /// What is due just now is left for the next turn: it may have been set in this one.
    fn pop_due(&mut self, now: Instant) -> Option<TimerId> {
        if self.next()? >= now {
            return None;
        }
        let Reverse((at, id)) = self.entries.pop()?;
        let next = match self.periods[&id] {
            Some(period) => next_time(at, period, now),
            None => {
                self.periods.remove(&id);
                None
            }
        };
        self.entries.extend(next.map(|at| Reverse((at, id))));
        self.tidy();
        Some(id)
    }

    /// Drops what cancelled timers have left behind where it matters, and memory that is not
    /// needed.
    fn tidy(&mut self) {
        let Self { entries, periods, .. } = self;
        if entries.len() > 2 * periods.len() + KEPT_ENTRIES {
            entries.retain(|Reverse((_, id))| periods.contains_key(id));
        }
        while entries.peek().is_some_and(|Reverse((_, id))| !periods.contains_key(id)) {
            entries.pop();
        }
        let needed = 2 * entries.len() + KEPT_ENTRIES;
        if entries.capacity() > 2 * needed {
            entries.shrink_to(needed);
            periods.shrink_to(needed);
        }
    }
}

/// When an interval that was due at `at` fires next: a whole number of periods later, and after
/// `now`; or at once, if the period is zero.
fn next_time(at: Instant, period: Duration, now: Instant) -> Option<Instant> {
    if period.is_zero() {
        return Some(now);
    }
    let late = now.saturating_duration_since(at).as_nanos();
    // No loop is kept busy for the 584 years that do not fit.
    let since_last = u64::try_from(late % period.as_nanos()).unwrap_or_default();
    now.checked_add(period - Duration::from_nanos(since_last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_fire_in_the_order_of_their_times_and_once() {
        let (mut timers, at) = (Timers::default(), clock_face());
        let late = timers.set(Some(at(9)), None);
        let early = timers.set(Some(at(3)), None);
        let as_early = timers.set(Some(at(3)), None);

        assert_eq!(timers.next(), Some(at(3)));
        assert_eq!(due(&mut timers, at(3)), []);
        assert_eq!(due(&mut timers, at(4)), [early, as_early]);
        assert_eq!(timers.next(), Some(at(9)));
        assert_eq!(due(&mut timers, at(10)), [late]);
        assert_eq!(due(&mut timers, at(1000)), []);
        assert_eq!(timers.next(), None);
        assert!(!timers.cancel(late));
    }

    #[test]
    fn a_cancelled_timer_neither_fires_nor_is_waited_for() {
        let (mut timers, at) = (Timers::default(), clock_face());
        let [first, second, third] = [1, 2, 3].map(|time| timers.set(Some(at(time)), None));
        assert!(timers.cancel(second));
        assert!(!timers.cancel(second));
        assert!(timers.cancel(first));
        assert_eq!(timers.next(), Some(at(3)));
        assert_eq!(due(&mut timers, at(10)), [third]);

        let interval = timers.set(Some(at(20)), Some(Duration::from_secs(1)));
        assert_eq!(due(&mut timers, at(21)), [interval]);
        assert!(timers.cancel(interval));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn intervals_do_not_drift_and_skip_what_they_missed() {
        let (mut timers, at) = (Timers::default(), clock_face());
        let interval = timers.set(Some(at(10)), Some(Duration::from_secs(10)));
        for (now, next) in
            [(11, 20), (29, 30), (31, 40), (50, 60), (65, 70), (100, 110), (999, 1000)]
        {
            assert_eq!(due(&mut timers, at(now)), [interval]);
            assert_eq!(timers.next(), Some(at(next)), "after {now}");
        }
    }

    #[test]
    fn an_interval_of_zero_fires_once_in_each_turn() {
        let (mut timers, at) = (Timers::default(), clock_face());
        let interval = timers.set(Some(at(0)), Some(Duration::ZERO));
        for now in 1..5 {
            assert_eq!(due(&mut timers, at(now)), [interval]);
            assert_eq!(timers.next(), Some(at(now)));
        }
    }

    #[test]
    fn a_time_that_cannot_be_counted_never_comes() {
        let (mut timers, at) = (Timers::default(), clock_face());
        let never = timers.set(at(0).checked_add(Duration::MAX), None);
        let once = timers.set(Some(at(1)), Some(Duration::MAX));
        assert_eq!(due(&mut timers, at(2)), [once]);
        assert_eq!(timers.next(), None);
        assert!(timers.cancel(never));
        assert!(timers.cancel(once));
    }

    #[test]
    fn cancelled_timers_do_not_pile_up() {
        let (mut timers, at) = (Timers::default(), clock_face());
        // Behind one that stays, nothing comes to the top.
        timers.set(Some(at(0)), None);
        for _ in 0..1_000_000 {
            let id = timers.set(Some(at(1)), None);
            assert!(timers.cancel(id));
            assert!(timers.entries.len() <= 2 + KEPT_ENTRIES);
        }
    }

    #[test]
    fn what_many_timers_took_is_given_back() {
        for cancel in [true, false] {
            let (mut timers, at) = (Timers::default(), clock_face());
            let ids: Vec<_> = (0..100_000).map(|_| timers.set(Some(at(1)), None)).collect();
            if cancel {
                assert!(ids.iter().all(|id| timers.cancel(*id)));
            } else {
                assert_eq!(due(&mut timers, at(2)), ids);
            }
            assert!(timers.entries.capacity() <= 4 * KEPT_ENTRIES);
            assert!(timers.periods.capacity() <= 4 * KEPT_ENTRIES);
        }
    }

    /// What fires in a turn that began at `now`.
    fn due(timers: &mut Timers, now: Instant) -> Vec<TimerId> {
        std::iter::from_fn(|| timers.pop_due(now)).collect()
    }

    /// Times in seconds, from an arbitrary point.
    #[expect(clippy::disallowed_methods, reason = "an arbitrary point to count from")]
    fn clock_face() -> impl Fn(u64) -> Instant {
        let start = Instant::now();
        move |seconds| start + Duration::from_secs(seconds)
    }
}
