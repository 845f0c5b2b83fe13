//! Groups: who is in which, as workers say it, and messages that go to all members of one.
//!
//! A message crosses the lane once. There is one copy of it here, from which it is written to each
//! member; who does not take it at once keeps a reference to it in its queue. So many members are
//! served in a turn; until the last one is, nothing more of that worker is read, so that what it
//! sends to a member next comes behind.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::vec::IntoIter;

use ostler_core::body::SharedBytes;
use ostler_core::brain::{CloseReason, ConnectionSlot, LaneSlot, Phase};
use ostler_core::groups::{GroupCounts, GroupLimits, Groups, Joined, Member};
use ostler_core::send_queue::Part;
use ostler_shm::board::Board;
use ostler_shm::consumer::Record;
use ostler_shm::giver::ProtocolViolation;
use ostler_shm::group_index::{GROUP_NAME_MAX_BYTES, is_group_name};
use ostler_shm::lane::RawBytes;
use ostler_shm::record::Header;
use ostler_shm::sessions::{FULL, QUEUED};

use super::ClientSide;
use super::mailbox::Reports;
use super::outgoing::Outgoing;
use super::parts::Parts;
use crate::options::GroupOverflow;

/// Members that are served before the loop looks at its events again.
const TURN_MEMBERS: usize = 256;
/// Of these, members of one message before it is another worker's turn.
const MESSAGE_MEMBERS: usize = 64;
/// Members that are looked at before the first of them is served: as many as a processor can wait
/// for at once, few enough that what was fetched is still there.
const MEMBERS_AHEAD: usize = 16;

/// The groups of this reactor.
#[derive(Debug)]
pub(super) struct GroupSide {
    table: Groups,
    counts: GroupCounts,
    /// The longest message that a worker may send.
    message_max: usize,
    /// Messages in parts that are not complete: one of a worker.
    parts: Parts<()>,
    /// Messages that are on their way to members: one of a worker.
    casts: VecDeque<Cast>,
    /// Workers of whom not all was read that they had published, because of such a message.
    interrupted: Vec<LaneSlot>,
    /// Members that may still be served in this turn.
    allowance: usize,
    /// Bytes of messages that somebody keeps.
    held: Arc<AtomicU64>,
    /// Bytes that the account was charged.
    charged: u64,
}

/// A message on its way.
#[derive(Debug)]
struct Cast {
    lane: LaneSlot,
    message: Arc<dyn SharedBytes>,
    /// Those who are still to be served.
    members: IntoIter<Member>,
}

/// The bytes of a message, behind the name of its group. They are charged once, as long as anybody
/// keeps them.
#[derive(Debug)]
struct Message {
    whole: Vec<u8>,
    first: usize,
    held: Arc<AtomicU64>,
}

impl Message {
    fn new(whole: Vec<u8>, first: usize, held: &Arc<AtomicU64>) -> Self {
        held.fetch_add(whole.capacity() as u64, Ordering::Relaxed);
        Self { whole, first, held: Arc::clone(held) }
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        self.held.fetch_sub(self.whole.capacity() as u64, Ordering::Relaxed);
    }
}

impl SharedBytes for Message {
    fn bytes(&self) -> &[u8] {
        self.whole.get(self.first..).unwrap_or_default()
    }

    /// Workers do not read it.
    fn place(&self) -> u32 {
        0
    }

    fn is_charged_apart(&self) -> bool {
        true
    }
}

impl GroupSide {
    pub(super) fn new(limits: GroupLimits, message_max: usize) -> Self {
        Self {
            table: Groups::new(limits),
            counts: GroupCounts::default(),
            message_max,
            parts: Parts::default(),
            casts: VecDeque::new(),
            interrupted: Vec::new(),
            allowance: 0,
            held: Arc::default(),
            charged: 0,
        }
    }

    /// A turn begins.
    pub(super) const fn begin_turn(&mut self) {
        self.allowance = TURN_MEMBERS;
    }

    /// Everybody is served now, however many they are.
    pub(super) const fn serve_all(&mut self) {
        self.allowance = usize::MAX;
    }

    /// Whether there is something to go on with.
    pub(super) fn has_more(&self) -> bool {
        !self.casts.is_empty() || !self.interrupted.is_empty()
    }

    /// Whether a message of this worker is on its way.
    pub(super) fn is_casting(&self, lane: LaneSlot) -> bool {
        self.casts.iter().any(|cast| cast.lane == lane)
    }

    /// Nothing more of this worker is read until its message is at the last member.
    pub(super) fn interrupt(&mut self, lane: LaneSlot) {
        self.interrupted.push(lane);
    }

    /// Whether there is more to read of this worker than it has published since.
    pub(super) fn is_interrupted(&self, lane: LaneSlot) -> bool {
        self.interrupted.contains(&lane)
    }

    /// The worker is read again.
    pub(super) fn resume(&mut self, lane: LaneSlot) {
        self.interrupted.retain(|of| *of != lane);
    }

    /// The counters as they stand.
    pub(super) fn counts(&self) -> GroupCounts {
        GroupCounts { members: self.table.memberships() as u64, ..self.counts }
    }

    /// The names of a session's groups.
    pub(super) fn names_of(&self, connection: ConnectionSlot) -> Vec<Vec<u8>> {
        self.table.names_of(connection).map(<[u8]>::to_vec).collect()
    }

    /// Bytes of memory that messages take.
    fn held_bytes(&self) -> u64 {
        self.held.load(Ordering::Relaxed) + self.parts.bytes() as u64
    }

    /// Takes a part of a message: the whole, if it is complete with it.
    fn take_part(
        &mut self,
        lane: LaneSlot,
        header: &Header,
        bytes: RawBytes<'_>,
    ) -> Result<Option<Vec<u8>>, ProtocolViolation> {
        let end = header.part_offset as usize + bytes.len();
        if end > 1 + GROUP_NAME_MAX_BYTES + self.message_max {
            return Err(ProtocolViolation("a message to a group that is longer than one may be"));
        }
        let stray = ProtocolViolation("a part of a message that continues nothing");
        self.parts.add(lane, (), header, bytes, (0, stray))
    }
}

/// The name of a group, of a worker's word.
fn checked_name(name: &[u8]) -> Result<&[u8], ProtocolViolation> {
    if is_group_name(name) { Ok(name) } else { Err(ProtocolViolation("a name that no group has")) }
}

/// Workers see that a session is in a group no more, which has so many members now.
fn show_left(
    (board, reports): (&Board, &Reports),
    reactor: usize,
    session: u64,
    (name, left): (&[u8], usize),
) {
    let Some(index) = board.groups() else { return };
    let mut expected = if left == 0 { reports.expected_groups(reactor) } else { None };
    if let Some(expected) = &mut expected {
        expected.gone(name);
    }
    let tag = index.tag(name);
    let _ = index.set_members(reactor, tag, left as u64);
    index.remove(board.entry_number(session), tag);
}

impl ClientSide {
    // ---- memberships ----------------------------------------------------------------------------

    /// A session joins a group.
    pub(super) fn join(
        &mut self,
        session: u64,
        name: RawBytes<'_>,
    ) -> Result<(), ProtocolViolation> {
        let name = name.to_vec();
        let name = checked_name(&name)?;
        let Some(connection) = self.told_place_of(session) else { return Ok(()) };
        if self.brain.phase(connection) == Some(Phase::Open) {
            self.add_to_group(connection, session, name);
        }
        Ok(())
    }

    /// Adds a session to a group whose name was checked.
    pub(super) fn add_to_group(&mut self, connection: ConnectionSlot, session: u64, name: &[u8]) {
        // What sessions of an old master need is theirs.
        let mut expected = self.reports.expected_groups(self.index);
        if let Some(expected) = &expected {
            self.groups.table.keep(expected.kept_beside(name));
        }
        let why = match self.groups.table.join(Member { connection, session }, name) {
            Joined::Before => return,
            Joined::Now(members) if self.show_joined(session, name, members) => {
                self.groups.counts.joined += 1;
                if let Some(expected) = expected.as_mut().filter(|_| members == 1) {
                    expected.made(name);
                }
                return;
            }
            Joined::Now(_) => {
                self.groups.table.leave(connection, name);
                "there are too many groups: raise groups_max"
            }
            Joined::TooManyGroups => "there are too many groups: raise groups_max",
            Joined::TooManyOfSession => {
                "the session is in too many groups: let it leave some, or raise session_groups_max"
            }
        };
        drop(expected);
        self.groups.counts.refused += 1;
        if self.complaints.not_joined.admits() {
            tracing::warn!(session, why, "a session could not join a group");
        }
    }

    /// Workers see that a session is in a group, which has so many members now. False: there is no
    /// room for that.
    fn show_joined(&self, session: u64, name: &[u8], members: usize) -> bool {
        let Some(index) = self.board.groups() else { return false };
        let tag = index.tag(name);
        let is_shown = index.set_members(self.index, tag, members as u64);
        if is_shown {
            index.add(self.board.entry_number(session), tag);
        }
        is_shown
    }

    /// A session leaves a group.
    pub(super) fn leave_group(
        &mut self,
        session: u64,
        name: RawBytes<'_>,
    ) -> Result<(), ProtocolViolation> {
        let name = name.to_vec();
        let name = checked_name(&name)?;
        let Some(connection) = self.told_place_of(session) else { return Ok(()) };
        let Some(left) = self.groups.table.leave(connection, name) else { return Ok(()) };
        self.groups.counts.left += 1;
        show_left((&self.board, &self.reports), self.index, session, (name, left));
        Ok(())
    }

    /// A session has no connection any more, and is in no group.
    pub(super) fn end_memberships(&mut self, connection: ConnectionSlot, session: u64) {
        let (seen, reactor) = ((&*self.board, &self.reports), self.index);
        let ended = self.groups.table.end(connection, |name, left| {
            show_left(seen, reactor, session, (name, left));
        });
        self.groups.counts.ended += ended as u64;
    }

    // ---- messages -------------------------------------------------------------------------------

    /// A worker sends a message to a group, or a part of one.
    pub(super) fn send_to_group(
        &mut self,
        lane: LaneSlot,
        record: &Record,
        bytes: RawBytes<'_>,
    ) -> Result<(), ProtocolViolation> {
        let Some(whole) = self.groups.take_part(lane, &record.header, bytes)? else {
            return Ok(());
        };
        let name_len = whole.first().map_or(0, |len| usize::from(*len));
        let name = checked_name(whole.get(1..1 + name_len).unwrap_or_default())?;
        if whole.len() - 1 - name_len > self.groups.message_max {
            return Err(ProtocolViolation("a message to a group that is longer than one may be"));
        }
        let except = record.header.subject;
        let members = self.groups.table.members(name).iter().copied();
        let members: Vec<Member> = members.filter(|member| member.session != except).collect();
        self.groups.counts.messages += 1;
        self.groups.counts.addressed += members.len() as u64;
        if members.is_empty() {
            return Ok(());
        }
        let message = Arc::new(Message::new(whole, 1 + name_len, &self.groups.held));
        let mut cast = Cast { lane, message, members: members.into_iter() };
        self.serve_some(&mut cast, usize::MAX);
        if cast.members.len() > 0 {
            self.groups.casts.push_back(cast);
        }
        Ok(())
    }

    /// Goes on with messages that are on their way, as many members as may be served in a turn.
    pub(super) fn go_on_with_casts(&mut self) {
        while self.groups.allowance > 0 {
            let Some(mut cast) = self.groups.casts.pop_front() else { return };
            self.serve_some(&mut cast, MESSAGE_MEMBERS);
            if cast.members.len() > 0 {
                self.groups.casts.push_back(cast);
            }
        }
    }

    fn serve_some(&mut self, cast: &mut Cast, most: usize) {
        let count = most.min(self.groups.allowance).min(cast.members.len());
        self.groups.allowance -= count;
        let members = cast.members.as_slice().get(..count).unwrap_or_default();
        for next in members.chunks(MEMBERS_AHEAD) {
            self.look_at(next);
            for member in next {
                self.serve(*member, cast.lane, &cast.message);
            }
        }
        cast.members.by_ref().take(count).for_each(drop);
    }

    /// Reads of these members what serving them reads. What is not in the cache is fetched for all
    /// of them at the same time then, and not for each when it is its turn.
    fn look_at(&mut self, members: &[Member]) {
        let mut seen = 0;
        for Member { connection: slot, session } in members.iter().copied() {
            if let Some(connection) = self.connections.get_mut(slot) {
                seen ^= connection.flags ^ connection.session ^ connection.unsent() as u64;
                seen ^= u64::from(connection.transport.takes_output());
                seen ^= u64::from(connection.timing.is_some());
            }
            seen ^= u64::from(self.brain.is_open(slot)) ^ u64::from(self.brain.stays(slot));
            seen ^= self.board.entry(session).map_or(0, |entry| entry.sent_bytes());
        }
        // It is of no use but that it was read.
        std::hint::black_box(seen);
    }

    /// One member gets the message, or misses it.
    fn serve(&mut self, member: Member, lane: LaneSlot, message: &Arc<dyn SharedBytes>) {
        let Member { connection: slot, session } = member;
        let connection = self.connections.get_mut(slot).filter(|it| it.session == session);
        let flags_and_port = connection.map(|connection| (connection.flags, connection.port));
        let Some((flags, port)) = flags_and_port.filter(|_| self.brain.is_open(slot)) else {
            self.groups.counts.gone += 1;
            return;
        };
        self.brain.withdraw(slot);
        if flags & FULL != 0 || (flags & QUEUED != 0 && self.memory.is_tight()) {
            return match self.settings.ports.get(port).group_overflow {
                GroupOverflow::Skip => self.groups.counts.skipped += 1,
                GroupOverflow::Close => {
                    self.groups.counts.closed += 1;
                    self.brain.close(slot, CloseReason::SlowReader);
                }
            };
        }
        self.groups.counts.delivered += 1;
        self.write(slot, lane, Outgoing::whole(message), Part::WHOLE);
    }

    /// The worker is gone, or not believed any more: its message goes no further.
    pub(super) fn drop_messages_of(&mut self, lane: LaneSlot) {
        self.groups.resume(lane);
        self.groups.parts.give_up(lane);
        let counts = &mut self.groups.counts;
        self.groups.casts.retain(|cast| {
            if cast.lane == lane {
                counts.gone += cast.members.len() as u64;
            }
            cast.lane != lane
        });
    }

    /// The end: nobody is served any more.
    pub(super) fn drop_all_messages(&mut self) {
        let casts = std::mem::take(&mut self.groups.casts);
        self.groups.counts.gone += casts.iter().map(|cast| cast.members.len() as u64).sum::<u64>();
    }

    /// What messages take is charged once, whoever keeps them.
    pub(super) fn charge_messages(&mut self) {
        let held = self.groups.held_bytes();
        let charged = std::mem::replace(&mut self.groups.charged, held);
        if held > charged {
            self.charge_output((held - charged) as usize);
        } else {
            self.memory.release(charged - held);
        }
    }
}
