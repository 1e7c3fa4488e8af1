//! `promote`, `abort`, `pause`, `resume`, `retry`, `undo`, `restart`: each creates a `RolloutCommand` for every Rollout that is
//! named and reports its result.

use std::time::Duration;

use futures::{StreamExt as _, stream};
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::{
    Api, Resource, ResourceExt,
    api::{ObjectMeta, PostParams},
};
use tokio::time::{Instant, sleep};

use crate::{
    api::{
        ROLLOUT_LABEL, Rollout, RolloutCommand,
        command::{CommandState, RolloutCommandSpec, Verb},
    },
    cli::{
        args::{
            dry_run::DryRun,
            global::Global,
            names::{one_name, some_names},
        },
        connect::{Connection, connect},
        exit::{CliError, Exit},
        render::{
            output::{self, print},
            printable::{one_line, printable},
            waiting::while_waiting,
        },
        target::{self, pasteable},
    },
    view::commands::meant,
};

/// How long the answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the answer is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// So many commands are sent, and waited for, at a time.
const AT_A_TIME: usize = 16;

/// Arguments of abort, pause, resume, retry and restart
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// The Rollout, or several
    #[arg(value_name = "NAME", required = true)]
    pub words: Vec<String>,
    /// The reason, recorded in the history
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Whether it is only tried
    #[command(flatten)]
    pub dry_run: DryRun,
}

/// End the current pause or observation, or skip the rest with --full
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  glidepath promote checkout               ends the current pause or observation
  glidepath promote checkout --full        skips the remaining steps and analysis
  glidepath promote checkout --to-step 5   as 'glidepath status' numbers the steps
  glidepath promote checkout --reason \"load test ok\"
  glidepath promote checkout search        several at a time")]
pub struct PromoteArgs {
    /// What every command takes
    #[command(flatten)]
    pub common: Args,
    /// Skip the remaining steps and analysis
    #[arg(long)]
    pub full: bool,
    /// Continue at this step, numbered from 1; skips no analysis without --full
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub to_step: Option<u32>,
}

/// What a verb adds to the plain command.
#[derive(Clone, Copy, Debug, Default)]
struct Extra {
    full: bool,
    to_step: Option<u32>,
    to_revision: Option<u64>,
}

/// What is asked, of each Rollout that is named.
#[derive(Clone, Debug)]
pub(super) struct Order {
    verb: Verb,
    reason: Option<String>,
    extra: Extra,
    dry_run: DryRun,
    /// How long the answer is waited for.
    timeout: Duration,
}

impl Order {
    /// The plain command, waited for so long.
    pub(super) fn new(verb: Verb, reason: Option<String>, timeout: Duration) -> Self {
        Order { verb, reason, extra: Extra::default(), dry_run: DryRun::default(), timeout }
    }
}

/// `promote`.
pub async fn promote(args: PromoteArgs, global: &Global) -> Result<Exit, CliError> {
    let extra = Extra { full: args.full, to_step: args.to_step, to_revision: None };
    give(Verb::Promote, args.common, extra, global).await
}

/// `undo` by command: the controller pins the revision, and the file stays as it is.
pub async fn undo(args: Args, to_revision: Option<u64>, global: &Global) -> Result<Exit, CliError> {
    one_name(&args.words, Verb::Undo.as_str())?;
    give(Verb::Undo, args, Extra { to_revision, ..Extra::default() }, global).await
}

/// `abort`, `pause`, `resume`, `retry` and `restart`.
pub async fn run(verb: Verb, args: Args, global: &Global) -> Result<Exit, CliError> {
    give(verb, args, Extra::default(), global).await
}

async fn give(verb: Verb, args: Args, extra: Extra, global: &Global) -> Result<Exit, CliError> {
    let names = some_names(&args.words, verb.as_str())?;
    let connection = connect(global).await?;
    let order = Order { verb, reason: args.reason, extra, dry_run: args.dry_run, timeout: PATIENCE };
    let sent = send_all(&connection, &names, &order).await;
    let Results { commands, lines, errors, exit } = results(&names, sent, order.dry_run);
    let several = names.len() > 1;
    print(&output::objects(global.output, &commands, several)?.unwrap_or(lines))?;
    for error in errors {
        if !several {
            return Err(error);
        }
        eprintln!("error: {}", printable(&pasteable(&error.to_string())));
    }
    Ok(exit)
}

/// The command as it is then, and the exit code that goes with it.
type Sent = Result<(RolloutCommand, Exit), CliError>;

/// The same command for each Rollout. One that fails keeps no other from its command.
async fn send_all(connection: &Connection, names: &[String], order: &Order) -> Vec<Sent> {
    let sent = names.iter().map(|name| send(connection, name, order));
    stream::iter(sent).buffered(AT_A_TIME).collect().await
}

/// What became of all of them, in the order in which they were named.
struct Results {
    commands: Vec<RolloutCommand>,
    lines: String,
    errors: Vec<CliError>,
    exit: Exit,
}

/// The exit code is that of the worst.
fn results(names: &[String], sent: Vec<Sent>, dry_run: DryRun) -> Results {
    let mut all = Results { commands: Vec::new(), lines: String::new(), errors: Vec::new(), exit: Exit::Done };
    for (name, sent) in names.iter().zip(sent) {
        let exit = match sent {
            Ok((command, exit)) => {
                all.lines.push_str(&match dry_run.mark() {
                    "" => answer_line(name, &command),
                    mark => format!("{name}: {} not sent{mark}\n", command.spec.verb.as_str()),
                });
                all.commands.push(command);
                exit
            }
            Err(error) => {
                let exit = error.exit();
                all.errors.push(error);
                exit
            }
        };
        if exit.code() > all.exit.code() {
            all.exit = exit;
        }
    }
    all
}

/// Creates the command of a Rollout and waits for its answer.
pub(super) async fn send(connection: &Connection, name: &str, order: &Order) -> Sent {
    let rollout = connection.rollout(name).await?;
    let spec = RolloutCommandSpec { reason: order.reason.clone(), ..spec(&rollout, order.verb, order.extra) };
    let labels = (rollout.name_any().len() <= 63).then(|| [(ROLLOUT_LABEL.to_owned(), rollout.name_any())].into());
    let metadata = ObjectMeta { labels, ..metadata(&rollout, order.verb) };
    record(connection, &rollout, (metadata, spec), order.dry_run, order.timeout).await
}

/// Records a command for an object that is no Rollout, and says what became of it.
pub async fn give_to<K: Resource<DynamicType = ()>>(
    connection: &Connection,
    object: &K,
    spec: RolloutCommandSpec,
    global: &Global,
) -> Result<Exit, CliError> {
    let metadata = metadata(object, spec.verb);
    let (command, exit) = record(connection, object, (metadata, spec), DryRun::default(), PATIENCE).await?;
    let shown = output::objects(global.output, std::slice::from_ref(&command), false)?;
    print(&shown.unwrap_or_else(|| answer_line(&object.name_any(), &command)))?;
    Ok(exit)
}

/// Creates a command for an object and waits for its answer. A dry run ends before that.
async fn record<K: Resource<DynamicType = ()>>(
    connection: &Connection,
    object: &K,
    (metadata, spec): (ObjectMeta, RolloutCommandSpec),
    dry_run: DryRun,
    timeout: Duration,
) -> Sent {
    let spec = RolloutCommandSpec { requested_by: who(connection).await, ..spec };
    let doing = format!("record the {} of {} \"{}\"", spec.verb.as_str(), K::kind(&()), object.name_any());
    let commands: Api<RolloutCommand> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let wanted = RolloutCommand { metadata, spec, status: None };
    if dry_run.is_client() {
        return Ok((wanted, Exit::Done));
    }
    let how = PostParams { dry_run: dry_run.is_server(), ..PostParams::default() };
    let created = commands.create(&how, &wanted).await.map_err(|error| connection.error(doing, &error))?;
    if dry_run.is_server() {
        return Ok((created, Exit::Done));
    }
    let answer = answer(connection, &commands, created, timeout);
    let command = while_waiting("waiting for a controller to execute it", answer).await?;
    let state = command.status.as_ref().and_then(|status| status.state);
    let exit = if state == Some(CommandState::Done) { Exit::Done } else { Exit::Failed };
    Ok((command, exit))
}

/// What the command means at this moment, and what the flags add.
fn spec(rollout: &Rollout, verb: Verb, extra: Extra) -> RolloutCommandSpec {
    let Extra { full, to_step, to_revision } = extra;
    RolloutCommandSpec { full, to_step, to_revision, ..meant(rollout, verb) }
}

/// Named after object and verb, and owned by the object so that it goes with it.
fn metadata<K: Resource<DynamicType = ()>>(object: &K, verb: Verb) -> ObjectMeta {
    ObjectMeta {
        generate_name: Some(format!("{}-{}-", object.name_any(), verb.as_str())),
        namespace: object.namespace(),
        owner_references: object.owner_ref(&()).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}

/// The user name as authenticated by the API server, if it can be determined.
async fn who(connection: &Connection) -> Option<String> {
    let reviews: Api<SelfSubjectReview> = Api::all(connection.client.clone());
    let review = reviews.create(&PostParams::default(), &SelfSubjectReview::default()).await.ok()?;
    review.status?.user_info?.username
}

/// Polls until the controller has processed the command or the timeout is over; returns the command as it is then.
async fn answer(
    connection: &Connection,
    commands: &Api<RolloutCommand>,
    mut command: RolloutCommand,
    timeout: Duration,
) -> Result<RolloutCommand, CliError> {
    let name = command.name_any();
    let deadline = Instant::now() + timeout;
    while command.status.as_ref().is_none_or(|status| status.state.is_none()) && Instant::now() < deadline {
        sleep(LOOK_EVERY.min(timeout)).await;
        command = commands
            .get(&name)
            .await
            .map_err(|error| connection.error(format!("read RolloutCommand \"{name}\""), &error))?;
    }
    Ok(command)
}

/// What became of it, in one line.
fn answer_line(rollout: &str, command: &RolloutCommand) -> String {
    let verb = command.spec.verb.as_str();
    let status = command.status.clone().unwrap_or_default();
    let message = if status.message.is_empty() { String::new() } else { format!(": {}", one_line(&status.message)) };
    let name = command.name_any();
    let line = match status.state {
        Some(CommandState::Done) => format!("{rollout}: {verb} done{message}\n"),
        Some(CommandState::Refused) => format!("{rollout}: {verb} refused{message}\n"),
        Some(CommandState::Obsolete) => {
            format!(
                "{rollout}: {verb} rejected as stale{message}; the rollout has moved on: check 'glidepath status {rollout}' and retry\n"
            )
        }
        None => format!(
            "{rollout}: no controller responded within {}s; the {verb} is recorded as {name} and will be executed when one runs; {}\n",
            PATIENCE.as_secs(),
            target::doctor("check with 'glidepath doctor'")
        ),
    };
    pasteable(&line)
}

#[cfg(test)]
mod tests;
