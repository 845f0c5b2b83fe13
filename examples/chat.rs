//! Chat: line based rooms. Each room is a group. Names and groups are kept by the master, so a
//! worker may die and nobody loses theirs.
//!
//! ```text
//! chat [--set NAME=VALUE]...        then:  nc 127.0.0.1 9501
//! /name ada        /join kitchen        /who        /quit        anything else is said to the room
//! ```

use ostler::{
    CloseReason, CrashPolicy, Dispatch, Exit, Failure, Framing, Handler, Outcome, Package, Server,
    Session, Worker,
};

/// The room that everybody begins in.
const LOBBY: &str = "lobby";
/// Names and rooms may be so long; both must fit into the state that the master keeps for a
/// session.
const NAME_MAX_BYTES: usize = 32;
/// So many people of a room are named.
const WHO_MAX: usize = 100;

/// What the master keeps for each session: `name NUL room`.
struct Person {
    name: String,
    room: String,
}

impl Person {
    fn of(session: &Session) -> Self {
        let state = session.state();
        let text = String::from_utf8_lossy(&state);
        let (name, room) = text.split_once('\0').unwrap_or(("", LOBBY));
        let name =
            if name.is_empty() { format!("guest{}", session.id() % 10_000) } else { name.into() };
        Self { name, room: room.into() }
    }

    fn keep(&self, session: &Session) -> Outcome {
        Ok(session.set_state(format!("{}\0{}", self.name, self.room).as_bytes())?)
    }
}

struct Chat;

impl Chat {
    /// Says a line to everybody in a room but one. Who reads too slowly misses it.
    fn say(worker: &Worker, room: &str, except: &Session, line: &str) -> Outcome {
        Ok(worker.group(room).send_to_others(except, format!("{line}\n").as_bytes())?)
    }

    fn command(
        worker: &Worker,
        session: &Session,
        person: &mut Person,
        line: &str,
    ) -> Result<String, Failure> {
        let (command, argument) = line.split_once(' ').unwrap_or((line, ""));
        let argument = argument.trim();
        Ok(match command {
            "/name" | "/join" if !is_word(argument) => {
                format!("* write {command} and one word of at most {NAME_MAX_BYTES} letters")
            }
            "/name" => {
                let line = format!("* {} is now {argument}", person.name);
                Self::say(worker, &person.room, session, &line)?;
                person.name = argument.to_owned();
                person.keep(session)?;
                format!("* you are {argument}")
            }
            "/join" => {
                let left = format!("* {} left", person.name);
                Self::say(worker, &person.room, session, &left)?;
                session.leave(&person.room)?;
                person.room = argument.to_owned();
                person.keep(session)?;
                session.join(&person.room)?;
                let joined = format!("* {} joined", person.name);
                Self::say(worker, &person.room, session, &joined)?;
                format!("* you are in {argument}")
            }
            "/who" => {
                let members = worker.group(&person.room).members(WHO_MAX);
                let mut names: Vec<String> =
                    members.iter().map(|member| Person::of(member).name).collect();
                names.sort();
                format!("* in {}: {}", person.room, names.join(" "))
            }
            "/quit" => {
                session.send(b"* bye\n")?;
                session.close()?;
                String::new()
            }
            _ => "* commands: /name NAME  /join ROOM  /who  /quit".to_owned(),
        })
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= NAME_MAX_BYTES && text.chars().all(char::is_alphanumeric)
}

impl Handler for Chat {
    fn on_connect(&mut self, worker: &Worker, session: &Session) -> Outcome {
        let person = Person::of(session);
        person.keep(session)?;
        let welcome = format!("* welcome, {}: /name NAME  /join ROOM  /who  /quit\n", person.name);
        session.send(welcome.as_bytes())?;
        session.join(&person.room)?;
        Self::say(worker, &person.room, session, &format!("* {} joined", person.name))
    }

    fn on_receive(&mut self, worker: &Worker, session: &Session, package: &Package) -> Outcome {
        let text = String::from_utf8_lossy(package);
        let line = text.trim_end_matches(['\r', '\n']);
        let mut person = Person::of(session);
        if line.starts_with('/') {
            let answer = Self::command(worker, session, &mut person, line)?;
            if !answer.is_empty() {
                session.send(format!("{answer}\n").as_bytes())?;
            }
        } else if !line.is_empty() {
            Self::say(worker, &person.room, session, &format!("{}: {line}", person.name))?;
        }
        Ok(())
    }

    fn on_close(&mut self, worker: &Worker, session: &Session, _: CloseReason) -> Outcome {
        let person = Person::of(session);
        Self::say(worker, &person.room, session, &format!("* {} left", person.name))
    }
}

fn serve() -> ostler::Result<()> {
    let server = Server::builder()
        .framing(Framing::lines())
        .package_max_length(4096)
        .crash_policy(CrashPolicy::Redeliver(3))
        // One worker for each talker: with others the lines of one talker could overtake each other
        // on their way.
        .dispatch(Dispatch::SessionHash)
        .from_env("OSTLER_")
        .args(std::env::args_os().skip(1))
        .bind()?;
    server.on_listening(|address| println!("listening on {address}")).run(|_| Chat)
}

fn main() -> Exit {
    serve().into()
}
