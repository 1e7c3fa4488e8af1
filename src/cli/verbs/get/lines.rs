//! The lines (or objects) that `get` prints one after another: under one header, and none twice.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::ResourceExt as _;

use super::listed::{AGE, Listed, RowStyle};
use crate::cli::{
    args::global::OutputFormat,
    exit::CliError,
    render::{
        fitted::Table,
        output,
        paint::Paint,
        table::{Cell, Widths},
    },
};

/// What was printed so far.
pub(super) struct Lines {
    format: OutputFormat,
    style: RowStyle,
    /// The columns of the terminal.
    width: usize,
    widths: Widths,
    has_header: bool,
    last: BTreeMap<(Option<String>, String), Vec<String>>,
}

impl Lines {
    /// Nothing is printed yet.
    pub fn new(format: OutputFormat, style: RowStyle, width: usize) -> Self {
        Lines { format, style, width, widths: Widths::default(), has_header: false, last: BTreeMap::new() }
    }

    /// The text for those objects that are not there yet as they are now. In a machine-readable format it is one object after
    /// another, as kubectl's watch prints them.
    pub fn of<K: Listed>(&mut self, objects: &[K], now: Timestamp) -> Result<String, CliError> {
        let mut text = String::new();
        let mut rows = Vec::new();
        for object in objects {
            match output::objects(self.format, std::slice::from_ref(object), false)? {
                Some(object_text) if self.is_new(object, vec![object.resource_version().unwrap_or_default()]) => {
                    text.push_str(&object_text);
                }
                Some(_) => {}
                None => {
                    let row = row(object, self.style, now);
                    let head = K::head(self.style.wide);
                    let age =
                        head.iter().position(|name| *name == AGE).map(|at| at + usize::from(self.style.namespaces));
                    let lasting = row.iter().enumerate().filter(|(at, _)| Some(*at) != age);
                    if self.is_new(object, lasting.map(|(_, cell)| cell.text().to_owned()).collect()) {
                        rows.push(row);
                    }
                }
            }
        }
        let is_first = !rows.is_empty() && !std::mem::replace(&mut self.has_header, true);
        let head = if is_first { header::<K>(self.style) } else { Vec::new() };
        let table = Table { indent: 0, head, rows };
        text.push_str(&table.below_others(&mut self.widths, self.width, Paint { on: self.style.color }));
        Ok(text)
    }

    /// Whether it was last printed with something else.
    fn is_new<K: Listed>(&mut self, object: &K, what: Vec<String>) -> bool {
        self.last.insert((object.namespace(), object.name_any()), what.clone()) != Some(what)
    }
}

fn header<K: Listed>(style: RowStyle) -> Vec<&'static str> {
    style.namespaces.then_some("NAMESPACE").into_iter().chain(K::head(style.wide)).collect()
}

fn row<K: Listed>(object: &K, style: RowStyle, now: Timestamp) -> Vec<Cell> {
    let namespace = style.namespaces.then(|| object.namespace().unwrap_or_default().into());
    namespace.into_iter().chain(object.row(style.wide, now)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::Rollout,
        cli::render::{screen::at_widths, table::UNLIMITED},
        view::samples,
    };
    use jiff::ToSpan as _;

    fn rollouts() -> [Rollout; 3] {
        [samples::healthy().rollout, samples::observing().rollout, samples::rollout(None)]
    }

    #[test]
    fn tables() {
        // Each under a name of its own: two Rollouts of one name are one.
        let mut rollouts = rollouts();
        for (rollout, name) in rollouts.iter_mut().zip(["checkout", "checkout-b", "checkout-c"]) {
            rollout.metadata.name = Some(name.into());
        }
        let table = |style, width| Lines::new(OutputFormat::Table, style, width).of(&rollouts, samples::NOW).unwrap();
        insta::assert_snapshot!("table", at_widths(|width| table(RowStyle::default(), width)));
        let wide = RowStyle { wide: true, namespaces: true, color: false };
        insta::assert_snapshot!("table_wide", table(wide, UNLIMITED));
    }

    /// As kubectl's: the columns stay where they are, and a line that says the same again is none.
    #[test]
    fn a_watch_has_steady_columns_and_repeats_no_line() {
        let [healthy, observing, _] = rollouts();
        let mut lines = Lines::new(OutputFormat::Table, RowStyle::default(), UNLIMITED);
        let mut of = |rollout: &Rollout, now| lines.of(std::slice::from_ref(rollout), now).unwrap();
        let first = of(&observing, samples::NOW);
        assert_eq!(of(&observing, samples::NOW + 5.minutes()), "", "only its age has changed");
        let next = of(&healthy, samples::NOW);
        let phase = |text: &str, word: &str| text.lines().last().unwrap().find(word);
        assert_eq!(first.lines().next().unwrap().find("PHASE"), phase(&first, "Progressing"));
        assert_eq!(phase(&first, "Progressing"), phase(&next, "Healthy"), "{first}{next}");
        assert_eq!(next.lines().count(), 1, "there is one header: {next}");
    }

    #[test]
    fn a_watch_of_objects_is_one_document_after_another() {
        let [healthy, mut other, _] = rollouts();
        other.metadata.name = Some("other".into());
        let mut lines = Lines::new(OutputFormat::Json, RowStyle::default(), UNLIMITED);
        let text = lines.of(&[healthy.clone(), other], samples::NOW).unwrap();
        let documents = serde_json::Deserializer::from_str(&text).into_iter::<serde_json::Value>();
        let kinds: Vec<_> = documents.map(|document| document.unwrap()["kind"].as_str().map(str::to_owned)).collect();
        assert_eq!(kinds, [Some("Rollout".to_owned()), Some("Rollout".to_owned())]);
        assert_eq!(lines.of(&[healthy], samples::NOW).unwrap(), "");
    }
}
