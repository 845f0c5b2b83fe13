//! Sessions that workers have paused.

use super::*;

#[test]
fn a_paused_session_is_not_read_until_it_is_resumed() {
    let (mut world, id) = one(CrashPolicy::Close);
    let place = world.sessions[&id].place;
    let before = world.request(id);
    world.brain.pause_session(place, true);
    let held = world.request(id);
    assert!(matches!(world.state(id, before), State::At(_)), "what was given is not affected");
    world.start_all(0);
    world.finish_all(0);
    world.pump();
    assert_eq!(world.state(id, held), State::Unread);
    world.brain.pause_session(place, true);
    world.brain.pause_session(place, false);
    world.pump();
    assert!(matches!(world.state(id, held), State::At(_)));
    world.calm_down();
}

#[test]
fn what_came_back_from_a_dead_worker_is_given_to_the_next_although_the_session_is_paused() {
    let (mut world, id) = one(CrashPolicy::Redeliver(3));
    let item = world.request(id);
    world.start_all(0);
    world.brain.pause_session(world.sessions[&id].place, true);
    world.die(0);
    world.repair();
    world.pump();
    assert!(matches!(world.state(id, item), State::At(_)));
    world.calm_down();
}

#[test]
fn a_server_that_drains_and_a_client_that_is_lost_lift_the_pause() {
    let (mut world, id) = one(CrashPolicy::Close);
    world.brain.pause_session(world.sessions[&id].place, true);
    world.drain();
    world.brain.pause_session(world.sessions[&id].place, true);
    world.calm_down();
    assert!(world.brain.is_empty());

    let (mut world, id) = one(CrashPolicy::Close);
    world.brain.pause_session(world.sessions[&id].place, true);
    let sent = world.request(id);
    world.lose(id);
    world.pump();
    assert!(matches!(world.state(id, sent), State::At(_)));
    world.calm_down();
}

/// A session that has sent too much in a time is read again later, or when the server drains; what
/// was given is handled.
#[test]
fn a_session_that_is_held_back_is_not_read_until_it_may_send_again() {
    for drains in [false, true] {
        let (mut world, id) = one(CrashPolicy::Close);
        let place = world.sessions[&id].place;
        let before = world.request(id);
        world.brain.hold_back(place, true);
        world.brain.hold_back(place, true);
        assert_eq!(world.brain.books().held_back, 1);
        let held = world.request(id);
        assert!(matches!(world.state(id, before), State::At(_)), "what was given is not affected");
        world.start_all(0);
        world.finish_all(0);
        world.pump();
        assert_eq!(world.state(id, held), State::Unread);
        if drains {
            world.drain();
            world.brain.hold_back(place, true);
            assert!(!world.brain.sessions.get(place).is_some_and(|one| one.is_held_back));
        } else {
            world.brain.hold_back(place, false);
            world.pump();
            assert!(matches!(world.state(id, held), State::At(_)));
        }
        world.calm_down();
    }
}
