//! `glidepath completions`: what a shell needs to complete verbs and options.

use clap_complete::Shell;

use crate::cli::{
    exit::{CliError, Exit},
    render::output::print,
};

/// Print completions for a shell
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  glidepath completions bash > /etc/bash_completion.d/glidepath
  source <(glidepath completions zsh)")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Prints the completions of this command line.
pub fn run(args: &CompletionsArgs, command: clap::Command) -> Result<Exit, CliError> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command.bin_name("glidepath"), "glidepath", &mut text);
    print(&String::from_utf8_lossy(&text))?;
    Ok(Exit::Done)
}
