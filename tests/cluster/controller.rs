//! The controller under test: the real binary, with the token of the ServiceAccount that `deploy/` creates, so with
//! exactly those rights.

use crate::lane;
use crate::server::Server;
use crate::wait::wait_for;
use crate::{http::get_ok, lane::PROMETHEUS_URL};
use anyhow::ensure;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// A replica of the controller: its name among them, and where it listens.
struct Replica {
    identity: &'static str,
    listen: &'static str,
}

const FIRST: Replica = Replica { identity: "glidepath-0", listen: "127.0.0.1:8090" };
const SECOND: Replica = Replica { identity: "glidepath-1", listen: "127.0.0.1:8091" };

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
        let token = lane().kubectl(&["create", "token", "glidepath", "-n", "glidepath", "--duration=2h"]).unwrap();
        let admin = fs::read_to_string(lane().kubeconfig()).unwrap();
        assert!(admin.contains("admintoken"), "the kubeconfig has another token than expected");
        let kubeconfig = lane().folder().join("kubeconfig-controller");
        fs::write(&kubeconfig, admin.replace("admintoken", token.trim())).unwrap();
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

    /// A second replica, which stands by while the first holds the Lease. It ends when dropped.
    pub fn stand_by(&self) -> Server {
        start(&self.kubeconfig, &SECOND)
    }

    /// Fails when it has ended by itself.
    pub fn check(&mut self) {
        self.server.check().unwrap();
    }

    /// Its own numbers, as text.
    pub fn metrics(&self) -> String {
        get_ok(&format!("http://{}/metrics", FIRST.listen)).unwrap()
    }
}

fn start(kubeconfig: &Path, replica: &Replica) -> Server {
    let Replica { identity, listen } = replica;
    let mut command = lane().command(env!("CARGO_BIN_EXE_glidepath"));
    command.env("KUBECONFIG", kubeconfig).env("RUST_LOG", "info,glidepath=debug,kube_client=error");
    command.args(["controller", "--prometheus", PROMETHEUS_URL, "--listen", listen, "--log-format", "json"]);
    // The gates that tests keep are on this machine, which is asked only where somebody allows it.
    command.args(["--allow-hosts", "127.0.0.1"]);
    // A container that starts again in its pod has the pod's name as before, and with it the Lease.
    command.args(["--leader-elect", "--lease-namespace", "glidepath", "--identity", identity]);
    let mut server =
        lane().serve(if *identity == FIRST.identity { "controller" } else { "controller-2" }, command).unwrap();
    wait_for(Duration::from_secs(60), "the controller to be ready", || {
        if let Err(reason) = server.check() {
            panic!("{reason:#}");
        }
        let answer = get_ok(&format!("http://{listen}/readyz"))?;
        ensure!(!answer.is_empty(), "no answer");
        Ok(())
    })
    .unwrap();
    server
}
