use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

fn any_peer() -> impl Strategy<Value = HandedPeer> {
    prop_oneof![
        (any::<IpAddr>(), any::<u16>())
            .prop_map(|(ip, port)| HandedPeer::Ip(SocketAddr::new(ip, port))),
        any::<[u32; 3]>().prop_map(HandedPeer::Unix),
    ]
}

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..most)
}

fn any_session() -> impl Strategy<Value = HandedSession> {
    let head = (1u64.., "[a-z]{0,12}", any_peer(), any::<u64>(), any::<Option<u32>>());
    let flags = any::<[bool; 2]>();
    let tail = (bytes(40), prop::collection::vec(bytes(20), 0..4), bytes(200), bytes(200));
    (head, flags, tail).prop_map(|(head, flags, tail)| {
        let (session, port, peer, connected_at_ns, user) = head;
        let [is_protected, is_full] = flags;
        let (state, groups, received, unsent) = tail;
        HandedSession {
            session,
            port,
            peer,
            connected_at_ns,
            is_protected,
            is_full,
            user,
            state,
            groups,
            received,
            unsent,
        }
    })
}

proptest! {
    #[test]
    fn a_list_comes_as_it_was_written(sessions in prop::collection::vec(any_session(), 0..6)) {
        let bytes = encode(&sessions);
        prop_assert_eq!(decode(&bytes), Ok(sessions));
        let mut longer = bytes.clone();
        longer.push(0);
        prop_assert!(decode(&longer).is_err());
        for end in 0..bytes.len() {
            prop_assert!(decode(&bytes[..end]).is_err(), "cut at {}", end);
        }
    }

    /// What is read can be written again and is the same; nothing panics.
    #[test]
    fn whatever_is_read_is_refused_or_says_what_it_says(
        sessions in prop::collection::vec(any_session(), 0..3),
        at in any::<prop::sample::Index>(),
        byte: u8,
        noise in bytes(60),
    ) {
        let _ = decode(&noise);
        let mut bytes = encode(&sessions);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(read) = decode(&bytes) {
            prop_assert_eq!(encode(&read), bytes);
        }
    }
}

#[test]
fn lists_of_other_formats_and_lengths_that_lie_are_refused() {
    let list = encode(&[]);
    assert_eq!(decode(&list), Ok(Vec::new()));
    let with = |at: usize, value: u8| {
        let mut bytes = list.clone();
        bytes[at] = value;
        decode(&bytes)
    };
    assert_eq!(with(0, b'X'), Err(BadRecord("no list of sessions")));
    assert_eq!(with(4, 2), Err(BadRecord("a list of sessions of another format")));
    assert_eq!(with(6, 1), Err(BadRecord("a list of sessions that is cut")));
    assert_eq!(with(6, 255), Err(BadRecord("too many sessions in one list")));
}

/// Two masters, the socket between them, and the sessions of the old one.
#[derive(Debug, Default)]
struct World {
    offers: Offers<u32>,
    /// The old one reads and writes these.
    old: Vec<u32>,
    /// It touches these no more.
    frozen: Vec<u32>,
    /// The new one reads and writes these.
    new: Vec<u32>,
    to_new: VecDeque<(u32, Vec<u32>)>,
    to_old: VecDeque<(u32, Taken)>,
    new_is_dead: bool,
    old_is_dead: bool,
    /// They were the new one's when that died.
    died_with_new: Vec<u32>,
}

#[derive(Clone, Debug)]
enum Step {
    Offer(usize),
    Take(u32),
    Hear,
    NewDies,
    OldHearsOfDeath,
    OldDies,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1usize..5).prop_map(Step::Offer),
        4 => any::<u32>().prop_map(Step::Take),
        4 => Just(Step::Hear),
        1 => Just(Step::NewDies),
        1 => Just(Step::OldHearsOfDeath),
        1 => Just(Step::OldDies),
    ]
}

impl World {
    fn step(&mut self, step: Step) {
        match step {
            Step::Offer(count) if !self.old_is_dead && self.offers.may_offer() => {
                let count = count.min(self.old.len());
                let sessions: Vec<u32> = self.old.drain(..count).collect();
                self.frozen.extend(&sessions);
                let number = self.offers.offer(sessions.clone());
                if !self.new_is_dead {
                    self.to_new.push_back((number, sessions));
                }
            }
            Step::Take(which) if !self.new_is_dead => {
                let Some((number, sessions)) = self.to_new.pop_front() else { return };
                let mut taken = Taken::default();
                for (position, session) in sessions.into_iter().enumerate() {
                    if which >> position & 1 == 1 {
                        taken.set(position);
                        self.new.push(session);
                    }
                }
                if !self.old_is_dead {
                    self.to_old.push_back((number, taken));
                }
            }
            Step::Hear if !self.old_is_dead => self.hear(),
            Step::NewDies => {
                self.new_is_dead = true;
                self.to_new.clear();
                self.died_with_new.append(&mut self.new);
            }
            Step::OldHearsOfDeath if self.new_is_dead && !self.old_is_dead => {
                while !self.to_old.is_empty() {
                    self.hear();
                }
                let back = self.offers.lost();
                self.frozen.retain(|session| !back.contains(session));
                self.old.extend(back);
            }
            Step::OldDies => {
                self.old_is_dead = true;
                self.to_old.clear();
                self.old.clear();
                self.frozen.clear();
            }
            _ => {}
        }
    }

    fn hear(&mut self) {
        let Some((number, taken)) = self.to_old.pop_front() else { return };
        let Answered { gone, stay } = self.offers.answered(number, taken);
        self.frozen.retain(|session| !gone.contains(session) && !stay.contains(session));
        self.old.extend(stay);
    }
}

proptest! {
    /// Whoever dies when, a session is touched by one master at most; and while both live, or when
    /// the old one has heard that the new one is dead, it is owned by one.
    #[test]
    fn a_session_belongs_to_one_master(steps in prop::collection::vec(any_step(), 0..60)) {
        let mut world = World { old: (0..20).collect(), ..World::default() };
        for step in steps {
            world.step(step);
            for session in 0..20 {
                let touched = [&world.old, &world.new, &world.died_with_new];
                let owners = touched.iter().filter(|all| all.contains(&session)).count();
                prop_assert!(owners <= 1, "{} is touched by two: {:?}", session, world);
                let is_held = world.frozen.contains(&session)
                    || world.to_new.iter().any(|(_, all)| all.contains(&session));
                prop_assert!(owners == 1 || is_held || world.old_is_dead, "{:?}", world);
            }
        }
        if !world.old_is_dead {
            world.step(Step::NewDies);
            world.step(Step::OldHearsOfDeath);
            prop_assert!(world.frozen.is_empty() && world.offers.is_over());
            prop_assert_eq!(world.old.len() + world.died_with_new.len(), 20);
        }
    }
}

#[test]
fn few_offers_are_open_and_an_answer_to_nothing_is_none() {
    let mut offers = Offers::default();
    for _ in 0..OFFERS_MAX {
        assert!(offers.may_offer());
        offers.offer(vec![1]);
    }
    assert!(!offers.may_offer());
    assert_eq!(offers.answered(99, Taken::default()), Answered { gone: vec![], stay: vec![] });
    assert_eq!(offers.answered(1, Taken::of_words([1, 0])).gone, [1]);
    assert!(offers.may_offer());
    assert_eq!(offers.let_go(), [1]);
    assert!(!offers.may_offer());
}

#[test]
fn what_was_taken_is_told_by_position() {
    let mut taken = Taken::default();
    for position in [0, 63, 64, 119] {
        taken.set(position);
    }
    taken.set(500);
    let told = Taken::of_words(taken.words());
    let all: Vec<usize> = (0..600).filter(|position| told.has(*position)).collect();
    assert_eq!(all, [0, 63, 64, 119]);
}
