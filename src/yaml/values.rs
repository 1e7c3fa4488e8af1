//! A document's value, built within bounds: expanded aliases are counted before memory is allocated for them.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess as _, Visitor};
use serde_json::{Map, Number, Value};

use super::budget::Left;

/// The key under which YAML 1.1 merges maps.
const MERGE: &str = "<<";

/// Reads one document as JSON has it.
pub(super) fn read(text: &str, left: &mut Left) -> Result<Value, serde_yaml::Error> {
    Node { left, depth: 0 }.deserialize(serde_yaml::Deserializer::from_str(text))
}

/// A value that is to be read, so many levels below the document's.
struct Node<'a> {
    left: &'a mut Left,
    depth: usize,
}

impl Node<'_> {
    fn inner(&mut self) -> Node<'_> {
        Node { left: &mut *self.left, depth: self.depth + 1 }
    }

    fn count<E: de::Error>(&mut self, depth: usize) -> Result<(), E> {
        self.left.value(depth).map_err(E::custom)
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_unit<E: de::Error>(mut self) -> Result<Value, E> {
        self.count(self.depth)?;
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(mut self, value: bool) -> Result<Value, E> {
        self.count(self.depth)?;
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: de::Error>(mut self, value: u64) -> Result<Value, E> {
        self.count(self.depth)?;
        Ok(value.into())
    }

    fn visit_i64<E: de::Error>(mut self, value: i64) -> Result<Value, E> {
        self.count(self.depth)?;
        Ok(value.into())
    }

    fn visit_u128<E: de::Error>(self, value: u128) -> Result<Value, E> {
        self.visit_f64(value as f64)
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<Value, E> {
        self.visit_f64(value as f64)
    }

    /// JSON would turn what is infinite or no number into a null, and the field would be absent.
    fn visit_f64<E: de::Error>(mut self, value: f64) -> Result<Value, E> {
        self.count(self.depth)?;
        let shown = serde_yaml::Number::from(value);
        let refused = || E::custom(format!("{shown} cannot be represented in JSON; use a finite number"));
        Number::from_f64(value).map(Value::Number).ok_or_else(refused)
    }

    fn visit_str<E: de::Error>(mut self, value: &str) -> Result<Value, E> {
        self.count(self.depth)?;
        self.left.text(value.len()).map_err(E::custom)?;
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut entries: A) -> Result<Value, A::Error> {
        self.count(self.depth + 1)?;
        let mut items = Vec::new();
        while let Some(item) = entries.next_element_seed(self.inner())? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<Value, A::Error> {
        self.left.map(self.depth + 1).map_err(de::Error::custom)?;
        let mut read: Vec<(String, Value)> = Vec::new();
        while let Some(key) = entries.next_key_seed(Key { left: &mut *self.left })? {
            read.push((key, entries.next_value_seed(self.inner())?));
        }
        // As large as it must be: most maps are small, and there may be a million.
        let mut fields = Map::with_capacity(read.len());
        for (key, value) in read {
            if fields.contains_key(&key) {
                return Err(de::Error::custom(format!("duplicate entry with key {key:?}")));
            }
            fields.insert(key, value);
        }
        if let Some(others) = fields.shift_remove(MERGE) {
            merge(&mut fields, others).map_err(de::Error::custom)?;
        }
        Ok(Value::Object(fields))
    }

    /// A value with a tag of its own (`!Ref x`), which no object of Kubernetes has.
    fn visit_enum<A: EnumAccess<'de>>(mut self, tagged: A) -> Result<Value, A::Error> {
        self.count(self.depth + 1)?;
        let (tag, value) = tagged.variant_seed(Key { left: &mut *self.left })?;
        let value = value.newtype_variant_seed(self.inner())?;
        Ok(Value::Object(Map::from_iter([(format!("!{}", tag.trim_start_matches('!')), value)])))
    }
}

/// Adds what a map merges; its own fields come first, then those of the earlier maps.
fn merge(fields: &mut Map<String, Value>, others: Value) -> Result<(), &'static str> {
    match others {
        Value::Object(other) => {
            for (key, value) in other {
                fields.entry(key).or_insert(value);
            }
            Ok(())
        }
        Value::Array(maps) if maps.iter().all(Value::is_object) => {
            maps.into_iter().try_for_each(|map| merge(fields, map))
        }
        _ => Err("`<<` merges a map or a list of maps; quote it to use it as a key"),
    }
}

/// A key. JSON has texts alone; numbers and booleans are written as such.
struct Key<'a> {
    left: &'a mut Left,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = String;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string: every key must be one")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<String, E> {
        self.left.key(key.len()).map_err(E::custom)?;
        Ok(key.to_owned())
    }

    fn visit_bool<E: de::Error>(self, key: bool) -> Result<String, E> {
        Ok(key.to_string())
    }

    fn visit_u64<E: de::Error>(self, key: u64) -> Result<String, E> {
        Ok(key.to_string())
    }

    fn visit_i64<E: de::Error>(self, key: i64) -> Result<String, E> {
        Ok(key.to_string())
    }

    fn visit_f64<E: de::Error>(self, key: f64) -> Result<String, E> {
        Ok(key.to_string())
    }
}
