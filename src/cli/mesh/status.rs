//! `glidepath mesh status`: one policy: what is in force, where its change stands, and whom it would cut.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use tokio::time::sleep;

use super::listed::{target, tone};
use crate::{
    api::{
        HumanDuration, MeshPolicy,
        policy::{CallerOnRecord, MeshPolicyStatus, Phase},
    },
    cli::{
        args::global::Global,
        connect::{Connection, connect, now},
        deadline::{Deadline, within},
        exit::{CliError, Exit},
        render::{
            fitted::Table,
            output::{self, print},
            paint::{Paint, Tone},
            printable::one_line,
            table::Cell,
            waiting::while_waiting,
        },
        verbs::get::Listed,
    },
    evidence::grouped,
    view::phrases,
};

/// How often the policy is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Show a MeshPolicy: what is in force, where its change stands, and whom it would cut
#[derive(clap::Args, Clone, Debug)]
#[command(
    after_help = "Exit codes with --wait: 0 in force, 1 an error, or the mesh cannot do it, or something is in the way,
10 reverted, 11 timed out, 14 an operator decides

Examples:
  glidepath mesh status checkout
  glidepath mesh status checkout --wait --timeout 30m
  glidepath mesh status checkout -o json"
)]
pub struct StatusArgs {
    /// The policy
    #[arg(value_name = "POLICY")]
    pub policy: String,
    /// Wait until its change has ended, or an operator has to decide
    #[arg(long)]
    pub wait: bool,
    /// With --wait: the timeout, like 30m
    #[arg(long, value_name = "DURATION", requires = "wait")]
    pub timeout: Option<HumanDuration>,
}

/// Shows one policy.
pub async fn run(args: &StatusArgs, global: &Global) -> Result<Exit, CliError> {
    let deadline = args.timeout.map(Deadline::after);
    let connection = connect(global).await?;
    let policy = MeshPolicy::one(&connection, &args.policy);
    let mut policy = within(deadline, &connection.address, policy).await?;
    let mut exit = Exit::Done;
    if args.wait {
        let ended = while_waiting("waiting for the change to end", ended(&connection, policy, deadline)).await?;
        (policy, exit) = ended;
    }
    let objects = output::objects(global.output, std::slice::from_ref(&policy), false)?;
    let paint = Paint { on: global.color_on() };
    print(&objects.unwrap_or_else(|| screen(&policy, now(), global.width(), paint)))?;
    Ok(exit)
}

async fn ended(
    connection: &Connection,
    mut policy: MeshPolicy,
    deadline: Option<Deadline>,
) -> Result<(MeshPolicy, Exit), CliError> {
    let name = policy.name_any();
    loop {
        if let Some(exit) = end(&policy) {
            return Ok((policy, exit));
        }
        let next = async {
            sleep(LOOK_EVERY).await;
            MeshPolicy::one(connection, &name).await
        };
        policy = match within(deadline, &connection.address, next).await {
            Err(CliError::TimedOut { .. }) => return Ok((policy, Exit::TimedOut)),
            next => next?,
        };
    }
}

/// The exit code of a change that has ended. A status of an older spec says nothing of this one.
fn end(policy: &MeshPolicy) -> Option<Exit> {
    let status = policy.status.as_ref().filter(|status| status.observed_generation == policy.metadata.generation)?;
    match status.phase? {
        Phase::Active => Some(Exit::Done),
        Phase::Held => Some(Exit::WaitsForHuman),
        Phase::Reverted => Some(Exit::RolledBack),
        Phase::Refused | Phase::Conflicted => Some(Exit::Failed),
        Phase::Checking | Phase::Auditing | Phase::Applying | Phase::Baking | Phase::Reverting => None,
    }
}

fn screen(policy: &MeshPolicy, now: Timestamp, width: usize, paint: Paint) -> String {
    let status = policy.status.clone().unwrap_or_default();
    let phase = status.phase.map_or_else(
        || Cell::toned(Tone::Warn, "not looked at yet: does a controller run with --mesh?"),
        |phase| Cell::toned(tone(phase), phase.to_string()),
    );
    let mut rows = vec![
        vec![
            Cell::from("Policy:"),
            Cell::from(format!("{}/{}", policy.namespace().unwrap_or_default(), policy.name_any())),
        ],
        vec![Cell::from("Target:"), Cell::from(target(&policy.spec.target))],
        vec![Cell::from("Mesh:"), Cell::from(status.mesh.clone().unwrap_or_else(|| "-".to_owned()))],
        vec![Cell::from("Phase:"), phase],
    ];
    if !status.message.is_empty() {
        rows.push(vec![Cell::from("Message:"), Cell::from(one_line(&status.message))]);
    }
    rows.push(vec![Cell::from("In force:"), Cell::from(in_force(&status))]);
    let head = Table { indent: 0, head: Vec::new(), rows }.text(width, paint);
    let problems = list("Problems", &status.problems, width, paint);
    let notes = list("Notes", &status.notes, width, paint);
    head + &callers(&status.callers, now, width, paint) + &problems + &notes
}

fn in_force(status: &MeshPolicyStatus) -> String {
    let is_this = status.phase == Some(Phase::Active);
    match &status.in_force {
        Some(_) if is_this => "this spec".to_owned(),
        Some(spec) => format!("an earlier spec ({spec})"),
        None => "nothing".to_owned(),
    }
}

fn callers(callers: &[CallerOnRecord], now: Timestamp, width: usize, paint: Paint) -> String {
    if callers.is_empty() {
        return String::new();
    }
    let row = |caller: &CallerOnRecord| {
        let seen = caller.last_seen.map(|seen| format!("{} ago", phrases::age(now.duration_since(seen))));
        let tone = if caller.answer.starts_with("depends") { Tone::Warn } else { Tone::Bad };
        vec![
            Cell::from(caller.service.clone()),
            Cell::from(one_line(&caller.caller)),
            Cell::from(grouped(caller.count)),
            Cell::from(seen.unwrap_or_else(|| "-".to_owned())),
            Cell::toned(tone, one_line(&caller.answer)),
        ]
    };
    let head = vec!["SERVICE", "CALLER", "COUNT", "LAST SEEN", "ANSWER"];
    let rows = callers.iter().map(row).collect();
    format!("\n{}", Table { indent: 0, head, rows }.text(width, paint))
}

fn list(title: &str, texts: &[String], width: usize, paint: Paint) -> String {
    if texts.is_empty() {
        return String::new();
    }
    let rows = texts.iter().map(|text| vec![Cell::from("-"), Cell::from(one_line(text))]).collect();
    format!("\n{title}:\n{}", Table { indent: 2, head: Vec::new(), rows }.text(width, paint))
}
