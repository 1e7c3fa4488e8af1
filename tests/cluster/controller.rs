//! The controller under test: the real binary, with the token of the ServiceAccount that `deploy/` creates, so with
//! exactly those rights.

use crate::lane;
use crate::server::Server;
use crate::wait::wait_for;
use crate::{http::get_ok, lane::PROMETHEUS_URL};
use anyhow::ensure;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// A replica of the controller: its name among them, and where it listens.
struct Replica<'a> {
    identity: &'a str,
    listen: &'a str,
}

const FIRST: Replica<'static> = Replica { identity: "glidepath-0", listen: "127.0.0.1:8090" };
const SECOND: Replica<'static> = Replica { identity: "glidepath-1", listen: "127.0.0.1:8091" };

/// The one controller that all tests share.
pub struct Controller {
    kubeconfig: PathBuf,
    server: Server,
}

/// The controller, started by the first test that asks and kept for all others.
pub fn controller() -> MutexGuard<'static, Controller> {
    static CONTROLLER: OnceLock<Mutex<Controller>> = OnceLock::new();
    CONTROLLER.get_or_init(|| Mutex::new(Controller::install())).lock().unwrap_or_else(PoisonError::into_inner)
}

impl Controller {
    fn install() -> Self {
        let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
        let deploy = deploy.to_str().expect("a path of UTF-8");
        lane().kubectl(&["apply", "--server-side", "--force-conflicts", "-k", deploy]).unwrap();
        let kubeconfig = lane().folder().join("kubeconfig-controller");
        fs::write(&kubeconfig, with_own_token()).unwrap();
        let server = start(&kubeconfig, &FIRST);
        Self { kubeconfig, server }
    }

    /// Ends it as a crash would, and starts it again, as its Deployment would.
    pub fn crash_and_restart(&mut self) {
        self.crash();
        self.restart();
    }

    /// Ends it as a crash would. Whoever calls this starts it again.
    pub fn crash(&mut self) {
        self.server.kill();
    }

    /// Starts it again, as its Deployment would.
    pub fn restart(&mut self) {
        self.server = start(&self.kubeconfig, &FIRST);
    }

    /// Ends it in an orderly way, so that the Lease is free at once. Whoever calls this starts it again.
    fn leave(&mut self) {
        self.server.leave().unwrap();
    }

    /// A second replica, which stands by while the first holds the Lease. It ends when dropped.
    pub fn stand_by(&self) -> Server {
        start(&self.kubeconfig, &SECOND)
    }

    /// Fails when it has ended on its own.
    pub fn check(&mut self) {
        self.server.check().unwrap();
    }

    /// Its own numbers, as text.
    pub fn metrics(&self) -> String {
        get_ok(&format!("http://{}/metrics", FIRST.listen)).unwrap()
    }
}

/// The shared controller is away until this is dropped; then it serves the other tests again, whatever became of this one.
pub struct Away(());

/// Ends the shared controller for a while.
pub fn away() -> Away {
    controller().leave();
    Away(())
}

impl Drop for Away {
    fn drop(&mut self) {
        controller().restart();
    }
}

/// A process next to the shared one, with a token of its own by which the API server's log knows it, and another way to
/// the API server.
pub struct Apart {
    pub identity: &'static str,
    listen: String,
    kubeconfig: PathBuf,
}

impl Apart {
    pub fn new(identity: &'static str, listen: &str, api: SocketAddr) -> Self {
        let kubeconfig = lane().folder().join(format!("kubeconfig-{identity}"));
        let text = with_own_token().replace("127.0.0.1:6443", &api.to_string());
        fs::write(&kubeconfig, text).unwrap();
        Self { identity, listen: listen.to_owned(), kubeconfig }
    }

    /// Starts it, whether it can reach the API server or not.
    pub fn start(&self) -> Server {
        self.start_program(Path::new(env!("CARGO_BIN_EXE_glidepath")))
    }

    /// The same with another build of it.
    pub fn start_program(&self, program: &Path) -> Server {
        spawn(program, &self.kubeconfig, &Replica { identity: self.identity, listen: &self.listen }, &LEADER)
    }

    /// The same with arguments of its own and without a Lease: what it works on is none of the others'.
    pub fn start_with(&self, args: &[&str]) -> Server {
        let program = Path::new(env!("CARGO_BIN_EXE_glidepath"));
        spawn(program, &self.kubeconfig, &Replica { identity: self.identity, listen: &self.listen }, args)
    }
}

/// A kubeconfig with a new token of the controller's ServiceAccount.
fn with_own_token() -> String {
    let token = lane().kubectl(&["create", "token", "glidepath", "-n", "glidepath", "--duration=4h"]).unwrap();
    let admin = fs::read_to_string(lane().kubeconfig()).unwrap();
    assert!(admin.contains("admintoken"), "the kubeconfig has another token than expected");
    admin.replace("admintoken", token.trim())
}

fn start(kubeconfig: &Path, replica: &Replica<'_>) -> Server {
    let mut server = spawn(Path::new(env!("CARGO_BIN_EXE_glidepath")), kubeconfig, replica, &LEADER);
    wait_for(Duration::from_secs(60), "the controller to be ready", || {
        if let Err(reason) = server.check() {
            panic!("{reason:#}");
        }
        let answer = get_ok(&format!("http://{}/readyz", replica.listen))?;
        ensure!(!answer.is_empty(), "no answer");
        Ok(())
    })
    .unwrap();
    server
}

/// Only while it holds the Lease that all share.
const LEADER: [&str; 3] = ["--leader-elect", "--lease-namespace", "glidepath"];

fn spawn(program: &Path, kubeconfig: &Path, replica: &Replica<'_>, args: &[&str]) -> Server {
    let Replica { identity, listen } = replica;
    let mut command = lane().command(program);
    command.env("KUBECONFIG", kubeconfig).env("RUST_LOG", "info,glidepath=debug,kube_client=error");
    command.args(["controller", "--prometheus", PROMETHEUS_URL, "--listen", listen, "--log-format", "json"]);
    // The gates that tests keep are on this machine, which is asked only where a user allows it.
    command.args(["--allow-hosts", "127.0.0.1"]);
    // A container that starts again in its pod has the pod's name as before, and with it the Lease.
    command.args(args).args(["--identity", identity]);
    let log = match *identity {
        "glidepath-0" => "controller",
        "glidepath-1" => "controller-2",
        other => other,
    };
    lane().serve(log, command).unwrap()
}
