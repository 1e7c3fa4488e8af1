//! How the help is written: the verbs by task, usage lines that tell the truth, and examples in the program's name.

use super::program::{in_its_name, program};

/// The groups of verbs in the help. A test checks that every verb is in a group.
pub const GROUPS: [(&str, &[&str]); 6] = [
    ("Inspect", &["get", "status", "watch", "explain", "history", "report", "slo"]),
    ("Act on a rollout", &["promote", "abort", "pause", "resume", "retry", "undo", "restart", "set"]),
    ("Validate, simulate and analyze, without a cluster", &["lint", "plan", "simulate", "analyze", "demo"]),
    ("Release without a cluster", &["local"]),
    ("Mesh policies", &["mesh"]),
    ("Install and run", &["controller", "doctor", "crds", "uninstall", "completions", "version", "help"]),
];

const EXAMPLES: &str = "Examples:
  glidepath demo                          see a release on this machine
  glidepath lint rollouts/                validate the files of a repository
  glidepath plan rollouts/checkout.yaml   preview a release
  glidepath status checkout --watch       watch a rollout
  glidepath crds | kubectl apply --server-side -f -";

/// Verbs on one Rollout. Their argument takes `web`, `rollout web` and `rollout/web`, which clap writes as several names.
const ON_ONE: [&str; 6] = ["status", "watch", "explain", "history", "report", "undo"];

/// The command line with its help.
pub fn with_help(command: clap::Command) -> clap::Command {
    let verbs = grouped(&command);
    let mut command = command
        .bin_name(program())
        .help_template("{about}\n\n{usage-heading} {usage}{after-help}\n\nOptions:\n{options}")
        .after_help(in_its_name(&format!("{verbs}{EXAMPLES}\n\nHelp for one verb: glidepath VERB --help")))
        .mut_subcommands(examples_in_its_name);
    for verb in ON_ONE {
        command = command.mut_subcommand(verb, |command| {
            let usage = usage(&command).replace("...", "");
            command.override_usage(usage)
        });
    }
    command.mut_subcommand("set", |set| {
        set.mut_subcommand("image", |image| {
            let usage = usage(&image).replace("<NAME CONTAINER=IMAGE>", "<NAME> <CONTAINER=IMAGE>");
            image.override_usage(usage.replace("image", "set image"))
        })
    })
}

/// The line as clap writes it, after the program's name.
fn usage(command: &clap::Command) -> String {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let (name, rest) = usage.split_once(' ').unwrap_or((usage, ""));
    // The options of all verbs are not known to it yet.
    format!("{} {name} [OPTIONS] {}", program(), rest.trim_start_matches("[OPTIONS] "))
}

fn examples_in_its_name(verb: clap::Command) -> clap::Command {
    let help = verb.get_after_help().map(|help| in_its_name(&help.to_string()));
    let verb = verb.mut_subcommands(examples_in_its_name);
    match help {
        Some(help) => verb.after_help(help),
        None => verb,
    }
}

fn grouped(command: &clap::Command) -> String {
    let mut text = String::new();
    for (heading, names) in GROUPS {
        let verbs: Vec<_> = names.iter().filter_map(|name| command.find_subcommand(name)).collect();
        text += &format!("{heading}:\n");
        for verb in verbs {
            let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
            text += &format!("  {:<12} {}\n", verb.get_name(), about.lines().next().unwrap_or_default());
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::GROUPS;
    use crate::cli::root::command;

    #[test]
    fn the_command_line_is_consistent_and_every_verb_stands_in_one_group() {
        command().debug_assert();
        for verb in command().get_subcommands().filter(|verb| !verb.is_hide_set()) {
            let groups = GROUPS.iter().filter(|(_, names)| names.contains(&verb.get_name())).count();
            assert_eq!(groups, 1, "{} stands in {groups} help groups", verb.get_name());
            assert!(verb.get_about().is_some(), "{} says nothing about itself", verb.get_name());
        }
    }

    /// A terminal breaks longer lines, and what is pasted then is two commands.
    #[test]
    fn examples_can_be_pasted() {
        fn examples(command: &clap::Command) -> Vec<String> {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let lines = help.lines().filter(|line| line.starts_with("  ")).map(str::to_owned).collect::<Vec<_>>();
            lines.into_iter().chain(command.get_subcommands().flat_map(examples)).collect()
        }
        let mut commands = 0;
        for line in examples(&command()).iter().filter(|line| line.trim_start().starts_with("glidepath ")) {
            // What stands behind three blanks says what the command does.
            let typed = line.trim_start().split("   ").next().unwrap_or_default();
            assert!(typed.chars().count() <= 76, "write it on two lines, with \\ at the end of the first: {line}");
            commands += 1;
        }
        assert!(commands > 30, "{commands}");
    }

    /// `<NAME>...` promises that several names are taken.
    #[test]
    fn usage_lines_tell_how_many_names_a_verb_takes() {
        let mut root = command();
        root.build();
        for (verb, usage) in [
            ("status", "glidepath status [OPTIONS] [NAME]"),
            ("explain", "glidepath explain [OPTIONS] <NAME>"),
            ("history", "glidepath history [OPTIONS] <NAME>"),
            ("report", "glidepath report [OPTIONS] <NAME>"),
            ("undo", "glidepath undo [OPTIONS] <NAME>"),
            ("abort", "glidepath abort [OPTIONS] <NAME>..."),
            ("promote", "glidepath promote [OPTIONS] <NAME>..."),
            ("get", "glidepath get [OPTIONS] [NAME]..."),
        ] {
            let shown = root.find_subcommand_mut(verb).unwrap().render_usage().to_string();
            assert_eq!(shown, format!("Usage: {usage}"));
        }
    }
}
