//! What other threads of a worker process ask its own thread to do: closures, in the order in which
//! they were posted.
//!
//! One eventfd wakes the worker; it is rung only when the queue was empty, because the worker takes
//! all that is there whenever it looks. The worker looks before it sleeps, and whoever posts after
//! that look rings.

use std::any::Any;
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::handlers::HandlerId;
use crate::api::outcome::Outcome;
use crate::api::worker::Worker;
use crate::sys::eventfd;

/// The most closures that wait; posting more is refused. Each costs its captures and two words, and
/// a worker that takes this long does not come to them soon anyway.
pub(crate) const POSTS_MAX: usize = 65_536;

/// A closure for the worker's thread; the first argument is the handler that it is meant for.
pub(crate) type Post = Box<dyn FnOnce(&mut dyn Any, &Worker) -> Outcome + Send>;

/// Why a closure was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// [`POSTS_MAX`] wait already.
    Full,
    /// The worker ends.
    Ended,
}

/// The queue. Shared by the worker and its remotes.
#[derive(Debug)]
pub(crate) struct Inbox {
    posts: Mutex<Posts>,
    /// Something waits: for a look without the lock.
    has_posts: AtomicBool,
    bell: OwnedFd,
}

#[derive(Default)]
struct Posts {
    waiting: VecDeque<(HandlerId, Post)>,
    ended: bool,
}

impl std::fmt::Debug for Posts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} waiting, ended: {}", self.waiting.len(), self.ended)
    }
}

impl Inbox {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            posts: Mutex::default(),
            has_posts: AtomicBool::new(false),
            bell: eventfd::create()?,
        })
    }

    /// What wakes the worker: watched edge-triggered, never read.
    pub(crate) const fn bell(&self) -> &OwnedFd {
        &self.bell
    }

    /// Any thread: adds a closure.
    pub(crate) fn post(&self, handler: HandlerId, post: Post) -> Result<(), Refused> {
        let posts = self.posts.lock().unwrap_or_else(PoisonError::into_inner);
        if posts.ended {
            return Err(Refused::Ended);
        }
        if posts.waiting.len() >= POSTS_MAX {
            return Err(Refused::Full);
        }
        self.push(posts, handler, post);
        Ok(())
    }

    /// Any thread: adds a closure that needs no handler, however many wait: for what is bounded
    /// otherwise and must not be lost. Dropped when the worker has ended.
    pub(crate) fn post_always(&self, post: Post) {
        let posts = self.posts.lock().unwrap_or_else(PoisonError::into_inner);
        if !posts.ended {
            self.push(posts, HandlerId::Server, post);
        } else {
            // Not under the lock: what it holds may post as well when it is dropped.
            drop(posts);
            drop(post);
        }
    }

    fn push(&self, mut posts: MutexGuard<'_, Posts>, handler: HandlerId, post: Post) {
        posts.waiting.push_back((handler, post));
        let was_empty = !self.has_posts.swap(true, Ordering::AcqRel);
        drop(posts);
        if was_empty {
            // It cannot fail: a counter that is full rings already, and the descriptor is ours.
            let _ = eventfd::ring(&self.bell);
        }
    }

    /// The worker: whether anything waits.
    pub(crate) fn has_posts(&self) -> bool {
        self.has_posts.load(Ordering::Acquire)
    }

    /// The worker: takes all that waits.
    pub(crate) fn take(&self) -> VecDeque<(HandlerId, Post)> {
        if !self.has_posts() {
            return VecDeque::new();
        }
        let mut posts = self.posts.lock().unwrap_or_else(PoisonError::into_inner);
        self.has_posts.store(false, Ordering::Release);
        std::mem::take(&mut posts.waiting)
    }

    /// The worker ends, unless something waits: nothing is taken from now on. False when something
    /// does.
    pub(crate) fn end(&self) -> bool {
        let mut posts = self.posts.lock().unwrap_or_else(PoisonError::into_inner);
        posts.ended = posts.waiting.is_empty();
        posts.ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing() -> Post {
        Box::new(|_, _| Ok(()))
    }

    #[test]
    fn the_bell_is_rung_once_for_all_that_waits() {
        let inbox = Inbox::new().unwrap();
        for _ in 0..3 {
            inbox.post(HandlerId::Server, nothing()).unwrap();
        }
        assert_eq!(eventfd::drain(inbox.bell()).unwrap(), 1);
        assert_eq!(inbox.take().len(), 3);
        assert!(!inbox.has_posts());
        inbox.post(HandlerId::Server, nothing()).unwrap();
        assert_eq!(eventfd::drain(inbox.bell()).unwrap(), 1, "the queue was empty again");
    }

    #[test]
    fn a_full_queue_refuses_and_an_ended_one_too() {
        let inbox = Inbox::new().unwrap();
        for _ in 0..POSTS_MAX {
            inbox.post(HandlerId::Server, nothing()).unwrap();
        }
        assert_eq!(inbox.post(HandlerId::Server, nothing()), Err(Refused::Full));
        assert!(!inbox.end(), "what waits is done first");
        assert_eq!(inbox.take().len(), POSTS_MAX);
        assert!(inbox.end());
        assert_eq!(inbox.post(HandlerId::Server, nothing()), Err(Refused::Ended));
    }
}
