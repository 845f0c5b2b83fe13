//! The instrument: the server that measurements, long proofs and process tests start.
//!
//! ```text
//! ostler-echo [--set NAME=VALUE]... [--handler HANDLER]
//! ```
//!
//! Every option of the engine can be set by its name (`docs/OPTIONS.md`); [`behaviour::HANDLERS`]
//! lists the handlers. The first line on standard output is `listening on ADDRESS`; after it
//! nothing is printed. The process that is started is the master.

mod behaviour;
mod echo;
mod orders;

use behaviour::{Behaviour, HANDLERS};
use echo::Echo;
use ostler::{Error, Exit, Server, ServerBuilder};

fn parse(
    mut arguments: impl Iterator<Item = String>,
) -> Result<(ServerBuilder, Behaviour), String> {
    let mut builder = Server::builder();
    let mut behaviour = Behaviour::Echo;
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("`{argument}` needs a value"));
        match argument.as_str() {
            "--set" => {
                let pair = value()?;
                let (name, value) = pair
                    .split_once('=')
                    .ok_or(format!("`--set {pair}`: write --set NAME=VALUE"))?;
                builder = builder.set(name, value);
            }
            "--handler" => behaviour = Behaviour::parse(&value()?)?,
            _ => return Err(format!("`{argument}` is unknown\n{}", usage())),
        }
    }
    Ok((builder, behaviour))
}

fn usage() -> String {
    format!(
        "usage: ostler-echo [--set NAME=VALUE]... [--handler HANDLER]\n\
         options: see docs/OPTIONS.md\n\
         handlers: {HANDLERS}"
    )
}

fn serve(arguments: impl Iterator<Item = String>) -> ostler::Result<()> {
    let (builder, behaviour) = parse(arguments).map_err(Error::usage)?;
    let server = builder.bind()?;
    println!("listening on {}", server.local_address());
    server.run(move |_| Echo::new(behaviour.clone()))
}

fn main() -> Exit {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        println!("{}", usage());
        return Exit::from(Ok(()));
    }
    serve(arguments.into_iter()).into()
}
