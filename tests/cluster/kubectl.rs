//! kubectl against the lane's API server.

use crate::programs::find;
use anyhow::{Context, Result, bail};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs kubectl with the lane's kubeconfig and gives its standard output.
pub fn run(folder: &Path, args: &[&str]) -> Result<String> {
    feed(folder, args, "")
}

/// The same, with `input` on its standard input.
pub fn feed(folder: &Path, args: &[&str], input: &str) -> Result<String> {
    let mut kubectl = Command::new(find("kubectl")?);
    // Every lane's server has the same address: what one serves is not to be taken for what another does.
    kubectl.env("KUBECACHEDIR", folder.join("kubectl"));
    kubectl.arg("--kubeconfig").arg(folder.join("kubeconfig")).args(args);
    kubectl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = kubectl.spawn().context("cannot run kubectl")?;
    let mut stdin = child.stdin.take().context("kubectl has no standard input")?;
    let input = input.to_owned();
    // From a thread: kubectl may answer before it has read everything. It may also end early; its status reports.
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let out = child.wait_with_output()?;
    let _ = writer.join();
    if !out.status.success() {
        bail!("kubectl {} failed: {}", args.join(" "), String::from_utf8_lossy(&out.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Creates or replaces the objects of some YAML, as their one owner.
pub fn apply(folder: &Path, yaml: &str) -> Result<()> {
    feed(folder, &["apply", "--server-side", "--force-conflicts", "-f", "-"], yaml).map(drop)
}
