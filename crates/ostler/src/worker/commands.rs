//! Commands: functions that this process lets others call by name, and its calls of others'.
//!
//! A call is a message, and its reply one to the very process that has called: never to its
//! successor.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::Location;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ostler_core::ids::ProcessKey;
use ostler_core::messages::form::{
    MessageForm, REPLY_FRONT_BYTES, ReplyStatus, call_front, is_command_name, read_reply,
    reply_front,
};
use ostler_core::trace::TraceContext;

use super::context::WorkerContext;
use super::handlers::HandlerId;
use super::messages::{MessageHead, MessageToSend};
use super::output::Output;
use super::owned_output::NO_SESSION;
use super::tasks::time_left;
use super::timers;
use crate::api::command_error::{CommandError, CommandErrorKind};
use crate::api::message_error::MessageErrorKind;
use crate::api::outcome::{Failure, Outcome};
use crate::api::process_slot::ProcessSlot;
use crate::api::worker::Worker;
use crate::sys::clock;

/// Of the text of an error of a command so much is told to who has called it.
const FAILURE_TEXT_BYTES_MAX: usize = 1_024;

/// Set in the numbers of replies, so that they are no number of a message of the program's.
const REPLY: u64 = 1 << 63;

/// Whether a number is that of a reply.
pub(super) const fn is_of_reply(number: u64) -> bool {
    number & REPLY != 0
}

/// A function that others call.
pub(crate) type CommandFn = Rc<dyn Fn(&mut dyn Any, &Worker, &[u8]) -> Result<Vec<u8>, Failure>>;

/// What is called with the answer to a call.
pub(crate) type OnReply =
    Box<dyn FnOnce(&mut dyn Any, &Worker, Result<Vec<u8>, CommandError>) -> Outcome>;

/// The functions, by their names, with the handlers for which they are.
#[derive(Default)]
pub(crate) struct Commands {
    named: RefCell<HashMap<String, (HandlerId, CommandFn)>>,
}

impl Commands {
    /// Adds one; false: there is one of that name, or it is no name.
    pub(crate) fn add(&self, name: &str, handler: HandlerId, command: CommandFn) -> bool {
        let mut named = self.named.borrow_mut();
        let is_new = is_command_name(name) && !named.contains_key(name);
        if is_new {
            named.insert(name.to_owned(), (handler, command));
        }
        is_new
    }

    pub(super) fn find(&self, name: &[u8]) -> Option<(HandlerId, CommandFn)> {
        let named = self.named.borrow();
        let (handler, command) = named.get(std::str::from_utf8(name).ok()?)?;
        Some((*handler, Rc::clone(command)))
    }
}

/// A call of another process.
#[derive(Debug)]
pub(crate) struct Call {
    caller: ProcessKey,
    number: u64,
    sent_in: Option<TraceContext>,
    /// The length of the name, the name, what is given to it.
    message: Vec<u8>,
}

impl Call {
    /// `None`: it has no name.
    pub(super) fn read(caller: ProcessKey, number: u64, message: Vec<u8>) -> Option<Self> {
        let name = usize::from(*message.first()?);
        (name < message.len()).then_some(Self { caller, number, sent_in: None, message })
    }

    /// The same of this trace.
    pub(super) fn sent_in(self, sent_in: Option<TraceContext>) -> Self {
        Self { sent_in, ..self }
    }

    /// The trace in which it was sent.
    pub(super) const fn trace(&self) -> Option<TraceContext> {
        self.sent_in
    }

    pub(super) fn name(&self) -> &[u8] {
        self.message.get(1..self.behind_name()).unwrap_or_default()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.message.get(self.behind_name()..).unwrap_or_default()
    }

    fn behind_name(&self) -> usize {
        1 + self.message.first().map_or(0, |len| usize::from(*len))
    }
}

/// Why a command has no result.
#[derive(Debug)]
pub(super) enum CallFailure {
    NoSuchCommand,
    Failed(String),
}

/// What became of a call.
#[derive(Debug)]
pub(crate) struct CallAnswer {
    number: u64,
    /// `None`: who waits has it.
    result: Option<Result<Vec<u8>, CommandErrorKind>>,
}

impl CallAnswer {
    /// What another process has answered. `None`: it has no number.
    pub(super) fn read(mut message: Vec<u8>) -> Option<Self> {
        let (status, number) = read_reply(&message)?;
        message.drain(..REPLY_FRONT_BYTES);
        let result = match status {
            ReplyStatus::Done => Ok(message),
            ReplyStatus::NoSuchCommand => Err(CommandErrorKind::NoSuchCommand),
            ReplyStatus::Failed => {
                Err(CommandErrorKind::Failed(String::from_utf8_lossy(&message).into_owned()))
            }
        };
        Some(Self { number, result: Some(result) })
    }

    pub(super) const fn failed(number: u64, kind: MessageErrorKind) -> Self {
        Self { number, result: Some(Err(CommandErrorKind::Undelivered(kind))) }
    }

    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn into_result(self) -> Result<Vec<u8>, CommandError> {
        let result = self.result.unwrap_or(Err(CommandErrorKind::TimedOut));
        result.map_err(CommandError::from)
    }
}

/// Who wants to hear of a call.
enum Caller {
    /// A callback that waits for it.
    Waits(Option<Result<Vec<u8>, CommandErrorKind>>),
    /// This function, with this handler, at the latest when this timer is due; in this
    /// trace.
    Callback(HandlerId, OnReply, u64, Option<TraceContext>),
}

/// The calls of this process that were not answered.
#[derive(Default)]
pub(crate) struct Calls {
    /// With the process that is called: whoever lives in its slot.
    open: RefCell<HashMap<u64, (ProcessKey, Caller)>>,
}

impl Calls {
    pub(super) fn is_open(&self, number: u64) -> bool {
        self.open.borrow().contains_key(&number)
    }

    /// Whether this process is not that to which the call of this number was: its word is nothing.
    pub(super) fn is_of_another(&self, number: u64, sender: ProcessKey) -> bool {
        let open = self.open.borrow();
        open.get(&number).is_some_and(|(called, _)| called.place() != sender.place())
    }

    /// An answer has come: who waits has it now, others when its turn has come.
    pub(super) fn hear(&self, mut answer: CallAnswer) -> CallAnswer {
        if let Some((_, Caller::Waits(result))) = self.open.borrow_mut().get_mut(&answer.number)
            && result.is_none()
        {
            *result = answer.result.take();
        }
        answer
    }

    fn is_answered(&self, number: u64) -> bool {
        matches!(self.open.borrow().get(&number), Some((_, Caller::Waits(Some(_)))))
    }
}

impl WorkerContext {
    /// The message that calls a command of another process.
    fn check_call(
        &self,
        to: ProcessSlot,
        name: &str,
        bytes: &[u8],
    ) -> Result<(MessageHead, Vec<u8>), CommandErrorKind> {
        if !is_command_name(name) {
            return Err(CommandErrorKind::NoSuchCommand);
        }
        let front = call_front(name);
        let to = self.check_message(to, front.len() + bytes.len());
        let to = to.map_err(CommandErrorKind::Undelivered)?;
        let number = self.messages.next_number();
        let sent_in = self.traces.context();
        Ok((MessageHead { to, form: MessageForm::Call, number, sent_in }, front))
    }

    /// Calls a command; `on_reply` is called with what becomes of it, within `timeout`.
    pub(crate) fn call_command(
        &self,
        (to, name, bytes): (ProcessSlot, &str, &[u8]),
        timeout: Duration,
        (handler, on_reply): (HandlerId, OnReply),
        made_at: &'static Location<'static>,
    ) -> Result<(), CommandError> {
        let (head, front) = self.check_call(to, name, bytes)?;
        let number = head.number;
        let nanos = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX / 4);
        let at = clock::monotonic_ns().saturating_add(nanos);
        let over = move |handler: &mut dyn Any, worker: &Worker| {
            let caller = worker.context().calls.open.borrow_mut().remove(&number);
            match caller {
                Some((_, Caller::Callback(_, on_reply, ..))) => {
                    on_reply(handler, worker, Err(CommandErrorKind::TimedOut.into()))
                }
                _ => Ok(()),
            }
        };
        let over = (handler, timers::Callback::Once(Box::new(over)));
        let timer = self.timers.borrow_mut().add(at, 0, over, made_at);
        // First: under no circumstances comes an answer before it is known whose that is.
        let caller = Caller::Callback(handler, on_reply, timer, head.sent_in);
        self.calls.open.borrow_mut().insert(number, (head.to, caller));
        let message = MessageToSend { head, front: &front, bytes };
        self.output_checked(NO_SESSION, Output::Message(message)).map_err(|_| {
            self.calls.open.borrow_mut().remove(&number);
            self.timers.borrow_mut().cancel(timer);
            CommandErrorKind::Undelivered(MessageErrorKind::LaneFull).into()
        })
    }

    /// Who is called with the answer to this call; nobody is any more after that.
    pub(super) fn take_caller(
        &self,
        number: u64,
    ) -> Option<(HandlerId, OnReply, Option<TraceContext>)> {
        let mut open = self.calls.open.borrow_mut();
        if !matches!(open.get(&number), Some((_, Caller::Callback(..)))) {
            return None;
        }
        let Some((_, Caller::Callback(handler, on_reply, timer, trace))) = open.remove(&number)
        else {
            return None;
        };
        self.timers.borrow_mut().cancel(timer);
        Some((handler, on_reply, trace))
    }

    /// Calls a command, and waits for its result.
    pub(crate) fn wait_for_command(
        &self,
        (to, name, bytes): (ProcessSlot, &str, &[u8]),
        timeout: Duration,
    ) -> Result<Vec<u8>, CommandError> {
        let until = Instant::now().checked_add(timeout);
        let (head, front) = self.check_call(to, name, bytes)?;
        let number = head.number;
        self.calls.open.borrow_mut().insert(number, (head.to, Caller::Waits(None)));
        let waited = self.send_and_wait(MessageToSend { head, front: &front, bytes }, until);
        let caller = self.calls.open.borrow_mut().remove(&number);
        match (waited, caller) {
            (Ok(()), Some((_, Caller::Waits(Some(result))))) => Ok(result?),
            (Ok(()), _) => Err(CommandErrorKind::TimedOut.into()),
            (Err(kind), _) => Err(kind.into()),
        }
    }

    fn send_and_wait(
        &self,
        message: MessageToSend<'_>,
        until: Option<Instant>,
    ) -> Result<(), CommandErrorKind> {
        let full = |_| CommandErrorKind::Undelivered(MessageErrorKind::LaneFull);
        let sent = self.append_now(|sender, running| sender.append_for_process(message, running));
        self.publish_now();
        sent.map_err(full)?;
        loop {
            let result = self.next_answer().map_err(|_| CommandErrorKind::ServerEnds)?;
            let has_more = result.is_some();
            if let Some(result) = result {
                self.tasks.park(result);
            }
            let left = time_left(until);
            // Also if there is more: others may be told of results for ever.
            if self.calls.is_answered(message.head.number) || left.is_zero() {
                return Ok(());
            }
            if has_more {
                continue;
            }
            let slept = self.sleep_for_answer(left);
            slept.map_err(|error| CommandErrorKind::CannotWait(error.kind()))?;
        }
    }

    /// Answers a call. Who has called and cannot be told hears nothing until its time is over.
    pub(super) fn reply(&self, call: &Call, answer: Result<&[u8], CallFailure>) {
        let text;
        let (mut status, mut bytes): (_, &[u8]) = match &answer {
            Ok(bytes) => (ReplyStatus::Done, bytes),
            Err(CallFailure::NoSuchCommand) => (ReplyStatus::NoSuchCommand, &[]),
            Err(CallFailure::Failed(why)) => {
                let end = why.floor_char_boundary(FAILURE_TEXT_BYTES_MAX);
                (ReplyStatus::Failed, why.get(..end).unwrap_or_default().as_bytes())
            }
        };
        let most = self.settings.messages.max_length() - REPLY_FRONT_BYTES;
        if bytes.len() > most {
            text = format!("its result of {} bytes is longer than a message", bytes.len());
            (status, bytes) = (ReplyStatus::Failed, text.as_bytes());
        }
        let front = reply_front(status, call.number);
        let number = self.messages.next_number() | REPLY;
        let (to, form) = (call.caller, MessageForm::Reply);
        let head = MessageHead { to, form, number, sent_in: None };
        let message = MessageToSend { head, front: &front, bytes };
        if let Err(error) = self.output_checked(NO_SESSION, Output::Message(message)) {
            tracing::warn!(caller = %call.caller, %error, "the answer to a call is lost");
        }
    }
}

#[cfg(test)]
mod tests {
    use ostler_shm::record::{Header, RecordKind};

    use super::super::messages::Arrived;
    use super::*;
    use crate::test::TestServer;
    use crate::{Handler, Outcome, Package, Server, Session};

    struct Nothing;

    impl Handler for Nothing {
        fn on_receive(&mut self, _: &Worker, _: &Session, _: &Package) -> Outcome {
            Ok(())
        }
    }

    #[test]
    fn who_was_not_called_answers_nothing() {
        let server = TestServer::start(Server::builder(), |_| Nothing).unwrap();
        server.with_local(|local| {
            let (context, called) = (&local.context, ProcessKey::event(1, 0));
            context.calls.open.borrow_mut().insert(7, (called, Caller::Waits(None)));
            let arrives = |sender: ProcessKey, call: u64| {
                let port = MessageForm::Reply.code(None);
                let header = Header { cause: sender.pack(), port, ..Header::default() };
                let reply = [&reply_front(ReplyStatus::Done, call)[..], b"sum"].concat();
                context.park(RecordKind::Message, &header, reply);
                context.take_arrived().unwrap()
            };
            let arrived = arrives(ProcessKey::event(2, 1), 7);
            assert!(matches!(arrived, Arrived::Skipped), "{arrived:?}");
            assert!(context.calls.is_open(7) && !context.calls.is_answered(7));
            let arrived = arrives(ProcessKey::event(2, 1), 8);
            assert!(matches!(arrived, Arrived::Reply(_)), "nobody waits for it: {arrived:?}");
            let arrived = arrives(ProcessKey::event(1, 3), 7);
            assert!(matches!(arrived, Arrived::Reply(_)), "whoever lives there: {arrived:?}");
            assert!(context.calls.is_answered(7));
        });
    }

    #[test]
    fn calls_and_answers_are_read_as_they_were_written() {
        let caller = ProcessKey::event(1, 1);
        let call = Call::read(caller, 7, b"\x04namepayload".to_vec()).unwrap();
        assert_eq!((call.name(), call.bytes()), (&b"name"[..], &b"payload"[..]));
        assert!(Call::read(caller, 7, Vec::new()).is_none());
        assert!(Call::read(caller, 7, b"\x04nam".to_vec()).is_none());
        let answer = [&reply_front(ReplyStatus::Done, 7)[..], b"sum"].concat();
        let answer = CallAnswer::read(answer).unwrap();
        assert_eq!((answer.number(), answer.into_result().unwrap()), (7, b"sum".to_vec()));
        let unknown =
            CallAnswer::read(reply_front(ReplyStatus::NoSuchCommand, 7).to_vec()).unwrap();
        assert!(unknown.into_result().unwrap_err().is_no_such_command());
        assert!(CallAnswer::read(vec![0; 8]).is_none());
    }
}
