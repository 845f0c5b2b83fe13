//! Packages beyond what the address of a client may send.

use super::*;

/// One worker that gets two packages at a time.
fn answering(answers_refused: bool) -> World {
    let usual = port_settings(Dispatch::IdleFirst, CrashPolicy::Close, 16);
    let port = PortSettings { answers_refused, ..usual };
    serving_with(BrainSettings {
        workers: 1,
        ports: PerPort::new(port, Vec::new()),
        ..settings(Dispatch::IdleFirst, CrashPolicy::Close)
    })
}

#[test]
fn a_session_is_turned_away_when_its_earlier_packages_are_answered() {
    let mut world = answering(false);
    let [asks, other] = [(); 2].map(|()| world.connected());
    let first = world.request(asks);
    world.start(0);
    world.exceed_rate(asks);
    let beyond = world.request(asks);
    assert_eq!(world.closed(asks), None, "a worker is at its first one");
    let served = world.request(other);
    world.start(0);
    world.finish(0, 0);
    world.actions();
    assert_eq!(world.closed(asks), Some(CloseReason::Overloaded));
    assert_eq!(world.state(asks, first), State::Finished);
    assert_eq!(world.state(asks, beyond), State::Unread, "nobody was given it");
    assert_eq!(world.brain.books().refused_package_rate, 1);
    world.calm_down();
    assert_eq!(world.state(other, served), State::Finished);
}

#[test]
fn an_answer_to_what_is_beyond_comes_behind_those_to_what_came_before() {
    let mut world = answering(true);
    let asks = world.connected();
    let first = world.request(asks);
    world.start(0);
    world.exceed_rate(asks);
    let [beyond, behind] = [(); 2].map(|()| world.request(asks));
    assert_eq!(world.state(asks, beyond), State::Unread, "the first is not answered");
    world.finish(0, 0);
    world.actions();
    assert_eq!([first, beyond].map(|item| world.state(asks, item)), [State::Finished, State::Gone]);
    assert_eq!((world.brain.books().refused, world.brain.books().refused_package_rate), (1, 1));
    world.calm_down();
    assert_eq!(world.state(asks, behind), State::Finished, "it was within the rate");
    assert_eq!(world.closed(asks), None);
}

/// What its worker had not begun comes back, and comes first.
#[test]
fn what_came_back_is_not_refused_in_the_place_of_what_is_beyond() {
    for answers in [false, true] {
        let mut world = answering(answers);
        let asks = world.connected();
        let first = world.request(asks);
        world.exceed_rate(asks);
        let beyond = world.request(asks);
        world.die(0);
        world.actions();
        assert_eq!(world.closed(asks), None);
        world.serving(0);
        world.calm_down();
        let ends = [first, beyond].map(|item| world.state(asks, item));
        assert_eq!(ends, [State::Finished; 2], "by then it was within the rate");
    }
}
