//! Privileges.

use ostler_testkit::TestResult;

use crate::Effect;
use crate::talk::machine::may_change_ids;
use crate::talk::{Scratch, Talk, small_probe};

pub(crate) const EFFECTS: &[(&str, Effect)] = &[
    ("user", user_is_whose_workers_are),
    ("group", group_is_that_of_workers),
    ("groups", groups_are_the_supplementary_ones_of_workers),
    ("chroot", chroot_is_all_that_workers_see),
    ("no_new_privileges", no_new_privileges_is_said_of_workers),
];

/// Nobody's number, and that of its group.
const NOBODY: &str = "65534";

/// What a worker says of itself with these options.
fn ids_with(options: &[(&str, &str)]) -> TestResult<String> {
    let server =
        options.iter().fold(small_probe(), |server, (name, value)| server.set(name, value));
    let server = server.start()?;
    let mut talk = Talk::new(&server)?;
    let ids = talk.ask("ids")?;
    drop(talk);
    server.stop()?;
    Ok(ids)
}

#[test]
fn user_is_whose_workers_are() -> TestResult {
    let unknown = small_probe().set("user", "nobody-has-this-name").start_expecting_failure()?;
    assert!(unknown.1.contains("no user `nobody-has-this-name`"), "{unknown:?}");
    if !may_change_ids() {
        return Ok(());
    }
    let ids = ids_with(&[("user", NOBODY), ("group", NOBODY)])?;
    assert!(ids.starts_with("uid 65534,65534,65534 gid 65534,65534,65534 groups 65534 "), "{ids}");
    assert!(ids.ends_with("capabilities 0000000000000000"), "{ids}");
    Ok(())
}

#[test]
fn group_is_that_of_workers() -> TestResult {
    let unknown = small_probe().set("group", "nobody-has-this-name").start_expecting_failure()?;
    assert!(unknown.1.contains("no group `nobody-has-this-name`"), "{unknown:?}");
    if !may_change_ids() {
        return Ok(());
    }
    let ids = ids_with(&[("group", "4711")])?;
    assert!(ids.starts_with("uid 0,0,0 gid 4711,4711,4711 groups 4711 "), "{ids}");
    Ok(())
}

#[test]
fn groups_are_the_supplementary_ones_of_workers() -> TestResult {
    if !may_change_ids() {
        return Ok(());
    }
    let ids = ids_with(&[("user", NOBODY), ("group", NOBODY), ("groups", "4711, 4712")])?;
    assert!(ids.contains(" gid 65534,65534,65534 groups 4711,4712 "), "{ids}");
    Ok(())
}

#[test]
fn chroot_is_all_that_workers_see() -> TestResult {
    let wrong = small_probe().set("chroot", "/no/such/directory").start_expecting_failure()?;
    assert!(wrong.1.contains("`chroot`"), "{wrong:?}");
    if !may_change_ids() {
        return Ok(());
    }
    let scratch = Scratch::new("root")?;
    scratch.make("inside")?;
    let server = small_probe().set("chroot", scratch.at().display()).start()?;
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("open /inside")?, "opened");
    assert_eq!(talk.ask("open inside")?, "opened");
    assert_eq!(talk.ask("open /proc/self/status")?, "refused");
    assert_eq!(talk.ask("open ../../../etc/passwd")?, "refused");
    drop(talk);
    server.stop()
}

#[test]
fn no_new_privileges_is_said_of_workers() -> TestResult {
    for (value, said) in [("false", " no_new 0 "), ("true", " no_new 1 ")] {
        let ids = ids_with(&[("no_new_privileges", value)])?;
        assert!(ids.contains(said), "{ids}");
    }
    Ok(())
}
