//! `glidepath crds`: the CustomResourceDefinitions, as files or for `kubectl apply --server-side -f -`.

use std::path::PathBuf;

use crate::{
    api::crds,
    cli::{
        exit::{CliError, Exit},
        render::output::print,
    },
    yaml,
};

/// Print the CustomResourceDefinitions
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  glidepath crds | kubectl apply --server-side -f -
  glidepath crds --mesh | kubectl apply --server-side -f -")]
pub struct CrdsArgs {
    /// Write one file per kind into this folder instead
    #[arg(long, value_name = "FOLDER")]
    pub write: Option<PathBuf>,
    /// Those of mesh policies instead, which a controller with --mesh carries out
    #[arg(long)]
    pub mesh: bool,
}

/// Prints or writes the CRDs.
pub fn run(args: &CrdsArgs) -> Result<Exit, CliError> {
    let mut printed = String::new();
    for (name, text) in files(args.mesh)? {
        match &args.write {
            Some(folder) => {
                let path = folder.join(name);
                let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, text));
                written.map_err(|error| CliError::Failed(format!("cannot write {}: {error}", path.display())))?;
            }
            None => printed += &format!("---\n{text}"),
        }
    }
    print(&printed)?;
    Ok(Exit::Done)
}

/// Each CRD's file name and text.
pub fn files(mesh: bool) -> Result<Vec<(String, String)>, CliError> {
    let failed = |error: &dyn std::error::Error| CliError::Failed(error.to_string());
    let crds = if mesh { crds::mesh() } else { crds::all() };
    let crds = crds.map_err(|error| failed(&error))?;
    crds.iter().map(|crd| Ok((crds::file_name(crd), yaml::write(crd).map_err(|error| failed(&error))?))).collect()
}
