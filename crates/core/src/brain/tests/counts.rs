//! What the driver tells the brain of what it threw away stands in the books.

use super::*;

#[test]
fn what_the_driver_throws_away_is_in_the_books() {
    let (mut world, _) = one(CrashPolicy::Close);
    world.brain.count_output_gone(100);
    assert_eq!(world.brain.books().output_session_gone, 1);
    assert_eq!(world.brain.books().output_dropped_bytes, 100);
    world.brain.count_output_dropped(20);
    assert_eq!(world.brain.books().output_session_gone, 1);
    assert_eq!(world.brain.books().output_dropped_bytes, 120);
    world.brain.count_input_dropped(CloseReason::SlowReader, 7);
    assert_eq!(world.brain.books().input_dropped_bytes[CloseReason::SlowReader as usize], 7);
    assert_eq!(world.brain.books().input_dropped_total(), 7);
    world.brain.count_shortage();
    assert_eq!(world.brain.books().memory_shortages, 1);
}

#[test]
fn what_is_taken_back_and_given_again_is_in_the_books() {
    let (mut world, id) = one(CrashPolicy::Redeliver(3));
    world.request(id);
    world.request(id);
    world.recall(0);
    assert_eq!(world.brain.books().recalls, 2);
    assert_eq!(world.brain.books().redelivered, 0, "neither was started");
    world.pump();
    world.start(0);
    world.die(0);
    world.calm_down();
    assert_eq!(world.brain.books().redelivered, 1);
    assert_eq!(world.brain.books().finished, 2);
    assert_eq!(world.brain.open_sessions(), 1);
}

#[test]
fn a_session_is_held_while_a_delivery_of_it_is_at_a_lane() {
    let (mut world, id) = one(CrashPolicy::Close);
    let _idle = world.connected();
    assert_eq!(world.brain.held_sessions(), 0);
    world.request(id);
    world.request(id);
    assert_eq!(world.brain.held_sessions(), 1);
    world.start_all(0);
    world.finish_all(0);
    assert_eq!(world.brain.held_sessions(), 0);
}
