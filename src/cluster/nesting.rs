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
        while self.open > floor {
            passed += self.without_effect(&bytes[passed..]);
            let Some(&byte) = bytes.get(passed) else { break };
            self.pass(byte);
            passed += 1;
        }
        passed
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
    let mut nesting = Nesting::default();
    let open = json.bytes().map(|byte| {
        nesting.pass(byte);
        nesting.open()
    });
    open.max().unwrap_or(0)
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
