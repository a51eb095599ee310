//! Short words kept in place.

use std::fmt;

/// An ASCII word of 1 to `N` bytes, kept in place so that what holds one can be copied. Ordered as its text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Word<const N: usize> {
    bytes: [u8; N],
    length: u8,
}

impl<const N: usize> Word<N> {
    /// The word, where it is not empty, fits, and has only characters that `fine` accepts.
    pub fn parse(text: &str, fine: impl Fn(u8) -> bool) -> Option<Self> {
        let is_word = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii() && fine(byte));
        let mut bytes = [0; N];
        bytes
            .get_mut(..text.len())
            .filter(|_| is_word)?
            .copy_from_slice(text.as_bytes());
        Some(Self {
            bytes,
            length: u8::try_from(text.len()).ok()?,
        })
    }

    /// A constant. One that is empty, too long or not ASCII does not compile.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the assertion above it says that the length fits"
    )]
    pub const fn of(text: &'static str) -> Self {
        let text = text.as_bytes();
        assert!(!text.is_empty() && text.len() <= N && N <= 255 && text.is_ascii());
        let mut bytes = [0; N];
        let (mut from, mut to) = (text, bytes.as_mut_slice());
        while let ([first, others @ ..], [slot, slots @ ..]) = (from, to) {
            *slot = *first;
            (from, to) = (others, slots);
        }
        Self {
            bytes,
            length: text.len() as u8,
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let text = self.bytes.get(..usize::from(self.length));
        // It was made from text.
        std::str::from_utf8(text.unwrap_or_default()).unwrap_or_default()
    }
}

impl<const N: usize> fmt::Debug for Word<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}
