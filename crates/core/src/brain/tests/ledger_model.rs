//! The ledger against a plain list that never forgets: whatever it puts aside or lets go of, what
//! it answers is what the list says.

use super::super::{ConnectionSlot, DeliveryKind, Entry, Ledger, Subject};
use crate::body::Body;
use proptest::collection::vec;
use proptest::prelude::*;

/// What one delivery may be.
#[derive(Clone, Debug)]
struct Shape {
    subject: u32,
    is_package: bool,
    /// Given in several parts, with its body.
    in_parts: bool,
    exposed: bool,
}

#[derive(Clone, Debug)]
enum Step {
    Push(Vec<Shape>),
    /// So many more are started.
    Start(usize),
    /// All that are started are finished, but every nth.
    FinishBut(usize),
    Finish(usize),
    /// The worker frees its ring as far as it may, but for so many deliveries.
    Free(usize),
    DropBelow(usize),
    DropOf(u32),
    Recall,
}

/// One delivery in the plain list.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Plain {
    seq: u64,
    position: u64,
    shape_package: bool,
    subject: u32,
    in_parts: bool,
    exposed: bool,
    done: bool,
    body: Option<Vec<u8>>,
}

struct Pair {
    ledger: Ledger,
    list: Vec<Plain>,
    /// Below this all is started.
    t: u64,
    written: u64,
    kept_below: u64,
    first_seq: u64,
}

fn subject(number: u32) -> Subject {
    Subject::Session(ConnectionSlot(number))
}

/// A body that tells which delivery it belongs to.
fn body(seq: u64) -> Vec<u8> {
    vec![seq as u8; 1 + seq as usize % 5]
}

impl Pair {
    fn new() -> Self {
        let ledger = Ledger::default();
        Self { ledger, list: Vec::new(), t: 0, written: 0, kept_below: 0, first_seq: 1 }
    }

    fn push(&mut self, shape: &Shape) {
        let seq = self.list.last().map_or(self.first_seq, |last| last.seq + 1);
        let in_parts = shape.in_parts && shape.is_package;
        let body = in_parts.then(|| body(seq));
        self.ledger.push(Entry {
            seq: 0,
            position: self.written,
            subject: subject(shape.subject),
            kind: if shape.is_package { DeliveryKind::Package } else { DeliveryKind::Closed },
            len: 0,
            attempt: 0,
            deaths_while_waiting: 0,
            exposed: shape.exposed,
            done: false,
            received_at: 0,
            given_at: 0,
            deferred_at: 0,
            in_parts,
            body: body.clone().map(Body::from),
        });
        self.list.push(Plain {
            seq,
            position: self.written,
            shape_package: shape.is_package,
            subject: shape.subject,
            in_parts,
            exposed: shape.exposed,
            done: false,
            body,
        });
        self.written += 64;
    }

    fn finish(&mut self, seq: u64) {
        self.ledger.finish(seq);
        // A second time changes nothing.
        self.ledger.finish(seq);
        for one in self.list.iter_mut().filter(|one| one.seq == seq) {
            one.done = true;
            one.body = None;
        }
    }

    fn running(&self) -> Vec<u64> {
        let running = self.list.iter().filter(|one| one.position < self.t && !one.done);
        running.map(|one| one.seq).collect()
    }

    fn free(&mut self, freed: u64) {
        let mut copied = Vec::new();
        self.ledger.keep_bodies(freed, |entry| !entry.exposed, &mut |entry| {
            copied.push(entry.seq);
            body(entry.seq)
        });
        let mut expected = Vec::new();
        for one in &mut self.list {
            let is_new = one.position >= self.kept_below && one.position < freed && !one.done;
            if is_new && one.shape_package && !one.in_parts && !one.exposed {
                one.body = Some(body(one.seq));
                expected.push(one.seq);
            }
        }
        assert_eq!(copied, expected);
        self.kept_below = self.kept_below.max(freed);
    }

    fn drop_bodies(&mut self, gone: impl Fn(&Plain) -> bool) {
        self.list.iter_mut().filter(|one| gone(one)).for_each(|one| one.body = None);
    }

    fn recall(&mut self) {
        while let Some(entry) = self.ledger.pop_unstarted(self.t) {
            let one = self.list.pop().unwrap();
            assert_eq!((entry.seq, entry.body.map(|body| body.to_vec())), (one.seq, one.body));
            self.check();
        }
        assert!(self.list.last().is_none_or(|last| last.position < self.t), "all came back");
        self.first_seq = self.list.last().map_or(self.first_seq, |last| last.seq + 1);
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Push(shapes) => shapes.iter().for_each(|shape| self.push(shape)),
            Step::Start(count) => {
                let waiting = self.list.iter().filter(|one| one.position >= self.t);
                let last = waiting.take(count).last().map(|one| one.position);
                self.t = last.map_or(self.t, |position| position + 1);
            }
            Step::FinishBut(every) => {
                let running = self.running();
                let ends = running.iter().enumerate().filter(|(index, _)| index % every != 0);
                ends.for_each(|(_, seq)| self.finish(*seq));
            }
            Step::Finish(which) => {
                let running = self.running();
                if let Some(seq) = running.get(which % running.len().max(1)) {
                    self.finish(*seq);
                }
            }
            Step::Free(less) => self.free(self.t.saturating_sub(64 * less as u64)),
            Step::DropBelow(less) => {
                let freed = self.t.saturating_sub(64 * less as u64);
                self.ledger.drop_bodies(freed);
                self.drop_bodies(|one| one.position < freed);
            }
            Step::DropOf(number) => {
                let own = |one: &&Plain| one.subject == number && !one.done;
                let unfinished = self.list.iter().filter(own).count() as u32;
                self.ledger.drop_bodies_of(subject(number), unfinished, |_| false);
                self.drop_bodies(|one| one.subject == number);
            }
            Step::Recall => self.recall(),
        }
        self.check();
    }

    /// All that the ledger can be asked.
    fn check(&mut self) {
        for from in (0..=self.written).step_by(320) {
            for to in [from, from + 1, from + 64, from + 65, self.t, u64::MAX] {
                let own = |one: &&Plain| !one.done && (from..to).contains(&one.position);
                let between = self.list.iter().filter(own).count();
                assert_eq!(self.ledger.defer_between(from, to, 1), between, "{from}..{to}");
            }
        }
        let (ledger, t) = (&self.ledger, self.t);
        let undone: Vec<&Plain> = self.list.iter().filter(|one| !one.done).collect();
        let listed = ledger.iter().filter(|entry| !entry.done);
        let listed = listed
            .map(|entry| (entry.seq, entry.position, entry.body.as_deref().map(<[u8]>::to_vec)));
        let expected = undone.iter().map(|one| (one.seq, one.position, one.body.clone()));
        assert!(listed.eq(expected));
        let bytes = undone.iter().filter_map(|one| one.body.as_ref()).map(Vec::len).sum::<usize>();
        assert_eq!(ledger.body_bytes(), bytes as u64);
        assert_eq!(ledger.is_empty(), undone.is_empty());
        assert!(ledger.len() <= 2 * undone.len() + 64, "{} for {}", ledger.len(), undone.len());
        assert_eq!(ledger.len(), ledger.iter().count());
        let last = self.list.last().map_or(self.first_seq, |one| one.seq + 1);
        assert_eq!(ledger.next_seq(), last);
        for one in &undone {
            assert_eq!(ledger.get(one.seq).map(|entry| entry.position), Some(one.position));
        }
        let waiting: Vec<&&Plain> = undone.iter().filter(|one| one.position >= t).collect();
        let first = waiting.first().map(|one| one.position);
        assert_eq!(ledger.first_unstarted(t), first);
        let explained = undone.iter().any(|one| one.position < t);
        assert_eq!(ledger.suspect(t), first.filter(|_| !explained));
        let at = |number| undone.iter().filter(|one| one.subject == number).count();
        let pinned = |number| undone.iter().any(|one| one.subject == number && one.position < t);
        let movable = waiting.iter().find(|one| !pinned(one.subject)).map(|one| one.seq);
        let may_move = |subject, own| match subject {
            Subject::Session(slot) => at(slot.0) as u32 == own,
            Subject::Peer(_) => panic!("the shapes have none"),
        };
        assert_eq!(ledger.oldest_movable(t, may_move).map(|entry| entry.seq), movable);
    }
}

fn step() -> impl Strategy<Value = Step> {
    let shape = (0u32..4, 0u8..8, 0u8..6, 0u8..4).prop_map(|(subject, kind, parts, exposed)| {
        Shape { subject, is_package: kind > 0, in_parts: parts == 0, exposed: exposed == 0 }
    });
    prop_oneof![
        4 => vec(shape.clone(), 1..6).prop_map(Step::Push),
        3 => vec(shape, 40..90).prop_map(Step::Push),
        6 => (1usize..100).prop_map(Step::Start),
        3 => (1usize..5).prop_map(Step::FinishBut),
        4 => (0usize..400).prop_map(Step::Finish),
        3 => (0usize..8).prop_map(Step::Free),
        1 => (0usize..8).prop_map(Step::DropBelow),
        1 => (0u32..4).prop_map(Step::DropOf),
        1 => Just(Step::Recall),
    ]
}

proptest! {
    #[test]
    fn it_answers_as_a_list_that_never_forgets(steps in vec(step(), 1..40)) {
        let mut pair = Pair::new();
        steps.into_iter().for_each(|step| pair.apply(step));
        // The worker dies: all that is left comes out, the newest first.
        while let Some(entry) = pair.ledger.pop_newest() {
            if !entry.done {
                let at = pair.list.iter().rposition(|one| !one.done).unwrap();
                pair.list.truncate(at + 1);
                let one = pair.list.pop().unwrap();
                assert_eq!((entry.seq, entry.body.map(|body| body.to_vec())), (one.seq, one.body));
            }
            let left = pair.list.iter().filter_map(|one| one.body.as_ref()).map(Vec::len);
            assert_eq!(pair.ledger.body_bytes(), left.sum::<usize>() as u64);
        }
        prop_assert!(pair.list.iter().all(|one| one.done));
    }
}
