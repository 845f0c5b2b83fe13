//! Workers that have not left in time: before they are killed they are asked what holds them, and
//! for the stack of the callback that runs, if one does. For a moment only: what they answer is for
//! whoever mends the program, and changes nothing about their end.

use std::collections::HashMap;

use ostler_core::Millis;
use ostler_core::ids::ProcessKey;

use super::asked::{Asked, Requests};
use super::case::Stack;
use super::lateness::Measure;
use super::outside;
use crate::control::{ShortText, ToWorker};
use crate::manager::children::{Child, Children};

/// How long a worker is waited for that was asked.
const ANSWER_MAX_MS: Millis = 100;
/// What holds a worker is heard of so much.
const HOLDERS_MAX: usize = 16;

/// One worker that is about to be killed.
#[derive(Debug)]
struct LastLook {
    until: Millis,
    /// A callback runs: its stack was asked for.
    asked: Option<Asked>,
    stack: Option<Stack>,
    holders: Vec<ShortText>,
    /// All was said, and there were so many more.
    more: Option<u32>,
    is_killed: bool,
}

/// What is known of one that was killed.
#[derive(Debug)]
pub(super) struct Held {
    /// What it had said; empty: nothing.
    pub(super) by: String,
    pub(super) stack: Stack,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Overdue(HashMap<ProcessKey, LastLook>);

impl Overdue {
    /// Asks a worker.
    pub(super) fn ask(
        &mut self,
        key: ProcessKey,
        child: &Child,
        now: Millis,
        requests: &mut Requests,
    ) {
        let until = now.saturating_add(ANSWER_MAX_MS);
        let asked = child.running().map(|seen| requests.ask(child, seen, until, now));
        if let Some(control) = &child.control {
            // One that does not listen is killed without having answered.
            let _ = ToWorker::WhatHolds.send(control);
        }
        let (holders, stack, more, is_killed) = (Vec::new(), None, None, false);
        self.0.insert(key, LastLook { until, asked, stack, holders, more, is_killed });
    }

    /// It says one thing that holds it.
    pub(super) fn on_holder(&mut self, key: ProcessKey, holder: ShortText) {
        if let Some(look) = self.0.get_mut(&key).filter(|look| look.holders.len() < HOLDERS_MAX) {
            look.holders.push(holder);
        }
    }

    /// That was all, besides so many.
    pub(super) fn on_last_holder(&mut self, key: ProcessKey, more: u32) {
        if let Some(look) = self.0.get_mut(&key) {
            look.more = Some(more);
        }
    }

    pub(super) fn due(&self) -> Option<Millis> {
        let waiting = self.0.values().filter(|look| !look.is_killed);
        let due = waiting.map(|look| match &look.asked {
            _ if look.more.is_some() => 0,
            Some(asked) if look.stack.is_none() => asked.look_at().min(look.until),
            _ => look.until,
        });
        due.min()
    }

    /// Takes the answers; who has given them, or not in time, is killed.
    pub(super) fn run_due(&mut self, now: Millis, children: &Children) -> Vec<Measure> {
        let mut measures = Vec::new();
        for (key, look) in self.0.iter_mut().filter(|(_, look)| !look.is_killed) {
            let Some(child) = children.get(*key) else { continue };
            if let Some(asked) = look.asked.as_mut().filter(|asked| asked.look_at() <= now) {
                look.stack = look.stack.take().or_else(|| asked.answer(child, now));
            }
            // Whoever runs a callback cannot say anything else.
            if look.stack.is_some() || look.more.is_some() || now >= look.until {
                look.is_killed = true;
                let is_silent = look.stack.is_none() && look.more.is_none();
                let from_outside = || outside::capture(child.pid);
                if let Some(seen) = is_silent.then(from_outside) {
                    look.stack = Some(seen.map_or_else(Stack::Missing, Stack::Captured));
                }
                measures.push(Measure::End(*key));
            }
        }
        measures
    }

    /// It was reaped: what is known of why it stayed.
    pub(super) fn on_death(&mut self, key: ProcessKey) -> Option<Held> {
        let look = self.0.remove(&key)?;
        let mut by: Vec<String> = look.holders.iter().map(ShortText::to_string).collect();
        if let Some(more @ 1..) = look.more {
            by.push(format!("{more} more"));
        }
        let none = || Stack::Missing("no callback was running".to_owned());
        Some(Held { by: by.join("; "), stack: look.stack.unwrap_or_else(none) })
    }
}
