//! What the model check found, as pages: `docs/states.md`, and the numbers in `docs/semantics.md`.
//! `UPDATE_DOCS=1 cargo test --release --test it model` writes them anew.

use std::fmt::Write;

use super::diagram::Edges;
use crate::docs::{read, same};

const STATES: &str = "# Where a rollout can be

<!-- Written by tests/it/model.rs from what the engine does: UPDATE_DOCS=1 cargo test --test it model -->

Each diagram is drawn from what the engine decided while the [model check](semantics.md#model-check) walked every state that
it can reach. `status.course()` and `status.stage()` name the place. An arrow says the reason that events give, or the command
that was carried out; without either the stage was done. An arrow from a place to itself begins anew: another template, or
a retry. Deletion, adoption and a change of strategy are not drawn.

";

/// The page of diagrams.
pub fn states<'a>(found: impl Iterator<Item = (&'a str, &'a Edges)>) {
    let mut page = STATES.to_owned();
    for (name, edges) in found {
        write!(page, "## {name}\n\n{}\nWhat people read there:\n\n{}\n", edges.diagram(), edges.table()).unwrap();
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
    let head = "| Strategy | What happens beside | States | Transitions | Depth |\n|---|---|---:|---:|---:|";
    same("docs/semantics.md", &format!("{before}{BEGIN}{head}\n{}\n{END}{after}", rows.join("\n")), "model");
}
