//! The two spellings of a Consul config entry: the custom resource of consul-k8s, whose `spec` is in camelCase, and the entry
//! itself as the HTTP API has it, in CamelCase with its fields beside `Kind` and `Name`.
//!
//! Plans are written once, with the names of the custom resource; this file translates.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// How a config entry is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// As a custom resource of consul-k8s, in a namespace of Kubernetes.
    Resource {
        /// The namespace.
        namespace: String,
    },
    /// As the HTTP API reads and writes it.
    Entry,
}

impl Spelling {
    /// A field's name, from that of the custom resource.
    pub(super) fn key(&self, name: &'static str) -> Cow<'static, str> {
        match (self, name) {
            (Spelling::Resource { .. }, _) => Cow::Borrowed(name),
            (Spelling::Entry, "http") => Cow::Borrowed("HTTP"),
            (Spelling::Entry, _) => Cow::Owned(capitalized(name)),
        }
    }

    /// A field; null where there is none.
    pub(super) fn field<'v>(&self, of: &'v Value, name: &'static str) -> &'v Value {
        &of[self.key(name).as_ref()]
    }

    /// A list; empty where there is none.
    pub(super) fn list<'v>(&self, of: &'v Value, name: &'static str) -> &'v [Value] {
        self.field(of, name).as_array().map_or(&[], Vec::as_slice)
    }

    /// A text; none where it is absent or empty, which Consul takes for the same.
    pub(super) fn text<'v>(&self, of: &'v Value, name: &'static str) -> Option<&'v str> {
        self.field(of, name).as_str().filter(|text| !text.is_empty())
    }

    /// What an entry says, without its name.
    pub(super) fn body<'o>(&self, object: &'o Value) -> &'o Value {
        match self {
            Spelling::Resource { .. } => &object["spec"],
            Spelling::Entry => object,
        }
    }

    /// The same to write to; made where it is absent, none where it is something else than fields.
    pub(super) fn body_mut<'o>(&self, object: &'o mut Value) -> Option<&'o mut Map<String, Value>> {
        let fields = object.as_object_mut()?;
        match self {
            Spelling::Resource { .. } => fields_of(fields.entry("spec").or_insert(Value::Null)),
            Spelling::Entry => Some(fields),
        }
    }

    /// A field that has fields, to write to: made where it is absent, none where it is something else.
    pub(super) fn fields<'m>(
        &self,
        of: &'m mut Map<String, Value>,
        name: &'static str,
    ) -> Option<&'m mut Map<String, Value>> {
        fields_of(of.entry(self.key(name)).or_insert(Value::Null))
    }

    /// Writes a field.
    pub(super) fn set(&self, of: &mut Map<String, Value>, name: &'static str, value: impl Into<Value>) {
        of.insert(self.key(name).into_owned(), value.into());
    }

    /// The name of an entry, as messages have it: `ServiceSplitter shop/web`, or `service-splitter web`.
    pub(super) fn place(&self, kind: &str, name: &str) -> String {
        match self {
            Spelling::Resource { namespace } => format!("{kind} {namespace}/{name}"),
            Spelling::Entry => format!("{} {name}", hyphenated(kind)),
        }
    }

    /// The path of a field of an entry, as messages have it: `spec.splits`, or `Splits`.
    pub(super) fn path(&self, name: &'static str) -> String {
        match self {
            Spelling::Resource { .. } => format!("spec.{name}"),
            Spelling::Entry => self.key(name).into_owned(),
        }
    }
}

/// Null becomes fields.
fn fields_of(value: &mut Value) -> Option<&mut Map<String, Value>> {
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut()
}

fn capitalized(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// `service-splitter` of `ServiceSplitter`.
fn hyphenated(kind: &str) -> String {
    let mut all = String::new();
    for letter in kind.chars() {
        if letter.is_ascii_uppercase() && !all.is_empty() {
            all.push('-');
        }
        all.push(letter.to_ascii_lowercase());
    }
    all
}
