use super::manager::MANAGER_MESSAGE_SIZE_BYTES;
use super::wire::Malformed;
use super::*;
use crate::sys::epoll::Interest;
use crate::sys::{control_socket, eventfd};
use ostler_core::ids::{ProcessKey, ProcessKind, Slot};
use ostler_core::supervisor::{Exit, KillCause, LeaveReason, ReloadOutcome};
use proptest::prelude::*;

const SIGNALLED: Asker = Asker::Signal { signal: 10, sender: 1 };

fn key() -> impl Strategy<Value = ProcessKey> {
    (any::<u16>(), any::<u32>()).prop_map(|(slot, generation)| ProcessKey::event(slot, generation))
}

fn exit() -> impl Strategy<Value = Exit> {
    prop_oneof![
        any::<i32>().prop_map(Exit::Code),
        (any::<i32>(), any::<bool>())
            .prop_map(|(signal, core_dumped)| Exit::Signal { signal, core_dumped }),
    ]
}

fn kill_cause() -> impl Strategy<Value = Option<KillCause>> {
    prop_oneof![
        Just(None),
        Just(Some(KillCause::BootTimeout)),
        Just(Some(KillCause::DrainTimeout)),
        Just(Some(KillCause::Condemned)),
        Just(Some(KillCause::Shutdown)),
        Just(Some(KillCause::ReloadAborted)),
        Just(Some(KillCause::RequestDeadline)),
        Just(Some(KillCause::Stopped)),
    ]
}

fn outcome() -> impl Strategy<Value = ReloadOutcome> {
    prop_oneof![
        Just(ReloadOutcome::Done),
        any::<u16>().prop_map(|slot| ReloadOutcome::CanaryFailed(Slot(slot))),
        any::<u16>().prop_map(|slot| ReloadOutcome::Partial(Slot(slot))),
        Just(ReloadOutcome::ShuttingDown),
        Just(ReloadOutcome::NothingToReload),
    ]
}

fn asker() -> impl Strategy<Value = Asker> {
    prop_oneof![
        (any::<i32>(), any::<i32>()).prop_map(|(signal, sender)| Asker::Signal { signal, sender }),
        (key(), any::<u32>()).prop_map(|(worker, ticket)| Asker::Process { worker, ticket }),
        any::<u32>().prop_map(|ticket| Asker::Operator { ticket }),
    ]
}

fn kind() -> impl Strategy<Value = ProcessKind> {
    prop::sample::select(ProcessKind::ALL.to_vec())
}

fn wanted() -> impl Strategy<Value = WantedReload> {
    prop_oneof![
        Just(WantedReload::Workers),
        Just(WantedReload::Processes),
        Just(WantedReload::TaskWorkers),
        any::<String>().prop_map(|name| WantedReload::Process(ShortText::new(&name))),
    ]
}

/// Some slots of one part.
fn part() -> impl Strategy<Value = ReloadPart> {
    prop::collection::btree_map(0_u16..256, any::<bool>(), 1..200).prop_map(|slots| {
        let slots: Vec<_> = slots.into_iter().map(|(slot, is_new)| (Slot(slot), is_new)).collect();
        ReloadPart::split(&slots)[0]
    })
}

fn to_worker() -> impl Strategy<Value = ToWorker> {
    prop_oneof![
        Just(ToWorker::WhatHolds),
        part().prop_map(ToWorker::Slots),
        any::<String>().prop_map(|why| ToWorker::Why(ShortText::new(&why))),
        (any::<u32>(), outcome(), any::<bool>()).prop_map(|(ticket, outcome, has_waited)| {
            ToWorker::Reloaded { ticket, outcome, has_waited }
        }),
    ]
}

fn to_manager() -> impl Strategy<Value = ToManager> {
    prop_oneof![
        any::<u32>().prop_map(|generation_base| ToManager::Promote { generation_base }),
        (key(), any::<u16>()).prop_map(|(worker, seat)| ToManager::MemoryReady { worker, seat }),
        key().prop_map(ToManager::MemoryFailed),
        key().prop_map(ToManager::Condemn),
        asker().prop_map(ToManager::Reload),
        (kind(), any::<u32>()).prop_map(|(kind, ticket)| ToManager::Renew { kind, ticket }),
        Just(ToManager::Draining),
        any::<bool>().prop_map(|now| ToManager::Shutdown { now }),
        Just(ToManager::AreYouThere),
        key().prop_map(ToManager::LateIsKnown),
        key().prop_map(ToManager::Retired),
        any::<u16>().prop_map(ToManager::Resize),
        Just(ToManager::HowManyAreBusy),
        Just(ToManager::ReactorLags),
    ]
}

fn to_master() -> impl Strategy<Value = ToMaster> {
    prop_oneof![
        any::<i32>().prop_map(|pid| ToMaster::Spare { pid }),
        any::<i32>().prop_map(|errno| ToMaster::SpareFailed { errno }),
        any::<u16>().prop_map(ToMaster::Busy),
        key().prop_map(ToMaster::Need),
        (key(), any::<i32>()).prop_map(|(worker, pid)| ToMaster::Spawned { worker, pid }),
        (key(), prop::option::of(key()))
            .prop_map(|(serve, leave)| ToMaster::Serve { serve, leave }),
        key().prop_map(ToMaster::Leave),
        key().prop_map(ToMaster::Release),
        (key(), exit(), kill_cause(), any::<bool>(), any::<bool>()).prop_map(
            |(worker, exit, killed, took_delivery, expected)| {
                ToMaster::Died(DeathNotice { worker, exit, killed, took_delivery, expected })
            }
        ),
        (outcome(), any::<String>()).prop_map(|(outcome, why)| {
            let why = ShortText::new(&why);
            ToMaster::ReloadFinished { outcome, why }
        }),
        any::<u32>().prop_map(|requests| ToMaster::ReloadStarted { requests }),
        part().prop_map(ToMaster::ReloadSlots),
        (kind(), any::<u32>(), outcome()).prop_map(|(kind, ticket, outcome)| ToMaster::Renewed {
            kind,
            ticket,
            outcome
        }),
        any::<String>().prop_map(|why| ToMaster::RenewalWhy(ShortText::new(&why))),
        (key(), any::<u32>()).prop_map(|(worker, ticket)| ToMaster::WantReload { worker, ticket }),
        Just(ToMaster::ShutdownRequested),
        Just(ToMaster::Finished),
        Just(ToMaster::GoesOn),
        (key(), any::<u64>()).prop_map(|(worker, session)| ToMaster::Late { worker, session }),
        any::<String>().prop_map(|why| ToMaster::NobodyStarts(ShortText::new(&why))),
        (key(), any::<u64>(), any::<u8>(), any::<bool>()).prop_map(
            |(worker, session, callback, by_itself)| {
                ToMaster::DiedIn(DyingCallback { worker, session, callback, by_itself })
            }
        ),
    ]
}

fn from_worker() -> impl Strategy<Value = FromWorker> {
    prop_oneof![
        Just(FromWorker::Ready),
        Just(FromWorker::LeaveRequest(LeaveReason::MaxRequests)),
        Just(FromWorker::LeaveRequest(LeaveReason::Asked)),
        Just(FromWorker::TookDelivery),
        any::<String>().prop_map(|why| FromWorker::StartFailed(ShortText::new(&why))),
        any::<String>().prop_map(|why| FromWorker::Began(ShortText::new(&why))),
        any::<String>().prop_map(|text| FromWorker::Holder(ShortText::new(&text))),
        any::<u32>().prop_map(FromWorker::LastHolder),
        (any::<u32>(), wanted())
            .prop_map(|(ticket, wanted)| FromWorker::WantReload { ticket, wanted }),
    ]
}

/// Bytes that come near to messages: a small first byte, often the right length, mostly zeros.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![4 => Just(0), 2 => 1..=3_u8, 1 => any::<u8>()];
    let first = prop_oneof![0..=80_u8, Just(0xA7), any::<u8>()];
    let length =
        prop_oneof![Just(MANAGER_MESSAGE_SIZE_BYTES), Just(WORKER_MESSAGE_SIZE_BYTES), 0..70_usize];
    (first, length).prop_flat_map(move |(first, length)| {
        prop::collection::vec(byte.clone(), length).prop_map(move |mut bytes| {
            if let Some(place) = bytes.first_mut() {
                *place = first;
            }
            bytes
        })
    })
}

proptest! {
    #[test]
    fn messages_to_the_manager_come_back(message in to_manager()) {
        prop_assert_eq!(ToManager::decode(&message.encode()), Ok(message));
        prop_assert_eq!(ToMaster::decode(&message.encode()), Err(Malformed));
    }

    #[test]
    fn messages_to_a_worker_come_back(message in to_worker()) {
        prop_assert_eq!(ToWorker::decode(&message.encode()), Ok(message));
        prop_assert_eq!(FromWorker::decode(&message.encode()), Err(Malformed));
    }

    #[test]
    fn messages_to_the_master_come_back(message in to_master()) {
        prop_assert_eq!(ToMaster::decode(&message.encode()), Ok(message));
        prop_assert_eq!(ToManager::decode(&message.encode()), Err(Malformed));
    }

    #[test]
    fn messages_from_workers_come_back(message in from_worker()) {
        prop_assert_eq!(FromWorker::decode(&message.encode()), Ok(message));
    }

    #[test]
    fn any_bytes_are_one_message_or_none(bytes in bytes()) {
        if let Ok(message) = ToManager::decode(&bytes) {
            prop_assert_eq!(&message.encode()[..], &bytes[..]);
        }
        if let Ok(message) = ToMaster::decode(&bytes) {
            prop_assert_eq!(&message.encode()[..], &bytes[..]);
        }
        if let Ok(message) = FromWorker::decode(&bytes) {
            prop_assert_eq!(&message.encode()[..], &bytes[..]);
        }
    }
}

fn channels() -> (Channel<ToManager, ToMaster>, Channel<ToMaster, ToManager>) {
    let (near, far) = control_socket::pair().unwrap();
    (Channel::new(near), Channel::new(far))
}

#[test]
fn a_channel_carries_messages_and_descriptors_until_closed() {
    let (mut master, mut manager) = channels();
    assert!(matches!(manager.receive().unwrap(), Received::Nothing));
    let bell = eventfd::create().unwrap();
    let message = ToManager::MemoryReady { worker: ProcessKey::event(3, 4), seat: 5 };
    master.send(&message, vec![bell.try_clone().unwrap()]).unwrap();
    let Received::Message(received, descriptors) = manager.receive().unwrap() else { panic!() };
    assert_eq!((received, descriptors.len()), (message, 1));
    eventfd::ring(&descriptors[0]).unwrap();
    assert_eq!(eventfd::drain(&bell).unwrap(), 1);
    manager.send(&ToMaster::Finished, Vec::new()).unwrap();
    drop(manager);
    assert!(matches!(master.receive().unwrap(), Received::Message(ToMaster::Finished, _)));
    assert!(matches!(master.receive().unwrap(), Received::Closed));
    assert!(master.send(&ToManager::Reload(SIGNALLED), Vec::new()).is_err());
}

#[test]
fn a_full_socket_keeps_order_in_the_outbox() {
    let (mut master, manager) = channels();
    let count = 2_000;
    for generation in 0..count {
        master.send(&ToManager::Condemn(ProcessKey::event(0, generation)), Vec::new()).unwrap();
    }
    assert!(master.has_backlog());
    assert_eq!(master.interest(), Interest::READ | Interest::WRITE);
    for generation in 0..count {
        master.flush().unwrap();
        let Received::Message(message, _) = manager.receive().unwrap() else { panic!() };
        assert_eq!(message, ToManager::Condemn(ProcessKey::event(0, generation)));
    }
    assert!(!master.has_backlog());
}

#[test]
fn what_is_sent_first_waits_for_nobody_who_cannot_be_sent() {
    let (mut master, manager) = channels();
    let late = ToManager::Condemn(ProcessKey::event(0, 1));
    let bell = eventfd::create().unwrap();
    // So many descriptors are on their way as may be (unix(7)).
    let too_many = std::io::Error::from(rustix::io::Errno::TOOMANYREFS);
    master.outbox_push(&late, vec![bell]);
    let mut error = Some(too_many);
    master.flush_by(|_, _, _| Err(error.take().unwrap())).unwrap();
    assert!(master.has_backlog() && master.waits_untold(), "the socket is writable for ever");
    assert_eq!(master.interest(), Interest::READ);
    let retry_at = master.retry_at().unwrap();
    master.send_again(retry_at - 1).unwrap();
    assert!(master.has_backlog(), "it is not time for it");
    let first = ToManager::Condemn(ProcessKey::event(0, 2));
    let mut sent = 0;
    master.outbox_push_first(&first);
    master
        .flush_by(|socket, message, descriptors| {
            if !descriptors.is_empty() {
                return Err(rustix::io::Errno::TOOMANYREFS.into());
            }
            sent += 1;
            control_socket::send(socket, message, descriptors)
        })
        .unwrap();
    assert!(sent == 1 && master.waits_untold());
    let retry_at = master.retry_at().unwrap();
    assert!(matches!(manager.receive().unwrap(), Received::Message(it, _) if it == first));
    master.send_again(retry_at).unwrap();
    assert!(!master.has_backlog() && !master.waits_untold() && master.retry_at().is_none());
    assert!(matches!(manager.receive().unwrap(), Received::Message(it, _) if it == late));
}

#[test]
fn what_the_kernel_has_no_memory_for_waits_and_what_cannot_be_sent_at_all_does_not() {
    use rustix::io::Errno;

    let (mut master, manager) = channels();
    let message = ToManager::Condemn(ProcessKey::event(0, 1));
    for passing in [Errno::NOBUFS, Errno::NOMEM, Errno::TOOMANYREFS] {
        master.outbox_push(&message, Vec::new());
        let mut error = Some(passing.into());
        master.flush_by(|_, _, _| Err(error.take().unwrap())).unwrap();
        assert!(master.has_backlog() && master.waits_untold(), "{passing}");
        master.flush().unwrap();
        assert!(!master.has_backlog() && !master.waits_untold(), "{passing}");
        assert!(matches!(manager.receive().unwrap(), Received::Message(it, _) if it == message));
    }
    drop(manager);
    assert!(master.send(&message, Vec::new()).is_err());
    assert!(!master.has_backlog(), "nobody is to watch for it");
}

#[test]
fn garbage_on_a_channel_is_an_error() {
    let (near, far) = control_socket::pair().unwrap();
    let manager = Channel::<ToMaster, ToManager>::new(far);
    control_socket::send(&near, &[0xFF; MANAGER_MESSAGE_SIZE_BYTES], &[]).unwrap();
    assert_eq!(manager.receive().unwrap_err().kind(), std::io::ErrorKind::InvalidData);
    control_socket::send(&near, &[1; 3], &[]).unwrap();
    assert_eq!(manager.receive().unwrap_err().kind(), std::io::ErrorKind::InvalidData);
}

/// Nobody may have looked at the channel meanwhile.
#[test]
fn a_channel_at_its_limit_takes_the_next_message_when_its_peer_has_read() {
    let (mut master, manager) = channels();
    let fills = |master: &mut Channel<ToManager, ToMaster>| {
        while master.send(&ToManager::Draining, Vec::new()).is_ok() {}
    };
    fills(&mut master);
    assert!(master.has_backlog(), "what waits is not lost");
    assert!(matches!(manager.receive().unwrap(), Received::Message(ToManager::Draining, _)));
    master.send(&ToManager::Draining, Vec::new()).unwrap();
    fills(&mut master);
}
