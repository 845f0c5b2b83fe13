//! The servers that share a stream: each is heard of, and what a dead one had is taken.
//!
//! Who is dead the Redis says, by its own clock: how long it has not heard of a server. Clocks of
//! machines play no part. A server that was deaf judges nobody before it has listened for a lease.

use ostler_core::Millis;
use redis::{Cmd, cmd};

use super::link::{Done, TOO_LONG, good};
use super::reply::{self, EntryId, Member};
use super::store::{GROUP, IDS_MAX, REPLY_BYTES, RedisStore};
use crate::sys::clock;

/// Has what servers left that ended in order: nobody waits for it to be dead.
const LEFT: &str = "left";
/// How old an entry is made that was left, milliseconds: older than any lease.
const LEFT_IDLE_MS: u64 = 1 << 40;
/// Bytes of tasks that are taken at once.
const TAKEN_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Tasks that are taken at once.
const TAKEN_MAX: usize = 128;
/// No entry has such a high one. Behind the highest possible one nothing is looked for.
const LAST_ID: &str = "18446744073709551614-0";
/// Signs of life within a lease, at least.
const LOOKS: u64 = 4;
/// Time between two, at most: what was left in order does not wait for longer.
const LOOK_MS: Millis = 5_000;
/// The same while others have left something for which there is no room.
const LOOK_AGAIN_MS: Millis = 250;
/// A dead server is forgotten, if it has nothing in this moment.
const FORGET: &str = "if #redis.call('XPENDING',KEYS[1],ARGV[1],'-','+',1,ARGV[2])==0 then \
                      return redis.call('XGROUP','DELCONSUMER',KEYS[1],ARGV[1],ARGV[2]) end \
                      return 0";

impl RedisStore {
    /// A sign of life, and then whatever nobody else does: at most `room` tasks become this
    /// server's.
    pub(super) fn look_around(&mut self, room: usize) -> Done<()> {
        self.look_at = clock::monotonic_ms() + LOOK_MS.min(self.lease / LOOKS);
        self.pay()?;
        let members = self.be_heard()?;
        let mut room = room.min(TAKEN_MAX).min((TAKEN_BYTES_MAX / self.body_max).max(1));
        let most = room;
        room -= self.take_new(&members, room)?;
        room -= self.look_at_own(&members, room)?;
        for member in &members {
            if self.is_dead(member) {
                room -= self.take_from(member, room)?;
            }
        }
        let now = clock::monotonic_ms();
        if most > 0 && (room == 0 || self.looks_from.is_some()) {
            // There may be more, behind what is asked meanwhile.
            self.look_at = now;
        } else if room == 0 && members.iter().any(|it| it.pending > 0 && self.is_dead(it)) {
            self.look_at = self.look_at.min(now + LOOK_AGAIN_MS);
        }
        self.pay()
    }

    /// To read what it has behind its last entry is a sign of life, and brings nothing.
    fn be_heard(&mut self) -> Done<Vec<Member>> {
        let mut sign = cmd("XREADGROUP");
        sign.arg("GROUP").arg(GROUP).arg(&self.me).arg("COUNT").arg(1);
        sign.arg("STREAMS").arg(&self.key).arg(LAST_ID);
        let look = self.look_at_members();
        let mut replies = self.ask(&[sign, look], REPLY_BYTES)?.into_iter();
        if let Some(heard) = replies.next() {
            good(heard)?;
        }
        replies.next().map_or_else(|| Ok(Vec::new()), reply::members)
    }

    fn look_at_members(&self) -> Cmd {
        let mut look = cmd("XINFO");
        look.arg("CONSUMERS").arg(&self.key).arg(GROUP).clone()
    }

    /// The servers that share the stream.
    pub(super) fn members(&mut self) -> Done<Vec<Member>> {
        let look = self.look_at_members();
        reply::members(self.ask_one(&look, REPLY_BYTES)?)
    }

    fn claim(&self, by: &[u8], idle_ms: u64) -> Cmd {
        let mut claim = cmd("XCLAIM");
        claim.arg(&self.key).arg(GROUP).arg(by).arg(idle_ms).clone()
    }

    fn is_dead(&self, member: &Member) -> bool {
        let judges = clock::monotonic_ms() >= self.judges_at;
        member.name == LEFT.as_bytes()
            || (judges && member.silent_ms > self.lease && member.name != self.me.as_bytes())
    }

    /// Whether a server of this name takes part, and nobody may take it for dead.
    pub(super) fn is_alive(&self, name: &[u8], members: &[Member]) -> bool {
        members.iter().any(|member| member.name == name && !self.is_dead(member))
    }

    /// An entry that this server has is another one's from now on; whether it is. To be given
    /// something is a sign of life in Redis: who has not been heard of for long is given nothing,
    /// or it would not be dead for as long as there is more. This server has it until then, and
    /// looks at it again.
    pub(super) fn give(&mut self, id: EntryId, to: &[u8], members: &[Member]) -> Done<bool> {
        let is_silent = |it: &Member| it.name == to && it.silent_ms > self.lease / 2;
        if members.iter().any(is_silent) {
            self.has_of_others = true;
            return Ok(false);
        }
        let mut claim = self.claim(to, 0);
        claim.arg(id.to_string()).arg("JUSTID");
        good(self.ask_one(&claim, REPLY_BYTES)?).map(|_| true)
    }

    /// What no server was given: somebody else has added it, its server was dead by then, or was
    /// given others in its place.
    fn take_new(&mut self, members: &[Member], room: usize) -> Done<usize> {
        if room == 0 {
            return Ok(0);
        }
        let (read, reply_max) = (self.read_new(room), self.reply_max(room));
        let found = reply::new_entries(self.ask_one(&read, reply_max)?)?;
        let taken = found.len().min(room);
        self.found_new(found, members)?;
        Ok(taken)
    }

    fn pending(&self, from: &str, most: usize, whose: &[u8]) -> Cmd {
        let mut look = cmd("XPENDING");
        look.arg(&self.key).arg(GROUP).arg(from).arg("+").arg(most).arg(whose).clone()
    }

    /// What a dead server had. Of several that try, one gets it: who takes an entry makes it young.
    fn take_from(&mut self, member: &Member, room: usize) -> Done<usize> {
        if member.pending == 0 {
            if member.name != LEFT.as_bytes() {
                self.forget(&member.name)?;
            }
            return Ok(0);
        }
        if room == 0 {
            return Ok(0);
        }
        let look = self.pending("-", room, &member.name);
        let mut ids = reply::pending(self.ask_one(&look, REPLY_BYTES)?)?;
        ids.truncate(room);
        if ids.is_empty() {
            return Ok(0);
        }
        self.take(&ids, &member.name)
    }

    /// Takes these of a dead server, as far as nobody else has done so. Answers how many it got.
    pub(super) fn take(&mut self, ids: &[EntryId], of: &[u8]) -> Done<usize> {
        let mut claim = self.claim(self.me.as_bytes(), self.lease);
        for id in ids {
            claim.arg(id.to_string());
        }
        let reply_max = self.reply_max(ids.len());
        let found = reply::entries(self.ask_one(&claim, reply_max)?)?;
        let taken = found.len().min(ids.len());
        if taken > 0 {
            let of = String::from_utf8_lossy(of);
            tracing::info!(tasks = taken, %of, "takes over what another server left");
        }
        for (id, entry) in found {
            self.found(id, entry, 1);
        }
        Ok(taken)
    }

    fn forget(&mut self, name: &[u8]) -> Done<()> {
        let mut forget = cmd("EVAL");
        forget.arg(FORGET).arg(1).arg(&self.key).arg(GROUP).arg(name);
        // One that may not run scripts only has longer lists.
        self.ask_one(&forget, REPLY_BYTES).map(|_| ())
    }

    /// A reply that was lost may have given this server tasks of which it does not know. One page
    /// of what it has is looked at.
    fn look_at_own(&mut self, members: &[Member], room: usize) -> Done<usize> {
        let mine = members.iter().find(|member| member.name == self.me.as_bytes());
        let pending = mine.map_or(0, |member| member.pending);
        if self.looks_from.is_none() {
            // Not more than it knows: what is fewer another server has taken.
            if pending <= self.live.len() as u64 && !self.has_of_others {
                return Ok(0);
            }
            self.has_of_others = false;
            self.looks_from = Some("-".to_owned());
        }
        let from = self.looks_from.take().unwrap_or_default();
        let me = self.me.clone();
        let look = self.pending(&from, IDS_MAX, me.as_bytes());
        let page = reply::pending(self.ask_one(&look, REPLY_BYTES)?)?;
        let mut taken = 0;
        for id in &page {
            if self.known.contains_key(id) || self.owed.contains(id) {
                continue;
            }
            if taken == room {
                self.has_of_others = true;
                return Ok(taken);
            }
            taken += usize::from(self.look_at_one(*id, members)?);
        }
        if let Some(last) = page.last().filter(|_| page.len() >= IDS_MAX) {
            self.looks_from = Some(format!("({last}"));
        }
        Ok(taken)
    }

    /// One that it has and does not know; whether it is settled whose that is.
    fn look_at_one(&mut self, id: EntryId, members: &[Member]) -> Done<bool> {
        let mut range = cmd("XRANGE");
        range.arg(&self.key).arg(id.to_string()).arg(id.to_string());
        match self.ask_one(&range, self.reply_max(1)) {
            Ok(reply) => match reply::entries(reply)?.pop() {
                Some((found, entry)) if found == id && entry.by == self.me.as_bytes() => {
                    self.found(id, entry, 1);
                }
                Some((found, entry)) if found == id && self.is_alive(&entry.by, members) => {
                    return self.give(id, &entry.by, members);
                }
                Some((found, entry)) if found == id => self.found(id, entry, 1),
                Some(_) => return Err("it has answered with another entry".to_owned()),
                None => self.owed.push(id),
            },
            Err(error) => {
                if error == TOO_LONG {
                    self.is_strange(id);
                }
                return Err(error);
            }
        }
        Ok(true)
    }

    /// The server ends in order: what it leaves others may run at once. What others have taken
    /// while it was deaf is theirs, and runs there.
    pub(super) fn hand_over(&mut self) -> Done<()> {
        self.pay()?;
        // Who has just been heard of is not taken for dead while it looks.
        self.be_heard()?;
        let (me, mut from) = (self.me.clone(), Some("-".to_owned()));
        while let Some(first) = from.take() {
            let look = self.pending(&first, IDS_MAX, me.as_bytes());
            let page = reply::pending(self.ask_one(&look, REPLY_BYTES)?)?;
            if let Some(last) = page.last().filter(|_| page.len() >= IDS_MAX) {
                from = Some(format!("({last}"));
            }
            let mut claim = self.claim(LEFT.as_bytes(), 0);
            let left: Vec<_> = page.iter().filter(|id| self.known.contains_key(id)).collect();
            if left.is_empty() {
                continue;
            }
            for id in left {
                claim.arg(id.to_string());
            }
            claim.arg("IDLE").arg(LEFT_IDLE_MS).arg("JUSTID");
            good(self.ask_one(&claim, REPLY_BYTES)?)?;
        }
        self.forget(me.as_bytes())
    }
}
