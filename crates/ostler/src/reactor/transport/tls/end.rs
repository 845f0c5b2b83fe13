//! The end of an encrypted connection: what is said, and when.

use std::io;

use super::{BUFFERS, OUTGOING_KEPT_BYTES, Tls};
use crate::sys::socket;

impl Tls {
    /// Says goodbye, and ends this side when that is sent.
    pub(in crate::reactor::transport) fn shutdown_write(&mut self) -> io::Result<()> {
        // A handshake that is given up is not gone on with while its client is waited for.
        self.is_broken |= self.engine.is_handshaking();
        if !self.is_broken {
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
