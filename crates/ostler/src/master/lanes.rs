//! Lane memory of one worker process: made here, mapped by the reactors, sent to the manager for
//! the fork (protocol §9).

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use ostler_core::ids::ProcessKey;
use ostler_shm::lane::MasterMemory;
use ostler_shm::layout::Sizes;

use crate::reactor::mailbox::{Mailbox, ToReactor};
use crate::sys::{control_socket, eventfd};

/// Makes the memory and bells of a process, gives each reactor its lane, and answers the
/// descriptors for the worker: `[down, up, worker_bell, lane_bell_0 .., file_link_0 ..]`.
pub(super) fn make(
    key: ProcessKey,
    sizes: Sizes,
    mailboxes: &[Arc<Mailbox>],
) -> io::Result<Vec<OwnedFd>> {
    let memory = MasterMemory::create(sizes, key.place(), key.generation.0)?;
    let worker_bell = eventfd::create()?;
    let mut descriptors = vec![
        memory.down_fd().try_clone_to_owned()?,
        memory.up_fd().try_clone_to_owned()?,
        worker_bell.try_clone()?,
    ];
    let (mut messages, mut file_links) = (Vec::new(), Vec::new());
    for reactor in 0..mailboxes.len() {
        let lane_bell = eventfd::create()?;
        descriptors.push(lane_bell.try_clone()?);
        let (file_link, of_worker) = control_socket::pair()?;
        file_links.push(of_worker);
        messages.push(ToReactor::AddLane {
            key,
            lane: Box::new(memory.lane(reactor)?),
            worker_bell: worker_bell.try_clone()?,
            lane_bell,
            file_link,
        });
    }
    descriptors.extend(file_links);
    // Only when everything is there: a lane that half of the reactors have would have to be taken
    // back.
    for (mailbox, message) in mailboxes.iter().zip(messages) {
        mailbox.push(message);
    }
    Ok(descriptors)
}
