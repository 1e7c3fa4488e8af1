//! The types of the fields of a pod template, as Kubernetes' API definition has them (`fields.txt`, see its first lines).

use std::{collections::HashMap, sync::LazyLock};

/// Generated from the API definition, and held current by `tests/it/pod_fields.rs`. It is embedded instead of asking
/// `k8s-openapi` for its JSON schema because that has the fields of one version alone, and descriptions of half a megabyte.
const TABLE: &str = include_str!("fields.txt");

static TYPES: LazyLock<HashMap<&str, Vec<Field>>> = LazyLock::new(|| parse(TABLE));

/// A field of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub name: &'static str,
    /// A type as the table writes it: `text`, `[Container]`, `{Quantity}`.
    pub kind: &'static str,
    pub required: bool,
}

/// The fields of a type of the table; `None` for one that is not an object with fields of its own.
pub(super) fn of(kind: &str) -> Option<&'static [Field]> {
    TYPES.get(kind).map(Vec::as_slice)
}

fn parse(table: &'static str) -> HashMap<&'static str, Vec<Field>> {
    let mut types = HashMap::new();
    let mut current = "";
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, kind)) = line.strip_prefix(' ').and_then(|line| line.split_once(' ')) else {
            current = line;
            continue;
        };
        let (kind, required) = kind.strip_suffix('!').map_or((kind, false), |kind| (kind, true));
        types.entry(current).or_insert_with(Vec::new).push(Field { name, kind, required });
    }
    types
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_that_a_field_names_is_in_the_table() {
        let simple = ["text", "boolean", "int32", "int64", "any", "IntOrString", "Quantity"];
        assert!(of("PodTemplateSpec").is_some() && TYPES.len() > 100, "{}", TYPES.len());
        for (name, fields) in TYPES.iter() {
            for field in fields {
                let kind = field.kind.trim_matches(['[', ']', '{', '}']);
                // An object without any field.
                let known = simple.contains(&kind) || of(kind).is_some();
                assert!(known, "{name}.{}: {kind}", field.name);
            }
        }
        let name = of("Container").unwrap().iter().find(|field| field.name == "name");
        assert_eq!(name, Some(&Field { name: "name", kind: "text", required: true }));
    }
}
