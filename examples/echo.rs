//! Echo: sends back what it gets. Talk to it with: nc 127.0.0.1 9501

use ostler::{Handler, Package, Server, Session, Worker};

struct Echo;

impl Handler for Echo {
    fn on_receive(&mut self, _worker: &Worker, session: &Session, package: &Package) {
        let _ = session.send(package); // full or gone: the client is too slow or has left
    }
}

fn main() -> ostler::Exit {
    ostler::run_main(Server::builder().listen("127.0.0.1:9501").workers(4), || Echo)
}
