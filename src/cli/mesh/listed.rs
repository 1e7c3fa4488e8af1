//! `glidepath mesh get`: policies as a table or as objects.

use jiff::Timestamp;
use kube::{Api, ResourceExt};

use crate::{
    api::{
        MeshPolicy,
        policy::{Phase, PolicyTarget},
    },
    cli::{
        answer,
        args::{global::Global, names},
        connect::{Connection, connect},
        exit::{CliError, Exit},
        render::{paint::Tone, table::Cell},
        verbs::get::{self, Listed, age},
    },
};

/// List MeshPolicies, or show some by name
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  glidepath mesh get                 the policies of the namespace
  glidepath mesh get -A              in all namespaces
  glidepath mesh get checkout -w     one, and a line for every change
  glidepath mesh get checkout -o yaml")]
pub struct GetArgs {
    /// The policies; without a name, all in the namespace
    #[arg(value_name = "POLICY")]
    pub policies: Vec<String>,
    /// All namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Only objects with these labels
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Watch: print a line, or with -o json an object, per change
    #[arg(short, long)]
    pub watch: bool,
}

/// Prints the table or the objects.
pub async fn run(args: &GetArgs, global: &Global) -> Result<Exit, CliError> {
    let names = if args.policies.is_empty() { Vec::new() } else { names::some_names(&args.policies, "mesh get")? };
    let all = get::Args {
        all_namespaces: args.all_namespaces,
        selector: args.selector.clone(),
        watch: args.watch,
        ..get::Args::default()
    };
    get::run_of::<MeshPolicy>(&connect(global).await?, &all, &names, global).await
}

/// The policies of the connection's namespace.
pub(super) fn policies(connection: &Connection) -> Api<MeshPolicy> {
    Api::namespaced(connection.client.clone(), &connection.namespace)
}

impl Listed for MeshPolicy {
    const KIND: &'static str = "MeshPolicy";

    async fn one(connection: &Connection, name: &str) -> Result<Self, CliError> {
        match policies(connection).get(name).await {
            Ok(policy) => Ok(policy),
            Err(error) => Err(match &error {
                kube::Error::Api(status) if answer::is_unknown_path(status) => {
                    connection.kind_missing("MeshPolicy", &error).await
                }
                kube::Error::Api(status) if status.code == 404 => CliError::NotFound {
                    kind: "MeshPolicy",
                    name: name.to_owned(),
                    namespace: connection.namespace.clone(),
                    there: "'glidepath mesh get' lists those that exist".to_owned(),
                },
                _ => connection.first_error(format!("read MeshPolicy \"{name}\""), &error).await,
            }),
        }
    }

    fn head(_: bool) -> Vec<&'static str> {
        vec!["NAME", "TARGET", "MESH", "PHASE", "AGE", "MESSAGE"]
    }

    fn row(&self, _: bool, now: Timestamp) -> Vec<Cell> {
        let status = self.status.clone().unwrap_or_default();
        let phase =
            status.phase.map_or_else(|| Cell::from("Unknown"), |phase| Cell::toned(tone(phase), phase.to_string()));
        let mesh = status.mesh.or_else(|| self.spec.mesh.clone());
        let message = if status.message.is_empty() { "-".to_owned() } else { status.message };
        vec![
            self.name_any().into(),
            target(&self.spec.target).into(),
            mesh.unwrap_or_else(|| "-".to_owned()).into(),
            phase,
            age(self, now),
            message.into(),
        ]
    }
}

/// What a policy is for, in a word.
pub(super) fn target(target: &PolicyTarget) -> String {
    let labels = |labels: &std::collections::BTreeMap<String, String>| {
        labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
    };
    match (&target.service, &target.workload, target.mesh) {
        (Some(service), _, _) => format!("service/{service}"),
        (_, Some(workload), _) => format!("workload/{}", labels(workload)),
        (_, _, Some(true)) => "mesh".to_owned(),
        _ => "namespace".to_owned(),
    }
}

/// How a phase is painted.
pub(super) fn tone(phase: Phase) -> Tone {
    match phase {
        Phase::Active => Tone::Good,
        Phase::Checking | Phase::Auditing | Phase::Applying | Phase::Baking => Tone::Busy,
        Phase::Held => Tone::Warn,
        Phase::Reverting | Phase::Reverted | Phase::Refused | Phase::Conflicted => Tone::Bad,
    }
}
