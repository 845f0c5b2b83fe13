//! The instrument: the server that measurements, long proofs and process tests start.
//!
//! ```text
//! ostler-echo [--set NAME=VALUE]... [--port NAME=URL[,OPTION=VALUE...]]... [--handler HANDLER]
//! ```
//!
//! Every option of the engine can be set by its name (`docs/OPTIONS.md`); [`behaviour::HANDLERS`]
//! lists the handlers. The first line on standard output is `listening on ADDRESS`, or with
//! `--port` one line `listening on URL (NAME)` for each port; after that nothing is printed. The
//! process that is started is the master.

mod behaviour;
mod echo;
mod orders;

use std::ffi::OsString;

use behaviour::{Behaviour, HANDLERS};
use echo::Echo;
use ostler::{Error, Exit, Ports, Server};

/// Takes the instrument's own arguments out of those that are no options.
fn own(arguments: Vec<OsString>) -> Result<Behaviour, String> {
    let mut behaviour = Behaviour::Echo;
    let mut arguments =
        arguments.into_iter().map(|argument| argument.to_string_lossy().into_owned());
    while let Some(argument) = arguments.next() {
        let value = match argument.strip_prefix("--handler=") {
            Some(value) => value.to_owned(),
            None if argument == "--handler" => {
                arguments.next().ok_or("`--handler` needs a value")?
            }
            None => {
                return Err(format!(
                    "the argument `{argument}` is unknown: --help lists what there is"
                ));
            }
        };
        behaviour = Behaviour::parse(&value)?;
    }
    Ok(behaviour)
}

fn serve() -> ostler::Result<()> {
    let builder = Server::builder()
        .help(&format!("  --handler HANDLER   what is done with a package: {HANDLERS}"));
    let (builder, others) = builder.take_args(std::env::args_os().skip(1));
    let behaviour = own(others).map_err(Error::usage)?;
    let server = builder.bind()?;
    let server = server.on_listening(say_ports);
    server.run(move |_| Echo::new(behaviour.clone()))
}

/// One line for each port that was named; a server without names says its address.
fn say_ports(ports: &Ports) {
    if ports.is_only_main() {
        return println!("listening on {ports}");
    }
    for port in ports.iter() {
        println!("listening on {port} ({})", port.name());
    }
}

fn main() -> Exit {
    serve().into()
}
