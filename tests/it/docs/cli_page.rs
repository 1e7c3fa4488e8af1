//! `docs/cli.md`: every verb with its arguments and options, from what the command line is made of.

use clap::{Arg, Command};
use glidepath::cli::{exit::EXIT_CODES_HELP, root::command};

const HEAD: &str = "# Commands

This page is written by a test from the program itself: `UPDATE_DOCS=1 cargo test --test it docs`.

`glidepath` is also a kubectl plug-in when it is installed under the name `kubectl-glidepath`. A Rollout may be typed as
`checkout`, `rollout checkout`, `rollout/checkout` or `gro checkout`.
";

pub fn text() -> String {
    let mut root = command();
    root.build();
    let mut out = HEAD.to_owned();
    out += "\n## Options of every verb\n\n";
    let verb = root.get_subcommands().next().unwrap();
    out += &options(verb, true);
    out += &format!("\n## Exit codes\n\n```text\n{}\n```\n", EXIT_CODES_HELP.split_once('\n').unwrap().1);
    out += "\nA command that a controller refused, or that came too late, ends with 1. `lint` ends with 1 when it found errors or\n\
            nothing to check.\n";
    let mut verbs: Vec<Command> = root.get_subcommands().cloned().collect();
    verbs.sort_by_key(|verb| verb.get_name().to_owned());
    for verb in &verbs {
        out += &section(verb, &format!("glidepath {}", verb.get_name()));
    }
    out
}

fn section(verb: &Command, name: &str) -> String {
    let nested: Vec<&Command> = verb.get_subcommands().collect();
    if !nested.is_empty() {
        return nested.iter().map(|inner| section(inner, &format!("{name} {}", inner.get_name()))).collect();
    }
    let mut out = format!("\n## {name}\n\n{}.\n", verb.get_about().unwrap());
    let aliases: Vec<String> = verb.get_visible_aliases().map(|alias| format!("`glidepath {alias}`")).collect();
    if !aliases.is_empty() {
        out += &format!("\nAlso: {}.\n", aliases.join(", "));
    }
    let (usage, own) = (verb.clone().render_usage().to_string(), options(verb, false));
    let usage = usage.trim_start_matches("Usage: ").trim_start_matches("glidepath ");
    out += &format!("\n```text\nglidepath {usage}\n```\n");
    if !own.is_empty() {
        out += &format!("\n{own}");
    }
    // The codes stand above once.
    let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default().replace(EXIT_CODES_HELP, "");
    if !help.trim().is_empty() {
        out += &format!("\n```text\n{}\n```\n", help.trim());
    }
    out
}

fn options(verb: &Command, global: bool) -> String {
    let rows: Vec<String> = verb
        .get_arguments()
        .filter(|arg| arg.is_global_set() == global && !arg.is_hide_set() && arg.get_id() != "help")
        .map(row)
        .collect();
    if rows.is_empty() { String::new() } else { format!("| | |\n| --- | --- |\n{}", rows.concat()) }
}

fn row(arg: &Arg) -> String {
    let values: Vec<String> =
        arg.get_value_names().unwrap_or_default().iter().map(|name| format!("<{name}>")).collect();
    let value = if arg.get_action().takes_values() { values.join(" ") } else { String::new() };
    let mut names: Vec<String> = arg.get_short().map(|short| format!("-{short}")).into_iter().collect();
    names.extend(arg.get_long().map(|long| format!("--{long}")));
    let name = if names.is_empty() { value } else { format!("{} {value}", names.join(", ")).trim().to_owned() };
    let mut help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let possible: Vec<String> = arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    if arg.get_action().takes_values() && !possible.is_empty() && !arg.is_hide_possible_values_set() {
        help += &format!(": {}", possible.join(", "));
    }
    let default: Vec<String> = arg.get_default_values().iter().map(|v| v.to_string_lossy().into_owned()).collect();
    if arg.get_action().takes_values() && !default.is_empty() && !arg.is_hide_default_value_set() {
        help += &format!("; default `{}`", default.join(" "));
    }
    if let Some(variable) = arg.get_env() {
        help += &format!("; environment `{}`", variable.to_string_lossy());
    }
    format!("| `{name}` | {} |\n", help.replace('\n', " ").replace('|', "\\|"))
}
