//! One server process with its log file. It ends when it is dropped.

use crate::obtain::tail;
use crate::wait::until;
use anyhow::{Context, Result, bail};
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub struct Server {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts `command`; what it prints is appended to `NAME.log` in `folder`.
    pub fn start(name: &str, mut command: Command, folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = OpenOptions::new().create(true).append(true).open(&log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("cannot start {name}: {command:?}"))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// The process id, as seen from inside the namespace.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Fails, with the log's last lines, when the process has ended.
    pub fn check(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} ended ({status}); the last lines of {}:\n{}", self.name, self.log.display(), tail(&self.log, 15));
        }
        Ok(())
    }

    /// Asks it to end, and ends it after three seconds.
    pub fn stop(mut self) -> Result<()> {
        if !self.ends_within(Duration::from_secs(3))? {
            self.kill();
        }
        Ok(())
    }

    /// Asks it to end, and fails when it has not after the time that Kubernetes gives a pod.
    pub fn leave(&mut self) -> Result<()> {
        anyhow::ensure!(self.ends_within(Duration::from_secs(30))?, "{} does not end when asked to", self.name);
        Ok(())
    }

    fn ends_within(&mut self, patience: Duration) -> Result<bool> {
        self.signal("TERM")?;
        until(patience, || Ok(self.child.try_wait()?.is_some()))
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        // It may have ended already; either way it is gone after the wait.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends a signal by name: `TERM`, `STOP`, `CONT`.
    pub fn signal(&self, name: &str) -> Result<()> {
        crate::obtain::output(Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()))?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
