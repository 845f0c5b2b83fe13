use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};
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
    let flags = any::<[bool; 3]>();
    let traffic = any::<[u64; 5]>().prop_map(|words| HandedTraffic {
        received_at_ns: words[0],
        given_at_ns: words[1],
        sent_at_ns: words[2],
        received_bytes: words[3],
        sent_bytes: words[4],
    });
    let tail = (bytes(40), prop::collection::vec(bytes(20), 0..4), bytes(200), bytes(200));
    (head, flags, traffic, tail).prop_map(|(head, flags, traffic, tail)| {
        let (session, port, peer, connected_at_ns, user) = head;
        let [is_protected, is_full, is_unnamed] = flags;
        let (state, groups, received, unsent) = tail;
        HandedSession {
            session,
            port: port.clone(),
            peer,
            connected_at_ns,
            traffic,
            is_protected,
            is_full,
            is_unnamed,
            user,
            state,
            groups,
            framing: port.clone(),
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
    assert_eq!(with(4, 1), Err(BadRecord("a list of sessions of another format")));
    assert_eq!(with(6, 1), Err(BadRecord("a list of sessions that is cut")));
    assert_eq!(with(6, 255), Err(BadRecord("too many sessions in one list")));
}

const fn wants(words: [u64; 2]) -> Answer {
    Answer { wanted: Chosen::of_words(words), refused: Chosen::of_words([0; 2]) }
}

#[test]
fn who_cannot_be_had_now_is_here_for_now_and_who_is_refused_stays() {
    let mut offers = Offers::default();
    let number = offers.offer(vec!["wanted", "refused", "later"], 0);
    let answer = Answer { refused: Chosen::of_words([2, 0]), ..wants([1, 0]) };
    let answered = offers.answered(number, answer, |_| true).unwrap();
    assert_eq!(answered.gone, ["wanted"]);
    assert_eq!(answered.stay, ["refused"]);
    assert_eq!(answered.later, ["later"]);
    assert_eq!((answered.back, answered.given), (vec![], Chosen::of_words([1, 0])));
}

/// Two masters, the sockets between them, and the sessions of the old one.
#[derive(Debug, Default)]
struct World {
    now: u64,
    offers: Offers<u32>,
    /// The old one reads and writes these.
    old: Vec<u32>,
    /// It touches these no more.
    frozen: Vec<u32>,
    /// Of these somebody has said something there, since they were frozen.
    withdrawn: Vec<u32>,
    /// The new one reads and writes these.
    new: Vec<u32>,
    /// It has said that it can have these.
    wanted: BTreeMap<u32, Vec<u32>>,
    to_new: VecDeque<ToNew>,
    to_old: VecDeque<(u32, Answer)>,
    new_is_dead: bool,
    /// What was said of them is known to nobody.
    lost_words: Vec<u32>,
}

#[derive(Clone, Debug)]
enum ToNew {
    Offer(u32, Vec<u32>),
    Given(u32, Chosen),
}

#[derive(Clone, Debug)]
enum Step {
    Offer(usize),
    Say(u32),
    NewHears(u32),
    OldHears,
    Wait,
    NewDies,
    OldHearsOfDeath,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1usize..5).prop_map(Step::Offer),
        4 => (0u32..20).prop_map(Step::Say),
        16 => any::<u32>().prop_map(Step::NewHears),
        8 => Just(Step::OldHears),
        1 => Just(Step::Wait),
        1 => Just(Step::NewDies),
        1 => Just(Step::OldHearsOfDeath),
    ]
}

impl World {
    fn step(&mut self, step: Step) {
        match step {
            Step::Offer(count) if self.offers.may_offer() => {
                let count = count.min(self.old.len());
                let sessions: Vec<u32> = self.old.drain(..count).collect();
                self.frozen.extend(&sessions);
                let number = self.offers.offer(sessions.clone(), self.now);
                if !self.new_is_dead {
                    self.to_new.push_back(ToNew::Offer(number, sessions));
                }
            }
            Step::Say(session) if self.frozen.contains(&session) => self.withdrawn.push(session),
            Step::NewHears(which) if !self.new_is_dead => self.new_hears(which),
            Step::OldHears => self.old_hears(),
            Step::Wait => {
                self.now += ANSWER_MAX_NS;
                let back = self.offers.overdue(self.now);
                self.take_back(&back);
                assert_eq!(self.offers.due(), None, "all that waited are too late");
            }
            Step::NewDies => {
                self.new_is_dead = true;
                // What it had, or was given on the way, dies with it.
                self.to_new.clear();
                self.wanted.clear();
            }
            Step::OldHearsOfDeath if self.new_is_dead => {
                while !self.to_old.is_empty() {
                    self.old_hears();
                }
                let back = self.offers.end();
                self.take_back(&back);
            }
            _ => {}
        }
    }

    fn new_hears(&mut self, which: u32) {
        match self.to_new.pop_front() {
            Some(ToNew::Offer(number, sessions)) => {
                let mut answer = Answer::default();
                for position in 0..sessions.len() {
                    match which >> (2 * position) & 3 {
                        0 => {}
                        1 => answer.refused.set(position),
                        _ => answer.wanted.set(position),
                    }
                }
                self.wanted.insert(number, sessions);
                self.to_old.push_back((number, answer));
            }
            Some(ToNew::Given(number, given)) => {
                let sessions = self.wanted.remove(&number).unwrap().into_iter().enumerate();
                let ours = sessions.filter(|(position, _)| given.has(*position));
                self.new.extend(ours.map(|(_, session)| session));
            }
            None => {}
        }
    }

    fn old_hears(&mut self) {
        let Some((number, answer)) = self.to_old.pop_front() else { return };
        let withdrawn = self.withdrawn.clone();
        let may_go = |session: &u32| !withdrawn.contains(session);
        let answered = self.offers.answered(number, answer, may_go).unwrap();
        self.take_back(&answered.back);
        self.take_back(&answered.later);
        self.take_back(&answered.stay);
        for session in answered.gone {
            self.frozen.retain(|of| *of != session);
            if self.withdrawn.contains(&session) {
                self.lost_words.push(session);
            }
        }
        if !self.new_is_dead {
            self.to_new.push_back(ToNew::Given(number, answered.given));
        }
    }

    fn take_back(&mut self, sessions: &[u32]) {
        self.frozen.retain(|session| !sessions.contains(session));
        self.withdrawn.retain(|session| !sessions.contains(session));
        self.old.extend(sessions);
    }

    /// What is to be given on its way.
    fn given_on_its_way(&self, session: u32) -> bool {
        self.to_new.iter().any(|message| match message {
            ToNew::Given(number, given) => {
                let sessions = self.wanted.get(number).into_iter().flatten().enumerate();
                sessions.into_iter().any(|(at, one)| *one == session && given.has(at))
            }
            ToNew::Offer(..) => false,
        })
    }
}

proptest! {
    /// Whoever dies when, and whatever is said when: a session is touched by one master at most; it
    /// is one's, or on its way to one; and nothing that was said of it is lost.
    #[test]
    fn a_session_belongs_to_one_master(steps in prop::collection::vec(any_step(), 0..80)) {
        let mut world = World { old: (0..20).collect(), ..World::default() };
        for step in steps {
            world.step(step);
            for session in 0..20 {
                let of = |all: &[u32]| all.iter().filter(|one| **one == session).count();
                let places = of(&world.old) + of(&world.frozen) + of(&world.new)
                    + usize::from(world.given_on_its_way(session));
                prop_assert!(places <= 1, "{} is in two places: {:?}", session, world);
                prop_assert!(places == 1 || world.new_is_dead, "{} is lost: {:?}", session, world);
            }
            prop_assert!(world.lost_words.is_empty(), "{:?}", world);
        }
        let was_alive = !world.new_is_dead;
        world.step(Step::NewDies);
        world.step(Step::OldHearsOfDeath);
        prop_assert!(world.frozen.is_empty() && world.offers.is_over());
        prop_assert!(!was_alive || world.old.len() + world.new.len() <= 20);
    }
}

#[test]
fn few_offers_are_open_and_an_answer_to_nothing_is_none() {
    let mut offers = Offers::default();
    for _ in 0..OFFERS_MAX {
        assert!(offers.may_offer());
        offers.offer(vec![1], 0);
    }
    assert!(!offers.may_offer());
    assert_eq!(offers.answered(99, Answer::default(), |_| true), None);
    let answered = offers.answered(1, wants([1, 0]), |_| true).unwrap();
    assert_eq!((answered.gone, answered.given), (vec![1], Chosen::of_words([1, 0])));
    assert!(offers.may_offer());
    assert_eq!(offers.end(), [1]);
    assert!(!offers.may_offer());
    let late = offers.answered(2, wants([1, 0]), |_| true).unwrap();
    assert_eq!((late.gone, late.given), (vec![], Chosen::default()), "it is told of nobody");
}

/// It may be stopped, or its socket full for ever.
#[test]
fn who_does_not_answer_has_nobody_for_long() {
    let mut offers = Offers::default();
    let (first, _) = (offers.offer(vec![1, 2], 5), offers.offer(vec![3], 7));
    assert_eq!(offers.due(), Some(5 + ANSWER_MAX_NS));
    assert_eq!(offers.overdue(4 + ANSWER_MAX_NS), []);
    assert_eq!(offers.overdue(5 + ANSWER_MAX_NS), [1, 2]);
    assert_eq!(offers.due(), Some(7 + ANSWER_MAX_NS));
    let answered = offers.answered(2, wants([1, 0]), |_| true).unwrap();
    assert_eq!(answered.gone, [3], "in time");
    assert!(!offers.may_offer(), "it has not answered the first one");
    let answered = offers.answered(first, wants([3, 0]), |_| true).unwrap();
    assert_eq!((answered.gone, answered.given), (vec![], Chosen::default()));
    assert!(offers.may_offer());
}

#[test]
fn what_was_chosen_is_told_by_position() {
    let mut chosen = Chosen::default();
    for position in [0, 63, 64, 119] {
        chosen.set(position);
    }
    chosen.set(500);
    let told = Chosen::of_words(chosen.words());
    let all: Vec<usize> = (0..600).filter(|position| told.has(*position)).collect();
    assert_eq!(all, [0, 63, 64, 119]);
}
