//! Sessions that go to another master, and those that come from one.

use super::super::{BrainAction, CloseReason, Content};
use super::*;
use crate::ids::{PortId, Subject};

#[test]
fn a_session_goes_when_it_is_at_rest_and_nobody_is_told_of_an_end() {
    let (mut world, id) = one(CrashPolicy::Close);
    let place = world.sessions[&id].place;
    world.request(id);
    world.brain.let_settle(place);
    let later = world.request(id);
    world.pump();
    assert!(!world.brain.may_be_offered(place), "a package is at a worker");
    assert_eq!(world.state(id, later), State::Unread);
    world.start_all(0);
    world.finish_all(0);
    world.pump();
    assert_eq!(world.state(id, later), State::Unread, "it settles");
    assert!(world.brain.may_be_offered(place));
    world.brain.offer(place);
    assert!(!world.brain.may_be_offered(place) && world.brain.is_offered(place));
    assert!(world.brain.next_give().is_none());
    assert!(world.brain.may_go(place));
    world.brain.handed_over(place);
    let action = world.brain.next_action();
    assert_eq!(action, Some(BrainAction::FreeSession { connection: place, session: id }));
    assert_eq!((world.brain.next_action(), world.brain.is_empty()), (None, true));
    assert!(world.brain.next_give().is_none(), "no close event");
    let books = world.brain.books();
    assert_eq!((books.accepted, books.handed_over, books.open), (1, 1, 0));
    assert!(books.balance());
}

#[test]
fn a_session_that_stays_after_all_is_read_again_or_ends_as_was_asked_meanwhile() {
    for ends in [false, true] {
        let (mut world, id) = one(CrashPolicy::Close);
        let place = world.sessions[&id].place;
        world.brain.let_settle(place);
        world.brain.offer(place);
        let sent = world.request(id);
        if ends {
            world.close(id, CloseReason::Worker);
        }
        assert_eq!(world.brain.phase(place), Some(Phase::Open));
        world.brain.keep(place, false);
        world.pump();
        if ends {
            assert_ne!(world.brain.phase(place), Some(Phase::Open));
        } else {
            assert!(matches!(world.state(id, sent), State::At(_)));
            world.brain.let_settle(place);
            world.start_all(0);
            world.finish_all(0);
            world.pump();
            assert!(!world.brain.may_be_offered(place), "it was refused once");
        }
        assert!(world.brain.books().balance());
    }
}

/// The other master does not know of it.
#[test]
fn a_session_of_which_something_is_said_does_not_go_this_time() {
    for ends in [false, true] {
        let (mut world, id) = one(CrashPolicy::Close);
        let place = world.sessions[&id].place;
        world.brain.withdraw(place);
        world.brain.let_settle(place);
        world.brain.offer(place);
        assert!(world.brain.may_go(place), "what was said before is told");
        if ends {
            world.close(id, CloseReason::Worker)
        } else {
            world.brain.withdraw(place)
        }
        assert!(world.brain.is_offered(place) && !world.brain.may_go(place));
        world.brain.keep(place, true);
        world.pump();
        if ends {
            assert_ne!(world.brain.phase(place), Some(Phase::Open));
        } else {
            world.brain.let_settle(place);
            world.brain.offer(place);
            assert!(world.brain.may_go(place), "the next time");
        }
    }
}

/// Whoever has paused it resumes it, and that is a worker of the old master.
#[test]
fn a_session_that_is_paused_stays_until_it_is_resumed() {
    let (mut world, id) = one(CrashPolicy::Close);
    let place = world.sessions[&id].place;
    world.brain.pause_session(place, true);
    world.brain.let_settle(place);
    assert!(!world.brain.may_be_offered(place));
    world.brain.pause_session(place, false);
    assert!(world.brain.may_be_offered(place));
}

/// What the driver holds whole is served here, when the server drains before it goes.
#[test]
fn a_session_that_settles_is_served_when_the_server_drains() {
    let (mut world, id) = one(CrashPolicy::Close);
    let place = world.sessions[&id].place;
    world.brain.let_settle(place);
    let held = world.request(id);
    world.pump();
    assert_eq!(world.state(id, held), State::Unread, "it settles");
    world.brain.hold_message(place);
    world.brain.drain();
    let given = world.brain.next_give().expect("it is served");
    assert!(matches!(given.content, Content::Read), "{given:?}");
}

#[test]
fn a_session_that_comes_is_read_and_its_beginning_is_not_told_again() {
    let (mut world, id) = one(CrashPolicy::Close);
    let place = world.brain.take_over(PortId::FIRST, id + 1_000).unwrap();
    world.brain.was_told_full(place);
    let given = world.brain.next_give().unwrap();
    assert_eq!(given.subject, Subject::Session(place));
    assert!(matches!(given.content, Content::Read), "{given:?}");
    let books = world.brain.books();
    assert_eq!((books.accepted, books.taken_over, books.open), (1, 1, 2));
    assert!(books.balance());
}
