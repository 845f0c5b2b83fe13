//! The tasks of this server in the stream.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use ostler_core::Millis;
use ostler_shm::task_terms::{TERMS_BYTES_MAX, TermsBlock};
use redis::{Cmd, Value, cmd};

use super::link::{Address, Done, Link, good};
use super::reply::{self, Entry, EntryId, Member};
use crate::error::{Error, Result};
use crate::journal::{LeftTask, Stored, TaskStore, TaskToKeep};
use crate::options::Options;
use crate::sys::{clock, random};

/// How long an exchange may take, if a lease is long.
const EXCHANGE_MAX: Millis = 2_000;
/// After a failure it is asked again so much later.
const RETRY_MS: Millis = 1_000;
/// Ids in one command.
pub(super) const IDS_MAX: usize = 1_000;
/// What a reply has for each entry besides its body, at most.
const ENTRY_BYTES: usize = 1_024;
/// What a reply may have besides entries.
pub(super) const REPLY_BYTES: usize = 1024 * 1024;
/// The consumer group.
pub(super) const GROUP: &str = "servers";
/// Numbers of tasks that others have left; those of the server's own are below.
const FIRST_OF_OTHERS: u64 = 1 << 63;

/// The stream, as this server has it.
pub(in crate::journal) struct RedisStore {
    address: Address,
    link: Option<Link>,
    /// The key of the stream.
    pub(super) key: String,
    /// This server, as the group calls it.
    pub(super) me: String,
    /// After so much silence a server is dead.
    pub(super) lease: Millis,
    /// Longest task.
    pub(super) body_max: usize,
    /// Not asked before.
    retry_at: Option<Millis>,
    /// When others are looked at next.
    pub(super) look_at: Millis,
    /// Nobody is taken for dead before: this one may have been deaf.
    pub(super) judges_at: Millis,
    /// Entries that are tasks of this server, by number.
    pub(super) live: BTreeMap<u64, EntryId>,
    pub(super) known: HashMap<EntryId, u64>,
    /// Entries that are over, which the stream does not know.
    pub(super) owed: Vec<EntryId>,
    /// Entries that are no tasks: nobody is given them again, and they stay where they are.
    strange: Vec<EntryId>,
    next_of_others: u64,
    /// What others have left, and the server does not have yet.
    brought: Vec<LeftTask>,
    /// Entries of this server are looked at from here on: there are some that it does not know.
    pub(super) looks_from: Option<String>,
    /// Some of them are others', of which nothing was heard for long: they are looked at again.
    pub(super) has_of_others: bool,
    pub(super) counts: Counts,
}

/// What was done so far.
#[derive(Default)]
pub(super) struct Counts {
    kept: u64,
    groups: u64,
    /// Tasks that others have left.
    brought: u64,
    /// Entries that are no tasks.
    pub(super) strange: u64,
    failures: u64,
}

impl RedisStore {
    /// Connects, and joins the servers of this name.
    pub(in crate::journal) fn open(options: &Options) -> Result<Self> {
        Self::connect(options).map_err(|words| {
            let text = format!("option `task_journal`: {words}");
            Error::start(text, None)
        })
    }

    fn connect(options: &Options) -> Done<Self> {
        let address = Address::read(&options.task_journal)?;
        let seed = random::seed().map_err(|error| error.to_string())?;
        let host = rustix::system::uname();
        let host = host.nodename().to_string_lossy();
        let mut store = Self {
            address,
            link: None,
            key: format!("ostler:{}:tasks", options.name_resolved()),
            me: format!("{host}:{}:{seed:016x}", std::process::id()),
            lease: options.task_journal_lease_ms,
            body_max: TERMS_BYTES_MAX + options.task_max_length,
            retry_at: None,
            look_at: 0,
            judges_at: 0,
            live: BTreeMap::new(),
            known: HashMap::new(),
            owed: Vec::new(),
            strange: Vec::new(),
            next_of_others: FIRST_OF_OTHERS,
            brought: Vec::new(),
            looks_from: None,
            has_of_others: false,
            counts: Counts::default(),
        };
        let joined = store.link().map(|_| ());
        joined.map_err(|error| format!("{}: {error}", store.address.words()))?;
        Ok(store)
    }

    /// The connection, which is made if there is none.
    fn link(&mut self) -> Done<&mut Link> {
        let now = clock::monotonic_ms();
        if self.link.is_none() {
            // Several exchanges have to fit between two signs of life.
            let limit = Duration::from_millis(EXCHANGE_MAX.min(self.lease / 4));
            let mut link = Link::connect(&self.address, limit)?;
            let mut create = cmd("XGROUP");
            create.arg("CREATE").arg(&self.key).arg(GROUP).arg("0").arg("MKSTREAM");
            for reply in link.ask(&[create], REPLY_BYTES)? {
                match good(reply) {
                    Err(error) if !error.contains("BUSYGROUP") => return Err(error),
                    _ => {}
                }
            }
            self.judges_at = now + self.lease;
            self.link = Some(link);
        }
        self.link.as_mut().ok_or_else(|| "there is no connection".to_owned())
    }

    /// Asks; a reply that is an error is one of the replies.
    pub(super) fn ask(&mut self, commands: &[Cmd], reply_max: usize) -> Done<Vec<Value>> {
        self.link()?.ask(commands, reply_max)
    }

    /// Asks for one thing.
    pub(super) fn ask_one(&mut self, command: &Cmd, reply_max: usize) -> Done<Value> {
        let replies = self.ask(std::slice::from_ref(command), reply_max)?;
        replies.into_iter().next().ok_or_else(|| "it says nothing".to_owned())
    }

    /// Most bytes of a reply with so many tasks.
    pub(super) const fn reply_max(&self, tasks: usize) -> usize {
        REPLY_BYTES + tasks * (self.body_max + ENTRY_BYTES)
    }

    /// Does something, unless it has just failed. After a failure nobody knows what was done.
    fn attempt<T>(&mut self, act: impl FnOnce(&mut Self) -> Done<T>) -> Stored<T> {
        let now = clock::monotonic_ms();
        if self.retry_at.is_some_and(|at| now < at) {
            return Err("Redis has just failed, and is asked again in a second".to_owned());
        }
        let result = act(self);
        self.retry_at = result.is_err().then(|| clock::monotonic_ms() + RETRY_MS);
        result.map_err(|error| {
            self.link = None;
            self.counts.failures += 1;
            format!("{}: {error}", self.address.words())
        })
    }

    /// Tells the stream what is over.
    pub(super) fn pay(&mut self) -> Done<()> {
        while let Some(id) = self.strange.last() {
            let mut ack = cmd("XACK");
            ack.arg(&self.key).arg(GROUP).arg(id.to_string());
            good(self.ask_one(&ack, REPLY_BYTES)?)?;
            self.strange.pop();
        }
        while !self.owed.is_empty() {
            let many = self.owed.len().min(IDS_MAX);
            let ids = || self.owed.iter().take(many).map(EntryId::to_string);
            let (mut ack, mut remove) = (cmd("XACK"), cmd("XDEL"));
            ack.arg(&self.key).arg(GROUP);
            remove.arg(&self.key);
            ids().for_each(|id| {
                ack.arg(&id);
                remove.arg(&id);
            });
            for reply in self.ask(&[ack, remove], REPLY_BYTES)? {
                good(reply)?;
            }
            self.owed.drain(..many);
        }
        Ok(())
    }

    /// Adds tasks, and gives them to this server in the same moment: nobody else is to run them
    /// while it lives.
    fn add(&mut self, tasks: &[TaskToKeep]) -> Done<()> {
        self.pay()?;
        if tasks.is_empty() {
            return Ok(());
        }
        let mut commands = vec![cmd("MULTI")];
        let mut bytes = REPLY_BYTES;
        for task in tasks {
            let mut add = cmd("XADD");
            add.arg(&self.key).arg("*").arg("by").arg(&self.me).arg("due").arg(task.due_unix_ms);
            commands.push(add.arg("body").arg(task.body.as_slice()).clone());
            bytes += task.body.len() + ENTRY_BYTES;
        }
        commands.push(self.read_new(tasks.len()));
        commands.push(cmd("EXEC"));
        let mut replies = self.ask(&commands, bytes)?;
        let done = replies.pop();
        for queued in replies {
            good(queued)?;
        }
        let Some(Value::Array(mut done)) = done.map(good).transpose()? else {
            return Err("it has not carried out a transaction".to_owned());
        };
        if done.len() != tasks.len() + 1 {
            return Err("its reply to a transaction has another length".to_owned());
        }
        let given = done.pop().map_or_else(|| Ok(Vec::new()), reply::new_entries)?;
        let ids = done.into_iter().map(reply::id);
        let ids: Vec<EntryId> = ids.collect::<Done<_>>()?;
        for (task, id) in tasks.iter().zip(&ids) {
            if self.known.insert(*id, task.number).is_some() {
                return Err("it has given two tasks the same id".to_owned());
            }
            self.live.insert(task.number, *id);
        }
        // They are kept, whatever follows. What was given besides is looked at later.
        if let Err(error) = self.given_besides(given) {
            tracing::error!(%error, "cannot give tasks of task_journal to those that added them");
            self.link = None;
            self.has_of_others = true;
            self.counts.failures += 1;
        }
        Ok(())
    }

    /// What came when this server asked for what it had just added.
    fn given_besides(&mut self, given: Vec<(EntryId, Entry)>) -> Done<()> {
        if given.iter().all(|(_, entry)| self.is_mine_or_nobodys(entry)) {
            return self.found_new(given, &[]);
        }
        let members = self.members()?;
        self.found_new(given, &members)
    }

    /// Whether an entry was added by no other server.
    fn is_mine_or_nobodys(&self, entry: &Entry) -> bool {
        entry.by.is_empty() || entry.by == self.me.as_bytes()
    }

    /// Entries that nobody had. Not all that a server adds it is given at once: what stood before
    /// comes first. Such a one is its server's as long as that lives, which runs it, and is given
    /// to it.
    pub(super) fn found_new(
        &mut self,
        found: Vec<(EntryId, Entry)>,
        members: &[Member],
    ) -> Done<()> {
        let is_others = |(_, entry): &(_, Entry)| {
            !self.is_mine_or_nobodys(entry) && self.is_alive(&entry.by, members)
        };
        let (others, mine): (Vec<_>, Vec<_>) = found.into_iter().partition(is_others);
        for (id, entry) in mine {
            // A server that has added it may have started it.
            let attempt = u16::from(!self.is_mine_or_nobodys(&entry));
            self.found(id, entry, attempt);
        }
        for (id, entry) in others {
            self.give(id, &entry.by, members)?;
        }
        Ok(())
    }

    /// What nobody has yet.
    pub(super) fn read_new(&self, most: usize) -> Cmd {
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP").arg(GROUP).arg(&self.me).arg("COUNT").arg(most);
        read.arg("STREAMS").arg(&self.key).arg(">").clone()
    }

    /// An entry that is this server's now.
    pub(super) fn found(&mut self, id: EntryId, entry: Entry, attempt: u16) {
        if self.known.contains_key(&id) {
            return;
        }
        let Entry { by, due_unix_ms, body } = entry;
        if by == self.me.as_bytes() {
            // It was refused when nobody knew whether it had come there.
            self.owed.push(id);
            return;
        }
        let fits = |body: &Vec<u8>| body.len() <= self.body_max;
        let is_task = |body: &Vec<u8>| fits(body) && TermsBlock::read(body).is_some();
        let Some(body) = body.filter(is_task) else {
            self.is_strange(id);
            return;
        };
        let number = self.next_of_others;
        self.next_of_others += 1;
        self.live.insert(number, id);
        self.known.insert(id, number);
        self.counts.brought += 1;
        self.brought.push(LeftTask { number, attempt, due_unix_ms, body });
    }

    /// An entry that is no task, or one that is longer than any may be here.
    pub(super) fn is_strange(&mut self, id: EntryId) {
        self.counts.strange += 1;
        let key = &self.key;
        tracing::error!(%id, %key, "an entry of task_journal is no task, or too long: it is left");
        self.strange.push(id);
    }

    fn settle(&mut self, settled: &[u64]) {
        for number in settled {
            if let Some(id) = self.live.remove(number) {
                self.known.remove(&id);
                self.owed.push(id);
            }
        }
    }

    /// As if the time until it is asked again were over.
    #[cfg(test)]
    pub(super) const fn retry_now(&mut self) {
        self.retry_at = None;
    }
}

impl TaskStore for RedisStore {
    fn commit(&mut self, tasks: &[TaskToKeep], settled: &[u64]) -> Stored<()> {
        self.settle(settled);
        self.attempt(|store| store.add(tasks)).inspect_err(|_| {
            // They are refused, wherever they are.
            for task in tasks {
                if let Some(id) = self.live.remove(&task.number) {
                    self.known.remove(&id);
                }
            }
        })?;
        self.counts.groups += 1;
        self.counts.kept += tasks.len() as u64;
        Ok(())
    }

    fn due(&self) -> Option<Millis> {
        Some(self.retry_at.map_or(self.look_at, |at| at.max(self.look_at)))
    }

    fn tend(&mut self, room: usize) -> Stored<Vec<LeftTask>> {
        let result = self.attempt(|store| store.look_around(room));
        // What has come comes back, also if the rest has failed.
        match result {
            Err(error) if self.brought.is_empty() => Err(error),
            _ => Ok(std::mem::take(&mut self.brought)),
        }
    }

    fn close(&mut self) {
        self.retry_at = None;
        if let Err(error) = self.attempt(Self::hand_over) {
            let tasks = self.live.len();
            tracing::warn!(%error, tasks, "others run what is left when the lease is over");
        }
        let Counts { kept, groups, brought, strange, failures } = self.counts;
        tracing::info!(kept, groups, brought, strange, failures, "books of task_journal");
    }
}
