//! The nesting of a byte in a JSON text, by braces and quotes alone: without a parser, and without recursion however
//! deep the text nests.

/// The place behind the bytes that were passed.
#[derive(Default)]
pub struct Nesting {
    open: usize,
    in_text: bool,
    escaped: bool,
}

impl Nesting {
    /// Passes one byte.
    pub fn pass(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.in_text => self.escaped = true,
            b'"' => self.in_text = !self.in_text,
            _ if self.in_text => {}
            b'{' | b'[' => self.open += 1,
            b'}' | b']' => self.open = self.open.saturating_sub(1),
            _ => {}
        }
    }

    /// Passes bytes while more than so many arrays and objects are open; gives how many bytes that were.
    pub fn pass_above(&mut self, floor: usize, bytes: &[u8]) -> usize {
        let mut passed = 0;
        while self.open > floor && passed < bytes.len() {
            passed += self.pass_some(&bytes[passed..]);
        }
        passed
    }

    /// Passes bytes up to and with the next that may open, close or end something; gives how many bytes that were.
    fn pass_some(&mut self, bytes: &[u8]) -> usize {
        let without = self.without_effect(bytes);
        let Some(&byte) = bytes.get(without) else { return without };
        self.pass(byte);
        without + 1
    }

    /// How many of the next bytes open, close and end nothing: most of a JSON text, passed far faster than one by one.
    fn without_effect(&self, bytes: &[u8]) -> usize {
        let next = match (self.escaped, self.in_text) {
            (true, _) => Some(0),
            (false, true) => bytes.iter().position(|byte| matches!(byte, b'"' | b'\\')),
            (false, false) => bytes.iter().position(|byte| matches!(byte, b'"' | b'{' | b'[' | b'}' | b']')),
        };
        next.unwrap_or(bytes.len())
    }

    /// How many arrays and objects are open.
    pub fn open(&self) -> usize {
        self.open
    }

    /// Whether this is within a text.
    pub fn in_text(&self) -> bool {
        self.in_text
    }
}

/// How many arrays and objects of a JSON text are open at once, at most.
pub fn depth(json: &str) -> usize {
    let (mut nesting, mut rest, mut deepest) = (Nesting::default(), json.as_bytes(), 0);
    while !rest.is_empty() {
        let passed = nesting.pass_some(rest);
        rest = &rest[passed..];
        deepest = deepest.max(nesting.open());
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_in_texts_open_nothing() {
        assert_eq!(depth(r#"{"a":["{[{[",{"\"{":1}]}"#), 3);
        assert_eq!(depth(""), 0);
    }
}
