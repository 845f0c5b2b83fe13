//! The end of an encrypted connection: what is said, and when.

use std::io;

use super::{BUFFERS, OUTGOING_KEPT_BYTES, Slice, Tls};
use crate::sys::socket;

/// Received bytes that are looked at for the end of the session when the client has ended the
/// connection: its goodbye, and a few small records before it.
const FAREWELL_BYTES_MAX: usize = 1024;

impl Tls {
    /// Whether the client has said that nothing more comes, and all that came is read.
    pub(in crate::reactor::transport) fn is_at_end(&mut self) -> bool {
        let waiting = socket::unread(&self.socket);
        while !self.engine.is_ended() && !self.holds_input() && !self.is_broken {
            if waiting > FAREWELL_BYTES_MAX
                || !matches!(self.receive(&mut Slice(&mut [])), Ok(true))
            {
                break;
            }
        }
        self.engine.is_ended() && self.backlog.data.is_empty()
    }

    /// Says goodbye, and ends this side when that is sent.
    pub(in crate::reactor::transport) fn shutdown_write(&mut self) -> io::Result<()> {
        // A handshake that is given up is not gone on with while its client is waited for.
        self.is_broken |= self.engine.is_handshaking();
        if self.is_broken {
            // Nothing will be made of it, and who is waited for holds no memory.
            self.backlog.undecrypted = Vec::new();
        } else {
            self.say_goodbye();
        }
        self.shutdown_due = true;
        self.go_on_with_shutdown()
    }

    pub(super) fn go_on_with_shutdown(&mut self) -> io::Result<()> {
        if !self.flush()? {
            (self.shutdown_due, self.is_shut_down) = (false, true);
            socket::shutdown_write(&self.socket)?;
        }
        Ok(())
    }

    /// That it cannot be said changes nothing: the connection ends.
    fn say_goodbye(&mut self) {
        BUFFERS.with_borrow_mut(|buffers| {
            let outgoing = &mut buffers.outgoing;
            if self.engine.close(&mut self.backlog, outgoing).is_ok() {
                let _ = self.write_out(outgoing.bytes());
            }
            outgoing.clear(OUTGOING_KEPT_BYTES);
        });
    }

    pub(in crate::reactor::transport) fn close(mut self) {
        if !self.is_broken {
            self.say_goodbye();
        }
        drop(self.socket);
    }

    pub(in crate::reactor::transport) fn reset(self) {
        self.socket.reset();
    }
}
