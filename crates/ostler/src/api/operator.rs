//! A program that asks a server which runs already, instead of serving (`--ask`).

use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::os::unix::net::UnixStream;

use serde_json::Value;

use crate::error::{Error, Result};

/// Code with which a program ends when what it was to ask for was not done.
const EXIT_REFUSED: i32 = 1;

/// Asks at the operator's socket and waits for the answer, a line, which may take as long as a
/// reload does. With it the code with which the program ends.
pub(super) fn ask(path: &str, request: &str) -> Result<(String, i32)> {
    if path.is_empty() {
        return Err(Error::option(
            "`--ask` needs `operator_socket`: the path at which the server listens for operators",
        ));
    }
    let failed = |error: std::io::Error| {
        let advice = match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
                "no server runs with it, or it has another path"
            }
            ErrorKind::PermissionDenied => "only the server's user and root may ask there",
            _ => "the server has not answered",
        };
        Error::start(format!("cannot ask at `{path}`: {advice}"), Some(error))
    };
    let mut socket = UnixStream::connect(path).map_err(failed)?;
    socket.write_all(format!("{request}\n").as_bytes()).map_err(failed)?;
    let mut answer = String::new();
    let read = BufReader::new(socket).read_line(&mut answer).map_err(failed)?;
    if read == 0 {
        return Err(failed(ErrorKind::UnexpectedEof.into()));
    }
    let read: Option<Value> = serde_json::from_str(&answer).ok();
    let is_done = read.and_then(|read| read.get("ok")?.as_bool()).unwrap_or(false);
    Ok((answer, if is_done { 0 } else { EXIT_REFUSED }))
}
