//! `glidepath completions`: what a shell needs to complete the command line.

use clap_complete::aot::Shell as Generated;

use crate::cli::{
    exit::{CliError, Exit},
    render::output::print,
};

/// Print completions for a shell
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  source <(glidepath completions bash)
  source <(glidepath completions zsh)
  glidepath completions fish > ~/.config/fish/completions/glidepath.fish

For 'kubectl glidepath':
  glidepath completions kubectl > /usr/local/bin/kubectl_complete-glidepath
  chmod +x /usr/local/bin/kubectl_complete-glidepath

bash, zsh, fish and kubectl also complete Rollouts, namespaces, contexts, steps and
revisions, from the cluster that the line means. A cluster that does not answer within
0.8 seconds adds nothing; GLIDEPATH_COMPLETION_TIMEOUT=3s waits longer. The scripts stay
valid when glidepath is upgraded.

Manual pages:
  glidepath man --write /usr/local/share/man/man1")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// What completes a command line.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    /// For bash
    Bash,
    /// For elvish
    Elvish,
    /// For fish
    Fish,
    /// For kubectl, which asks a program for a plugin's completions
    Kubectl,
    /// For PowerShell
    #[value(name = "powershell")]
    PowerShell,
    /// For zsh
    Zsh,
}

/// Prints the completions of this command line.
pub fn run(args: &CompletionsArgs, command: clap::Command) -> Result<Exit, CliError> {
    print(&script(args.shell, command))?;
    Ok(Exit::Done)
}

fn script(shell: Shell, command: clap::Command) -> String {
    match shell {
        Shell::Bash => include_str!("../complete/shells/glidepath.bash").into(),
        Shell::Fish => include_str!("../complete/shells/glidepath.fish").into(),
        Shell::Kubectl => include_str!("../complete/shells/kubectl_complete-glidepath").into(),
        Shell::Zsh => include_str!("../complete/shells/glidepath.zsh").into(),
        Shell::Elvish => generated(Generated::Elvish, command),
        Shell::PowerShell => generated(Generated::PowerShell, command),
    }
}

/// A script that knows verbs, options and their fixed values, and asks no one.
fn generated(shell: Generated, command: clap::Command) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command.bin_name("glidepath"), "glidepath", &mut text);
    String::from_utf8_lossy(&text).into_owned()
}
