//! Bytes read as choices: what a fuzzer changes in an input becomes another choice, and after its end everything is the first.

/// Numbers at the edges of what types hold.
const EDGES: [u64; 12] =
    [0, 1, 2, 99, 100, 101, 10_000, 10_001, u32::MAX as u64, u32::MAX as u64 + 1, i64::MAX as u64, u64::MAX];

/// The choices of one input.
pub struct Choices<'a> {
    rest: &'a [u8],
}

impl<'a> Choices<'a> {
    /// Those of these bytes.
    pub fn of(bytes: &'a [u8]) -> Self {
        Choices { rest: bytes }
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        *first
    }

    /// A number below `end`, which is at most 256; 0 where there is nothing to choose.
    pub fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end.max(1)
    }

    /// True for one byte in `n`, and never after the end.
    pub fn one_in(&mut self, n: u8) -> bool {
        self.byte() % n == 1
    }

    /// One of these.
    pub fn pick<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.below(of.len())]
    }

    /// A number that may be anything, mostly a small one or one at an edge.
    pub fn number(&mut self) -> u64 {
        match self.below(4) {
            0 => u64::from(self.byte()),
            1 => u64::from_le_bytes(std::array::from_fn(|_| self.byte())),
            _ => *self.pick(&EDGES),
        }
    }
}
