//! Commands whose work a timer or another thread does, without a delivery.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use ostler::Worker;

use crate::Probe;
use crate::process::phase;
use crate::words::{Call, outcome, pattern, say, wait_for_file};

/// Carries a command of this topic out; `false`: it is of another one.
pub(crate) fn run(probe: &Probe, call: &mut Call<'_>, word: &str) -> bool {
    let worker = call.worker;
    let rest = &mut call.arguments;
    match word {
        "after" => {
            let (delay, session, text) = (rest.millis(), call.session.clone(), rest.rest());
            worker.after::<Probe>(delay, move |_, _| {
                say(&session, &text);
                Ok(())
            });
        }
        "every" => every(call),
        // A big message that belongs to no delivery.
        "afterbig" => {
            let (delay, size, session) = (rest.millis(), rest.size(), call.session.clone());
            worker.after::<Probe>(delay, move |_, _| {
                let _ = session.send(&pattern(size));
                Ok(())
            });
        }
        // A timer whose callback takes longer than its period.
        "busyevery" => {
            let (period, work) = (rest.millis(), rest.millis());
            let timer = worker.every::<Probe>(period, move |_, _| {
                std::thread::sleep(work);
                Ok(())
            });
            probe.timers.borrow_mut().push(timer);
            call.say("busy");
        }
        "canceltimers" => {
            let timers = std::mem::take(&mut *probe.timers.borrow_mut());
            let cancelled = timers.into_iter().filter(|timer| worker.cancel(*timer)).count();
            call.say(format!("cancelled {cancelled}"));
        }
        // A timer that adds the next one, for ever.
        "rearm" => {
            rearm(worker, rest.millis());
            call.say("armed");
        }
        // The phase words of this process when this handler is over.
        "phaselater" => {
            let session = call.session.clone();
            worker.after::<Probe>(Duration::ZERO, move |_, _| {
                say(&session, phase());
                Ok(())
            });
        }
        "panictimer" => {
            worker.after::<Probe>(rest.millis(), |_, _| panic!("told to panic in a timer"));
        }
        "remote" => remote(call),
        "tell" => tell(call),
        _ => return false,
    }
    true
}

/// Sends N times and cancels itself.
fn every(call: &mut Call<'_>) {
    let rest = &mut call.arguments;
    let (period, count) = (rest.millis(), rest.number());
    let (session, text) = (call.session.clone(), rest.rest());
    let state = Rc::new(RefCell::new((0, None)));
    let shared = Rc::clone(&state);
    let timer = call.worker.every::<Probe>(period, move |_, worker| {
        let mut state = shared.borrow_mut();
        state.0 += 1;
        say(&session, format!("{} {text}", state.0));
        if state.0 == count
            && let Some(timer) = state.1
        {
            say(&session, format!("cancelled {}", worker.cancel(timer)));
            say(&session, format!("cancelled {}", worker.cancel(timer)));
        }
        Ok(())
    });
    state.borrow_mut().1 = Some(timer);
}

/// `tell FILE ID`: when the file is there this worker does to that session what it can, without a
/// delivery, and notes what came of it.
fn tell(call: &mut Call<'_>) {
    let (file, id) = (call.arguments.word().to_owned(), call.arguments.number());
    let remote = call.worker.remote::<Probe>();
    call.say("waits");
    std::thread::spawn(move || {
        wait_for_file(file);
        let _ = remote.post(move |me, worker| {
            let session = worker.session(id);
            let told = [
                session.send(b"hello\n"),
                session.bind(9),
                session.set_state(b"said"),
                session.join("late"),
                session.leave("early"),
            ];
            me.note(worker, format!("told {}", told.map(outcome).join(" ")));
        });
    });
}

/// Waits in a thread of its own, and answers by the way into this worker from there: N times, in
/// order.
fn remote(call: &mut Call<'_>) {
    let rest = &mut call.arguments;
    let (remote, id) = (call.worker.remote::<Probe>(), call.session.id());
    let (delay, count, text) = (rest.millis(), rest.number(), rest.rest());
    std::thread::spawn(move || {
        std::thread::sleep(delay);
        for number in 0..count {
            let line = format!("{number} {text}");
            let _ = remote.post(move |me, worker| {
                me.note(worker, format!("posted {line}"));
                say(&worker.session(id), line);
            });
        }
    });
}

/// A one-shot timer that adds the next one.
fn rearm(worker: &Worker, period: Duration) {
    worker.after::<Probe>(period, move |_, worker| {
        rearm(worker, period);
        Ok(())
    });
}
