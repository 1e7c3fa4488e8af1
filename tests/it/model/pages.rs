//! What the model check found, as pages: `docs/states.md`, and the numbers in `docs/semantics.md`.
//! `UPDATE_DOCS=1 cargo test --release --test it model` regenerates them.

use std::fmt::Write;

use super::diagram::Edges;
use crate::docs::{read, same};

const STATES: &str = "# State diagrams

<!-- Written by tests/it/model.rs from what the engine does: UPDATE_DOCS=1 cargo test --test it model -->

Each diagram is drawn from the decisions of the engine while the [model check](semantics.md#model-check) explored every
reachable state. A state is the course of a release and, in a promotion, its stage. An arrow is labeled with the reason in
events or with the command; an arrow without a label is a completed stage. An arrow from a state to itself is a restart:
another template, or a retry. Deletion, adoption and a change of strategy are not drawn.

";

/// The page of diagrams.
pub fn states<'a>(found: impl Iterator<Item = (&'a str, &'a Edges)>) {
    let mut page = STATES.to_owned();
    for (name, edges) in found {
        write!(page, "## {name}\n\n{}\nThe phase in each state:\n\n{}\n", edges.diagram(), edges.table()).unwrap();
    }
    same("docs/states.md", page.trim_end(), "model");
}

const BEGIN: &str = "<!-- numbers of the model check -->\n";
const END: &str = "<!-- end of the numbers -->\n";

/// The table of numbers on the page of rules.
pub fn numbers(rows: &[String]) {
    let page = read("docs/semantics.md");
    let (before, rest) = page.split_once(BEGIN).expect("docs/semantics.md marks where the numbers begin");
    let (_, after) = rest.split_once(END).expect("docs/semantics.md marks where the numbers end");
    let head = "| Strategy | Additional events | States | Transitions | Depth |\n|---|---|---:|---:|---:|";
    same("docs/semantics.md", &format!("{before}{BEGIN}{head}\n{}\n{END}{after}", rows.join("\n")), "model");
}
