//! Rule by rule, with the events spelled out; `properties` drives random events.

mod kept;
mod properties;
mod scale;

use super::*;
use crate::ids::ProcessKey;

const SENDER: ProcessKey = ProcessKey::event(0, 1);
const SENDER_LANE: LaneSlot = LaneSlot(77);

fn settings(crash_policy: TaskCrashPolicy) -> TaskQueueSettings {
    TaskQueueSettings {
        tasks_max: 100,
        slots: 4,
        crash_policy,
        prefetch_ns: 50_000,
        prefetch_tasks: 4,
    }
}

fn lane(number: u32) -> LaneSlot {
    LaneSlot(number)
}

/// A queue with workers in the first slots, whose lanes are those of their slots.
fn queue(crash_policy: TaskCrashPolicy, workers: u16) -> TaskQueue<u32> {
    let mut queue = TaskQueue::new(settings(crash_policy));
    for slot in 0..workers {
        queue.worker_serves(lane(slot.into()), Slot(slot));
    }
    queue
}

fn asked(number: u64) -> Asked {
    Asked { sender: SENDER, lane: SENDER_LANE, number }
}

fn ask(queue: &mut TaskQueue<u32>, number: u32, terms: TaskTerms) {
    let taken = queue.ask(asked(number.into()), terms, number, 0);
    assert!(taken.is_ok(), "{taken:?}");
}

/// What is given now, to whom, as bodies. Each is written at the position that is its number.
fn gifts(queue: &mut TaskQueue<u32>, now: Nanos) -> Vec<(u32, u32)> {
    let mut given = Vec::new();
    while let Some(gift) = queue.next_gift(now) {
        queue.written(&gift, gift.seq * 64);
        given.push((gift.lane.0, *queue.body(gift.task).unwrap()));
    }
    given
}

fn wanting() -> TaskTerms {
    TaskTerms { wants_result: true, ..TaskTerms::default() }
}

const ALL: u64 = u64::MAX - 1;

#[test]
fn the_idlest_worker_is_given_the_next_task() {
    let mut queue = queue(TaskCrashPolicy::Fail, 2);
    (0..4).for_each(|number| ask(&mut queue, number, TaskTerms::default()));
    assert_eq!(gifts(&mut queue, 0), [(1, 0), (0, 1), (1, 2), (0, 3)]);
    assert_eq!(queue.finish(lane(1), 1, ALL).unwrap().0, 0);
    ask(&mut queue, 4, TaskTerms::default());
    assert_eq!(gifts(&mut queue, 0), [(1, 4)]);
}

#[test]
fn a_slow_worker_has_nothing_waiting_behind_what_it_does() {
    let mut queue = queue(TaskCrashPolicy::Fail, 1);
    queue.set_work(lane(0), 1_000_000);
    (0..3).for_each(|number| ask(&mut queue, number, TaskTerms::default()));
    assert_eq!(gifts(&mut queue, 0), [(0, 0)]);
    queue.finish(lane(0), 1, ALL).unwrap();
    assert_eq!(gifts(&mut queue, 0), [(0, 1)]);
}

#[test]
fn a_full_queue_and_an_unknown_slot_are_told() {
    let mut queue =
        TaskQueue::new(TaskQueueSettings { tasks_max: 2, ..settings(TaskCrashPolicy::Fail) });
    (0..2).for_each(|number| ask(&mut queue, number, TaskTerms::default()));
    let full = queue.ask(asked(9), TaskTerms::default(), 9, 0);
    assert_eq!(full, Err(TaskRefusal::QueueFull));
    let target = TaskTarget::Slot(Slot(4));
    let unknown = queue.ask(asked(9), TaskTerms { target, ..wanting() }, 9, 0);
    assert_eq!(unknown, Err(TaskRefusal::NoSuchWorker));
    assert_eq!((queue.counts().asked, queue.counts().refused, queue.len()), (2, 2, 2));
}

#[test]
fn who_is_chosen_waits_for_its_worker_and_nobody_else_runs_it() {
    let mut queue = queue(TaskCrashPolicy::Fail, 1);
    let target = TaskTarget::Slot(Slot(3));
    ask(&mut queue, 7, TaskTerms { target, ..TaskTerms::default() });
    ask(&mut queue, 8, TaskTerms::default());
    assert_eq!(gifts(&mut queue, 0), [(0, 8)]);
    queue.worker_serves(lane(3), Slot(3));
    assert_eq!(gifts(&mut queue, 0), [(3, 7)]);
}

#[test]
fn high_comes_before_normal_and_low_and_starves_nobody() {
    let mut queue = queue(TaskCrashPolicy::Fail, 1);
    let of = |priority| TaskTerms { priority, ..TaskTerms::default() };
    ask(&mut queue, 100, of(Priority::Low));
    ask(&mut queue, 50, of(Priority::Normal));
    (0..16).for_each(|number| ask(&mut queue, number, of(Priority::High)));
    let mut order = Vec::new();
    for seq in 1..=18 {
        let gift = queue.next_gift(0).unwrap();
        queue.written(&gift, 0);
        order.push(queue.finish(lane(0), seq, ALL).unwrap().0);
    }
    assert_eq!(order.iter().position(|body| *body == 50), Some(7), "{order:?}");
    assert_eq!(order.iter().position(|body| *body == 100), Some(15), "{order:?}");
    let highs: Vec<_> = order.into_iter().filter(|body| *body < 50).collect();
    assert!(highs.is_sorted());
}

#[test]
fn a_delayed_task_waits_for_its_time() {
    let mut queue = queue(TaskCrashPolicy::Fail, 1);
    ask(&mut queue, 2, TaskTerms { delay_ms: 20, ..TaskTerms::default() });
    ask(&mut queue, 1, TaskTerms { delay_ms: 10, ..TaskTerms::default() });
    assert_eq!(queue.due(), Some(10_000_000));
    assert_eq!(gifts(&mut queue, 9_999_999), []);
    assert_eq!(gifts(&mut queue, 10_000_000), [(0, 1)]);
    assert_eq!(queue.due(), Some(20_000_000));
    assert_eq!(gifts(&mut queue, 30_000_000), [(0, 2)]);
    assert_eq!(queue.due(), None);
}

#[test]
fn what_finds_no_room_is_the_next_when_there_is_some() {
    let mut queue = queue(TaskCrashPolicy::Fail, 1);
    (0..2).for_each(|number| ask(&mut queue, number, TaskTerms::default()));
    let gift = queue.next_gift(0).unwrap();
    queue.no_room(&gift);
    assert_eq!(queue.next_gift(0), None);
    queue.room_freed(lane(0));
    let again = queue.next_gift(0).unwrap();
    assert_eq!((again.task, again.seq), (gift.task, gift.seq));
}

#[test]
fn a_worker_that_says_what_cannot_be_is_found_out() {
    let mut queue = queue(TaskCrashPolicy::Fail, 2);
    ask(&mut queue, 0, wanting());
    let gift = queue.next_gift(0).unwrap();
    queue.written(&gift, 64);
    for (lane, seq, started) in [
        (gift.lane, 1, 64),
        (gift.lane, 2, ALL),
        (gift.lane, 0, ALL),
        (lane(0), 1, ALL),
        (lane(9), 1, ALL),
    ] {
        assert!(queue.result(lane, seq, started).is_err());
        assert!(queue.expose(lane, seq, started).is_err());
        assert!(queue.finish(lane, seq, started).is_err());
    }
    assert!(queue.result(gift.lane, 1, 65).is_ok());
    assert!(queue.finish(gift.lane, 1, 65).is_ok());
    assert!(queue.finish(gift.lane, 1, 65).is_err(), "twice");
    assert!(queue.result(gift.lane, 1, 65).is_err(), "after its end");
}

#[test]
fn an_asker_that_was_told_of_an_end_is_told_of_no_other() {
    let mut queue = queue(TaskCrashPolicy::Fail, 1);
    (0..2).for_each(|number| ask(&mut queue, number, wanting()));
    gifts(&mut queue, 0);
    for seq in 1..3 {
        assert!(queue.result(lane(0), seq, ALL).unwrap().is_wanted);
        queue.tell_no_more(lane(0), seq, ALL).unwrap();
        assert!(!queue.result(lane(0), seq, ALL).unwrap().is_wanted);
    }
    assert!(queue.tell_no_more(lane(0), 3, ALL).is_err());
    assert!(!queue.finish(lane(0), 1, ALL).unwrap().1.is_wanted);
    let mut over = Vec::new();
    queue.worker_died(lane(0), ALL, false, &mut over);
    assert_eq!(over.first().map(|settled| settled.told), Some(None));
}

/// Which of the tasks are over, and what was told; the rest is given to the other worker.
fn after_a_death(crash_policy: TaskCrashPolicy) -> (Vec<(u32, Option<TaskEnd>)>, Vec<u32>) {
    let mut queue = queue(crash_policy, 1);
    (0..3).for_each(|number| ask(&mut queue, number, wanting()));
    gifts(&mut queue, 0);
    queue.finish(lane(0), 1, ALL).unwrap();
    let mut over = Vec::new();
    // The second is started, the third is not.
    queue.worker_died(lane(0), 3 * 64, false, &mut over);
    queue.worker_serves(lane(1), Slot(1));
    let again = gifts(&mut queue, 0).into_iter().map(|(_, body)| body).collect();
    (over.into_iter().map(|settled| (settled.body, settled.told)).collect(), again)
}

#[test]
fn what_a_dead_worker_had_started_is_settled_by_the_policy() {
    let died = Some(TaskEnd::WorkerDied);
    assert_eq!(after_a_death(TaskCrashPolicy::Redeliver(3)), (vec![], vec![1, 2]));
    assert_eq!(after_a_death(TaskCrashPolicy::Redeliver(1)), (vec![(1, died)], vec![2]));
    assert_eq!(after_a_death(TaskCrashPolicy::Fail), (vec![(1, died)], vec![2]));
    let dropped = after_a_death(TaskCrashPolicy::Drop);
    assert_eq!(dropped, (vec![(1, died)], vec![2]), "its asker does not wait for ever");
}

#[test]
fn a_task_that_kills_its_workers_is_given_up() {
    let mut queue = queue(TaskCrashPolicy::Redeliver(3), 0);
    ask(&mut queue, 0, wanting());
    for life in 0..3 {
        queue.worker_serves(lane(life), Slot(0));
        let gift = queue.next_gift(0).unwrap();
        assert_eq!(u32::from(gift.attempt), life);
        queue.written(&gift, 0);
        let mut over = Vec::new();
        queue.worker_died(lane(life), ALL, false, &mut over);
        assert_eq!(over.len(), usize::from(life == 2));
    }
    let counts = *queue.counts();
    assert_eq!((counts.redelivered, counts.failed, counts.open()), (2, 1, 0));
}

#[test]
fn what_was_seen_of_a_task_is_never_repeated() {
    let mut queue = queue(TaskCrashPolicy::Redeliver(3), 1);
    ask(&mut queue, 0, wanting());
    gifts(&mut queue, 0);
    queue.expose(lane(0), 1, ALL).unwrap();
    let mut over = Vec::new();
    queue.worker_died(lane(0), ALL, false, &mut over);
    assert_eq!(over.len(), 1);
    assert!(queue.is_empty());
}

#[test]
fn nothing_of_a_condemned_worker_is_run_again() {
    let mut queue = queue(TaskCrashPolicy::Redeliver(3), 1);
    (0..2).for_each(|number| ask(&mut queue, number, wanting()));
    gifts(&mut queue, 0);
    let mut over = Vec::new();
    queue.worker_died(lane(0), 0, true, &mut over);
    assert_eq!(over.len(), 2);
}

#[test]
fn what_waits_behind_a_slow_task_is_taken_back_when_another_worker_idles() {
    let mut queue = queue(TaskCrashPolicy::Fail, 2);
    (0..4).for_each(|number| ask(&mut queue, number, TaskTerms::default()));
    assert_eq!(gifts(&mut queue, 5), [(1, 0), (0, 1), (1, 2), (0, 3)]);
    let taken = |_| 65; // the first of each is started
    assert_eq!(queue.recall_candidate(taken), None, "nobody idles");
    queue.finish(lane(0), 1, 129).unwrap();
    queue.finish(lane(0), 2, 129).unwrap();
    assert_eq!(queue.recall_candidate(taken), Some((lane(1), 1_000_005)));
    queue.recalled(lane(1), 128);
    assert_eq!(gifts(&mut queue, 6), [(0, 2)]);
}

/// What nobody else may run stays where it is, and keeps nothing else there.
#[test]
fn what_waits_behind_a_task_for_that_worker_alone_is_taken_back_too() {
    let mut queue = queue(TaskCrashPolicy::Fail, 1);
    let target = TaskTarget::Slot(Slot(0));
    ask(&mut queue, 0, TaskTerms::default());
    ask(&mut queue, 1, TaskTerms { target, ..TaskTerms::default() });
    assert_eq!(gifts(&mut queue, 5), [(0, 0), (0, 1)]);
    ask(&mut queue, 2, TaskTerms::default());
    assert_eq!(gifts(&mut queue, 7), [(0, 2)]);
    queue.worker_serves(lane(1), Slot(1));
    let taken = |_| 65;
    assert_eq!(queue.recall_candidate(taken), Some((lane(0), 1_000_007)));
    queue.recalled(lane(0), 128);
    assert_eq!(gifts(&mut queue, 8), [(1, 2)]);
    assert_eq!(queue.recall_candidate(taken), None);
    queue.finish(lane(0), 1, 65).unwrap();
    assert_eq!(gifts(&mut queue, 9), [(0, 1)], "its own comes back to it");
}

/// Its callback is over, and what is still to come of it may take as long as a client reads.
#[test]
fn a_deferred_task_does_not_keep_its_worker_from_others() {
    let mut queue = queue(TaskCrashPolicy::Fail, 1);
    queue.set_work(lane(0), 1_000_000);
    (0..3).for_each(|number| ask(&mut queue, number, wanting()));
    for number in 0..3_u32 {
        assert_eq!(gifts(&mut queue, 0), [(0, number)]);
        assert_eq!(gifts(&mut queue, 0), []);
        assert!(queue.awaits_freed(lane(0)));
        queue.freed(lane(0), (u64::from(number) + 1) * 64 + 1);
        assert!(!queue.awaits_freed(lane(0)));
    }
    assert!(!queue.is_idle(), "none is over");
    queue.finish(lane(0), 2, ALL).unwrap();
    ask(&mut queue, 3, wanting());
    assert_eq!(gifts(&mut queue, 0), [(0, 3)]);
    queue.finish(lane(0), 4, ALL).unwrap();
    let mut over = Vec::new();
    queue.worker_died(lane(0), 4 * 64, false, &mut over);
    let over: Vec<u32> = over.into_iter().map(|settled| settled.body).collect();
    assert_eq!(over, [2, 0], "those that it had deferred");
    assert!(queue.is_idle());
}

#[test]
fn who_has_only_deferred_tasks_takes_those_that_wait_elsewhere() {
    let mut queue = queue(TaskCrashPolicy::Fail, 2);
    (0..4).for_each(|number| ask(&mut queue, number, TaskTerms::default()));
    assert_eq!(gifts(&mut queue, 5), [(1, 0), (0, 1), (1, 2), (0, 3)]);
    let taken = |_| 65;
    queue.freed(lane(0), 129);
    assert_eq!(queue.recall_candidate(taken), Some((lane(1), 1_000_005)));
    queue.freed(lane(1), 65);
    let deferred = queue.recall_candidate(taken);
    assert_eq!(deferred, Some((lane(1), 1_000_005)), "what was deferred may block its worker");
    queue.finish(lane(1), 1, 65).unwrap();
    let stopped = Some((lane(1), 100_000_005));
    assert_eq!(queue.recall_candidate(taken), stopped, "nothing stands before it");
}

/// Many behind the first task are over before anybody hears that its callback is.
fn first_put_aside() -> TaskQueue<u32> {
    let settings = TaskQueueSettings {
        prefetch_ns: 100_000,
        prefetch_tasks: 100,
        ..settings(TaskCrashPolicy::Fail)
    };
    let mut queue = TaskQueue::new(settings);
    queue.worker_serves(lane(0), Slot(0));
    queue.set_work(lane(0), 1_000);
    (1..=70).for_each(|number| ask(&mut queue, number, wanting()));
    assert_eq!(gifts(&mut queue, 0).len(), 70);
    for seq in 2..=70 {
        queue.finish(lane(0), seq, ALL).unwrap();
    }
    assert!(queue.awaits_freed(lane(0)), "its callback may run still");
    queue
}

#[test]
fn a_task_that_was_put_aside_is_deferred_all_the_same() {
    let mut queue = first_put_aside();
    queue.freed(lane(0), 71 * 64);
    assert!(!queue.awaits_freed(lane(0)));
    queue.set_work(lane(0), 1_000_000_000);
    (71..=72).for_each(|number| ask(&mut queue, number, wanting()));
    assert_eq!(gifts(&mut queue, 0), [(0, 71)], "it has room for one");
    queue.finish(lane(0), 1, ALL).unwrap();
    queue.finish(lane(0), 71, ALL).unwrap();
    assert_eq!(gifts(&mut queue, 0), [(0, 72)]);
    queue.finish(lane(0), 72, ALL).unwrap();
    assert!(queue.is_idle());
}

#[test]
fn a_task_that_was_put_aside_in_its_callback_is_in_hand() {
    let mut queue = first_put_aside();
    queue.freed(lane(0), 64);
    assert!(queue.awaits_freed(lane(0)));
    queue.finish(lane(0), 1, ALL).unwrap();
    queue.freed(lane(0), 71 * 64);
    assert!(!queue.awaits_freed(lane(0)) && queue.is_idle());
    let mut queue = first_put_aside();
    let mut over = Vec::new();
    queue.worker_died(lane(0), ALL, false, &mut over);
    assert!(queue.is_idle() && over.len() == 1);
}

/// What goes on behind a callback may block its worker, and what was given then waits for that.
#[test]
fn what_waits_behind_a_deferred_task_is_taken_back_too() {
    let mut queue = queue(TaskCrashPolicy::Fail, 1);
    ask(&mut queue, 0, wanting());
    assert_eq!(gifts(&mut queue, 0), [(0, 0)]);
    queue.freed(lane(0), 65);
    ask(&mut queue, 1, wanting());
    assert_eq!(gifts(&mut queue, 5), [(0, 1)]);
    queue.worker_serves(lane(1), Slot(1));
    assert_eq!(queue.recall_candidate(|_| 65), Some((lane(0), 1_000_005)));
    queue.recalled(lane(0), 65);
    assert_eq!(gifts(&mut queue, 6), [(1, 1)]);
    assert_eq!(queue.recall_candidate(|_| 65), None, "it has nothing else");
}

#[test]
fn a_leaving_worker_gives_back_and_gets_nothing_more() {
    let mut queue = queue(TaskCrashPolicy::Fail, 1);
    (0..3).for_each(|number| ask(&mut queue, number, TaskTerms::default()));
    gifts(&mut queue, 0);
    queue.leave(lane(0), 128);
    assert_eq!(gifts(&mut queue, 0), []);
    queue.worker_serves(lane(1), Slot(0));
    assert_eq!(gifts(&mut queue, 0), [(1, 1), (1, 2)]);
    assert!(queue.finish(lane(0), 1, 65).is_ok(), "what it had started it finishes");
}

#[test]
fn what_is_left_at_the_end_is_counted() {
    let mut queue = queue(TaskCrashPolicy::Fail, 1);
    (0..3).for_each(|number| ask(&mut queue, number, wanting()));
    queue.next_gift(0);
    assert_eq!(queue.drain().count(), 3);
    assert_eq!((queue.counts().left, queue.counts().open(), queue.len()), (3, 0, 0));
}

#[test]
fn who_is_ended_for_a_late_task_fails_it_as_late() {
    let told = |is_late_at_last: bool| {
        let mut queue = queue(TaskCrashPolicy::Fail, 2);
        (0..2).for_each(|number| ask(&mut queue, number, wanting()));
        gifts(&mut queue, 0);
        queue.set_late(lane(0), true);
        queue.set_late(lane(0), is_late_at_last);
        let mut over = Vec::new();
        (0..2).for_each(|number| queue.worker_died(lane(number), ALL, false, &mut over));
        let mut told: Vec<_> = over.into_iter().filter_map(|settled| settled.told).collect();
        told.sort_by_key(|end| end.code());
        told
    };
    assert_eq!(told(true), [TaskEnd::WorkerDied, TaskEnd::PastDeadline], "its own only");
    assert_eq!(told(false), [TaskEnd::WorkerDied; 2], "it has ended after all");
}
