//! Prime factors: each line is a number, whose factors are found in task workers. The server goes
//! on serving meanwhile, and answers come as they are found. Talk to it with: nc 127.0.0.1 9501

use ostler::{Deferred, Framing, Handler, Outcome, Package, Server, Session, Task, Worker};

struct Factors;

impl Handler for Factors {
    fn on_receive(&mut self, worker: &Worker, _: &Session, line: &Package) -> Outcome {
        let Some(mut client): Option<Deferred> = line.defer() else { return Ok(()) };
        worker.task(line).then::<Self>(move |_, _, result| {
            match result.bytes() {
                Ok(factors) => client.send(factors)?,
                Err(error) => client.send(format!("sorry: {error}\n").as_bytes())?,
            }
            Ok(())
        })?;
        Ok(())
    }

    /// In a task worker.
    fn on_task(&mut self, _: &Worker, task: &Task) -> Outcome {
        let text = String::from_utf8_lossy(task);
        let answer = match text.trim().parse() {
            Ok(number) => format!("{} = {}\n", text.trim(), factors_of(number).join(" * ")),
            Err(_) => format!("{:?} is no number below 2^64\n", text.trim()),
        };
        Ok(task.finish(answer.as_bytes())?)
    }
}

fn factors_of(mut number: u64) -> Vec<String> {
    let mut found = Vec::new();
    let mut factor = 2;
    while factor <= number / factor {
        while number.is_multiple_of(factor) {
            found.push(factor.to_string());
            number /= factor;
        }
        factor += 1;
    }
    if number > 1 || found.is_empty() {
        found.push(number.to_string());
    }
    found
}

fn main() -> ostler::Exit {
    let server = Server::builder().listen("127.0.0.1:9501").framing(Framing::lines());
    let server = server.task_workers(2).args(std::env::args_os().skip(1)).bind();
    let served = server.and_then(|server| {
        let server = server.on_listening(|ports| println!("listening on {ports}"));
        server.run(|_| Factors)
    });
    served.into()
}
