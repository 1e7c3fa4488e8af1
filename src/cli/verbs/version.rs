//! `glidepath version`.

use crate::cli::{
    args::global::{Global, OutputFormat},
    exit::{CliError, Exit},
    render::output::print,
};

/// Print the version
#[derive(clap::Args, Clone, Debug)]
pub struct VersionArgs {}

/// Prints the version; with `-o json` as an object.
pub fn run(_: &VersionArgs, global: &Global) -> Result<Exit, CliError> {
    let version = env!("CARGO_PKG_VERSION");
    match global.output {
        OutputFormat::Json => print(&format!("{}\n", serde_json::json!({ "version": version })))?,
        OutputFormat::Yaml => print(&format!("version: {version}\n"))?,
        _ => print(&format!("glidepath {version}\n"))?,
    }
    Ok(Exit::Done)
}
