//! The bytes of a package, wherever they are kept.

use std::fmt::Debug;
use std::ops::Deref;
use std::sync::Arc;

/// Bytes that workers read from where they lie. Whoever drives the machines knows where that is:
/// here they are only looked at, kept and dropped.
pub trait SharedBytes: Debug + Send + Sync {
    /// They.
    fn bytes(&self) -> &[u8];

    /// By which number workers find them.
    fn place(&self) -> u32;

    /// Whether they are charged to the budget for themselves, once, however many keep them.
    fn is_charged_apart(&self) -> bool {
        false
    }
}

/// A package that does not lie in a ring as one record.
#[derive(Debug)]
pub enum Body {
    /// In memory of the master alone.
    Heap(Vec<u8>),
    /// Where workers read it. It has to stay until who was given it is through with it.
    Shared(Arc<dyn SharedBytes>),
}

impl Body {
    /// None of a delivery that has none.
    pub(crate) const EMPTY: Self = Self::Heap(Vec::new());

    /// It, if workers read it from where it lies.
    #[must_use]
    pub const fn shared(&self) -> Option<&Arc<dyn SharedBytes>> {
        match self {
            Self::Heap(_) => None,
            Self::Shared(bytes) => Some(bytes),
        }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Heap(bytes)
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Heap(bytes) => bytes,
            Self::Shared(shared) => shared.bytes(),
        }
    }
}
