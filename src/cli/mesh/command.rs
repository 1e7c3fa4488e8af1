//! `glidepath mesh promote | abort | retry`: what an operator decides about the change of a policy.

use crate::{
    api::{
        MeshPolicy,
        command::{CommandKind, RolloutCommandSpec, Verb},
    },
    cli::{
        args::global::Global,
        connect::connect,
        exit::{CliError, Exit},
        verbs::{command, get::Listed},
    },
};

/// Which policies, and why.
#[derive(clap::Args, Clone, Debug)]
pub struct CommandArgs {
    /// The policy, or several
    #[arg(value_name = "POLICY", required = true)]
    pub policies: Vec<String>,
    /// The reason, recorded with the command
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// Continue a change that is held, or end its audit or bake
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  glidepath mesh promote checkout
  glidepath mesh promote checkout --reason \"the old client is switched off\"")]
pub struct PromoteArgs {
    /// What every command takes.
    #[command(flatten)]
    pub common: CommandArgs,
}

/// Revert a change that is in progress or held
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Example:
  glidepath mesh abort checkout --reason \"wrong service account\"")]
pub struct AbortArgs {
    /// What every command takes.
    #[command(flatten)]
    pub common: CommandArgs,
}

/// Try a spec again that was reverted or is held
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Example:
  glidepath mesh retry checkout")]
pub struct RetryArgs {
    /// What every command takes.
    #[command(flatten)]
    pub common: CommandArgs,
}

/// Records the command of each policy, and says what became of it.
pub async fn run(verb: Verb, args: &CommandArgs, global: &Global) -> Result<Exit, CliError> {
    let connection = connect(global).await?;
    let mut exit = Exit::Done;
    for name in &args.policies {
        let policy = MeshPolicy::one(&connection, name).await?;
        let spec = RolloutCommandSpec {
            kind: Some(CommandKind::MeshPolicy),
            reason: args.reason.clone(),
            ..RolloutCommandSpec::of(name, verb)
        };
        let one = command::give_to(&connection, &policy, spec, global).await?;
        if one.code() > exit.code() {
            exit = one;
        }
    }
    Ok(exit)
}
