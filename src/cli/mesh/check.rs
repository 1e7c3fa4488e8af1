//! `glidepath mesh check`: would a policy cut a caller that was seen?

mod report;
mod seen;

use report::{Row, text};

use super::planned::{AllPlanned, Planned, PolicyArgs, planned};
use crate::{
    api::common::HumanDuration,
    cli::{
        args::{
            global::{Global, OutputFormat},
            prometheus::Credentials,
        },
        connect::now,
        exit::{CliError, Exit},
        offline::format::only,
        render::{
            output::{self, print},
            paint::Paint,
        },
    },
    mesh::{self, change::GUARD, check::Verdict},
};

/// Check whether a policy would cut a caller that was seen
///
/// The callers are those that the mesh's metrics counted; the rules are those of the policy and of every object of the mesh in
/// the files. No metric has a caller's paths, methods, claims or port: where these decide, the answer is that it depends.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Exit codes: 0 every caller may call, 1 an error or a caller would be cut, 2 usage error,
14 it depends, or no caller was seen: an operator decides

Examples:
  glidepath mesh check policy.yaml services.yaml --prometheus http://prom:9090
  kubectl get service,deployment,peerauthentication,authorizationpolicy,\\
  destinationrule -o yaml | glidepath mesh check policy.yaml - --mesh istio \\
    --since 7d --prometheus http://prom:9090")]
pub struct CheckArgs {
    #[command(flatten)]
    /// What is checked.
    pub policies: PolicyArgs,
    /// The URL of the Prometheus to query, as reachable from here
    #[arg(long, value_name = "URL", required = true)]
    pub prometheus: String,
    /// How far back callers are looked for; default: the policy's change.guard, else 1h
    #[arg(long, value_name = "DURATION")]
    pub since: Option<HumanDuration>,
    #[command(flatten)]
    /// How to authenticate there.
    pub credentials: Credentials,
}

const FORMATS: [OutputFormat; 3] = [OutputFormat::Table, OutputFormat::Json, OutputFormat::Yaml];

/// Asks for the callers of every policy's Services, and prints what would become of them.
pub async fn run(args: &CheckArgs, global: &Global) -> Result<Exit, CliError> {
    only(global.output, "mesh check", &FORMATS)?;
    let AllPlanned { policies: all, input, .. } = planned(&args.policies, global, now(), "cannot check")?;
    if all.is_empty() {
        return Err(CliError::Failed("there is no MeshPolicy in the files, and a fault cuts no caller".to_owned()));
    }
    let source = args.credentials.source(args.prometheus.clone()).await?;
    let mut rows = Vec::new();
    for Planned { kind, written, plan } in &all {
        let after = plan.after(&input.objects);
        let guard = written.object.spec.change.as_ref().and_then(|change| change.guard);
        let since = args.since.or(guard).unwrap_or(GUARD);
        let services = mesh::services(&written.object, &input.facts);
        if services.is_empty() {
            return Err(CliError::Failed(format!("{}: no Service of its target is in the files", written.file)));
        }
        for service in services {
            let callers = seen::callers(&source, kind, service, since, now()).await?;
            let checked = mesh::check_service(kind, service, &input.facts, &after, callers);
            let unknown = || CliError::Failed(format!("{} has no metrics that say who called", kind.key));
            rows.push(Row { service: service.name.clone(), since, checked: checked.ok_or_else(unknown)? });
        }
    }
    let paint = Paint { on: global.color_on() };
    let shown = output::value(global.output, &report::json(&rows))?;
    print(&shown.unwrap_or_else(|| text(&rows, now(), global.width(), paint)))?;
    Ok(exit(&rows))
}

fn exit(rows: &[Row]) -> Exit {
    let any = |wanted: Verdict| rows.iter().any(|row| row.checked.verdict() == wanted);
    match () {
        () if any(Verdict::Cut) => Exit::Failed,
        () if any(Verdict::Depends) || any(Verdict::Unknown) => Exit::WaitsForHuman,
        () => Exit::Done,
    }
}
