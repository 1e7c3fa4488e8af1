//! The image's root filesystem, assembled in a folder as the last stage of `deploy/Dockerfile` says, and the controller in
//! it as its pod runs it (C1): the Deployment's arguments, the image's user, the mounted account, nothing else. Once with an
//! empty trust store, once with CA roots.

use crate::controller::controller;
use crate::http::get_ok;
use crate::lane;
use crate::lane::PROMETHEUS_URL;
use crate::obtain::output;
use crate::programs::{find, on_path};
use crate::wait::wait_for;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

const ACCOUNT: &str = "var/run/secrets/kubernetes.io/serviceaccount";
const BUILT_IN: &str = "HTTPS trusts the Mozilla roots built into this binary";

/// The image, unpacked.
struct Image {
    root: TempDir,
    user: String,
    environment: Vec<(String, String)>,
    entrypoint: Vec<String>,
}

/// The instructions of the Dockerfile's last stage.
fn last_stage() -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/Dockerfile");
    let text = fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let text = lines.join("\n").replace("\\\n", " ");
    let instructions = text.lines().filter_map(|line| line.trim().split_once(' '));
    let all: Vec<_> = instructions.map(|(word, rest)| (word.to_owned(), rest.trim().to_owned())).collect();
    let last = all.iter().rposition(|(word, _)| word == "FROM").unwrap();
    all[last..].to_vec()
}

impl Image {
    /// Follows every instruction; one that this does not know fails, so that the two stay in step.
    fn assemble(certificates: bool) -> Self {
        let root = tempfile::tempdir().unwrap();
        output(Command::new("chmod").arg("755").arg(root.path())).unwrap();
        let mut image = Self { root, user: String::new(), environment: Vec::new(), entrypoint: Vec::new() };
        for (word, rest) in last_stage() {
            match word.as_str() {
                "FROM" => image.base(),
                "RUN" => {
                    assert!(rest.contains("apt-get install") && rest.contains("ca-certificates"), "RUN {rest}");
                    if certificates {
                        image.put(&find("ca-certificates.crt").unwrap(), "etc/ssl/certs/ca-certificates.crt");
                    }
                }
                "COPY" => {
                    let [from, source, target] = rest.split(' ').collect::<Vec<_>>()[..] else { panic!("COPY {rest}") };
                    assert_eq!((from, source), ("--from=build", "/src/target/release/glidepath"));
                    image.put(Path::new(env!("CARGO_BIN_EXE_glidepath")), target);
                }
                "ENV" => {
                    let (name, value) = rest.split_once('=').unwrap();
                    image.environment.push((name.to_owned(), value.to_owned()));
                }
                "USER" => image.user = rest,
                "ENTRYPOINT" => image.entrypoint = serde_json::from_str(&rest).unwrap(),
                _ => panic!("this test does not know {word} {rest}"),
            }
        }
        image
    }

    /// What the binary needs of a slim base: the C library, here that of the machine that built it, and an empty trust store.
    fn base(&self) {
        let libraries = output(Command::new("ldd").arg(env!("CARGO_BIN_EXE_glidepath"))).unwrap();
        for library in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
            self.put(Path::new(library), library);
        }
        for folder in ["etc/ssl/certs", "tmp"] {
            fs::create_dir_all(self.at(folder)).unwrap();
        }
    }

    /// The account that Kubernetes mounts into the pod.
    fn mount_account(&self) {
        let token = lane().kubectl(&["create", "token", "glidepath", "-n", "glidepath"]).unwrap();
        fs::create_dir_all(self.at(ACCOUNT)).unwrap();
        fs::write(self.at(ACCOUNT).join("token"), token.trim()).unwrap();
        fs::write(self.at(ACCOUNT).join("namespace"), "glidepath").unwrap();
        // Signed on its own.
        self.put(&lane().folder().join("certs/apiserver.crt"), &format!("{ACCOUNT}/ca.crt"));
    }

    fn put(&self, source: &Path, target: &str) {
        let target = self.at(target);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(source, &target).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    /// The container's process.
    fn command(&self, name: &str, listen: &str) -> Command {
        let mut command = Command::new(on_path("chroot").unwrap());
        if every_user_exists() {
            command.arg(format!("--userspec={}", self.user));
        }
        command.arg(self.root.path()).args(&self.entrypoint).args(arguments()).env_clear();
        command.envs(self.environment.iter().cloned());
        command.envs([("KUBERNETES_SERVICE_HOST", "127.0.0.1"), ("KUBERNETES_SERVICE_PORT", "6443")]);
        command.envs([("POD_NAME", name), ("POD_NAMESPACE", "glidepath"), ("GLIDEPATH_PROMETHEUS", PROMETHEUS_URL)]);
        // Pods of the lane have this port on addresses of their own, so that it is not free on all of them.
        command.env("GLIDEPATH_LISTEN", listen);
        command
    }
}

/// The Deployment's arguments of its container.
fn arguments() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/deployment.yaml");
    let deployment: serde_json::Value = serde_yaml::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let arguments = deployment.pointer("/spec/template/spec/containers/0/args").unwrap().clone();
    serde_json::from_value(arguments).unwrap()
}

/// A user namespace of our own knows one user only.
fn every_user_exists() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap();
    map.split_whitespace().last().and_then(|count| count.parse().ok()).is_some_and(|count: u64| count > 65_532)
}

#[test]
fn c1_the_image_starts_with_an_empty_trust_store_and_with_ca_roots() {
    controller().check();
    for (certificates, name, listen) in
        [(false, "image-bare", "127.0.0.1:8094"), (true, "image-roots", "127.0.0.1:8095")]
    {
        let image = Image::assemble(certificates);
        image.mount_account();
        let mut server = lane().serve(name, image.command(name, listen)).unwrap();
        let ready = wait_for(Duration::from_secs(60), "the image's controller to be ready", || {
            server.check().unwrap();
            get_ok(&format!("http://{listen}/readyz"))
        });
        ready.unwrap();
        let log = fs::read_to_string(server.log()).unwrap();
        assert_eq!(log.contains(BUILT_IN), !certificates, "{name}:\n{log}");
        server.leave().unwrap();
    }
}
