//! `glidepath help [VERB]`, as kubectl and git have it.

use crate::cli::{
    args::known::instead_of,
    exit::{CliError, Exit},
    program::program,
    render::output::print,
};

/// Print the help, or that of one verb
#[derive(clap::Args, Clone, Debug)]
pub struct HelpArgs {
    /// The verb, like `status` or `set image`
    #[arg(value_name = "VERB")]
    pub words: Vec<String>,
}

/// Prints what `VERB --help` prints.
pub fn run(args: &HelpArgs, command: clap::Command) -> Result<Exit, CliError> {
    print(&text(&args.words, command)?)?;
    Ok(Exit::Done)
}

fn text(words: &[String], mut command: clap::Command) -> Result<String, CliError> {
    command.build();
    let mut at = &mut command;
    for word in words {
        at = at.find_subcommand_mut(word).ok_or_else(|| unknown(word))?;
    }
    Ok(at.render_long_help().to_string())
}

fn unknown(word: &str) -> CliError {
    let words = format!("there is no verb \"{word}\"; '{} help' lists them", program());
    CliError::Usage(instead_of(word).unwrap_or(words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::root::command;

    fn asked(words: &str) -> Result<String, CliError> {
        let words: Vec<String> = words.split_whitespace().map(Into::into).collect();
        text(&words, command())
    }

    #[test]
    fn help_is_that_of_the_verb() {
        assert!(asked("").unwrap().contains("Act on a rollout:"));
        for (verb, usage) in [
            ("get", "Usage: glidepath get [OPTIONS] [NAME]..."),
            ("describe", "Usage: glidepath status [OPTIONS] [NAME]"),
            ("set image", "Usage: glidepath set image [OPTIONS] <NAME> <CONTAINER=IMAGE>..."),
        ] {
            assert!(asked(verb).unwrap().contains(&format!("{usage}\n")), "{}", asked(verb).unwrap());
        }
        assert_eq!(
            asked("promtoe").unwrap_err().to_string(),
            "there is no verb \"promtoe\"; 'glidepath help' lists them"
        );
        assert!(asked("logs").unwrap_err().to_string().contains("use 'kubectl logs'"));
    }
}
