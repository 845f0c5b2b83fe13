//! Typed methods for options of the server that are names, addresses and paths.

use std::path::Path;

use super::builder::ServerBuilder;
use crate::options::sources::layers::Layer;

impl ServerBuilder {
    /// The address to listen on, `HOST:PORT` or `tcp://HOST:PORT`; port 0 lets the kernel choose.
    ///
    /// ```
    /// let builder = ostler::Server::builder().listen("0.0.0.0:9501");
    /// # drop(builder);
    /// ```
    #[must_use]
    pub fn listen(self, address: &str) -> Self {
        self.set("listen", address)
    }

    /// What the server is called in process titles and in the log: up to 32 letters, digits, `.`,
    /// `_`, `-`.
    ///
    /// ```
    /// let builder = ostler::Server::builder().name("shop");
    /// # drop(builder);
    /// ```
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        self.set("name", name)
    }

    /// The user of workers, a name or a number. The server has to be started as root.
    ///
    /// ```
    /// let builder = ostler::Server::builder().user("www-data");
    /// # drop(builder);
    /// ```
    #[must_use]
    pub fn user(self, name: &str) -> Self {
        self.set("user", name)
    }

    /// The group of workers, a name or a number, if not that of `user`.
    ///
    /// ```
    /// let builder = ostler::Server::builder().group("www-data");
    /// # drop(builder);
    /// ```
    #[must_use]
    pub fn group(self, name: &str) -> Self {
        self.set("group", name)
    }

    /// The supplementary groups of workers, names or numbers between commas, instead of those of
    /// `user`.
    ///
    /// ```
    /// let builder = ostler::Server::builder().groups("www-data,adm");
    /// # drop(builder);
    /// ```
    #[must_use]
    pub fn groups(self, names: &str) -> Self {
        self.set("groups", names)
    }

    /// A directory that is all that workers see of the file system.
    ///
    /// ```
    /// let builder = ostler::Server::builder().chroot("/srv/shop");
    /// # drop(builder);
    /// ```
    #[must_use]
    pub fn chroot(self, directory: impl AsRef<Path>) -> Self {
        self.path("chroot", directory.as_ref())
    }

    /// The capabilities that workers keep, names between commas, or `none`.
    ///
    /// ```
    /// let builder = ostler::Server::builder().user("www-data").capabilities("net_raw");
    /// # drop(builder);
    /// ```
    #[must_use]
    pub fn capabilities(self, names: &str) -> Self {
        self.set("capabilities", names)
    }

    /// The user, a name or a number, that master, manager and spare become when the listeners are
    /// bound. The server has to be started as root.
    ///
    /// ```
    /// let builder = ostler::Server::builder().user("shop").master_user("shop-server");
    /// # drop(builder);
    /// ```
    #[must_use]
    pub fn master_user(self, name: &str) -> Self {
        self.set("master_user", name)
    }

    /// The group of master, manager and spare, a name or a number, if not that of `master_user`.
    ///
    /// ```
    /// let builder = ostler::Server::builder().master_user("shop-server").master_group("ssl-cert");
    /// # drop(builder);
    /// ```
    #[must_use]
    pub fn master_group(self, name: &str) -> Self {
        self.set("master_group", name)
    }

    /// The program that a reload executes with [`Start::Exec`], instead of the path by which this
    /// one was started.
    ///
    /// ```
    /// use ostler::{Server, Start};
    /// let builder = Server::builder().start(Start::Exec).program("/srv/shop/current");
    /// # drop(builder);
    /// ```
    ///
    /// [`Start::Exec`]: crate::Start::Exec
    #[must_use]
    pub fn program(self, path: impl AsRef<Path>) -> Self {
        self.path("program", path.as_ref())
    }

    /// The file that the log is appended to, instead of standard error.
    ///
    /// ```
    /// let builder = ostler::Server::builder().log_file("/var/log/shop.log");
    /// # drop(builder);
    /// ```
    #[must_use]
    pub fn log_file(self, path: impl AsRef<Path>) -> Self {
        self.path("log_file", path.as_ref())
    }

    /// The file that slow requests are appended to, instead of the log.
    ///
    /// ```
    /// let builder = ostler::Server::builder().request_slowlog_file("/var/log/shop-slow.log");
    /// # drop(builder);
    /// ```
    #[must_use]
    pub fn request_slowlog_file(self, path: impl AsRef<Path>) -> Self {
        self.path("request_slowlog_file", path.as_ref())
    }

    /// The file to which an object is appended for each worker that died.
    ///
    /// ```
    /// let builder = ostler::Server::builder().death_log_file("/var/log/shop-deaths.json");
    /// # drop(builder);
    /// ```
    #[must_use]
    pub fn death_log_file(self, path: impl AsRef<Path>) -> Self {
        self.path("death_log_file", path.as_ref())
    }

    /// The directory in which packages are kept that killed the worker that ran them.
    ///
    /// ```
    /// let builder = ostler::Server::builder().quarantine_dir("/var/lib/shop/poison");
    /// # drop(builder);
    /// ```
    #[must_use]
    pub fn quarantine_dir(self, path: impl AsRef<Path>) -> Self {
        self.path("quarantine_dir", path.as_ref())
    }

    /// The file in which tasks are kept until they are done, so that they outlive the server; or a
    /// Redis, `redis://…`, in which servers of one name keep them (feature `redis`).
    ///
    /// ```
    /// let builder = ostler::Server::builder().task_journal("/var/lib/shop/tasks");
    /// # drop(builder);
    /// ```
    #[must_use]
    pub fn task_journal(self, path: impl AsRef<Path>) -> Self {
        self.path("task_journal", path.as_ref())
    }

    /// The file that has the number of the master while the server runs.
    ///
    /// ```
    /// let builder = ostler::Server::builder().pid_file("/run/shop.pid");
    /// # drop(builder);
    /// ```
    #[must_use]
    pub fn pid_file(self, path: impl AsRef<Path>) -> Self {
        self.path("pid_file", path.as_ref())
    }

    /// The unix socket at which operators ask for figures, and order reloads and the end.
    ///
    /// ```
    /// let builder = ostler::Server::builder().operator_socket("/run/shop/operator");
    /// # drop(builder);
    /// ```
    #[must_use]
    pub fn operator_socket(self, path: impl AsRef<Path>) -> Self {
        self.path("operator_socket", path.as_ref())
    }

    fn path(mut self, option: &'static str, path: &Path) -> Self {
        match path.to_str() {
            Some(text) => self.layers.say(Layer::Program, option, text, ""),
            None => self.layers.object(format!(
                "option `{option}` cannot be `{}`: a path has to be UTF-8",
                path.display()
            )),
        }
        self
    }
}
