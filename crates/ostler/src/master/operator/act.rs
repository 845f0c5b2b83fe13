//! What is done for operators.

use std::fmt::Display;
use std::time::{Duration, SystemTime};

use ostler_core::Millis;
use ostler_core::ids::{ProcessKind, Slot};
use ostler_core::messages::form::{MessageForm, call_front};
use ostler_core::shutdown;
use ostler_core::supervisor::ReloadOutcome;
use serde_json::{Value, json};

use super::answers::{self, done, refused};
use super::peers::Who;
use super::request::{Call, Request};
use crate::api::statistics::{ProcessStatistics, Statistics, TimeStatistics};
use crate::control::{Asker, ToManager};
use crate::log;
use crate::master::event_loop::Master;
use crate::options::Mode;
use crate::reactor::mailbox::ToReactor;
use crate::statistics::roster::{Row, Times};
use crate::sys::{clock, process};

impl Master {
    /// Does what an operator asks for. `None`: it is answered later.
    pub(super) fn answer_operator(
        &mut self,
        number: u64,
        line: &[u8],
        who: Who,
        now: Millis,
    ) -> Option<String> {
        let request = match Request::parse(line) {
            Ok(request) => request,
            Err(why) => return Some(refused(&why)),
        };
        self.note_operator(&request, who);
        match request {
            Request::Help => Some(answers::help()),
            Request::Status => Some(done(self.status())),
            Request::Stats => Some(done(self.statistics().to_value())),
            Request::Processes => Some(done(self.processes())),
            Request::Times => Some(done(self.times())),
            Request::Check => Some(match self.statistics().check() {
                Ok(()) => done("the books balance"),
                Err(imbalance) => refused(&imbalance),
            }),
            Request::Reopen => Some(match log::reopen() {
                Ok(()) => done("the log file is open anew"),
                Err(error) => refused(&format!("lines go to the old file: {error}")),
            }),
            Request::Workers(workers) => Some(self.resize_for_operator(workers)),
            Request::Stop => {
                self.on_shutdown(shutdown::Event::Requested, now);
                Some(done("the server ends"))
            }
            Request::Reload(kind) => self.reload_for_operator(number, kind),
            Request::Succeed => self.succeed_for_operator(number, who, now),
            Request::Call(call) => self.call_for_operator(number, &call, now),
        }
    }

    /// What changes something is told, with who has asked.
    fn note_operator(&self, request: &Request<'_>, who: Who) {
        let (pid, uid) = (who.pid, who.uid);
        match request {
            Request::Reload(_)
            | Request::Succeed
            | Request::Workers(_)
            | Request::Reopen
            | Request::Stop => {
                tracing::info!(?request, pid, uid, "an operator asks");
            }
            Request::Call(Call { to, name, .. }) => {
                let to = to.slot_name();
                tracing::info!(to, name, pid, uid, "an operator calls a command");
            }
            _ => tracing::debug!(?request, pid, uid, "an operator asks"),
        }
    }

    fn statistics(&self) -> Statistics {
        Statistics::new(self.figures.read())
    }

    fn status(&self) -> Value {
        let ports = self.ports.iter().map(|port| (port.name().to_owned(), json!(port.to_string())));
        let started = SystemTime::now().duration_since(self.figures.started_at());
        let uptime = started.unwrap_or(Duration::ZERO).as_millis();
        json!({
            "name": self.name,
            "version": env!("CARGO_PKG_VERSION"),
            "pid": process::current().get(),
            "phase": self.phase(),
            "mode": match self.options.mode { Mode::Process => "process", Mode::Base => "base" },
            "ports": Value::Object(ports.collect()),
            "workers": self.size.wanted(),
            "connections": self.open_connections(),
            "uptime_ms": u64::try_from(uptime).unwrap_or(u64::MAX),
        })
    }

    /// What this master is at, in a word.
    fn phase(&self) -> &'static str {
        if self.shutdown.has_begun() {
            "ends"
        } else if self.succeeding.has_left() {
            "leaves"
        } else if self.boot_deadline.is_some() {
            "starts"
        } else {
            "serves"
        }
    }

    fn processes(&self) -> Value {
        let all = ProcessStatistics::all(self.figures.roster());
        all.iter().map(ProcessStatistics::to_value).collect()
    }

    fn times(&self) -> Value {
        let roster = self.figures.roster();
        let of_row = |row| TimeStatistics::from(Times::of_row(roster, row)).to_value();
        let ports = (0_u16..).zip(self.ports.iter());
        let ports = ports.map(|(number, port)| (port.name().to_owned(), of_row(Row::Port(number))));
        let processes = ProcessStatistics::all(roster);
        let slots = processes.into_iter().map(|process| {
            let times = TimeStatistics::from(Times::of_slot(roster, process.slot.key()));
            (process.slot.to_string(), times.to_value())
        });
        json!({
            "ports": Value::Object(ports.collect()),
            "slots": Value::Object(slots.collect()),
            "tasks": of_row(Row::Tasks),
        })
    }

    fn resize_for_operator(&mut self, workers: u16) -> String {
        if self.shutdown.has_begun() {
            return refused("the server ends");
        }
        let now_wanted = self.set_workers(workers, "an operator");
        let (min, max) = self.size.limits();
        if now_wanted == workers {
            return done(json!({ "workers": workers }));
        }
        refused(&format!(
            "there are to be {now_wanted} workers: their number is between workers_min and \
             workers_max ({min} to {max}), and fixed with mode = base"
        ))
    }

    fn reload_for_operator(&mut self, number: u64, kind: ProcessKind) -> Option<String> {
        if self.shutdown.has_begun() {
            return Some(refused("the server ends"));
        }
        let too_many = || refused("as many operators as there can be wait for a reload already");
        let operators = self.operators.as_mut()?;
        if kind != ProcessKind::Event {
            let Some(ticket) = operators.ask_for_renewal(kind) else { return Some(too_many()) };
            operators.peers.wait_for_renewal(number, (kind, ticket), &self.epoll);
            self.send(&ToManager::Renew { kind, ticket }, Vec::new());
            return None;
        }
        let ticket = operators.next_ticket();
        if !self.reload(Asker::Operator { ticket }) {
            return Some(too_many());
        }
        self.operators.as_mut()?.peers.wait_for_reload(number, ticket, &self.epoll);
        None
    }

    /// A new manager has heard of nothing that was asked for.
    pub(in crate::master) fn ask_for_renewals_anew(&mut self) {
        let Some(operators) = &mut self.operators else { return };
        for (kind, ticket) in operators.renewals_anew() {
            self.send(&ToManager::Renew { kind, ticket }, Vec::new());
        }
    }

    fn succeed_for_operator(&mut self, number: u64, who: Who, now: Millis) -> Option<String> {
        if let Some(why) = self.why_nobody_else_succeeds() {
            return Some(refused(&why));
        }
        self.operators.as_mut()?.peers.wait_for_succession(number, &self.epoll);
        if let Err(why) = self.ask_for_succession(who.pid, now) {
            return Some(refused(&format!("no new master is started: {why}")));
        }
        None
    }

    /// A new master has taken over, or has not: an operator may wait for that.
    pub(in crate::master) fn operators_hear_of_succession(
        &mut self,
        became: Result<i32, &dyn Display>,
        now: Millis,
    ) {
        let answer = match became {
            Ok(pid) => done(json!({ "pid": pid, "connections": self.open_connections() })),
            Err(why) => refused(&format!("the new master did not take over: {why}")),
        };
        let Some(operators) = &mut self.operators else { return };
        if let Some(number) = operators.peers.who_succeeds() {
            // What else it has asked comes in another turn: a new master can fail while it is asked
            // for, and a line of such requests must not become as many calls within each other.
            operators.peers.answer(number, answer);
            operators.peers.flush(number, &self.epoll, now);
        }
    }

    /// A reload has ended, for which an operator may wait.
    pub(in crate::master) fn operators_hear_of_reload(
        &mut self,
        kind: ProcessKind,
        tickets: &[u32],
        (outcome, why): (ReloadOutcome, &str),
        slots: &[(Slot, bool)],
    ) {
        let answer = answers::of_reload(kind, outcome, why, slots);
        for ticket in tickets {
            let Some(operators) = &self.operators else { return };
            if let Some(number) = operators.peers.who_reloads(*ticket) {
                self.answer_later(number, answer.clone(), clock::monotonic_ms());
            }
        }
    }

    fn call_for_operator(&mut self, number: u64, call: &Call<'_>, now: Millis) -> Option<String> {
        let message = [&call_front(call.name), call.bytes].concat();
        if message.len() > self.options.message_max_length {
            return Some(refused("that is longer than a message (message_max_length)"));
        }
        let operators = self.operators.as_mut()?;
        let Some(switch) = self.mailboxes.first() else {
            return Some(refused("this server has no messages between processes"));
        };
        let number = operators.peers.wait_for_call(number, &self.epoll, now);
        let form = MessageForm::Call.code(None);
        switch.push(ToReactor::Call { number, to: call.to, form, message });
        None
    }

    /// Tells the switch which calls nobody waits for any more.
    pub(super) fn forget_calls(&mut self) {
        let Some(operators) = &mut self.operators else { return };
        let forgotten = operators.peers.take_forgotten();
        if let Some(switch) = self.mailboxes.first() {
            switch.push_all(forgotten.into_iter().map(ToReactor::ForgetCall));
        }
    }
}
