//! A queue of a million tasks is no slower than one of a thousand: no step looks at more of them.

use super::*;

/// How many places of the slab each step touches while so many tasks wait: of three priorities,
/// for anybody and for one worker, and an eighth of them for their time.
fn touched_by_steps(waiting: u32) -> Vec<(&'static str, u64)> {
    let settings =
        TaskQueueSettings { tasks_max: 2_000_000, ..settings(TaskCrashPolicy::Redeliver(3)) };
    let mut queue = TaskQueue::new(settings);
    (0..2).for_each(|slot| queue.worker_serves(lane(slot.into()), Slot(slot)));
    for number in 0..waiting {
        let terms = TaskTerms {
            priority: Priority::ALL[number as usize % 3],
            target: if number.is_multiple_of(5) {
                TaskTarget::Slot(Slot(1))
            } else {
                TaskTarget::Any
            },
            delay_ms: if number % 8 == 7 { 1_000 } else { 0 },
            wants_result: true,
        };
        ask(&mut queue, number, terms);
    }
    let mut steps = Vec::new();
    let mut step = |name, queue: &mut TaskQueue<u32>, run: &mut dyn FnMut(&mut TaskQueue<u32>)| {
        let before = queue.tasks.touched.get();
        run(queue);
        steps.push((name, queue.tasks.touched.get() - before));
    };
    let mut gift = None;
    step("ask", &mut queue, &mut |queue| ask(queue, waiting, wanting()));
    step("no room", &mut queue, &mut |queue| {
        let gift = queue.next_gift(0).unwrap();
        queue.no_room(&gift);
        queue.room_freed(gift.lane);
    });
    step("give", &mut queue, &mut |queue| gift = queue.next_gift(0));
    let gift = gift.unwrap();
    step("write", &mut queue, &mut |queue| queue.written(&gift, 64));
    step("result", &mut queue, &mut |queue| {
        queue.result(gift.lane, gift.seq, ALL).unwrap();
    });
    step("recall", &mut queue, &mut |queue| {
        let _ = queue.recall_candidate(|_| 0);
        queue.recalled(gift.lane, 0);
    });
    let gift = queue.next_gift(0).unwrap();
    queue.written(&gift, 64);
    step("finish", &mut queue, &mut |queue| {
        queue.finish(gift.lane, gift.seq, ALL).unwrap();
    });
    let gift = queue.next_gift(0).unwrap();
    queue.written(&gift, 64);
    step("death", &mut queue, &mut |queue| {
        queue.worker_died(gift.lane, ALL, false, &mut Vec::new());
    });
    steps
}

#[test]
fn no_step_looks_at_more_tasks_when_more_wait() {
    let few = touched_by_steps(1_000);
    assert!(few.iter().all(|(_, touched)| *touched < 20), "{few:?}");
    assert_eq!(touched_by_steps(1_000_000), few);
}

/// One task takes long, and others come and go behind it.
#[test]
fn nothing_grows_behind_a_task_that_takes_long() {
    let after = |behind: u64| {
        let mut queue = TaskQueue::new(settings(TaskCrashPolicy::Redeliver(3)));
        (0..2).for_each(|slot| queue.worker_serves(lane(slot.into()), Slot(slot)));
        let target = TaskTarget::Slot(Slot(0));
        let terms = TaskTerms { target, ..TaskTerms::default() };
        ask(&mut queue, 0, terms);
        assert_eq!(gifts(&mut queue, 0), [(0, 0)]);
        queue.freed(lane(0), 65);
        for number in 1..=behind {
            ask(&mut queue, number as u32, terms);
            assert_eq!(gifts(&mut queue, 0), [(0, number as u32)]);
            queue.finish(lane(0), number + 1, ALL).unwrap();
        }
        for number in 1..=2 {
            ask(&mut queue, number, terms);
        }
        assert_eq!(gifts(&mut queue, 0).len(), 2);
        let entries = queue.workers.get(lane(0)).unwrap().entries();
        assert_eq!(queue.recall_candidate(|_| (behind + 2) * 64 + 1), None);
        let grown = (entries.len() < 200, entries.touched.get() < 50);
        assert_eq!(queue.finish(lane(0), 1, ALL).unwrap().0, 0, "it is known still");
        assert!(queue.finish(lane(0), 1, ALL).is_err(), "once");
        grown
    };
    assert_eq!(after(10_000), (true, true));
}

/// What waits takes its place and nothing else; what the options charge for it is more.
#[test]
fn a_task_that_waits_takes_less_than_it_is_charged() {
    let place = size_of::<Option<Task<[usize; 6]>>>();
    let number_of_a_free_place = size_of::<u32>();
    let wait_for_its_time = size_of::<(Nanos, u64, u32)>();
    // Vectors double when they grow.
    let most = place + 2 * number_of_a_free_place + 2 * wait_for_its_time;
    assert!(most <= 256, "{most} bytes");
}
