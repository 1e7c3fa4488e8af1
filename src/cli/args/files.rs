//! The files that a verb reads: `lint`, `plan`, `simulate` and `local` take them alike.

use std::path::PathBuf;

use crate::cli::exit::CliError;

/// Files as they are typed, with or without `-f`.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct FileArgs {
    /// Files, folders (their .yaml, .yml and .json files), or `-` for standard input
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// The same, as kubectl takes it; can be repeated
    #[arg(short, long, visible_alias = "filename", value_name = "PATH")]
    pub file: Vec<PathBuf>,
}

impl FileArgs {
    /// These paths.
    pub fn of(paths: &[PathBuf]) -> Self {
        FileArgs { paths: paths.to_vec(), file: Vec::new() }
    }

    /// Whether none is named.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.file.is_empty()
    }

    /// All of them, at least one.
    pub fn all(&self) -> Result<Vec<PathBuf>, CliError> {
        if self.is_empty() {
            return Err(CliError::Usage(
                "there is no file to read; name files, folders, or - for standard input".into(),
            ));
        }
        Ok(self.paths.iter().chain(&self.file).cloned().collect())
    }
}
