//! The thread of a reactor that accepts its clients itself, because it is the only one: nobody has
//! to be woken to hand them over.

use std::io;
use std::time::Duration;

use ostler_core::ids::PortId;
use ostler_core::invariant;

use super::accepting::{Accepting, ListenerSet};
use super::ports::ListeningPort;
use crate::reactor::Reactor;
use crate::reactor::event_loop::Flow;
use crate::sys::clock;
use crate::sys::epoll::Interest;

/// Numbers of listeners among what a thread watches with its reactor; that of the first port.
const LISTENERS: u32 = 16;

/// The number of a port's listener among what a thread watches with its reactor.
const fn number_of(port: PortId) -> u32 {
    LISTENERS + port.0 as u32
}

/// The port whose listener has this number.
pub(crate) fn port_of(number: u32) -> Option<PortId> {
    u16::try_from(number.checked_sub(LISTENERS)?).ok().map(PortId)
}

impl ListenerSet for Reactor {
    fn add(&self, port: &ListeningPort, interest: Interest) -> io::Result<()> {
        self.watch(port, number_of(port.id()), interest)
    }

    fn modify(&self, port: &ListeningPort, interest: Interest) -> io::Result<()> {
        self.watch_for(port, number_of(port.id()), interest)
    }

    fn remove(&self, port: &ListeningPort) {
        self.unwatch(port);
    }
}

/// The life of the thread.
pub(super) fn run(mut reactor: Reactor, accepting: Accepting) {
    let mut accepting = Some(accepting);
    let mut events = Reactor::events();
    let mut more = false;
    while reactor.sleep(&mut events, more, rest(accepting.as_ref())) == Flow::GoOn {
        if reactor.begin_turn(&events) == Flow::Stop {
            break;
        }
        if reactor.is_ending() || reactor.is_out_of_charge() {
            end(&reactor, accepting.take());
        }
        if let Some(accepting) = &mut accepting {
            accept(&mut reactor, accepting);
        }
        more = reactor.end_turn();
        if let Some(accepting) = &mut accepting {
            accepting.resume_when_freed(&reactor);
            reactor.note_accepting(accepting.counts());
        }
    }
    end(&reactor, accepting);
}

/// How long accepting has nothing to do by the clock.
fn rest(accepting: Option<&Accepting>) -> Option<Duration> {
    let due = accepting.and_then(Accepting::due)?;
    Some(Duration::from_millis(due.saturating_sub(clock::monotonic_ms())))
}

fn end(reactor: &Reactor, accepting: Option<Accepting>) {
    if let Some(accepting) = accepting {
        accepting.end(reactor);
    }
}

fn accept(reactor: &mut Reactor, accepting: &mut Accepting) {
    if !accepting.is_open()
        && reactor.is_in_charge()
        && let Err(error) = accepting.begin(reactor)
    {
        reactor.report_failure(error);
    }
    for number in reactor.take_outside() {
        let Some(port) = port_of(number) else {
            invariant!(false, "what this thread watches has a number");
            continue;
        };
        accepting.accept(port, clock::monotonic_ms(), reactor);
        accepting.accepted_for(0).for_each(|accepted| reactor.accepted(accepted));
    }
    if accepting.due().is_some() {
        accepting.run_due(clock::monotonic_ms(), reactor);
    }
}
