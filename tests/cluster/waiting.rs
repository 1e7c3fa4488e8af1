//! `glidepath set image --wait` as a pipeline runs it: it takes as long as it takes, and ends with an exit code.

use crate::{glidepath, lane};
use anyhow::{Result, bail, ensure};
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::wait::wait_for;

/// Longer than any release of a test, so that only a command that hangs is ended by it.
const PATIENCE: Duration = Duration::from_secs(180);

/// A `set image --wait` that runs.
pub struct Waiting {
    child: Child,
    printed: PathBuf,
}

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
pub struct End {
    pub code: i32,
    /// What it printed, both streams.
    pub text: String,
}

impl Waiting {
    /// Starts `set image WORDS... --wait` in a namespace.
    pub fn start(namespace: &str, words: &[&str]) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let printed = lane().folder().join(format!("set-image-{}.log", NUMBER.fetch_add(1, Ordering::Relaxed)));
        // A file, because no one reads a pipe in the meantime.
        let file = fs::File::create(&printed)?;
        let mut command = glidepath();
        command.args(["set", "image"]).args(words).args(["--wait", "-n", namespace]);
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        Ok(Self { child: command.spawn()?, printed })
    }

    /// Waits for its end.
    pub fn end(mut self) -> End {
        let code = wait_for(PATIENCE, "set image --wait to end", || match self.child.try_wait()? {
            Some(status) => Ok(status.code()),
            None => bail!("it printed so far:\n{}", fs::read_to_string(&self.printed)?),
        });
        let code = code.unwrap_or_else(|error| panic!("{error:#}")).expect("it ended by itself");
        End { code, text: fs::read_to_string(&self.printed).unwrap() }
    }

    /// Fails when it has ended.
    pub fn still_waits(&mut self) -> Result<()> {
        let ended = self.child.try_wait()?;
        ensure!(ended.is_none(), "it ended: {}", fs::read_to_string(&self.printed)?);
        Ok(())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // It has ended, or its test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
