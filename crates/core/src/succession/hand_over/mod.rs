//! Sessions go from a master to the one that takes its place.
//!
//! [`HandedSession`] is what goes beside the descriptor, [`encode`] and [`decode`] are how it is
//! written down, and [`Offers`] decides who owns a session while it is on its way.
//!
//! Two versions of the program talk here, and neither trusts the other's bytes: the format has a
//! number, every length is checked against a limit before anything is taken, and nothing may be
//! left over.

mod offers;
mod record;
#[cfg(test)]
mod tests;

pub use offers::{
    ANSWER_MAX_NS, Answer, Answered, Chosen, OFFERS_MAX, Offers, SESSIONS_PER_OFFER_MAX,
};
pub use record::{
    BadRecord, HandedPeer, HandedSession, HandedTraffic, RECORDS_BYTES_MAX, decode, encode,
};
