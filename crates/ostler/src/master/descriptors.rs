//! How many connections the limit on descriptors has room for: the master's own needs come first.
//!
//! Without that, clients take the last descriptor, and a worker that dies cannot be replaced: its successor's lanes need
//! some. Nobody is served then, so nobody leaves, so none comes free. And a pidfd that finds no place on its way to the
//! master would be a worker whose death nobody sees.

use crate::error::{Error, Result};
use crate::options::Options;
use crate::sys::process;

/// For what lasts a moment: `/proc`, the log, messages with descriptors under way.
const SPARE: u64 = 8;

/// What the master may need beside connections, from when its threads run.
fn needed(options: &Options) -> u64 {
    let (reactors, workers) = (u64::from(options.reactors), u64::from(options.workers));
    // Each reactor holds two bells and the pidfd of each worker; at a reload there are two workers in each slot. One more
    // set is in the making: two memory files, a bell, a bell for each reactor, and the copies that are sent. A new spare
    // manager brings two.
    let lanes = 3 * reactors * 2 * workers;
    let in_the_making = 2 * (3 + reactors);
    lanes + in_the_making + 2 + SPARE
}

/// The most connections that may be open at once for the sake of descriptors. To be asked when everything else is open.
pub(super) fn connections_max(options: &Options) -> Result<u64> {
    let fail = |error| Error::start("cannot count this process's descriptors", Some(error));
    let open = process::open_descriptors().map_err(fail)?.len() as u64;
    let limit = process::descriptor_limit();
    let own = open + needed(options);
    if limit <= own {
        return Err(Error::start(
            format!(
                "the limit on open files is {limit}, which leaves none for connections: raise it above {own} \
                 (ulimit -n, LimitNOFILE=), or lower `workers` or `reactors`"
            ),
            None,
        ));
    }
    Ok(limit - own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_of_common_size_fits_into_the_common_limit() {
        let options = Options { workers: 16, reactors: 8, ..Options::default() };
        assert!(needed(&options) < 1024 - 100);
    }
}
