//! Where local rollouts keep their state, and how `--local` finds the one that is meant.

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::{
    cli::{exit::CliError, program::program},
    local::site::{folder::Folder, private::private},
};

/// The kubeconfig in a folder.
pub const KUBECONFIG: &str = "kubeconfig";

/// `$XDG_STATE_HOME/glidepath`.
pub fn root() -> Result<PathBuf, CliError> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
    let why = "neither XDG_STATE_HOME nor HOME is set; set --state-dir";
    state.map(|state| state.join("glidepath")).ok_or_else(|| CliError::Failed(why.into()))
}

/// The kubeconfig of the local rollout that is meant: by name, by folder (with a slash in it), or the only one that runs.
pub fn kubeconfig(named: Option<&str>) -> Result<PathBuf, CliError> {
    let folder = match named {
        Some(path) if path.contains('/') => PathBuf::from(path),
        Some(name) => root()?.join(name),
        None => only_one(&root()?)?,
    };
    if Folder::is_held(&folder) {
        // A kubeconfig may name commands to run.
        let folder = private(&folder).map_err(|error| CliError::Failed(error.to_string()))?;
        return Ok(folder.join(KUBECONFIG));
    }
    let what = if folder.join("lock").exists() { "is not running" } else { "was never started" };
    let there = match running(&root()?).as_slice() {
        [] => format!("'{} local' starts one", program()),
        running => format!("running now: {}", running.join(", ")),
    };
    Err(CliError::Failed(format!("the local rollout at {} {what}; {there}", folder.display())))
}

fn only_one(root: &Path) -> Result<PathBuf, CliError> {
    match running(root).as_slice() {
        [name] => Ok(root.join(name)),
        [] => {
            let words = format!(
                "no local rollout with its state in {} is running; start one with '{} local', or use --local FOLDER for one elsewhere",
                root.display(),
                program()
            );
            Err(CliError::Failed(words))
        }
        several => {
            let words = format!(
                "several local rollouts are running: {}; choose one, for example --local {}",
                several.join(", "),
                several[0]
            );
            Err(CliError::Usage(words))
        }
    }
}

/// The one that has the Rollout of this name, where several run and only one has it.
pub fn with_rollout(root: &Path, rollout: &str) -> Option<String> {
    let running = running(root);
    if running.len() < 2 || rollout.contains('/') {
        return None;
    }
    let has_it = |name: &&String| root.join(name).join("rollouts").join(format!("{rollout}.json")).is_file();
    let mut having = running.iter().filter(has_it);
    let only = having.next()?;
    having.next().is_none().then(|| only.clone())
}

/// The names of those that run, sorted.
pub fn running(root: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter(|entry| Folder::is_held(&entry.path()))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_that_runs_is_meant_and_several_are_named() {
        let root = tempfile::tempdir().unwrap();
        assert!(only_one(root.path()).unwrap_err().to_string().contains("no local rollout with its state in"));
        let web = Folder::open(&root.path().join("web")).unwrap();
        assert_eq!(only_one(root.path()).unwrap(), root.path().join("web"));
        let _api = Folder::open(&root.path().join("api")).unwrap();
        let error = only_one(root.path()).unwrap_err();
        assert!(error.to_string().contains("api, web; choose one, for example --local api"), "{error}");
        for (local, rollout) in [("web", "web"), ("web", "shared"), ("api", "shared"), ("api", "orders")] {
            let rollouts = root.path().join(local).join("rollouts");
            std::fs::create_dir_all(&rollouts).unwrap();
            std::fs::write(rollouts.join(format!("{rollout}.json")), "{}").unwrap();
        }
        let has = |rollout| with_rollout(root.path(), rollout);
        assert_eq!((has("orders").as_deref(), has("web").as_deref()), (Some("api"), Some("web")));
        assert_eq!((has("shared"), has("../web/rollouts/web"), has("none")), (None, None, None));
        drop(web);
        assert_eq!(has("orders"), None, "the only one is meant anyway");
        assert_eq!(only_one(root.path()).unwrap(), root.path().join("api"));

        let at = |name: &str| kubeconfig(Some(&root.path().join(name).display().to_string()));
        assert_eq!(at("api").unwrap(), root.path().canonicalize().unwrap().join("api/kubeconfig"));
        assert!(at("web").unwrap_err().to_string().contains("is not running"));
        assert!(at("other").unwrap_err().to_string().contains("was never started"));
    }
}
