//! Changing inputs at random, the same way for the same seed: for the tests, which have no coverage to
//! go by and no time to wait for it.

/// Longer inputs are cut.
const LONGEST: usize = 64 * 1024;

/// Bytes at which parsers turn.
const BYTES: &[u8] = b"\x00\x01\x7f\x80\xff\"\\{}[],:;.=+-_/ \t\r\n09azAZ";

/// Pieces that mean something to one parser or another.
const WORDS: &[&[u8]] = &[
    b"null",
    b"true",
    b"{}",
    b"[]",
    b"\"\"",
    b"\\u0000",
    b"\\ud800",
    b"\xe2\x80\xae",
    b"\xe2\x80\x94 ",
    b"\n\n",
    b"\r\n",
    b"0",
    b"-1",
    b"1e999",
    b"-0.0",
    b"60.0",
    b"9007199254740992",
    b"9007199254740993",
    b"18446744073709551615",
    b"18446744073709551616",
    b"99999999999999999999999999",
    b"*",
    b"..",
    b"%2e%2e",
    b"%00",
    b"@",
    b"xn--",
    b"https://",
    b"Bearer ",
    b"eyJhbGciOiJub25lIn0",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\x00\x00\x00\x00\x00\x00\x00\x00",
    b"\xff\xff\xff\x7f",
];

/// Pseudo-random choices (SplitMix64), and inputs made by them.
#[derive(Debug, Clone)]
pub struct Mutation(u64);

impl Mutation {
    /// The same seed makes the same inputs.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 where that is 0.
    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.draw() % bound).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        self.draw().to_le_bytes()[0]
    }

    /// One of `from`, copied; nothing where there are none.
    fn one_of<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        let at = self.below(from.len());
        from.get(at).cloned()
    }

    /// A range within `length`, most often a short one.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let most = if self.below(4) == 0 { length } else { 16 };
        let end = start.saturating_add(self.below(most + 1)).min(length);
        start..end
    }

    /// One of the seeds, changed in one to eight places.
    #[must_use]
    pub fn of(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = self.one_of(seeds).unwrap_or_default();
        for _ in 0..=self.below(8) {
            self.change(&mut bytes, seeds);
        }
        bytes.truncate(LONGEST);
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let length = bytes.len();
        let at = self.below(length + 1);
        match self.below(11) {
            0 => {
                let bit = 1 << self.below(8);
                bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= bit);
            }
            1 => {
                let new = self.byte();
                bytes.get_mut(at).into_iter().for_each(|byte| *byte = new);
            }
            2 => {
                let new = self.one_of(BYTES).unwrap_or(0);
                bytes.get_mut(at).into_iter().for_each(|byte| *byte = new);
            }
            3 => bytes.insert(at, self.byte()),
            4 => {
                let word = self.one_of(WORDS).unwrap_or_default();
                bytes.splice(at..at, word.iter().copied());
            }
            5 => drop(bytes.drain(self.range(length))),
            6 => {
                let range = self.range(length);
                let piece: Vec<u8> = bytes.get(range).unwrap_or_default().to_vec();
                let times = if self.below(16) == 0 { 64 } else { 1 };
                bytes.splice(at..at, piece.repeat(times));
            }
            7 => {
                let other = self.one_of(seeds).unwrap_or_default();
                let piece = other.get(self.range(other.len())).unwrap_or_default();
                let end = at.saturating_add(self.below(piece.len() + 1)).min(length);
                bytes.splice(at..end, piece.iter().copied());
            }
            8 => self.number(bytes),
            9 => {
                let number = (1_u64 << self.below(64))
                    .wrapping_add(self.draw() % 3)
                    .wrapping_sub(1);
                let number = number.to_le_bytes();
                for (place, new) in bytes.iter_mut().skip(at).zip(number) {
                    *place = new;
                }
            }
            _ if self.below(4) == 0 => bytes.truncate(at),
            _ => {}
        }
    }

    /// Another number where one is written in digits.
    fn number(&mut self, bytes: &mut Vec<u8>) {
        let from = self.below(bytes.len() + 1);
        let Some(start) = bytes.iter().skip(from).position(u8::is_ascii_digit) else {
            return;
        };
        let start = from + start;
        let digits = bytes
            .iter()
            .skip(start)
            .take_while(|byte| byte.is_ascii_digit());
        let end = start + digits.count();
        let new = (self.draw() >> self.below(64)).to_string();
        bytes.splice(start..end, new.into_bytes());
    }
}
