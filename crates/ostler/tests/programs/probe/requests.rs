//! Commands about the time that a request has.

use std::path::PathBuf;
use std::time::Duration;

use crate::Probe;
use crate::words::Call;

/// Carries a command of this topic out; `false`: it is of another one.
pub(crate) fn run(_: &Probe, call: &mut Call<'_>, word: &str) -> bool {
    let session = call.session;
    let rest = &mut call.arguments;
    match word {
        "left" => call.say(left(session.time_left())),
        // Has so much time from now on, and then takes so much.
        "take" => {
            let granted = session.set_time_left(rest.millis());
            std::thread::sleep(rest.millis());
            call.say(format!("took of {}", left(granted)));
        }
        // Works until it is late.
        "untillate" => {
            while !session.is_late() {
                std::hint::spin_loop();
            }
            call.say("late");
        }
        // Works until nobody waits for it, and leaves a file.
        "untilgone" => {
            let path = PathBuf::from(rest.word());
            while !session.peer_gone() {
                std::thread::sleep(Duration::from_millis(1));
            }
            let _ = std::fs::write(path, "");
        }
        _ => return false,
    }
    true
}

/// A time in seconds, as nobody knows it to the millisecond.
fn left(time: Option<Duration>) -> String {
    time.map_or("none".to_owned(), |time| format!("{} s", time.as_secs_f64().round()))
}
