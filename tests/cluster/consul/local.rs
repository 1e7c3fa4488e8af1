//! A `glidepath local --consul` that runs, and the commands given to it.

use super::mesh::URL;
use crate::namespace::lane_folder;
use crate::obtain::output;
use crate::server::Server;
use crate::wait::wait_for;
use anyhow::ensure;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(90);

/// The running program, with its state in a folder of its own.
pub struct Local {
    server: Server,
    folder: PathBuf,
    /// How much of the log was seen.
    seen: usize,
}

impl Local {
    /// Releases `file` between two addresses, as the service `web`.
    pub fn start(file: &str, stable: &str, canary: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("local-").tempdir_in(lane_folder().unwrap()).unwrap().keep();
        let path = folder.join("rollout.yaml");
        fs::write(&path, file).unwrap();
        let mut program = Command::new(env!("CARGO_BIN_EXE_glidepath"));
        program.arg("local").arg("-f").arg(path).args(["--consul", URL, "--consul-service", "web"]);
        program.args(["--stable", stable, "--canary", canary, "--state-dir"]).arg(folder.join("state"));
        let server = Server::start("local", program, &folder).unwrap();
        Self { server, folder, seen: 0 }
    }

    /// Waits until a new line says this.
    #[track_caller]
    pub fn until(&mut self, text: &str) {
        let waited = wait_for(PATIENCE, text, || {
            self.server.check()?;
            let log = fs::read_to_string(self.server.log())?;
            let new = log.get(self.seen..).unwrap_or_default();
            ensure!(new.contains(text), "the log ends with: {}", new.lines().last().unwrap_or_default());
            self.seen += new.find(text).unwrap_or_default() + text.len();
            Ok(())
        });
        if let Err(error) = waited {
            panic!("{error:#}\n{}", fs::read_to_string(self.server.log()).unwrap_or_default());
        }
    }

    /// What a command prints.
    pub fn command(&self, args: &[&str]) -> String {
        let mut program = Command::new(env!("CARGO_BIN_EXE_glidepath"));
        output(program.args(args).arg("--local").arg(self.folder.join("state"))).unwrap()
    }

    /// Gives a command that may have no answer yet.
    pub fn attempt(&self, args: &[&str]) {
        let mut program = Command::new(env!("CARGO_BIN_EXE_glidepath"));
        let _ = program.args(args).arg("--local").arg(self.folder.join("state")).output().unwrap();
    }

    /// Asks it to end, and waits for that.
    pub fn end(mut self) {
        self.server.leave().unwrap();
    }
}
