//! A program that asks a server which runs already, instead of serving (`--ask`).

use std::io::{self, BufRead as _, BufReader, ErrorKind, Write as _};
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
    let failed = |error: io::Error| {
        let advice = match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
                "no server runs with it, or it has another path"
            }
            ErrorKind::PermissionDenied => "only the server's user and root may ask there",
            _ => "the server has not answered",
        };
        Error::start(format!("cannot ask at `{path}`: {advice}"), Some(error))
    };
    let socket = UnixStream::connect(path).map_err(failed)?;
    let answer = answer_of(socket, request).map_err(failed)?;
    let read: Option<Value> = serde_json::from_str(&answer).ok();
    let is_done = read.and_then(|read| read.get("ok")?.as_bool()).unwrap_or(false);
    Ok((answer, if is_done { 0 } else { EXIT_REFUSED }))
}

/// What is answered to a request. A server that has said why it refuses somebody reads nothing.
fn answer_of(mut socket: UnixStream, request: &str) -> io::Result<String> {
    let written = socket.write_all(format!("{request}\n").as_bytes());
    if let Err(error) = &written
        && error.kind() != ErrorKind::BrokenPipe
    {
        return written.map(|()| String::new());
    }
    let mut answer = String::new();
    match (BufReader::new(socket).read_line(&mut answer), written) {
        (Ok(1..), _) => Ok(answer),
        (_, Err(error)) | (Err(error), Ok(())) => Err(error),
        (Ok(0), Ok(())) => Err(ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_refused_before_it_has_asked_reads_why() {
        let (near, mut far) = UnixStream::pair().unwrap();
        far.write_all(b"come again later\n").unwrap();
        drop(far);
        assert_eq!(answer_of(near, "status").unwrap(), "come again later\n");
        let (near, far) = UnixStream::pair().unwrap();
        drop(far);
        assert_eq!(answer_of(near, "status").unwrap_err().kind(), ErrorKind::BrokenPipe);
    }
}
