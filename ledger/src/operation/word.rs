//! Words of upstream's that are not known here.

/// A short ASCII word, kept in place so that the sets of known words that hold one can be copied.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Word<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Word<N> {
    /// The word, where it is not empty, fits, and has only characters that `fine` accepts.
    pub(super) fn parse(text: &str, fine: impl Fn(u8) -> bool) -> Option<Self> {
        let is_word = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii() && fine(byte));
        let mut bytes = [0; N];
        bytes
            .get_mut(..text.len())
            .filter(|_| is_word)?
            .copy_from_slice(text.as_bytes());
        Some(Self {
            bytes,
            length: text.len(),
        })
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let text = self.bytes.get(..self.length).unwrap_or_default();
        // It was made from text.
        std::str::from_utf8(text).unwrap_or_default()
    }
}

impl<const N: usize> std::fmt::Debug for Word<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}
