//! Packages that kill their workers: found from what reactors and manager say, kept, and held
//! against their senders.

use std::sync::PoisonError;

use ostler_core::Millis;
use ostler_core::addresses::AddressGroup;
use ostler_core::ids::{PortId, ProcessKey};
use ostler_core::inquest::Inquests;

use super::event_loop::Master;
use super::quarantine::{Quarantine, Store};
use crate::control::{DyingCallback, ShortText};
use crate::error::{Error, Result};
use crate::options::Options;
use crate::reactor::mailbox::ToReactor;
use crate::reactor::suspects::Suspect;

/// What the master knows of them.
#[derive(Debug)]
pub(super) struct Poison {
    inquests: Inquests<Box<Suspect>, Verdict>,
    /// What the manager has said of a death that it tells next.
    cause: Option<(ProcessKey, ShortText)>,
    callback: Option<DyingCallback>,
    quarantine: Option<Quarantine>,
    /// How many workers an address may cost, by the numbers of the ports; 0 = any number.
    deaths_max: Vec<u32>,
}

/// How a worker died.
type Verdict = (DyingCallback, ShortText);

impl Poison {
    /// `None`: nobody asks. Starts the thread that keeps packages, if they are kept.
    ///
    /// # Errors
    /// When the system has no thread.
    pub(super) fn new(options: &Options, store: Option<Store>) -> Result<Option<Self>> {
        let quarantine = store.map(Quarantine::start).transpose();
        let quarantine =
            quarantine.map_err(|error| Error::start("cannot start a thread", Some(error)))?;
        Ok(options.seeks_culprits().then(|| Self {
            inquests: Inquests::new(usize::from(options.reactors)),
            cause: None,
            callback: None,
            quarantine,
            deaths_max: options
                .ports()
                .iter()
                .map(|port| port.options.worker_deaths_per_address)
                .collect(),
        }))
    }
}

impl Master {
    /// Why a process died whose death is told next.
    pub(super) fn poison_notes_cause(&mut self, key: ProcessKey, cause: ShortText) {
        if let Some(poison) = &mut self.poison {
            poison.cause = Some((key, cause));
        }
    }

    /// In which callback.
    pub(super) fn poison_notes_callback(&mut self, callback: DyingCallback) {
        if let Some(poison) = &mut self.poison {
            poison.callback = Some(callback);
        }
    }

    /// A reactor has settled what it had given to a dead worker.
    pub(super) fn poison_settled(
        &mut self,
        key: ProcessKey,
        suspect: Option<(u64, Box<Suspect>)>,
        now: Millis,
    ) {
        let Some(poison) = &mut self.poison else { return };
        let found = poison.inquests.settled(key, suspect);
        self.poison_found(found, now);
    }

    /// The manager has told the death.
    pub(super) fn poison_hears_of_death(&mut self, key: ProcessKey, now: Millis) {
        let Some(poison) = &mut self.poison else { return };
        let cause = poison.cause.take().filter(|(of, _)| *of == key);
        let callback = poison.callback.take().filter(|callback| callback.worker == key);
        let cause = cause.map_or(ShortText::new(""), |(_, cause)| cause);
        let verdict = callback.map(|callback| (callback.session, (callback, cause)));
        let found = poison.inquests.died(key, verdict);
        self.poison_found(found, now);
    }

    /// A process is gone, and its manager with it.
    pub(super) fn poison_forgets(&mut self, key: ProcessKey) {
        if let Some(poison) = &mut self.poison {
            poison.inquests.forget(key);
        }
    }

    /// The server ends.
    pub(super) fn end_quarantine(&mut self) {
        if let Some(quarantine) = self.poison.take().and_then(|poison| poison.quarantine) {
            quarantine.end();
        }
    }

    fn poison_found(&mut self, found: Option<(Box<Suspect>, Verdict)>, now: Millis) {
        let (Some((suspect, (callback, cause))), Some(poison)) = (found, &mut self.poison) else {
            return;
        };
        let address = suspect.peer.and_then(|peer| peer.ip()).filter(|_| suspect.is_address_known);
        if let Some(quarantine) = &mut poison.quarantine {
            let ports = &self.ports;
            let port = ports.iter().nth(usize::from(suspect.port.0)).map_or("", |it| it.name());
            quarantine.keep(*suspect, port, callback, cause);
        }
        if let Some(address) = address.filter(|_| callback.by_itself) {
            self.address_has_killed(address.into(), now);
        }
    }

    /// A package of this address has killed a worker. Where that is one too many, its sessions end;
    /// reactors look at its connections themselves.
    fn address_has_killed(&self, group: AddressGroup, now: Millis) {
        let Some(poison) = &self.poison else { return };
        if poison.deaths_max.iter().all(|most| *most == 0) {
            return;
        }
        let deaths = &self.reports.address_deaths;
        let deaths = deaths.lock().unwrap_or_else(PoisonError::into_inner).count(group, now);
        for (number, most) in poison.deaths_max.iter().enumerate() {
            let Ok(port) = u16::try_from(number).map(PortId) else { continue };
            if *most > 0 && deaths >= *most {
                self.tell_all(|| ToReactor::CloseAddress { port, group });
            }
        }
    }
}
