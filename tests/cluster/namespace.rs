//! A network and process namespace of our own: ports never clash, pods get real addresses, and when it ends every
//! process in it has ended. Made by util-linux' `unshare`, as root or in a user namespace.
//!
//! Two of our processes take part. The outer one makes the folder, starts `unshare` with our own command line again,
//! waits, and cleans up. The inner one finds `GLIDEPATH_LANE` set, arranges the network and does the work.

use crate::obtain::output;
use crate::programs::on_path;
use crate::say::say;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Set inside: the folder of this lane.
pub const LANE: &str = "GLIDEPATH_LANE";
/// Set inside: this program, so that a test can start the node harness.
pub const PROGRAM: &str = "GLIDEPATH_CLUSTER";

/// The lane's folder, when this process is inside a namespace.
pub fn lane_folder() -> Option<PathBuf> {
    std::env::var_os(LANE).map(PathBuf::from)
}

/// Runs this same command line inside a new namespace, with `folder` for the lane's files.
pub async fn enter(folder: &Path) -> Result<ExitCode> {
    let flags = usable_flags()?;
    let program = std::env::current_exe()?;
    // The kernel ends `unshare` when we die, and `--kill-child` then ends everything inside.
    let mut command = match on_path("setpriv") {
        Some(setpriv) => {
            let mut command = tokio::process::Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "unshare"]);
            command
        }
        None => tokio::process::Command::new("unshare"),
    };
    command.args(flags).arg(&program).args(std::env::args_os().skip(1)).env(LANE, folder).env(PROGRAM, &program);
    let mut child = command.spawn().context("cannot run unshare")?;
    let id = child.id().context("unshare ended at once")?;
    fs::write(folder.join("entrance"), format!("{id}\n{}\n", flags.contains(&"--user")))?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let status = tokio::select! {
        status = child.wait() => status?,
        _ = interrupt.recv() => give_up(&mut child, Duration::from_secs(8)).await?,
        _ = terminate.recv() => give_up(&mut child, Duration::ZERO).await?,
        _ = hang_up.recv() => give_up(&mut child, Duration::ZERO).await?,
    };
    Ok(code_of(status))
}

/// Ctrl-C reaches those inside as well: they get time to end by themselves before everything is ended.
async fn give_up(child: &mut tokio::process::Child, patience: Duration) -> Result<ExitStatus> {
    match tokio::time::timeout(patience, child.wait()).await {
        Ok(status) => Ok(status?),
        Err(_) => {
            child.start_kill()?;
            Ok(child.wait().await?)
        }
    }
}

/// A process' end as our own exit code.
pub fn code_of(status: ExitStatus) -> ExitCode {
    ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// Inside: the loopback device is up, and every address of 10.244.0.0/16 is ours without being listed ("AnyIP").
pub fn arrange() -> Result<()> {
    output(Command::new("ip").args(["link", "set", "lo", "up"])).context("the test cluster needs iproute2's `ip`")?;
    output(Command::new("ip").args(["route", "replace", "local", "10.244.0.0/16", "dev", "lo"]))?;
    Ok(())
}

/// A command that runs inside the namespace of a lane that another process keeps up.
pub fn visit(folder: &Path, command: &[String]) -> Result<Command> {
    let entrance = fs::read_to_string(folder.join("entrance"))
        .with_context(|| format!("no test cluster is up in {}: start one with `make cluster`", folder.display()))?;
    let mut lines = entrance.lines();
    let id = lines.next().unwrap_or_default();
    if !Path::new("/proc").join(id).exists() {
        bail!("the test cluster of {} has ended: start one with `make cluster`", folder.display());
    }
    let mut visit = Command::new("nsenter");
    visit.args(["--target", id, "--net"]);
    if lines.next() == Some("true") {
        visit.args(["--user", "--preserve-credentials"]);
    }
    visit.arg("--").args(command);
    visit.env("KUBECONFIG", folder.join("kubeconfig")).env(LANE, folder).env(PROGRAM, std::env::current_exe()?);
    Ok(visit)
}

/// The first set of flags that this machine allows. Some containers allow no fresh /proc; that one is a nicety.
fn usable_flags() -> Result<&'static [&'static str]> {
    const WAYS: &[&[&str]] = &[
        &["--net", "--pid", "--fork", "--kill-child", "--mount-proc"],
        &["--net", "--pid", "--fork", "--kill-child"],
        &["--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"],
        &["--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child"],
    ];
    let works = |flags: &&&[&str]| {
        let mut probe = Command::new("unshare");
        probe.args(**flags).args(["ip", "link", "set", "lo", "up"]).stdin(Stdio::null());
        probe.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    match WAYS.iter().find(works) {
        Some(flags) => Ok(flags),
        None => bail!(
            "this machine lets us make no network namespace, neither as root nor in a user namespace \
             (needs util-linux' `unshare` and iproute2's `ip`; sysctl kernel.unprivileged_userns_clone or \
             kernel.apparmor_restrict_unprivileged_userns may forbid it). `make test-fast` runs every test that needs none"
        ),
    }
}

/// Tells early, before anything is built, whether a namespace can be had.
pub fn check() -> Result<()> {
    let flags = usable_flags()?;
    say(format_args!("a network namespace can be had: unshare {}", flags.join(" ")));
    Ok(())
}
