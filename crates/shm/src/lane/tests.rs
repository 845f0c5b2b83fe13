//! One lane, both ends in one process: the plain way of a package and of its answer.

use super::*;
use crate::consumer::Consumer;
use crate::giver::Giver;
use crate::inbox::{Inbox, Take};
use crate::layout::Sizes;
use crate::mapping::Mapping;
use crate::outbox::{Committer, Outbox};
use crate::record::{Header, RecordKind};

fn sizes() -> Sizes {
    Sizes { reactors: 2, lane_size: 65_536 }
}

#[test]
fn a_package_goes_down_and_its_answer_comes_up() {
    let master = MasterMemory::create(sizes(), 3, 7).unwrap();
    let worker = WorkerMemory::open(master.down_fd(), master.up_fd()).unwrap();
    assert_eq!(worker.key(), (3, 7));
    let mut reactor_lane = master.lane(1).unwrap();
    let lane = worker.lane(1).unwrap();
    let (mut giver, mut consumer) = (Giver::default(), Consumer::default());
    let (mut inbox, mut outbox, mut committer) =
        (Inbox::default(), Outbox::default(), Committer::default());

    for round in 0..5_000u64 {
        let text = format!("hello {round}").repeat(1 + (round % 50) as usize);
        let opening = giver.open(65_536, 16_000, text.len() as u64).unwrap();
        let len = reactor_lane
            .packages
            .raw_mut(opening.payload_offset, opening.payload_max as usize)
            .copy_from(text.as_bytes());
        let header = Header {
            kind: RecordKind::Data as u8,
            seq: round + 1,
            subject: 99,
            ..Header::default()
        };
        giver.complete(&reactor_lane.packages, opening, header, len as u64);
        giver.publish(reactor_lane.down());

        let Take::Record { header, position } = inbox.take(lane.down(), lane.up(), &lane.packages)
        else {
            panic!("nothing to take in round {round}");
        };
        let package = lane.payload(position, &header);
        assert_eq!(&*package, text.as_bytes());
        assert!(lane.is_held());
        let answer = Header {
            kind: RecordKind::Out as u8,
            subject: header.subject,
            cause: header.seq,
            stamp: committer.open_transaction(),
            ..Header::default()
        };
        outbox.append(lane.down(), &lane.outputs, answer, &[b"> ", &package]).unwrap();
        Committer::store_written(&mut outbox, lane.up());
        assert_eq!(consumer_next(&mut consumer, &reactor_lane), None, "not committed yet");
        committer.commit(worker.process().unwrap());
        drop(package);
        assert!(!lane.is_held());
        inbox.free_up_to(inbox.position(), lane.up());

        let freed = giver.peek_freed(reactor_lane.up());
        assert_eq!(
            consumer_next(&mut consumer, &reactor_lane),
            Some(format!("> {text}").into_bytes())
        );
        assert!(consumer.release(reactor_lane.down()));
        giver.reclaim(freed).unwrap();
    }
    assert_eq!(giver.in_use(), 0);
}

fn consumer_next(consumer: &mut Consumer, lane: &ReactorLane) -> Option<Vec<u8>> {
    consumer.look(lane.process(), lane.up(), lane.capacity()).unwrap();
    let record = consumer.next(&lane.outputs).unwrap()?;
    Some(lane.outputs.raw(record.payload_offset, record.header.payload_len()).to_vec())
}

#[test]
fn what_was_not_started_is_recalled_and_the_space_used_again() {
    let master = MasterMemory::create(sizes(), 0, 1).unwrap();
    let worker = WorkerMemory::open(master.down_fd(), master.up_fd()).unwrap();
    let reactor_lane = master.lane(0).unwrap();
    let lane = worker.lane(0).unwrap();
    let mut giver = Giver::default();
    let mut inbox = Inbox::default();
    for _ in 0..10_000 {
        let mut positions = Vec::new();
        for seq in 1..=3 {
            let opening = giver.open(65_536, 100, 100).unwrap();
            let header = Header { kind: RecordKind::Data as u8, seq, ..Header::default() };
            positions.push(giver.complete(&reactor_lane.packages, opening, header, 100).position);
        }
        giver.publish(reactor_lane.down());
        let Take::Record { header, .. } = inbox.take(lane.down(), lane.up(), &lane.packages) else {
            panic!("nothing to take");
        };
        assert_eq!(header.seq, 1);
        let t = giver.recall(reactor_lane.down(), reactor_lane.up()).unwrap();
        let recalled: Vec<bool> = positions.iter().map(|position| *position >= t).collect();
        assert_eq!(recalled, [false, true, true]);
        inbox.free_up_to(inbox.position(), lane.up());
        assert_eq!(inbox.take(lane.down(), lane.up(), &lane.packages), Take::Empty);
        assert!(!inbox.has_news(lane.down()));
        giver.reclaim(giver.peek_freed(reactor_lane.up())).unwrap();
    }
}

#[test]
fn the_down_file_cannot_be_written_by_its_receiver() {
    let master = MasterMemory::create(sizes(), 0, 1).unwrap();
    assert!(Mapping::new(master.down_fd(), 4096, true).is_err());
    assert!(rustix::io::pwrite(master.down_fd(), b"x", 0).is_err());
    assert!(rustix::fs::ftruncate(master.up_fd(), 0).is_err());
}

#[test]
fn a_file_of_another_protocol_is_refused_with_a_reason() {
    let master = MasterMemory::create(sizes(), 0, 1).unwrap();
    let error = WorkerMemory::open(master.up_fd(), master.up_fd()).unwrap_err();
    assert!(error.to_string().contains("not a lane file"), "{error}");
}

#[test]
fn nonsense_from_the_worker_is_noticed() {
    use crate::sync::Ordering;
    let master = MasterMemory::create(sizes(), 0, 1).unwrap();
    let worker = WorkerMemory::open(master.down_fd(), master.up_fd()).unwrap();
    let lane = worker.lane(0).unwrap();
    let reactor_lane = master.lane(0).unwrap();
    let mut consumer = Consumer::default();
    lane.up().out.out_written.store(1 << 40, Ordering::Release);
    assert!(consumer.look(reactor_lane.process(), reactor_lane.up(), 65_536).is_err());
    lane.up().taken.taken.store(4096, Ordering::Release);
    assert!(Giver::default().recall(reactor_lane.down(), reactor_lane.up()).is_err());
    lane.up().taken.freed.store(4096, Ordering::Release);
    let mut giver = Giver::default();
    assert!(giver.reclaim(giver.peek_freed(reactor_lane.up())).is_err());
}
