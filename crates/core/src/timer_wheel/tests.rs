//! The wheel against a list that is searched from end to end.

use proptest::prelude::*;

use super::*;

/// What the wheel has to be indistinguishable from.
#[derive(Default)]
struct Model {
    /// Number, tick at which it counts as due, order of arming.
    timers: Vec<(u32, u64, u64)>,
    order: u64,
    elapsed: u64,
}

impl Model {
    fn arm(&mut self, number: u32, at: Nanos) {
        self.order += 1;
        self.timers.push((number, tick_from(at).max(self.elapsed), self.order));
    }

    fn disarm(&mut self, number: u32) {
        self.timers.retain(|timer| timer.0 != number);
    }

    fn first(&self) -> Option<(u32, u64, u64)> {
        self.timers.iter().copied().min_by_key(|(_, tick, order)| (*tick, *order))
    }

    fn pop_due(&mut self, now: Nanos) -> Option<u32> {
        let now = now >> TICK_BITS;
        match self.first() {
            Some((number, tick, _)) if tick <= now => {
                self.elapsed = tick;
                self.disarm(number);
                Some(number)
            }
            _ => {
                self.elapsed = self.elapsed.max(now);
                None
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Arm {
        after: Nanos,
    },
    Rearm {
        which: usize,
        after: Nanos,
    },
    BringForward {
        which: usize,
        after: Nanos,
    },
    Disarm {
        which: usize,
    },
    /// Time passes; at most so many timers are taken.
    Pass {
        by: Nanos,
        most: usize,
    },
    /// Time passes until what the wheel says.
    PassToNext,
}

/// From fractions of a tick to years.
fn span() -> impl Strategy<Value = Nanos> {
    prop_oneof![
        0..3 * TICK_NS,
        (0..200_u64).prop_map(|ticks| ticks * TICK_NS),
        (0..44_u32, 0..TICK_NS).prop_map(|(bits, more)| (1 << bits << TICK_BITS) - 1 + more),
        0..2_000_000_000_000_u64,
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0..40_usize;
    prop_oneof![
        4 => span().prop_map(|after| Step::Arm { after }),
        2 => (which.clone(), span()).prop_map(|(which, after)| Step::Rearm { which, after }),
        1 => (which.clone(), span())
            .prop_map(|(which, after)| Step::BringForward { which, after }),
        1 => which.prop_map(|which| Step::Disarm { which }),
        2 => (span(), 0..5_usize).prop_map(|(by, most)| Step::Pass { by, most }),
        2 => Just(Step::PassToNext),
    ]
}

/// Both, and what they have in common.
struct Run {
    wheel: TimerWheel<u32>,
    model: Model,
    now: Nanos,
    ids: Vec<(u32, TimerId)>,
    next: u32,
    /// Nothing was disarmed or moved: the wheel says exactly when to look.
    is_exact: bool,
}

impl Run {
    fn new(now: Nanos) -> Self {
        let mut run = Self {
            wheel: TimerWheel::new(),
            model: Model::default(),
            now,
            ids: Vec::new(),
            next: 0,
            is_exact: true,
        };
        run.pop(usize::MAX);
        run
    }

    fn arm(&mut self, after: Nanos) {
        let at = self.now.saturating_add(after);
        let id = self.wheel.arm(self.next, at);
        self.model.arm(self.next, at);
        self.ids.push((self.next, id));
        self.next += 1;
    }

    fn chosen(&self, which: usize) -> Option<(u32, TimerId)> {
        self.ids.get(which.checked_rem(self.ids.len())?).copied()
    }

    fn pop(&mut self, most: usize) {
        for _ in 0..most {
            let popped = self.wheel.pop_due(self.now);
            assert_eq!(popped, self.model.pop_due(self.now));
            let Some(number) = popped else { return };
            self.ids.retain(|(armed, _)| *armed != number);
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Arm { after } => self.arm(after),
            Step::Rearm { which, after } => {
                let Some((number, id)) = self.chosen(which) else { return };
                let at = self.now.saturating_add(after);
                self.wheel.rearm(id, at);
                self.model.disarm(number);
                self.model.arm(number, at);
                self.is_exact = false;
            }
            Step::BringForward { which, after } => {
                let Some((number, id)) = self.chosen(which) else { return };
                let at = self.now.saturating_add(after);
                self.wheel.bring_forward(id, at);
                let armed = self.model.timers.iter().find(|timer| timer.0 == number).unwrap();
                if tick_from(at) < armed.1 {
                    self.model.disarm(number);
                    self.model.arm(number, at);
                    self.is_exact = false;
                }
            }
            Step::Disarm { which } => {
                let Some((number, id)) = self.chosen(which) else { return };
                assert_eq!(self.wheel.disarm(id), Some(number));
                self.model.disarm(number);
                self.ids.retain(|(armed, _)| *armed != number);
                self.is_exact = false;
            }
            Step::Pass { by, most } => {
                self.now = self.now.saturating_add(by);
                self.pop(most);
            }
            Step::PassToNext => {
                self.now = self.now.max(self.wheel.next_due().unwrap_or(0));
                self.pop(usize::MAX);
            }
        }
    }

    fn check(&self) {
        assert_eq!(self.wheel.len(), self.model.timers.len());
        let (says, is) = (self.wheel.next_due(), self.model.first());
        assert_eq!(says.is_some(), is.is_some());
        if let (Some(says), Some((_, tick, _))) = (says, is) {
            let is = tick << TICK_BITS;
            assert!(says <= is, "the loop would oversleep: {says} > {is}");
            assert!(!self.is_exact || says == is, "the loop would wake for nothing");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(2_000)
    })]

    #[test]
    fn is_like_a_sorted_list(
        began in span(),
        steps in proptest::collection::vec(step(), 0..200),
    ) {
        let mut run = Run::new(began);
        for step in &steps {
            run.take(step);
            run.check();
        }
        // Whoever goes to each time that it names comes to the end, and is never sent back.
        let mut looks = 0_usize;
        while let Some(due) = run.wheel.next_due() {
            run.now = run.now.max(due);
            run.pop(usize::MAX);
            run.check();
            looks += 1;
            let most = run.next as usize + steps.len();
            assert!(looks <= most, "the loop wakes again and again for nothing");
        }
        prop_assert!(run.wheel.is_empty());
    }
}

#[test]
fn one_tick_is_due_in_the_order_of_arming_however_the_timers_came_there() {
    let mut wheel = TimerWheel::new();
    let at = 5_000 * TICK_NS;
    wheel.arm(1, at);
    assert_eq!(wheel.pop_due(4_000 * TICK_NS), None);
    wheel.arm(2, at);
    assert_eq!(wheel.pop_due(4_999 * TICK_NS), None);
    wheel.arm(3, at - 1);
    assert_eq!([(); 4].map(|()| wheel.pop_due(at)), [Some(1), Some(2), Some(3), None]);
}

#[test]
fn a_timer_is_never_early_and_at_most_a_tick_late() {
    for at in [1, TICK_NS - 1, TICK_NS, TICK_NS + 1, 77 * TICK_NS + 5, 10_000_000_000] {
        let mut wheel = TimerWheel::new();
        wheel.arm((), at);
        let due = wheel.next_due().unwrap();
        assert!((at..at + TICK_NS).contains(&due), "{at} {due}");
        assert_eq!(wheel.pop_due(due - 1), None);
        assert_eq!(wheel.pop_due(due), Some(()));
        assert_eq!(wheel.next_due(), None);
    }
}

/// A minute, seen by a loop that has other things to do each millisecond: the timer moves down the
/// rings without being due, and the loop that has nothing to do sleeps all the time.
#[test]
fn moving_down_the_rings_wakes_nobody() {
    let minute = 60_000_000_000;
    let mut wheel = TimerWheel::new();
    wheel.arm((), minute);
    let due = wheel.next_due();
    assert!((0..minute).step_by(1_000_000).all(|now| wheel.pop_due(now).is_none()));
    assert_eq!(wheel.next_due(), due);
    let mut idle = TimerWheel::new();
    idle.arm((), minute);
    assert_eq!(idle.next_due(), due);
    assert_eq!(idle.pop_due(due.unwrap()), Some(()));
}

/// Who arms again in the expiry, at a time that has passed, has its turn behind the others; who
/// takes a bounded number in one turn takes the rest in the next.
#[test]
fn what_is_armed_in_the_expiry_is_behind_what_was_due() {
    let mut wheel = TimerWheel::new();
    (0..3).for_each(|number| _ = wheel.arm(number, 10 * TICK_NS));
    let now = 20 * TICK_NS;
    assert_eq!(wheel.pop_due(now), Some(0));
    wheel.arm(3, 5 * TICK_NS);
    assert!(wheel.next_due().unwrap() <= now);
    assert_eq!([(); 4].map(|()| wheel.pop_due(now)), [Some(1), Some(2), Some(3), None]);
}

#[test]
fn the_end_of_time_can_be_armed() {
    let mut wheel = TimerWheel::new();
    let id = wheel.arm((), u64::MAX);
    wheel.rearm(id, u64::MAX - 1);
    assert_eq!(wheel.pop_due(u64::MAX - TICK_NS), None);
    assert_eq!(wheel.pop_due(u64::MAX), Some(()));
}

/// As many timers as a large server has, moved again and again: the memory of the first round is
/// that of all rounds.
#[test]
fn rearming_takes_no_memory() {
    let mut wheel = TimerWheel::new();
    let ids: Vec<TimerId> = (0..50_000_u64).map(|number| wheel.arm(number, number)).collect();
    for round in 1..20_u64 {
        for (number, id) in ids.iter().enumerate() {
            wheel.rearm(*id, round * 1_000_000_000 + number as u64 * 7_919);
        }
        assert_eq!(wheel.len(), ids.len());
    }
    let mut last = None;
    let mut seen = 0;
    while let Some(number) = wheel.pop_due(u64::MAX) {
        assert!(last.is_none_or(|last| number > last));
        last = Some(number);
        seen += 1;
    }
    assert_eq!(seen, ids.len());
}
