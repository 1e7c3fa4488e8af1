//! The position of each field of a document, and the limits that can be checked before its value is built.
//!
//! serde_yaml, which builds the values, reads a whole document at once, and its time grows with the square of the depth. So
//! yaml-rust2 reads it first, event by event and without recursion, and what is too deep or too large ends here.

use std::str::Chars;

use yaml_rust2::{
    parser::{Event, Parser},
    scanner::Marker,
};

use super::{
    budget::Left,
    error::{Position, YamlError},
    limits::Limit,
    parts::Part,
};

/// A node: its position, and its child nodes.
#[derive(Clone, Debug)]
pub(super) struct Located {
    /// Line and column: small, as there may be a million.
    at: (u32, u32),
    inner: Inner,
}

#[derive(Clone, Debug)]
enum Inner {
    Nothing,
    Items(Vec<Located>),
    /// Sorted by key once the map has ended.
    Fields(Vec<(Box<str>, Located)>),
}

/// What the first reading gives.
pub(super) enum First {
    /// The positions of all fields.
    Read(Located),
    /// This reader does not take the text; the other one says why, or does take it.
    Unread,
}

impl Located {
    /// A document of which only its start is known.
    pub fn unknown(at: Position) -> Located {
        Located { at: small(at), inner: Inner::Nothing }
    }

    /// The position of a field (`spec.steps[2].setWeight`); for one that is absent, the nearest one around it.
    pub fn find(&self, path: &str) -> Position {
        let (mut place, mut rest) = (self, path);
        while let Some((inner, after)) = place.step(rest) {
            (place, rest) = (inner, after);
        }
        let (line, column) = place.at;
        Position { line: line as usize, column: column as usize }
    }

    /// One field or entry further, with the rest of the path.
    fn step<'a>(&self, path: &'a str) -> Option<(&Located, &'a str)> {
        match &self.inner {
            Inner::Nothing => None,
            Inner::Items(items) => {
                let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
                Some((items.get(index.parse::<usize>().ok()?)?, rest))
            }
            Inner::Fields(fields) => {
                let path = path.strip_prefix('.').unwrap_or(path);
                // A key may have dots and brackets itself, so the longest one that fits is meant.
                let ends = path.match_indices(['.', '[']).map(|(end, _)| end).chain([path.len()]);
                let mut fits: Vec<usize> = ends.filter(|end| *end > 0).take(MOST_ENDS).collect();
                fits.reverse();
                fits.into_iter().find_map(|end| {
                    let found = fields.binary_search_by(|(key, _)| key.as_ref().cmp(&path[..end])).ok()?;
                    Some((&fields[found].1, &path[end..]))
                })
            }
        }
    }
}

fn small(at: Position) -> (u32, u32) {
    let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    (small(at.line), small(at.column))
}

/// How many dots and brackets a key may have to be found.
const MOST_ENDS: usize = 64;

/// yaml-rust2's message for more than 255 nested brackets, which it sees before their events come.
const TOO_DEEP: &str = "recursion limit";

/// Reads a document for the first time.
pub(super) fn first(part: &Part<'_>, mut left: Left) -> Result<First, YamlError> {
    let mut parser: Parser<Chars<'_>> = Parser::new_from_str(part.text);
    let mut open: Vec<Open> = Vec::new();
    loop {
        let (event, mark) = match parser.next_token() {
            Ok(next) => next,
            Err(error) if error.info().contains(TOO_DEEP) => {
                return Err(YamlError::Limit { at: place(part, error.marker()), limit: Limit::Depth });
            }
            Err(_) => return Ok(First::Unread),
        };
        let at = place(part, &mark);
        let limit = |limit: Limit| YamlError::Limit { at, limit };
        let ended = match event {
            Event::StreamEnd | Event::DocumentEnd => return Ok(First::Unread),
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                let map = matches!(event, Event::MappingStart(..));
                // What is in it is one level deeper.
                let depth = open.len() + 1;
                if map { left.map(depth) } else { left.value(depth) }.map_err(limit)?;
                open.push(Open::new(at, map));
                continue;
            }
            Event::Scalar(text, ..) => {
                if let Some(map) = open.last_mut().filter(|open| open.wants_key()) {
                    left.key(text.len()).map_err(limit)?;
                    map.name(text, at);
                    continue;
                }
                left.value(open.len()).and_then(|()| left.text(text.len())).map_err(limit)?;
                Located::unknown(at)
            }
            Event::Alias(_) => {
                left.value(open.len()).map_err(limit)?;
                Located::unknown(at)
            }
            Event::MappingEnd | Event::SequenceEnd => match open.pop() {
                Some(ended) => ended.end(),
                None => return Ok(First::Unread),
            },
            Event::Nothing | Event::StreamStart | Event::DocumentStart => continue,
        };
        match open.last_mut() {
            Some(around) => around.add(ended),
            None => return Ok(First::Read(ended)),
        }
    }
}

fn place(part: &Part<'_>, mark: &Marker) -> Position {
    part.place(mark.line(), mark.col() + 1)
}

/// A list or map that has begun.
struct Open {
    at: Position,
    inner: Inner,
    /// The key whose value comes next.
    key: Option<(Box<str>, Position)>,
}

impl Open {
    fn new(at: Position, map: bool) -> Open {
        Open { at, inner: if map { Inner::Fields(Vec::new()) } else { Inner::Items(Vec::new()) }, key: None }
    }

    fn wants_key(&self) -> bool {
        matches!(self.inner, Inner::Fields(_)) && self.key.is_none()
    }

    fn name(&mut self, key: String, at: Position) {
        // A block map's own position is its first colon; users look at its first key.
        if matches!(&self.inner, Inner::Fields(fields) if fields.is_empty()) && at.column < self.at.column {
            self.at = at;
        }
        self.key = Some((key.into_boxed_str(), at));
    }

    fn add(&mut self, place: Located) {
        match &mut self.inner {
            Inner::Items(items) => items.push(place),
            Inner::Fields(fields) => match self.key.take() {
                // People look for a field at its key.
                Some((key, at)) => fields.push((key, Located { at: small(at), ..place })),
                // A list or a map as a key: the value's reader refuses it.
                None => self.key = Some(("".into(), self.at)),
            },
            Inner::Nothing => {}
        }
    }

    fn end(self) -> Located {
        let mut inner = self.inner;
        match &mut inner {
            Inner::Fields(fields) => {
                fields.sort_by(|one, other| one.0.cmp(&other.0));
                fields.shrink_to_fit();
            }
            Inner::Items(items) => items.shrink_to_fit(),
            Inner::Nothing => {}
        }
        Located { at: small(self.at), inner }
    }
}
