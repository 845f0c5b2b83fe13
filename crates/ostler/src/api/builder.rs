//! Collecting the options of a server.

use super::server::Server;
use crate::error::Result;
use crate::master;
use crate::options::Options;
use crate::options::layers::{Layer, Layers};

/// Options of a server to be. Values are checked by [`ServerBuilder::bind`], which tells all wrong ones at once.
///
/// Each option has a typed method here; [`ServerBuilder::set`] takes any of them as text. `docs/OPTIONS.md` lists them
/// with limits, units and reasons.
///
/// ```no_run
/// use std::time::Duration;
/// use ostler::{CrashPolicy, Dispatch, Framing, Server};
///
/// let server = Server::builder()
///     .listen("127.0.0.1:9501")
///     .framing(Framing::lines())
///     .dispatch(Dispatch::SessionHash)
///     .crash_policy(CrashPolicy::Redeliver(3))
///     .drain_timeout(Duration::from_secs(30))
///     .memory_budget(256 << 20)
///     .set("log_level", "debug")
///     .bind()?;
/// # Ok::<(), ostler::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct ServerBuilder {
    pub(super) layers: Layers,
}

impl ServerBuilder {
    /// Begins with these options.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.layers.start_with(options);
        self
    }

    /// Sets any option by its name; see [`Options::table`]. A wrong name or value is told by [`ServerBuilder::bind`].
    #[must_use]
    pub fn set(mut self, name: &str, value: impl ToString) -> Self {
        self.layers.say(Layer::Program, name, &value.to_string(), "");
        self
    }

    /// Checks the options and binds the listener.
    ///
    /// # Errors
    /// Every option that is wrong, or why the address cannot be listened on.
    pub fn bind(self) -> Result<Server> {
        Ok(Server::new(master::bind(self.layers.resolve()?.options)?))
    }
}
