//! A list as it arrives: object by object, so that no more than one of them is in memory in addition to the cache.
//!
//! JSON parsers want the whole text, or a thread that may wait for more of it. The braces alone determine where an
//! object ends. Each is then decoded separately, and the rest, the list without its objects, is decoded at the end.

use std::borrow::Cow;

use futures::{AsyncBufRead, AsyncBufReadExt};

use super::failure::Failure;
use crate::cluster::{
    nesting::Nesting,
    raw_object::{Page, PageMeta},
};

/// The longest object. etcd stores objects of 1.5 MiB by default.
pub const LONGEST_OBJECT: usize = 32 << 20;
/// The longest list without its objects.
const LONGEST_REST: usize = 1 << 20;
/// So deep lie the list's own fields, and so deep begin its objects.
const FIELDS: usize = 1;
const OBJECTS: usize = FIELDS + 1;

/// The body of a list that is being read.
pub struct ListBody<B> {
    body: B,
    place: Cursor,
    /// The object that is being read.
    object: Vec<u8>,
    /// The list without its objects.
    rest: Vec<u8>,
}

impl<B: AsyncBufRead + Unpin> ListBody<B> {
    /// Begins to read.
    pub fn new(body: B) -> Self {
        ListBody { body, place: Cursor::default(), object: Vec::new(), rest: Vec::new() }
    }

    /// The next object, as JSON text.
    pub async fn next(&mut self) -> Result<Option<Cow<'_, str>>, Failure> {
        self.object.clear();
        loop {
            let chunk = self.body.fill_buf().await.map_err(|error| Failure::Broken(error.to_string()))?;
            if chunk.is_empty() {
                return Ok(None);
            }
            let (taken, complete) = self.place.split(chunk, &mut self.object, &mut self.rest);
            self.body.consume_unpin(taken);
            if self.object.len() > LONGEST_OBJECT || self.rest.len() > LONGEST_REST {
                return Err(Failure::Garbled("a list with an object or fields that are too long".to_owned()));
            }
            if complete {
                return Ok(Some(String::from_utf8_lossy(&self.object)));
            }
        }
    }

    /// What the list says of itself, once there is no further object.
    pub fn meta(self) -> Result<PageMeta, Failure> {
        if self.place.nesting.open() > 0 {
            return Err(Failure::Broken("the response ends within the list".to_owned()));
        }
        let page: Page<'_> = serde_json::from_slice(&self.rest).map_err(|error| Failure::Garbled(error.to_string()))?;
        if page.items().next().is_some() {
            return Err(Failure::Garbled("the items of a list are not where they belong".to_owned()));
        }
        Ok(page.metadata)
    }
}

/// The position of the next byte.
#[derive(Default)]
struct Cursor {
    nesting: Nesting,
    /// Within the array of objects.
    in_items: bool,
}

impl Cursor {
    /// Goes on to behind an object, or to the end of the chunk: how many bytes that were, and whether an object is complete.
    fn split(&mut self, chunk: &[u8], object: &mut Vec<u8>, rest: &mut Vec<u8>) -> (usize, bool) {
        let mut index = 0;
        while let Some(&byte) = chunk.get(index) {
            if self.is_within_object() {
                let passed = self.nesting.pass_above(OBJECTS, &chunk[index..]);
                object.extend_from_slice(&chunk[index..index + passed]);
                index += passed;
                continue;
            }
            let within = self.in_items;
            let between = self.is_between_objects() && matches!(byte, b',' | b']' | b' ' | b'\n' | b'\r' | b'\t');
            if between && !object.is_empty() {
                return (index, true);
            }
            self.pass(byte, rest);
            if !(within && self.in_items) {
                rest.push(byte);
            } else if !between {
                object.push(byte);
            }
            index += 1;
        }
        (chunk.len(), false)
    }

    fn is_within_object(&self) -> bool {
        self.in_items && self.nesting.open() > OBJECTS
    }

    fn is_between_objects(&self) -> bool {
        self.in_items && self.nesting.open() == OBJECTS && !self.nesting.in_text()
    }

    /// Passes one byte; `rest` is the text before it, without the objects.
    fn pass(&mut self, byte: u8, rest: &[u8]) {
        let before = self.nesting.open();
        self.nesting.pass(byte);
        match (before, self.nesting.open()) {
            (FIELDS, OBJECTS) if byte == b'[' => self.in_items = is_named_items(rest),
            (OBJECTS, FIELDS) => self.in_items = false,
            _ => {}
        }
    }
}

/// Whether the field that a text ends with is the one that holds the objects.
fn is_named_items(text: &[u8]) -> bool {
    let name = text.trim_ascii_end().strip_suffix(b":");
    name.is_some_and(|name| name.trim_ascii_end().ends_with(b"\"items\""))
}

#[cfg(test)]
mod tests {
    use futures::io::{BufReader, Cursor};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// What comes of a text that arrives in pieces of so many bytes.
    fn read(text: &str, piece: usize) -> Result<(Vec<String>, PageMeta), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut list = ListBody::new(BufReader::with_capacity(piece, Cursor::new(text.as_bytes())));
            let mut objects = Vec::new();
            while let Some(object) = list.next().await? {
                objects.push(object.into_owned());
            }
            Ok((objects, list.meta()?))
        })
    }

    fn list(text: &str) -> Vec<String> {
        read(text, 7).unwrap().0
    }

    #[test]
    fn objects_are_cut_out_by_their_braces() {
        assert_eq!(list(r#"{"items":[]}"#), [""; 0]);
        assert_eq!(list(r#"{"items":null,"metadata":{}}"#), [""; 0]);
        assert_eq!(list(r#"{"kind":"L", "items" : [ {"a":[{}]} , {} ] }"#), [r#"{"a":[{}]}"#, "{}"]);
        let braces_in_texts = r#"{"a":"]}\"}\\","items":[{"items":[1]}]}"#;
        assert_eq!(list(&format!(r#"{{"items":[{braces_in_texts}]}}"#)), [braces_in_texts]);
        let other = r#"{"other":[{"items":[{"a":1}]}],"metadata":{"items":[{}]},"items":[{"b":2}]}"#;
        assert_eq!(list(other), [r#"{"b":2}"#]);
        assert_eq!(
            list(r#"{"items":[7,"a, b" ,[{}],{}]}"#),
            ["7", r#""a, b""#, "[{}]", "{}"],
            "what else there may be"
        );
    }

    #[test]
    fn its_own_fields_are_read_wherever_they_stand() {
        for text in [
            r#"{"metadata":{"resourceVersion":"7","continue":"on"},"items":[{},{}]}"#,
            r#"{"items":[{},{}],"metadata":{"resourceVersion":"7","continue":"on"}}"#,
        ] {
            let (objects, meta) = read(text, 1).unwrap();
            assert_eq!(objects.len(), 2);
            assert_eq!((meta.resource_version.as_deref(), meta.next.as_deref()), (Some("7"), Some("on")));
        }
    }

    #[test]
    fn what_is_cut_off_or_no_list_is_an_error() {
        let text = r#"{"items":[{"a":{}},{}],"metadata":{"resourceVersion":"7"}}"#;
        for end in 1..text.len() {
            assert!(matches!(read(&text[..end], 5), Err(Failure::Broken(_))), "{}", &text[..end]);
        }
        for text in ["", "garbage", r#"{"items":{"a":1}}"#, r#"{"\u0069tems":[{}]}"#, "{}}"] {
            assert!(matches!(read(text, 5), Err(Failure::Garbled(_))), "{text}");
        }
        let long = format!(r#"{{"metadata":{{"resourceVersion":"{}"}}}}"#, "7".repeat(LONGEST_REST));
        assert!(matches!(read(&long, 4_096), Err(Failure::Garbled(_))));
    }

    fn any_object() -> impl Strategy<Value = Value> {
        let leaf =
            prop_oneof![Just(Value::Null), any::<i32>().prop_map(Value::from), any::<String>().prop_map(Value::from)];
        let tree = leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map("items|[a-z\"\\\\\\]{}]{0,3}", inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        });
        prop::collection::hash_map("items|[a-z]{1,3}", tree, 0..4)
            .prop_map(|fields| Value::Object(fields.into_iter().collect()))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_list_is_read_as_a_json_parser_reads_it(
            objects in prop::collection::vec(any_object(), 0..6), pretty: bool, piece in 1..64_usize,
        ) {
            let whole = json!({"kind": "List", "items": objects, "metadata": {"resourceVersion": "12"}});
            let text = if pretty { format!("{whole:#}") } else { whole.to_string() };
            let (read, meta) = read(&text, piece).unwrap();
            let read: Vec<Value> = read.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
            prop_assert_eq!(read, objects);
            prop_assert_eq!(meta.resource_version.as_deref(), Some("12"));
        }
    }
}
