//! Commands that defer their package, and those that use what is held.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use ostler::{Deferred, Worker};

use crate::Probe;
use crate::words::{Call, outcome, pattern, wait_for_file};

/// Carries a command of this topic out; `false`: it is of another one.
pub(crate) fn run(probe: &Probe, call: &mut Call<'_>, word: &str) -> bool {
    later(probe, call, word) || held(probe, call, word)
}

/// What a timer or a thread finishes.
fn later(probe: &Probe, call: &mut Call<'_>, word: &str) -> bool {
    let (worker, package) = (call.worker, call.package);
    let rest = &mut call.arguments;
    match word {
        "defer" => {
            let delay = rest.millis();
            answer_later(worker, delay, package.defer(), rest.rest());
            if package.defer().is_some() {
                call.say("deferred twice");
            }
        }
        // Sends before it defers and after.
        "senddefer" => {
            call.say("first");
            let delay = call.arguments.millis();
            answer_later(worker, delay, package.defer(), call.arguments.rest());
        }
        // Is finished without an answer.
        "deferdrop" => {
            drop(package.defer());
            call.say("dropped");
        }
        "deferbig" => {
            let (delay, size) = (rest.millis(), rest.size());
            when(worker, delay, package.defer(), move |mut deferred| {
                let _ = deferred.send(&pattern(size));
            });
        }
        // A timer sends something, and holds it.
        "holdbig" => {
            let (delay, size) = (rest.millis(), rest.size());
            let held = Rc::clone(&probe.deferred);
            when(worker, delay, package.defer(), move |mut deferred| {
                let _ = deferred.send(&pattern(size));
                held.borrow_mut().push(deferred);
            });
        }
        "deferclose" => when(worker, rest.millis(), package.defer(), |mut deferred| {
            let _ = deferred.set_state(b"closing");
            let _ = deferred.send(b"bye\n");
            let _ = deferred.close();
            deferred.finish();
        }),
        // The timer panics while it holds the deferred package.
        "deferpanic" => {
            let again = package.is_redelivered();
            when(worker, rest.millis(), package.defer(), move |mut deferred| {
                assert!(again, "told to panic with a deferred package");
                let _ = deferred.send(b"second time\n");
            });
        }
        "deferthread" => answer_from_a_thread(call),
        _ => return false,
    }
    true
}

/// What is finished when another command says so.
fn held(probe: &Probe, call: &mut Call<'_>, word: &str) -> bool {
    let package = call.package;
    let rest = &mut call.arguments;
    match word {
        // Is finished by the death of the process only.
        "hold" => probe.deferred.borrow_mut().extend(package.defer()),
        // Answers everything that is held, as outputs of those deliveries.
        "release" => {
            let held = std::mem::take(&mut *probe.deferred.borrow_mut());
            for mut deferred in held {
                let _ = deferred.send(format!("released {}\n", rest.rest()).as_bytes());
            }
            call.say("ok");
        }
        // The same to the one who asks, in the order in which they were held.
        "releasehere" => {
            let held = std::mem::take(&mut *probe.deferred.borrow_mut());
            for (index, mut deferred) in held.into_iter().enumerate() {
                let _ = deferred.send_to(call.session.id(), format!("{index}\n").as_bytes());
            }
        }
        // Is held, and sends all the same: not by its token.
        "holdsend" => {
            probe.deferred.borrow_mut().extend(package.defer());
            call.say(call.arguments.rest());
        }
        // Everything that is held sends; this delivery has sent already, or waits then for a file.
        "heldflood" => {
            let (count, size) = (rest.number(), rest.size());
            call.say("begin");
            call.say(flood(probe, count, size));
        }
        "heldfarewell" => farewell(probe, call),
        "helduntil" => {
            let (path, size) = (rest.word(), rest.size());
            let _ = flood(probe, 1, size);
            wait_for_file(path);
            call.say("end");
        }
        // Waits for the file, floods its own session by its token, and is finished.
        "stalleddefer" => {
            wait_for_file(rest.word());
            probe.deferred.borrow_mut().extend(package.defer());
            let (count, size) = (rest.number(), rest.size());
            let result = flood(probe, count, size);
            probe.note(call.worker, format!("flooded {result}"));
            probe.deferred.borrow_mut().clear();
        }
        _ => return false,
    }
    true
}

/// Sends messages by every token that is held.
fn flood(probe: &Probe, count: u64, size: usize) -> String {
    let bytes = pattern(size);
    let (mut ok, mut full, mut other) = (0, 0, 0);
    for deferred in probe.deferred.borrow_mut().iter_mut() {
        for _ in 0..count {
            match outcome(deferred.send(&bytes)) {
                "ok" => ok += 1,
                "full" => full += 1,
                _ => other += 1,
            }
        }
    }
    format!("ok {ok} full {full} other {other}")
}

/// Everything that is held sends until it is refused, closes its session, and tries once more.
fn farewell(probe: &Probe, call: &Call<'_>) {
    call.say("begin");
    for held in &mut *probe.deferred.borrow_mut() {
        let filled = loop {
            match outcome(held.send(&pattern(1_000))) {
                "ok" => {}
                other => break other,
            }
        };
        // Those are as small as a close.
        while held.set_state(b"").is_ok() {}
        let closed = outcome(held.close());
        let late = held.send(b"late");
        let why = late.err().and_then(|error| error.gone_because()).unwrap_or("-");
        call.say(format!("{filled} {closed} {why}"));
    }
    probe.deferred.borrow_mut().clear();
}

/// Answers a deferred package by a timer.
fn answer_later(worker: &Worker, delay: Duration, deferred: Option<Deferred>, text: String) {
    when(worker, delay, deferred, move |mut deferred| {
        let _ = deferred.send(format!("{text}\n").as_bytes());
    });
}

/// A timer does this with a deferred package.
fn when(
    worker: &Worker,
    delay: Duration,
    deferred: Option<Deferred>,
    act: impl Fn(Deferred) + 'static,
) {
    let held = RefCell::new(deferred);
    worker.after::<Probe>(delay, move |_, _| {
        if let Some(deferred) = held.borrow_mut().take() {
            act(deferred);
        }
        Ok(())
    });
}

/// Is answered by another thread: so many lines after a while. With 0 lines the thread panics.
fn answer_from_a_thread(call: &mut Call<'_>) {
    let rest = &mut call.arguments;
    let (delay, count, text) = (rest.millis(), rest.number(), rest.rest());
    let Some(mut deferred) = call.package.defer() else { return };
    std::thread::spawn(move || {
        std::thread::sleep(delay);
        assert!(count > 0, "told to panic with a deferred package");
        for number in 0..count {
            while deferred
                .send(format!("{number} {text}\n").as_bytes())
                .is_err_and(|error| error.is_full())
            {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    });
}
