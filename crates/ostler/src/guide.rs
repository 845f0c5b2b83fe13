//! The pages of the guide (`docs/guide`), so that the documentation tests compile their examples.

#[doc = include_str!("../../../docs/guide/options.md")]
struct Options;

#[doc = include_str!("../../../docs/guide/ports.md")]
struct Ports;

#[doc = include_str!("../../../docs/guide/framing.md")]
struct Framing;

#[doc = include_str!("../../../docs/guide/dispatch.md")]
struct Dispatch;

#[doc = include_str!("../../../docs/guide/datagrams.md")]
struct Datagrams;

#[doc = include_str!("../../../docs/guide/groups.md")]
struct Groups;

#[doc = include_str!("../../../docs/guide/back-pressure.md")]
struct BackPressure;

#[doc = include_str!("../../../docs/guide/limits.md")]
struct Limits;

#[doc = include_str!("../../../docs/guide/timeouts.md")]
struct Timeouts;

#[doc = include_str!("../../../docs/guide/deadlines.md")]
struct Deadlines;

#[doc = include_str!("../../../docs/guide/privileges.md")]
struct Privileges;

#[doc = include_str!("../../../docs/guide/resources.md")]
struct Resources;

#[doc = include_str!("../../../docs/guide/crashes.md")]
struct Crashes;

#[doc = include_str!("../../../docs/guide/poison.md")]
struct Poison;

#[doc = include_str!("../../../docs/guide/reload.md")]
struct Reload;

#[doc = include_str!("../../../docs/guide/recycling.md")]
struct Recycling;

#[doc = include_str!("../../../docs/guide/life-cycle.md")]
struct LifeCycle;

#[doc = include_str!("../../../docs/guide/deploys.md")]
struct Deploys;

#[doc = include_str!("../../../docs/guide/threads.md")]
struct Threads;

#[doc = include_str!("../../../docs/guide/base.md")]
struct Base;

#[doc = include_str!("../../../docs/guide/tasks.md")]
struct Tasks;
#[doc = include_str!("../../../docs/guide/durable-tasks.md")]
struct DurableTasks;

#[doc = include_str!("../../../docs/guide/messages.md")]
struct Messages;

#[doc = include_str!("../../../docs/guide/tracing.md")]
struct Tracing;

#[doc = include_str!("../../../docs/guide/shared-state.md")]
struct SharedState;

#[doc = include_str!("../../../docs/guide/statistics.md")]
struct Statistics;

#[doc = include_str!("../../../docs/guide/testing.md")]
struct Testing;

#[doc = include_str!("../../../docs/guide/tls.md")]
struct Tls;

#[doc = include_str!("../../../docs/guide/signals.md")]
struct Signals;

#[doc = include_str!("../../../docs/guide/systemd.md")]
struct Systemd;

#[doc = include_str!("../../../docs/guide/containers.md")]
struct Containers;

#[doc = include_str!("../../../docs/guide/slow-and-dying-workers.md")]
struct SlowAndDyingWorkers;
