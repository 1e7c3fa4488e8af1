//! `glidepath mesh fault stop`: deletes MeshFaults.

use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams};

use super::access::{failed, faults};
use crate::{
    api::MeshFault,
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
        target::pasteable,
    },
};

/// Stop faults before their end, by deleting them
///
/// The controller takes the fault out of the mesh. Connections that are open keep it until their proxy has drained them, at
/// most until its own end.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  glidepath mesh fault stop payment-x7f2k
  glidepath mesh fault stop payment-x7f2k cart-9mq4z -n shop")]
pub struct StopArgs {
    /// The MeshFault, or several
    #[arg(value_name = "FAULT", required = true)]
    names: Vec<String>,
    /// Whether it is only tried
    #[command(flatten)]
    dry_run: DryRun,
}

/// Deletes each one; one that is missing does not keep the others.
pub async fn run(args: &StopArgs, global: &Global) -> Result<Exit, CliError> {
    let connection = connect(global).await?;
    let mut exit = Exit::Done;
    for name in &args.names {
        let name = name.trim_start_matches("meshfault.glidepath.dev/").trim_start_matches("meshfault/");
        match stop(&connection, name, args.dry_run).await {
            Ok(fault) => {
                let line = || format!("meshfault.glidepath.dev/{name} deleted{}\n", args.dry_run.mark());
                let text = match global.output {
                    OutputFormat::Table | OutputFormat::Wide => None,
                    format => output::objects(format, &[fault], false)?,
                };
                print(&text.unwrap_or_else(line))?;
            }
            Err(error) => {
                eprintln!("error: {}", printable(&pasteable(&error.to_string())));
                exit = Exit::Failed;
            }
        }
    }
    Ok(exit)
}

async fn stop(connection: &Connection, name: &str, dry_run: DryRun) -> Result<MeshFault, CliError> {
    let api = faults(connection);
    let doing = || format!("stop MeshFault \"{name}\"");
    let fault = match api.get(name).await {
        Ok(fault) => fault,
        Err(kube::Error::Api(status))
            if status.code == 404 && status.details.as_ref().is_some_and(|details| !details.name.is_empty()) =>
        {
            return Err(not_found(connection, name).await);
        }
        Err(error) => return Err(failed(connection, doing(), &error).await),
    };
    if !dry_run.is_client() {
        let how = DeleteParams { dry_run: dry_run.is_server(), ..DeleteParams::default() };
        if let Err(error) = api.delete(name, &how).await {
            return Err(failed(connection, doing(), &error).await);
        }
    }
    Ok(fault)
}

async fn not_found(connection: &Connection, name: &str) -> CliError {
    let listed = faults(connection).list(&ListParams::default().limit(20)).await;
    let names: Vec<String> =
        listed.map(|all| all.items.iter().map(ResourceExt::name_any).collect()).unwrap_or_default();
    let there = if names.is_empty() { "there is none".to_owned() } else { format!("there are {}", names.join(", ")) };
    CliError::NotFound { kind: "MeshFault", name: name.to_owned(), namespace: connection.namespace.clone(), there }
}
