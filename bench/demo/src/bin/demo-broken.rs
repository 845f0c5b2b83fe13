//! What should not have been deployed: its workers cannot start.

fn main() -> ostler::Exit {
    ostler_demo::serve("version three", || Err("there is no table `customers`".into()))
}
