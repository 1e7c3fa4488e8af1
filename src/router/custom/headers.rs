//! Where the rules of a kind are, and how one says which headers a request must have.

use serde_json::Value;

use super::{
    error::Defect,
    path::{Fields, Path, Rules, is_field},
    template::Template,
};
use crate::{
    api::{
        strategy::{RequestMatch, ValueMatch},
        traffic::CustomHeaders,
    },
    router::expression,
};

const EXACT: &str = "headers.exact";
const PREFIX: &str = "headers.prefix";
const REGEX: &str = "headers.regex";
/// Between the name of a rule and that of the header route that a copy of it is for.
const MARK: &str = "-glidepath-";

/// What `headers` of an entry says.
#[derive(Clone, Debug)]
pub(super) struct Headers {
    pub(super) rules: Rules,
    /// The list of alternatives in a rule. Without it a rule is one itself.
    pub(super) any_of: Option<Fields>,
    /// The list of what an alternative requires.
    pub(super) all_of: Fields,
    exact: Option<Template>,
    prefix: Option<Template>,
    regex: Option<Template>,
    rule_name: Option<Fields>,
    /// Fields that are compared before headers are counted.
    pub(super) precedence: Vec<String>,
}

impl Headers {
    /// What the field says of an object with lists of backends at this path.
    pub(super) fn of(config: &CustomHeaders, path: &Path, defects: &mut Vec<Defect>) -> Option<Self> {
        let before = defects.len();
        let mut fields = |at, text: &str| Fields::parse(text).map_err(|why| defects.push(Defect::new(at, why))).ok();
        let any_of = config.any_of.as_deref().and_then(|text| fields("headers.anyOf", text));
        let all_of = fields("headers.allOf", &config.all_of);
        let rule_name = config.rule_name.as_deref().and_then(|text| fields("headers.ruleName", text));
        let mut template = |at, body: &Option<Value>| {
            let parsed = Template::parse(body.as_ref()?);
            parsed.map_err(|why| defects.push(Defect::new(at, format!("not a match of a header: {why}")))).ok()
        };
        let exact = template(EXACT, &config.exact);
        let prefix = template(PREFIX, &config.prefix);
        let regex = template(REGEX, &config.regex);
        if [&config.exact, &config.prefix, &config.regex].iter().all(|body| body.is_none()) {
            defects.push(Defect::new("headers", "set at least one of exact, prefix and regex"));
        }
        if let Some(wrong) = config.precedence.iter().find(|field| !is_field(field)) {
            defects.push(Defect::new("headers.precedence", format!("`{wrong}` is not the name of a field")));
        }
        let rules = path.rules();
        if rules.is_none() {
            let message = format!(
                "`{path}` leads to no list of rules, so a header route has no place; it needs one `[*]` with a field behind"
            );
            defects.push(Defect::new("headers", message));
        }
        let rules = rules?;
        for (at, list) in [("headers.anyOf", any_of.as_ref()), ("headers.allOf", all_of.as_ref())] {
            if list.is_some_and(|list| *list == rules.backends) {
                defects.push(Defect::new(at, format!("`{}` is the list of the backends", rules.backends)));
            }
        }
        let precedence = config.precedence.clone();
        let rule_name = rule_name.or_else(|| rules.name_field());
        let all_of = all_of.filter(|_| defects.len() == before)?;
        Some(Headers { rules, any_of, all_of, exact, prefix, regex, rule_name, precedence })
    }

    /// Whether a regular expression can be said, and so everything.
    pub(super) fn has_regex(&self) -> bool {
        self.regex.is_some()
    }

    /// The list of alternatives, for display.
    pub(super) fn list(&self) -> String {
        self.any_of.as_ref().unwrap_or(&self.all_of).to_string()
    }

    /// The header of a match, in lower case, and its entry; or the field that would have to be set. What has no form of its
    /// own is an expression, as is an empty value, which some meshes take for any.
    pub(super) fn entry(&self, own: &RequestMatch) -> Result<(String, Value), &'static str> {
        if let Some(cookie) = &own.cookie {
            let regex = self.regex.as_ref().ok_or(REGEX)?;
            return Ok(("cookie".to_owned(), regex.filled("cookie", &expression::cookie(cookie))));
        }
        let header = own.header.clone().unwrap_or_default();
        let name = header.name.to_ascii_lowercase();
        let entry = self.header_entry(&name, &header)?;
        Ok((name, entry))
    }

    fn header_entry(&self, name: &str, header: &ValueMatch) -> Result<Value, &'static str> {
        let (form, value, field) = match (&header.exact, &header.prefix) {
            (Some(exact), _) => (&self.exact, exact.as_str(), EXACT),
            (None, Some(prefix)) => (&self.prefix, prefix.as_str(), PREFIX),
            (None, None) => (&None, "", REGEX),
        };
        match (form, &self.regex) {
            (Some(form), _) if !value.is_empty() => Ok(form.filled(name, value)),
            (_, Some(regex)) => Ok(regex.filled(name, &expression::value(header))),
            (Some(_), None) => Err(REGEX),
            (None, None) => Err(field),
        }
    }

    /// Whether an entry of the list is for this header already.
    pub(super) fn is_for(&self, entry: &Value, header: &str) -> bool {
        let forms = [&self.exact, &self.prefix, &self.regex].into_iter().flatten();
        forms.filter_map(|form| form.header(entry)).any(|name| name.eq_ignore_ascii_case(header))
    }

    /// Whether any alternative of a rule requires this header, whatever its value.
    pub(super) fn required(&self, rule: &Value, header: &str) -> bool {
        let alternatives = match &self.any_of {
            None => std::slice::from_ref(rule),
            Some(field) => field.get(rule).and_then(Value::as_array).map_or(&[][..], Vec::as_slice),
        };
        let lists = alternatives.iter().filter_map(|one| self.all_of.get(one)?.as_array());
        lists.flatten().any(|entry| self.is_for(entry, header))
    }

    /// Whether a rule has a name that a rule of this route was given.
    pub(super) fn is_named(&self, rule: &Value, route: &str) -> bool {
        self.name(rule).is_some_and(|name| name.contains(&format!("{MARK}{route}")))
    }

    /// The name of a rule, where rules have names.
    pub(super) fn name<'v>(&self, rule: &'v Value) -> Option<&'v str> {
        self.rule_name.as_ref()?.get(rule)?.as_str()
    }

    /// Gives a copy of a rule a name of its own, where rules have names.
    pub(super) fn rename(&self, rule: &mut Value, route: &str) {
        let name = self.name(rule).map(|base| format!("{base}{MARK}{route}"));
        if let (Some(name), Some(field)) = (name, &self.rule_name) {
            field.set(rule, name.into());
        }
    }
}
