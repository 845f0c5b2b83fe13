//! What the demo's server begins with.

fn main() -> ostler::Exit {
    ostler_demo::serve("version one", || Ok(()))
}
