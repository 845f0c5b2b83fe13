//! The handler. Every behaviour takes the same way through it, so that figures of different
//! handlers can be compared: what differs is only what the behaviour says.

use std::fs::File;
use std::io::Write as _;
use std::thread::sleep;
use std::time::Duration;

use ostler::{Handler, Outcome, Package, Packet, SendError, Session, Task, Worker, Writer};

use crate::behaviour::Behaviour;
use crate::orders::obey;

/// While this file exists no worker starts: "broken new code", for tests of the reload.
const FAIL_START: &str = "ECHO_FAIL_START_IF_EXISTS";

/// The group of [`Behaviour::Broadcast`].
const EVERYBODY: &str = "everybody";

/// Each byte of an answer that is made up is its place modulo this, which divides no size of a
/// buffer: bytes that are lost or doubled show.
const PERIOD: usize = 251;
/// How long a task is waited for.
const TASK_PATIENCE: Duration = Duration::from_secs(20);

/// One worker's handler.
#[derive(Debug)]
pub(crate) struct Echo {
    behaviour: Behaviour,
    /// Packages of this process.
    seen: u64,
    reply: Vec<u8>,
    /// What is sent by [`Behaviour::Sendfile`].
    file: Option<File>,
}

impl Echo {
    pub(crate) fn new(behaviour: Behaviour) -> Self {
        let len = match behaviour {
            Behaviour::BigReply(len) => len,
            Behaviour::Stream(_) | Behaviour::Sendfile(_) => PERIOD * 1024,
            _ => 0,
        };
        let reply = (0..len).map(|index| (index % PERIOD) as u8).collect();
        Self { behaviour, seen: 0, reply, file: None }
    }

    /// The file that is sent, which has no name.
    fn make_file(&self, len: usize) -> std::io::Result<File> {
        let path = std::env::temp_dir().join(format!("ostler-echo-sent-{}", std::process::id()));
        let mut file = File::options().read(true).write(true).create_new(true).open(&path)?;
        std::fs::remove_file(&path)?;
        let mut left = len;
        while left > 0 {
            let some = self.reply.get(..left).unwrap_or(&self.reply);
            file.write_all(some)?;
            left -= some.len();
        }
        Ok(file)
    }

    /// Sends what is left of a message of this length behind its first `sent` bytes: now what there
    /// is room for, and the rest when there is more.
    fn stream(&mut self, mut sent: usize, len: usize, mut writer: Writer) -> Outcome {
        while sent < len {
            let place = sent % PERIOD;
            let bytes = self.reply.get(place..).unwrap_or_default();
            let taken = writer.write(bytes.get(..len - sent).unwrap_or(bytes))?;
            if taken == 0 {
                writer.on_writable(move |me: &mut Self, _, writer| me.stream(sent, len, writer));
                return Ok(());
            }
            sent += taken;
        }
        Ok(writer.finish()?)
    }
}

impl Echo {
    /// What a package, or a datagram, is answered with.
    fn answer<'a>(&'a mut self, package: &'a [u8]) -> &'a [u8] {
        self.seen += 1;
        match &self.behaviour {
            // What is deferred, or goes through a task worker, is answered elsewhere.
            Behaviour::Echo | Behaviour::Defer(_) | Behaviour::Broadcast => package,
            Behaviour::Task(_) | Behaviour::TaskDefer(_) => package,
            Behaviour::TaskWait | Behaviour::TaskSend => package,
            Behaviour::Sleep(pause) => {
                sleep(*pause);
                package
            }
            Behaviour::SlowEvery { every, pause } => {
                if self.seen.is_multiple_of(*every) {
                    sleep(*pause);
                }
                package
            }
            Behaviour::CrashEvery(every) if self.seen.is_multiple_of(*every) => abort(),
            Behaviour::CrashOn(text) if contains(package, text) => abort(),
            Behaviour::CrashEvery(_) | Behaviour::CrashOn(_) => package,
            // A message that is longer than a datagram can be is none.
            Behaviour::BigReply(_) | Behaviour::Stream(_) | Behaviour::Sendfile(_) => &self.reply,
            Behaviour::Orders => {
                self.reply = obey(package);
                &self.reply
            }
        }
    }
}

impl Handler for Echo {
    fn on_worker_start(&mut self, _worker: &Worker) -> Outcome {
        if let Behaviour::Sendfile(len) = self.behaviour {
            self.file = Some(self.make_file(len)?);
        }
        match std::env::var_os(FAIL_START) {
            Some(path) if std::path::Path::new(&path).exists() => {
                Err(format!("told to fail by {FAIL_START}").into())
            }
            _ => Ok(()),
        }
    }

    fn on_connect(&mut self, _: &Worker, session: &Session) -> Outcome {
        if self.behaviour == Behaviour::Broadcast {
            session.join(EVERYBODY)?;
            session.send(b"!")?;
        }
        Ok(())
    }

    fn on_packet(&mut self, worker: &Worker, packet: &Packet) -> Outcome {
        if let Behaviour::Defer(pause) = &self.behaviour {
            return reply_later(worker, *pause, packet);
        }
        drop_if_full(packet.reply(self.answer(packet)))
    }

    fn on_receive(&mut self, worker: &Worker, session: &Session, package: &Package) -> Outcome {
        if let Behaviour::Defer(pause) = &self.behaviour {
            return answer_later(worker, *pause, package);
        }
        if let Behaviour::Stream(len) = self.behaviour {
            return self.stream(0, len, session.writer()?);
        }
        match self.behaviour {
            Behaviour::Task(_) => return through_a_task(worker, session, package),
            Behaviour::TaskDefer(_) => {
                return through_a_task_deferred(worker, session, package);
            }
            Behaviour::TaskWait => {
                let result = worker.task_wait(package, TASK_PATIENCE)?;
                return drop_if_full(session.send(&result));
            }
            Behaviour::Broadcast => {
                return drop_if_full(worker.group(EVERYBODY).send(package));
            }
            Behaviour::TaskSend => {
                worker.task(package).send()?;
            }
            _ => {}
        }
        if let Some(file) = &self.file {
            return drop_if_full(session.sendfile(file, 0, None));
        }
        drop_if_full(session.send(self.answer(package)))
    }

    /// What came goes back, to whoever listens.
    fn on_task(&mut self, _: &Worker, task: &Task) -> Outcome {
        if let Behaviour::Task(work) | Behaviour::TaskDefer(work) = &self.behaviour
            && !work.is_zero()
        {
            sleep(*work);
        }
        Ok(task.finish(task)?)
    }
}

/// The package goes through a task worker, and what comes back to the client.
fn through_a_task(worker: &Worker, session: &Session, package: &Package) -> Outcome {
    let id = session.id();
    worker.task(package).then::<Echo>(move |_, worker, result| match result.bytes() {
        Ok(bytes) => drop_if_full(worker.session(id).send(bytes)),
        // Its client has to learn of it, and an echo has no words of its own.
        Err(_) => Ok(worker.session(id).close()?),
    })?;
    Ok(())
}

/// The same, and until then the package is in hand.
fn through_a_task_deferred(worker: &Worker, session: &Session, package: &Package) -> Outcome {
    let Some(mut deferred) = package.defer() else { return Ok(()) };
    let id = session.id();
    worker.task(package).then::<Echo>(move |_, worker, result| match result.bytes() {
        Ok(bytes) => drop_if_full(deferred.send(bytes)),
        Err(_) => Ok(worker.session(id).close()?),
    })?;
    Ok(())
}

/// A client that reads too slowly: an echo has nothing better to do than to drop its answer.
fn drop_if_full(sent: Result<(), SendError>) -> Outcome {
    match sent {
        Err(error) if error.is_full() => Ok(()),
        sent => Ok(sent?),
    }
}

fn abort() -> ! {
    std::process::abort()
}

fn answer_later(worker: &Worker, pause: std::time::Duration, package: &Package) -> Outcome {
    let Some(mut deferred) = package.defer() else { return Ok(()) };
    worker.after::<Echo>(pause, move |_, _| {
        let bytes = deferred.as_bytes().to_vec();
        drop_if_full(deferred.send(&bytes))
    });
    Ok(())
}

fn reply_later(worker: &Worker, pause: std::time::Duration, packet: &Packet) -> Outcome {
    let Some(mut deferred) = packet.defer() else { return Ok(()) };
    worker.after::<Echo>(pause, move |_, _| {
        let bytes = deferred.as_bytes().to_vec();
        drop_if_full(deferred.reply(&bytes))
    });
    Ok(())
}

/// Whether `text`, which is not empty, is somewhere in `bytes`. Only places with its first byte are
/// compared, because the search is part of what a measurement of this handler sees.
fn contains(bytes: &[u8], text: &[u8]) -> bool {
    let Some((first, rest)) = text.split_first() else { return false };
    let mut left = bytes;
    while let Some(place) = left.iter().position(|byte| byte == first) {
        left = left.get(place + 1..).unwrap_or_default();
        if left.starts_with(rest) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_wherever_it_stands() {
        for bytes in ["boom", "xxboom", "boomxx", "bobobooboom", "b boom"] {
            assert!(contains(bytes.as_bytes(), b"boom"), "{bytes}");
        }
        for bytes in ["", "boo", "bo om", "oomb"] {
            assert!(!contains(bytes.as_bytes(), b"boom"), "{bytes}");
        }
    }
}
