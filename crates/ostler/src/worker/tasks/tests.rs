#![allow(clippy::unwrap_used)]

use super::super::port::AnswerBytes;
use super::*;
use crate::reactor::Reactor;
use crate::test::TestServer;
use crate::{Handler, Package, ProcessSlot, Server, Session};

#[test]
fn nobody_is_told_of_a_lost_task_who_did_not_want_to_hear_of_it() {
    let tasks = Tasks::default();
    tasks.askers.borrow_mut().insert(1, (Asker::Handler(HandlerId::Server), None));
    tasks.lost(1);
    tasks.lost(2);
    let told = tasks.take_parked().unwrap();
    assert!(tasks.asker_of(&told).is_some());
    assert_eq!(told.task(), 1);
    assert!(!tasks.has_parked(), "it would be nobody's");
}

#[test]
fn a_wait_without_limit_has_time_left() {
    assert_eq!(time_left(Instant::now().checked_add(Duration::MAX)), Duration::MAX);
    assert_eq!(time_left(Instant::now().checked_add(Duration::ZERO)), Duration::ZERO);
}

/// Asks many tasks in one callback, in which it hears of no end.
#[derive(Default)]
struct AsksMany {
    asked: usize,
    full: usize,
    /// Refused although it would have waited for as long as it takes.
    waited: usize,
    told: usize,
}

impl Handler for AsksMany {
    fn on_receive(&mut self, worker: &Worker, _: &Session, _: &Package) -> Outcome {
        for _ in 0..3_000 {
            let asked = worker.task(b"x").then::<Self>(|many, _, result| {
                many.told += usize::from(result.bytes().is_err_and(|it| it.is_full()));
                Ok(())
            });
            match asked {
                Ok(_) => self.asked += 1,
                Err(error) => self.full += usize::from(error.is_full()),
            }
        }
        let waited = worker.task(b"y").wait(Duration::MAX);
        self.waited += usize::from(waited.is_err_and(|error| error.is_full()));
        Ok(())
    }
}

#[test]
fn an_asker_hears_of_the_end_of_every_task_that_it_could_ask() {
    let builder = Server::builder().set("task_workers", 1).set("task_queue_max", 1);
    let builder = builder.set("send_timeout_ms", 10_000);
    let server = TestServer::start(builder, |_| AsksMany::default()).unwrap();
    let mut client = server.connect();
    for round in 1..3 {
        client.send(b"ask");
        // One waits for a worker that does not come.
        server.run_until(|many| {
            many.asked + many.full == round * 3_000 && many.told + 1 == many.asked
        });
        let counts = server.handler(|many| (many.asked, many.full, many.waited));
        let asked = round * (1 + ENDS_BEYOND_TASKS_MAX) + 1 - round;
        assert_eq!(counts, (asked, round * 3_000 - asked, round));
    }
}

/// A task worker that tells one result after another of a task keeps nobody who waits for another
/// task beyond its time.
#[test]
fn who_has_no_time_left_does_not_go_on_with_what_others_are_told() {
    let builder = Server::builder().set("task_workers", 1).set("task_queue_max", 1);
    let server = TestServer::start(builder, |_| AsksMany::default()).unwrap();
    server.with_local(|local| {
        let context = &local.context;
        let server = || Some(Asker::Handler(HandlerId::Server));
        for _ in 0..200 {
            context.ask_task(TermsBlock::default(), b"x", server()).unwrap();
        }
        let mut events = Reactor::events();
        local.reactor.borrow_mut().wait_and_turn(&mut events, Some(Duration::ZERO)).unwrap();
        let waited = context.wait_for_tasks(TermsBlock::default(), &[b"y"], Duration::ZERO);
        assert!(waited[0].as_ref().is_err_and(|error| error.is_timed_out()), "{waited:?}");
        assert_eq!(context.tasks.parked.borrow().len(), 1, "there are 199 refusals");
        let to = ProcessSlot::TaskWorker(0);
        let waited = context.wait_for_command((to, "report", b""), Duration::ZERO);
        assert!(waited.as_ref().is_err_and(|error| error.is_timed_out()), "{waited:?}");
        assert_eq!(context.tasks.parked.borrow().len(), 2, "the others are left");
        assert!(context.wait(Duration::ZERO), "it need not leave");
        assert!(matches!(context.next_answer(), Ok(Some(_))), "some are left");
    });
}

#[test]
fn who_has_waited_is_known_until_the_end_has_come() {
    let tasks = Tasks::default();
    let result = |number| TaskResult::result(number, 0, AnswerBytes::Heap(vec![1]));
    let end = |number| TaskResult::end(number, TaskEnd::Finished);
    for number in 1..=3 {
        tasks.askers.borrow_mut().insert(number, (Asker::Waits, None));
    }
    tasks.waited(1, false);
    tasks.waited(2, true);
    assert_eq!(tasks.awaited(), 1, "that of the third");
    assert!(!tasks.is_over(&result(3)) && !tasks.is_over(&end(2)));
    assert!(tasks.is_over(&result(1)) && tasks.asker_of(&result(1)).is_none());
    assert!(tasks.asker_of(&end(1)).is_none() && !tasks.is_over(&end(1)), "it came");
    assert_eq!((tasks.awaited(), tasks.over.get()), (1, 0));
    assert!(tasks.asker_of(&end(3)).is_some());
    assert!(!tasks.are_awaited() && tasks.askers.borrow().is_empty());
}
