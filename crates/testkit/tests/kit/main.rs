//! The kit tested on a server that breaks its promises on request: every breach must be found, and
//! a server without one must pass.

mod breaches;
mod clients;
mod load;
mod processes;

use ostler_testkit::{ServerBuilder, TestServer};

/// The fake server, to be started with `--set breach=...` or a faulty handler.
fn fake() -> ServerBuilder {
    TestServer::program(env!("CARGO_BIN_EXE_fake_server")).beside_others()
}
