//! `glidepath mesh fault inject`: creates a MeshFault.

use std::str::FromStr;

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api,
    api::{ObjectMeta, PostParams},
};
use serde_json::Value;

use super::access::{failed, faults};
use crate::{
    api::{
        MeshFault,
        common::{HumanDuration, Percent},
        fault::{
            ALLOWED, FAULTS_LABEL, FaultAbort, FaultDelay, FaultGuard, FaultRevision, FaultTarget, GrpcStatus, LONGEST,
            MeshFaultSpec,
        },
        validate,
    },
    cli::{
        args::{
            dry_run::DryRun,
            global::{Global, OutputFormat},
        },
        connect::{Connection, connect},
        exit::{CliError, Exit},
        render::{
            output::{self, print},
            printable::printable,
        },
    },
};

/// Delay or fail a share of a Service's requests for a while
///
/// Creates a MeshFault, which the controller carries out. It ends by itself, and earlier when its guard fails.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  glidepath mesh fault inject payment --delay 3s --share 10% --for 10m
  glidepath mesh fault inject payment --abort 503 --share 5% --for 2m \\
    --guard 99.5% --of checkout
  glidepath mesh fault inject payment --abort UNAVAILABLE --share 1% \\
    --for 5m --revision canary
  glidepath mesh fault inject payment --delay 1s --share 100% --for 30s \\
    --guard none
  glidepath mesh fault inject payment --delay 3s --share 10% --for 10m \\
    --name payment-slow --dry-run -o yaml > fault.yaml")]
pub struct InjectArgs {
    /// The Service whose pods have the fault
    #[arg(value_name = "SERVICE")]
    service: String,
    /// How long a faulted request waits, 1ms to 5m
    #[arg(long, value_name = "DURATION", required_unless_present = "abort")]
    delay: Option<HumanDuration>,
    /// What a faulted request is answered with: an HTTP status, 400 to 599, or a gRPC status like UNAVAILABLE
    #[arg(long, value_name = "STATUS")]
    abort: Option<Abort>,
    /// The share of requests, of each of the two
    #[arg(long, value_name = "PERCENT")]
    share: Percent,
    /// How long the fault takes, at most 1h
    #[arg(long = "for", value_name = "DURATION")]
    duration: HumanDuration,
    /// Which pods: any, stable or canary
    #[arg(long, value_name = "REVISION", value_parser = revision, default_value = "any")]
    revision: FaultRevision,
    /// The objective whose error budget ends the fault when it burns, or none
    #[arg(long, value_name = "OBJECTIVE", default_value = "99%")]
    guard: Guard,
    /// A Service whose budget that is; may be repeated. Default: SERVICE
    #[arg(long, value_name = "SERVICE")]
    of: Vec<String>,
    /// The mesh; default: the one that is installed
    #[arg(long, value_name = "MESH")]
    mesh: Option<String>,
    /// The name of the MeshFault; default: SERVICE and some characters
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Whether it is only tried
    #[command(flatten)]
    dry_run: DryRun,
}

/// `--abort`.
#[derive(Clone, Copy, Debug)]
enum Abort {
    Http(u16),
    Grpc(GrpcStatus),
}

impl FromStr for Abort {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(status) = text.parse() {
            return Ok(Abort::Http(status));
        }
        let wrong = |_| format!("`{text}` is neither an HTTP status like 503 nor a gRPC status like UNAVAILABLE");
        serde_json::from_value(Value::from(text)).map(Abort::Grpc).map_err(wrong)
    }
}

/// `--guard`.
#[derive(Clone, Copy, Debug)]
enum Guard {
    None,
    Objective(Percent),
}

impl FromStr for Guard {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Guard::None),
            _ => text.parse().map(Guard::Objective).map_err(|error| format!("{error}; or none")),
        }
    }
}

fn revision(text: &str) -> Result<FaultRevision, String> {
    let wrong = |_| format!("`{text}` is none of any, stable and canary");
    serde_json::from_value(Value::from(text)).map_err(wrong)
}

/// Creates the fault and prints its name.
pub async fn run(args: &InjectArgs, global: &Global) -> Result<Exit, CliError> {
    let spec = spec(args);
    let wrong: Vec<String> = validate::fault(&spec, LONGEST)
        .into_iter()
        .map(|finding| format!("{} {}", option(&finding.path), finding.message))
        .collect();
    if !wrong.is_empty() {
        return Err(CliError::Usage(wrong.join("; ")));
    }
    let mut fault = MeshFault::new("", spec);
    fault.metadata = ObjectMeta { namespace: global.namespace.clone(), ..metadata(args) };
    if args.dry_run.is_client() {
        return shown(&fault, args, global);
    }
    let connection = connect(global).await?;
    fault.metadata.namespace = Some(connection.namespace.clone());
    let how = PostParams { dry_run: args.dry_run.is_server(), ..PostParams::default() };
    let created = match faults(&connection).create(&how, &fault).await {
        Ok(created) => created,
        Err(error) => {
            return Err(failed(&connection, format!("inject a fault into Service {}", args.service), &error).await);
        }
    };
    warn_if_not_allowed(&connection).await;
    shown(&created, args, global)
}

/// Without a name of its own, the server gives one; a dry run has none yet.
fn metadata(args: &InjectArgs) -> ObjectMeta {
    let base = || format!("{}-", args.service);
    ObjectMeta { generate_name: args.name.is_none().then(base), name: args.name.clone(), ..ObjectMeta::default() }
}

fn spec(args: &InjectArgs) -> MeshFaultSpec {
    let share = args.share;
    let abort = args.abort.map(|abort| match abort {
        Abort::Http(status) => FaultAbort { status: Some(status), grpc: None, share },
        Abort::Grpc(status) => FaultAbort { status: None, grpc: Some(status), share },
    });
    let guard = match args.guard {
        Guard::None => FaultGuard { none: Some(true), of: args.of.clone(), ..FaultGuard::default() },
        Guard::Objective(objective) => {
            FaultGuard { objective: Some(objective), of: args.of.clone(), ..FaultGuard::default() }
        }
    };
    MeshFaultSpec {
        target: FaultTarget { service: args.service.clone(), revision: args.revision },
        mesh: args.mesh.clone(),
        delay: args.delay.map(|fixed| FaultDelay { fixed, share }),
        abort,
        duration: args.duration,
        guard,
    }
}

/// The option that a field comes from.
fn option(path: &str) -> &str {
    match path {
        "spec.target.service" => "SERVICE",
        "spec.delay.fixed" => "--delay",
        "spec.abort" | "spec.abort.status" => "--abort",
        "spec.delay.share" | "spec.abort.share" => "--share",
        "spec.duration" => "--for",
        "spec.guard.of" => "--of",
        path if path.starts_with("spec.guard") => "--guard",
        other => other,
    }
}

fn shown(fault: &MeshFault, args: &InjectArgs, global: &Global) -> Result<Exit, CliError> {
    let text = output::objects(global.output, std::slice::from_ref(fault), false)?.filter(|_| {
        // A name is all that `-o name` has to say, and a dry run on this side has none.
        global.output != OutputFormat::Name || fault.metadata.name.is_some()
    });
    let name = fault.metadata.name.as_deref().or(fault.metadata.generate_name.as_deref()).unwrap_or_default();
    let line = || format!("meshfault.glidepath.dev/{name} created{}\n", args.dry_run.mark());
    print(&text.unwrap_or_else(line))?;
    Ok(Exit::Done)
}

/// The fault waits for the label; who may not read namespaces learns it from `list`.
async fn warn_if_not_allowed(connection: &Connection) {
    let namespaces: Api<Namespace> = Api::all(connection.client.clone());
    let Ok(namespace) = namespaces.get(&connection.namespace).await else { return };
    let labels = namespace.metadata.labels.unwrap_or_default();
    if labels.get(FAULTS_LABEL).map(String::as_str) != Some(ALLOWED) {
        let name = printable(&connection.namespace);
        eprintln!(
            "warning: namespace \"{name}\" does not allow faults, and this one waits for it 10 minutes: kubectl label namespace {name} {FAULTS_LABEL}={ALLOWED}"
        );
    }
}
