//! Tasks.

use ostler_testkit::{TestResult, TestServer};

use crate::Effect;

pub(crate) const EFFECTS: &[(&str, Effect)] =
    &[("task_workers", task_workers_is_how_many_there_are)];

#[test]
fn task_workers_is_how_many_there_are() -> TestResult {
    for tasks in [0, 3] {
        let server = TestServer::echo().set("workers", 1).set("task_workers", tasks).start()?;
        server.wait_for("all task workers", |server| server.task_workers().len() == tasks)?;
        assert_eq!(server.workers().len(), 1);
        server.stop()?;
    }
    Ok(())
}
