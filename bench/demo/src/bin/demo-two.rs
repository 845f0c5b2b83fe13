//! What is deployed.

fn main() -> ostler::Exit {
    ostler_demo::serve("version two", || Ok(()))
}
