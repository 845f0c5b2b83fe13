//! Privileges.

use ostler_testkit::TestResult;

use crate::Effect;
use crate::talk::facts::status;
use crate::talk::machine::may_change_ids;
use crate::talk::{Scratch, Talk, small_probe};

pub(crate) const EFFECTS: &[(&str, Effect)] = &[
    ("user", user_is_whose_workers_are),
    ("group", group_is_that_of_workers),
    ("groups", groups_are_the_supplementary_ones_of_workers),
    ("chroot", chroot_is_all_that_workers_see),
    ("capabilities", capabilities_are_all_that_workers_keep),
    ("no_new_privileges", no_new_privileges_is_said_of_workers),
    ("master_user", master_user_is_whose_the_master_becomes),
    ("master_group", master_group_is_that_of_the_master),
    ("sandbox", sandbox_is_that_of_the_master),
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

/// No capability, and `CAP_CHOWN`, as the kernel writes them.
const NONE: &str = "0000000000000000";
const CHOWN: &str = "0000000000000001";

#[test]
fn capabilities_are_all_that_workers_keep() -> TestResult {
    let unknown = small_probe().set("capabilities", "chwon").start_expecting_failure()?;
    assert!(unknown.0 == 2 && unknown.1.contains("no capability `chwon`"), "{unknown:?}");
    if !may_change_ids() {
        let missing = small_probe().set("capabilities", "chown").start_expecting_failure()?;
        assert!(missing.1.contains("does not have `chown` itself"), "{missing:?}");
        let back = small_probe().set("capabilities", "none").start_expecting_failure()?;
        assert!(back.1.contains("set `no_new_privileges` too"), "{back:?}");
        return Ok(());
    }
    let nobody = [("user", NOBODY), ("group", NOBODY)];
    for (start, keep, have) in
        [("fork", "none", NONE), ("fork", "chown", CHOWN), ("exec", "chown", CHOWN)]
    {
        let said = [("start", start), ("capabilities", keep)];
        let root = ids_with(&said)?;
        assert!(root.starts_with("uid 0,0,0 ") && root.ends_with(have), "{root}");
        let other = ids_with(&[&said[..], &nobody].concat())?;
        assert!(other.starts_with("uid 65534,65534,65534 ") && other.ends_with(have), "{other}");
    }
    programs_have_no_more("none", NONE)?;
    programs_have_no_more("chown", CHOWN)
}

/// Root gets all capabilities back by executing a program, unless they are out of bounds.
fn programs_have_no_more(keep: &str, have: &str) -> TestResult {
    let server = small_probe().set("capabilities", keep).start()?;
    let mut talk = Talk::new(&server)?;
    let child = talk.ask("start")?.parse().unwrap_or(0);
    let has_begun = || std::fs::read_to_string(format!("/proc/{child}/comm"));
    server.wait_for("the program", |_| has_begun().is_ok_and(|comm| comm == "sleep\n"))?;
    let found = ["CapPrm:", "CapEff:", "CapBnd:"].map(|label| status(child, label));
    if let Some(pid) = rustix::process::Pid::from_raw(child.cast_signed()) {
        rustix::process::kill_process(pid, rustix::process::Signal::KILL)?;
    }
    for set in found {
        assert_eq!(set?, have);
    }
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

/// User and group of the master with these options.
fn master_with(options: &[(&str, &str)]) -> TestResult<(String, String)> {
    let server =
        options.iter().fold(small_probe(), |server, (name, value)| server.set(name, value));
    let server = server.start()?;
    let master = server.master().pid();
    let found = (status(master, "Uid:")?, status(master, "Gid:")?);
    server.stop()?;
    Ok(found)
}

#[test]
fn master_user_is_whose_the_master_becomes() -> TestResult {
    let unknown = small_probe().set("master_user", "nobody-has-it").start_expecting_failure()?;
    assert!(unknown.1.contains("no user `nobody-has-it`"), "{unknown:?}");
    if !may_change_ids() {
        return Ok(());
    }
    let (uid, _) = master_with(&[("master_user", NOBODY), ("master_group", NOBODY)])?;
    assert_eq!(uid, "65534\t65534\t65534\t65534");
    Ok(())
}

#[test]
fn master_group_is_that_of_the_master() -> TestResult {
    if !may_change_ids() {
        return Ok(());
    }
    for group in [NOBODY, "4711"] {
        let (_, gid) = master_with(&[("master_user", NOBODY), ("master_group", group)])?;
        assert_eq!(gid, [group; 4].join("\t"));
    }
    Ok(())
}

#[test]
fn sandbox_is_that_of_the_master() -> TestResult {
    let own = status(std::process::id(), "Seccomp_filters:")?;
    for value in ["off", "master"] {
        let server = small_probe().set("sandbox", value).start();
        let server = match server {
            Err(error) if error.to_string().contains("`sandbox`: this kernel") => return Ok(()),
            started => started?,
        };
        let of_master = status(server.master().pid(), "Seccomp_filters:")?;
        assert_eq!(of_master != own, value == "master", "{value}: {of_master}");
        server.stop()?;
    }
    Ok(())
}
