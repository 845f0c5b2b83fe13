//! Tasks in the loop of a worker: those that it runs, and results of those that it has asked.

use std::rc::Rc;

use ostler_core::ids::PortId;
use ostler_shm::record::{Header, RecordKind};
use ostler_shm::task_terms::TermsBlock;

use super::super::owned_output::NO_SESSION;
use super::super::port::Payload;
use super::super::running::RunningDelivery;
use super::super::tasks::Asker;
use super::{BATCH, Round, Run};
use crate::api::own_handler::AnyHandler;
use crate::api::task::Task;
use crate::api::task_result::TaskResult;
use crate::control::Callback;

impl<H: AnyHandler> Run<H> {
    /// A task: it is acknowledged when its callback has returned, with an error or not.
    pub(super) fn run_task(
        &mut self,
        lane: usize,
        header: &Header,
        payload: Payload,
        terms: Option<TermsBlock>,
    ) {
        self.context.begin_callback(RunningDelivery {
            session: NO_SESSION,
            port: PortId::FIRST,
            lane,
            seq: header.seq,
            position: 0,
            ring_len: 0,
            area: payload.area(),
            exposed: !self.context.settings.tasks.holds_results,
            held_bytes: 0,
            used: None,
            skipped: false,
        });
        self.shown.begin_delivery(Some(RecordKind::Task), header, self.measured_at);
        let terms = terms.or_else(|| TermsBlock::read(payload.bytes()));
        let span = self.begin_trace_of_task(terms.and_then(|terms| terms.trace), header);
        match Task::new(Rc::clone(&self.context), header, payload) {
            Some(task) => {
                let outcome = self.handlers.on_task(&task);
                self.log_failure(outcome, "on_task");
            }
            None => ostler_core::invariant!(false, "the master says who has asked a task"),
        }
        self.context.end_traced(span);
        self.context.end_callback();
        self.shown.end_delivery();
    }

    /// Tells askers of results that have come, as many as deliveries are handled at once.
    pub(super) fn run_results(&mut self) -> Round {
        for _ in 0..BATCH {
            let result = match self.context.tasks.take_parked() {
                Some(result) => result,
                None => match self.context.next_answer() {
                    Ok(Some(result)) => result,
                    Ok(None) => return Round::Idle,
                    Err(_) => {
                        tracing::error!("the lanes hold nonsense");
                        return Round::Broken;
                    }
                },
            };
            self.tell_result(&result);
        }
        Round::Busy
    }

    fn tell_result(&mut self, result: &TaskResult) {
        // Whoever does not wait any more is not told.
        let Some((asker, trace)) = self.context.tasks.asker_of(result) else { return };
        if self.context.settings.tasks.ends_silently(result) {
            return;
        }
        self.shown.begin(Callback::Finish);
        let span = self.context.begin_traced("on_finish", trace);
        self.context.sender.tells_answer(result.area());
        let outcome = match asker {
            Asker::Handler(handler) => self.handlers.on_finish(handler, result),
            Asker::Callback(handler, Some(mut callback)) => {
                let call = |handler: &mut _, worker: &_| callback(handler, worker, result);
                let outcome = self.handlers.call(handler, call);
                self.context.tasks.give_back(result.task(), callback);
                outcome
            }
            Asker::Callback(_, None) | Asker::Waits | Asker::Over => Ok(()),
        };
        self.context.sender.tells_answer(None);
        self.shown.end();
        self.log_failure(outcome, "on_finish");
        self.context.end_traced(span);
        self.context.settle_deferred();
    }
}
