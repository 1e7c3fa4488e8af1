//! Paths into an object: field names joined by dots, `[*]` for each entry of a list, `[name=checkout]` for some of them.
//!
//! A small part of JSONPath that can also be written to: no wildcards over fields, no indices, which would name another entry
//! once one is inserted, and no expressions.

use std::fmt;

use serde_json::Value;

/// The most steps of a path.
const MOST_STEPS: usize = 16;

/// A path that leads to any number of values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    text: String,
    steps: Vec<Step>,
}

/// The rules that a path to lists of backends leads through: the entries of the last list on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    lists: Path,
    step: Step,
    /// The list of backends in a rule.
    pub(super) backends: Fields,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Field(String),
    /// Each entry of a list.
    Each,
    /// The entries of a list whose field has this text.
    Where(String, String),
}

impl Path {
    /// Reads a path; or what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("`{text}` is not a path: {why}"));
        let mut steps = Vec::new();
        for part in split(text) {
            let (field, brackets) = part.split_at(part.find('[').unwrap_or(part.len()));
            if !is_field(field) {
                return wrong(
                    "it is field names joined by dots, each perhaps followed by `[*]` or `[name=value]`, as in `spec.routes[*].services`",
                );
            }
            steps.push(Step::Field(field.to_owned()));
            for bracket in brackets.split_inclusive(']') {
                match selector(bracket) {
                    Some(step) => steps.push(step),
                    None => return wrong("behind a list stands `[*]` or `[name=value]`, with a value without `]`"),
                }
            }
        }
        match steps.len() > MOST_STEPS {
            true => wrong("it has more than 16 steps"),
            false => Ok(Path { text: text.to_owned(), steps }),
        }
    }

    /// Its first field.
    pub(super) fn root(&self) -> &str {
        match self.steps.first() {
            Some(Step::Field(field)) => field,
            _ => "",
        }
    }

    /// The path of what holds its last field, and that field; `None` where it ends with a list or is a single field.
    pub(super) fn parent(&self) -> Option<(Path, &str)> {
        let (last, steps) = self.steps.split_last()?;
        match last {
            Step::Field(field) if !steps.is_empty() => {
                Some((Path { text: self.text.clone(), steps: steps.to_vec() }, field))
            }
            _ => None,
        }
    }

    /// The rules on the way; `None` where no list is, or nothing behind it.
    pub(super) fn rules(&self) -> Option<Rules> {
        let last = self.steps.iter().rposition(|step| !matches!(step, Step::Field(_)))?;
        let (lists, rest) = (self.steps.get(..last)?, self.steps.get(last + 1..)?);
        let fields = rest.iter().filter_map(|step| match step {
            Step::Field(field) => Some(field.clone()),
            _ => None,
        });
        let backends = Fields(fields.collect());
        let lists = Path { text: self.text.clone(), steps: lists.to_vec() };
        (!backends.0.is_empty()).then(|| Rules { lists, step: self.steps[last].clone(), backends })
    }

    /// Everything that it leads to, in the order of the object.
    pub(super) fn find<'o>(&self, object: &'o Value) -> Vec<&'o Value> {
        self.steps
            .iter()
            .fold(vec![object], |found, step| found.into_iter().flat_map(|value| step.values_of(value)).collect())
    }

    /// The same, to be changed.
    pub(super) fn find_mut<'o>(&self, object: &'o mut Value) -> Vec<&'o mut Value> {
        self.steps
            .iter()
            .fold(vec![object], |found, step| found.into_iter().flat_map(|value| step.values_of_mut(value)).collect())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Rules {
    /// Every rule of an object, whether the path selects it or not.
    pub(super) fn all<'o>(&self, object: &'o Value) -> Vec<&'o Value> {
        self.lists.find(object).into_iter().filter_map(Value::as_array).flatten().collect()
    }

    /// The lists of rules, to be changed.
    pub(super) fn lists_mut<'o>(&self, object: &'o mut Value) -> Vec<&'o mut Vec<Value>> {
        self.lists.find_mut(object).into_iter().filter_map(Value::as_array_mut).collect()
    }

    /// Whether the path selects a rule.
    pub(super) fn selects(&self, rule: &Value) -> bool {
        self.step.selects(rule)
    }

    /// The field by which the path selects rules.
    pub(super) fn name_field(&self) -> Option<Fields> {
        match &self.step {
            Step::Where(field, _) => Some(Fields(vec![field.clone()])),
            _ => None,
        }
    }
}

impl Step {
    fn values_of<'o>(&self, value: &'o Value) -> Vec<&'o Value> {
        match self {
            Step::Field(field) => value.get(field.as_str()).into_iter().collect(),
            _ => value.as_array().into_iter().flatten().filter(|entry| self.selects(entry)).collect(),
        }
    }

    fn values_of_mut<'o>(&self, value: &'o mut Value) -> Vec<&'o mut Value> {
        match self {
            Step::Field(field) => value.get_mut(field.as_str()).into_iter().collect(),
            _ => value.as_array_mut().into_iter().flatten().filter(|entry| self.selects(entry)).collect(),
        }
    }

    fn selects(&self, entry: &Value) -> bool {
        match self {
            Step::Where(field, text) => entry[field.as_str()].as_str() == Some(text),
            _ => true,
        }
    }
}

/// The parts between the dots that stand outside of brackets.
fn split(text: &str) -> Vec<&str> {
    let mut inside = false;
    text.split(|letter| {
        inside = letter == '[' || inside && letter != ']';
        letter == '.' && !inside
    })
    .collect()
}

fn selector(bracket: &str) -> Option<Step> {
    let inner = bracket.strip_prefix('[')?.strip_suffix(']')?;
    if inner == "*" {
        return Some(Step::Each);
    }
    let (field, text) = inner.split_once('=')?;
    (is_field(field) && !text.is_empty()).then(|| Step::Where(field.to_owned(), text.to_owned()))
}

/// A field, and those behind it in brackets and quotes.
fn names(part: &str) -> Option<Vec<String>> {
    let (field, brackets) = part.split_at(part.find('[').unwrap_or(part.len()));
    let first = is_field(field).then(|| field.to_owned());
    std::iter::once(first).chain(brackets.split_inclusive(']').map(quoted)).collect()
}

fn quoted(bracket: &str) -> Option<String> {
    let name = bracket.strip_prefix("['")?.strip_suffix("']")?;
    (!name.is_empty() && !name.contains(['\'', '['])).then(|| name.to_owned())
}

/// Whether a text is the name of a field.
pub(super) fn is_field(text: &str) -> bool {
    let letters = text.bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b'_' || letter == b'-');
    !text.is_empty() && letters
}

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, field) in self.0.iter().enumerate() {
            match (is_field(field), at) {
                (true, 0) => f.write_str(field)?,
                (true, _) => write!(f, ".{field}")?,
                (false, _) => write!(f, "['{field}']")?,
            }
        }
        Ok(())
    }
}

/// Fields within an entry of a list, joined by dots; one with dots in its name stands in `['']`, like a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fields(Vec<String>);

impl Fields {
    /// Reads field names; or what is wrong with them.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let names = split(text).into_iter().map(names).collect::<Option<Vec<_>>>().map(|all| all.concat());
        names.filter(|names| names.len() <= MOST_STEPS).map(Fields).ok_or_else(|| {
            format!(
                "`{text}` is not a field of an entry: it is field names joined by dots, as in `destination.name` or \
                 `labels['example.com/name']`"
            )
        })
    }

    /// What they lead to.
    pub(super) fn get<'o>(&self, entry: &'o Value) -> Option<&'o Value> {
        self.0.iter().try_fold(entry, |value, field| value.get(field.as_str())).filter(|value| !value.is_null())
    }

    /// Puts a value there. `false`, and nothing changed, where something that is no object is in the way.
    pub(super) fn set(&self, entry: &mut Value, value: Value) -> bool {
        if !self.fits(entry) {
            return false;
        }
        let mut place = entry;
        for field in &self.0 {
            if place.is_null() {
                *place = Value::Object(serde_json::Map::new());
            }
            place = match place.as_object_mut() {
                Some(object) => object.entry(field.as_str()).or_insert(Value::Null),
                None => return false,
            };
        }
        *place = value;
        true
    }

    /// Whether a value can be put there.
    pub(super) fn fits(&self, entry: &Value) -> bool {
        let mut place = Some(entry);
        self.0.iter().all(|field| {
            let open = place.is_none_or(|value| value.is_object() || value.is_null());
            place = place.and_then(|value| value.get(field.as_str()));
            open
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_leads_to_every_value_that_it_names() {
        let object = json!({"spec": {"http": [
            {"name": "a.b", "backends": [1, 2]}, {"name": "c", "backends": [3]}, {"name": "a.b"}, 7], "weight": 5}});
        for (text, found) in [
            ("spec.weight", json!([5])),
            ("spec.http[*].backends", json!([[1, 2], [3]])),
            ("spec.http[*].backends[*]", json!([1, 2, 3])),
            ("spec.http[name=a.b].backends", json!([[1, 2]])),
            ("spec.http[name=d].backends", json!([])),
            ("spec.weight[*]", json!([])),
            ("spec.http.backends", json!([])),
            ("status", json!([])),
        ] {
            let path = Path::parse(text).unwrap();
            assert_eq!(json!(path.find(&object)), found, "{text}");
            let mut changed = object.clone();
            assert_eq!(json!(path.find_mut(&mut changed)), found, "{text}");
            assert_eq!(path.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        let long = vec!["a"; 17].join(".");
        for text in [
            "", ".", "spec.", "spec..a", "$.spec", "spec[0]", "spec[]", "spec[*", "spec]", "[*]", "a b", "a[b=]", &long,
        ] {
            let error = Path::parse(text).unwrap_err();
            assert!(error.starts_with(&format!("`{text}` is not a path: ")), "{error}");
        }
        assert_eq!(Path::parse(&vec!["a"; 16].join(".")).map(|path| path.steps.len()), Ok(16));
        for text in ["", "a[*]", "a..b", "a.", "['a']", "a[b]", "a['']", "a['b", "a['b'c]", "a['b']c", "a['b''c']"] {
            assert!(Fields::parse(text).is_err(), "{text:?}");
        }
        let names = |text: &str| Fields::parse(text).unwrap().0;
        assert_eq!(names("a.b"), ["a", "b"]);
        assert_eq!(names("labels['example.com/name']"), ["labels", "example.com/name"]);
        assert_eq!(names("a['b.c']['d'].e"), ["a", "b.c", "d", "e"]);
    }

    #[test]
    fn the_rules_are_the_entries_of_the_last_list() {
        let object = json!({"spec": {"to": [{"rules": [{"name": "a", "default": {"refs": [1]}}, 7]}, {"rules": []}]}});
        let of = |text: &str| Path::parse(text).unwrap().rules();
        let rules = of("spec.to[*].rules[name=a].default.refs").unwrap();
        assert_eq!(rules.backends, Fields::parse("default.refs").unwrap());
        assert_eq!(rules.name_field(), Some(Fields::parse("name").unwrap()));
        assert_eq!(json!(rules.all(&object)), object["spec"]["to"][0]["rules"]);
        assert_eq!(rules.lists_mut(&mut object.clone()).len(), 2);
        assert!(rules.selects(&json!({"name": "a"})) && !rules.selects(&json!({"name": "b"})));
        for without in ["spec.destinations", "spec.lists[*]", "spec.rules[*].lists[*]"] {
            assert_eq!(of(without), None, "{without}");
        }
    }

    #[test]
    fn a_path_ends_with_a_field_or_has_no_parent() {
        let parent = |text: &str| {
            let path = Path::parse(text).unwrap();
            path.parent().map(|(parent, field)| (parent.steps.len(), field.to_owned()))
        };
        assert_eq!(parent("spec.routes[name=a].weight"), Some((3, "weight".to_owned())));
        assert_eq!(parent("spec"), None);
        assert_eq!(parent("spec.routes[*]"), None);
    }

    #[test]
    fn a_field_is_set_unless_something_is_in_the_way() {
        let fields = Fields::parse("a.b").unwrap();
        for (entry, wanted) in [
            (json!({}), Some(json!({"a": {"b": 1}}))),
            (json!({"a": null}), Some(json!({"a": {"b": 1}}))),
            (json!({"x": 0, "a": {"b": 2, "c": 3}}), Some(json!({"x": 0, "a": {"b": 1, "c": 3}}))),
            (json!({"a": 5}), None),
            (json!([]), None),
        ] {
            let mut written = entry.clone();
            assert_eq!(fields.set(&mut written, json!(1)), wanted.is_some(), "{entry}");
            assert_eq!(written, wanted.unwrap_or(entry));
        }
    }
}
