//! Echo: sends back what it gets. Talk to it with: nc 127.0.0.1 9501

use ostler::{Handler, Outcome, Package, Server, Session, Worker};

struct Echo;

impl Handler for Echo {
    fn on_receive(&mut self, _worker: &Worker, session: &Session, package: &Package) -> Outcome {
        Ok(session.send(package)?) // an error is logged, and ends the session
    }
}

fn main() -> ostler::Exit {
    let server = Server::builder().listen("127.0.0.1:9501").args(std::env::args_os().skip(1));
    ostler::run_main(server, |_| Echo)
}
