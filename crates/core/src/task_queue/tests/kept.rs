//! Tasks that outlive the server.

use super::*;

fn hold(queue: &mut TaskQueue<u32>, number: u32) -> TaskId {
    queue.hold(asked(number.into()), wanting(), number, 0).unwrap()
}

#[test]
fn a_task_is_given_to_nobody_before_it_is_kept() {
    let mut queue = queue(TaskCrashPolicy::Fail, 1);
    let (first, second) = (hold(&mut queue, 1), hold(&mut queue, 2));
    assert_eq!((gifts(&mut queue, 0), queue.len(), queue.is_idle()), (vec![], 2, false));
    assert_eq!(queue.is_kept(first, 71, 0), Some((asked(1), &1)));
    assert_eq!(queue.is_kept(first, 71, 0), None, "once");
    assert_eq!(gifts(&mut queue, 0), [(0, 1)]);
    assert_eq!(queue.is_not_kept(second), Some((asked(2), 2)));
    assert_eq!(queue.is_not_kept(first), None, "it is kept");
    queue.finish(lane(0), 1, ALL).unwrap();
    assert_eq!(queue.take_settled(), [71]);
    assert_eq!(queue.take_settled(), []);
    let counts = queue.counts();
    assert_eq!((counts.asked, counts.finished, counts.refused, counts.unkept), (1, 1, 1, 1));
    assert!(queue.is_empty() && queue.is_idle());
}

#[test]
fn a_kept_task_that_fails_with_its_worker_is_settled() {
    let mut queue = queue(TaskCrashPolicy::Fail, 1);
    let id = hold(&mut queue, 1);
    queue.is_kept(id, 9, 0);
    gifts(&mut queue, 0);
    let mut over = Vec::new();
    queue.worker_died(lane(0), 0, true, &mut over);
    assert_eq!((over.len(), queue.take_settled()), (1, vec![9]));
}

/// Killed because the server ends: the next one runs it, whatever the policy says of deaths.
#[test]
fn a_kept_task_that_is_in_hand_when_the_server_ends_is_left_to_the_next() {
    for policy in [TaskCrashPolicy::Fail, TaskCrashPolicy::Drop, TaskCrashPolicy::Redeliver(1)] {
        let mut queue = queue(policy, 3);
        let of = |number: u32| {
            let target = TaskTarget::Slot(Slot(number as u16 % 4 - 1));
            TaskTerms { target, ..wanting() }
        };
        for number in 1..=3_u32 {
            let id = queue.hold(asked(number.into()), of(number), number, 0).unwrap();
            queue.is_kept(id, number.into(), 0);
        }
        queue.ask(asked(5), of(5), 5, 0).unwrap();
        assert_eq!(gifts(&mut queue, 0).len(), 4);
        queue.server_ends();
        queue.set_late(lane(2), true);
        let mut over = Vec::new();
        for (number, is_condemned) in [(0, false), (1, true), (2, false)] {
            queue.worker_died(lane(number), ALL, is_condemned, &mut over);
        }
        let bodies: Vec<_> = over.iter().map(|settled| settled.body).collect();
        assert_eq!(bodies, [5, 1, 2, 3], "{policy:?}");
        assert_eq!(over[1].told, Some(TaskEnd::ServerEnds), "it is not over");
        let counts = queue.counts();
        assert_eq!((counts.left, counts.failed + counts.dropped), (1, 3), "{policy:?}");
        assert_eq!(queue.take_settled(), [2, 3], "condemned, and past its deadline");
    }
}

/// It was not late: that was the one whose callback ran.
#[test]
fn a_deferred_task_does_not_end_of_the_deadline_of_another_one() {
    let after = |is_ending: bool| {
        let mut queue = queue(TaskCrashPolicy::Fail, 1);
        for number in 1..=2_u32 {
            let id = hold(&mut queue, number);
            queue.is_kept(id, number.into(), 0);
            assert_eq!(gifts(&mut queue, 0), [(0, number)]);
            if number == 1 {
                queue.freed(lane(0), 65);
            }
        }
        if is_ending {
            queue.server_ends();
        }
        queue.set_late(lane(0), true);
        let mut over = Vec::new();
        queue.worker_died(lane(0), ALL, false, &mut over);
        let told: Vec<_> = over.into_iter().map(|settled| (settled.body, settled.told)).collect();
        (told, queue.take_settled())
    };
    let (died, late) = (Some(TaskEnd::WorkerDied), Some(TaskEnd::PastDeadline));
    let ends = Some(TaskEnd::ServerEnds);
    assert_eq!(after(false), (vec![(2, late), (1, died)], vec![2, 1]));
    assert_eq!(after(true), (vec![(2, late), (1, ends)], vec![2]));
}

#[test]
fn what_an_earlier_server_left_is_run_beyond_every_bound_and_nobody_waits_for_it() {
    let settings = TaskQueueSettings { tasks_max: 1, ..settings(TaskCrashPolicy::Fail) };
    let mut queue = TaskQueue::new(settings);
    queue.worker_serves(lane(0), Slot(0));
    for number in 1..=2_u32 {
        let target = TaskTarget::Slot(Slot(9));
        let terms = TaskTerms { target, ..wanting() };
        let kept_as = u64::from(number);
        queue.restore(Restored { kept_as, attempt: 3, terms, body: number }, 0);
    }
    assert!(queue.hold(asked(3), wanting(), 3, 0).is_err(), "the bound is for who asks");
    let gift = queue.next_gift(0).unwrap();
    assert_eq!((gift.attempt, gift.asked.number), (3, 1));
    queue.written(&gift, 64);
    assert!(!queue.result(lane(0), gift.seq, ALL).unwrap().is_wanted);
    queue.finish(lane(0), gift.seq, ALL).unwrap();
    assert_eq!(queue.take_settled(), [1]);
    assert_eq!((queue.counts().restored, queue.counts().open()), (2, 1));
    assert_eq!(queue.drain().count(), 1);
    assert_eq!(queue.take_settled(), [], "what is left is not settled");
}

/// Tasks of other servers take the room of its own, and come no more when it ends.
#[test]
fn there_is_room_for_others_as_long_as_the_queue_is_not_full_and_goes_on() {
    let mut queue = queue(TaskCrashPolicy::Fail, 0);
    assert_eq!(queue.room(), 100);
    (0..99).for_each(|number| ask(&mut queue, number, TaskTerms::default()));
    assert_eq!(queue.room(), 1);
    let terms = TaskTerms::default();
    (0..2).for_each(|kept_as| queue.restore(Restored { kept_as, attempt: 1, terms, body: 7 }, 0));
    assert_eq!(queue.room(), 0);
    let mut ending = TaskQueue::<u32>::new(settings(TaskCrashPolicy::Fail));
    ending.server_ends();
    assert_eq!(ending.room(), 0);
}
