//! `glidepath local`: a Rollout file against two HTTP addresses of the user's own, without a cluster.
//!
//! Everything that is decided is decided in [`crate::local::site`]; here are the command line, the lines that are printed,
//! and an orderly beginning and end.

mod file;
mod gates;
pub mod place;
mod show;

use std::{
    io::ErrorKind,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    args::global::Global,
    exit::{CliError, Exit},
    interrupt::Interrupts,
};
use crate::{
    api::{HumanDuration, Rollout},
    clock::SystemClock,
    local::{
        serve::Server,
        site::{
            Setup, Site,
            address::Address,
            drive::drive,
            folder::{Folder, FolderError},
            rest,
        },
    },
    ports::Clock,
};

pub use file::{Manifest, load};
use show::Lines;

/// Release between two addresses of your own, without a cluster
///
/// Callers use the address of --listen. Every request goes to one of the two addresses behind it, by the steps of the
/// file; what they answer is counted and judged, and a bad version loses its traffic again.
///
/// Start the new version at the address that has no traffic, then name it: with 'glidepath set image NAME ... --local', or
/// in the file, which is read again whenever it changes. After a promotion the two addresses have swapped roles: the next
/// version goes where the old one was.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  glidepath local -f rollout.yaml --stable http://127.0.0.1:8081 --canary http://127.0.0.1:8082 --listen 127.0.0.1:8080
  glidepath local -f rollout.yaml --stable http://10.0.0.4:80 --canary http://10.0.0.5:80 --listen 0.0.0.0:80 --health /healthz

In another terminal:
  glidepath status web --local --watch
  glidepath set image web web=web:v2 --local
  glidepath abort web --local

Ctrl-C ends it: requests that are under way are finished, and the release goes on where it stood when it is started \
again. Exit code 0 after an orderly end, 1 when it cannot begin, 2 wrong usage.")]
pub struct LocalArgs {
    /// The Rollout, with the AnalysisTemplates it names
    #[arg(short, long, value_name = "FILE")]
    pub file: PathBuf,
    /// Where the version that is in use answers
    #[arg(long, value_name = "URL")]
    pub stable: Address,
    /// Where the next version is started
    #[arg(long, value_name = "URL")]
    pub canary: Address,
    /// The address that callers use
    #[arg(long, value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// The name of the state folder; the Rollout's when absent
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Keep the state in this folder, not in $XDG_STATE_HOME/glidepath/NAME; other commands then take --local FOLDER
    #[arg(long, value_name = "FOLDER", conflicts_with = "name")]
    pub state_dir: Option<PathBuf>,
    /// A version is up when a GET of this path is answered with less than 400; else when it takes connections
    #[arg(long, value_name = "PATH")]
    pub health: Option<String>,
    /// A version must begin its answer within this time
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub timeout: HumanDuration,
}

/// How long requests that are under way may take when it ends.
const FAREWELL: Duration = Duration::from_secs(10);
/// How long a caller may keep a connection without sending the head of a request.
const IDLE: Duration = Duration::from_secs(75);
/// How often the file is looked at.
const FILE_EVERY: Duration = Duration::from_secs(1);

/// Runs until it is interrupted.
pub async fn run(args: &LocalArgs, global: &Global) -> Result<Exit, CliError> {
    check(args)?;
    let manifest = load(&args.file)?;
    let path = folder_path(args, &manifest.rollout)?;
    let folder = hold(&path).await?;
    let listener = listen(args.listen).await?;
    let (news, heard) = mpsc::unbounded_channel();
    let site = Site::open(folder, setup(args, &manifest), Arc::new(SystemClock), news).map_err(failed)?;
    site.apply_templates(manifest.templates.clone()).map_err(failed)?;
    site.look(args.health.as_deref()).await;
    let api = serve_api(&site).await?;
    let splitter = site.splitter().clone();
    let server = Server::on(listener, Some(IDLE), move |request| splitter.clone().pass(request)).map_err(failed)?;

    let mut interrupts = Interrupts::new()?;
    let mut lines = Lines::new(&site, heard, global);
    lines.begin(args, &manifest.notes, server.address, &path)?;
    let stop = CancellationToken::new();
    let driving = tokio::spawn({
        let (site, health, stop) = (site.clone(), args.health.clone(), stop.clone());
        async move { drive(&site, health, stop).await }
    });
    let told = tell(&mut lines, &mut interrupts, &site, &args.file, manifest).await;
    stop.cancel();
    let drained = drain(server, &mut interrupts).await;
    api.abort();
    if let Err(error) = driving.await {
        tracing::error!(%error, "the engine ended by itself");
    }
    site.objects().folder().remove(place::KUBECONFIG).map_err(failed)?;
    lines.end(drained)?;
    told.map(|()| Exit::Done)
}

fn setup(args: &LocalArgs, manifest: &Manifest) -> Setup {
    Setup {
        rollout: manifest.rollout.clone(),
        templates: manifest.templates.clone(),
        option: option(args),
        gates: Arc::new(gates::FileGates),
        addresses: [args.stable.clone(), args.canary.clone()],
        patience: args.timeout.get(),
        seed: u64::try_from(SystemClock.now().as_nanosecond()).unwrap_or(1),
    }
}

/// Lets requests that are under way end, for so long and until somebody is in a hurry. Says whether all did.
async fn drain(server: Server, interrupts: &mut Interrupts) -> bool {
    tokio::select! {
        () = server.drain() => true,
        () = tokio::time::sleep(FAREWELL) => false,
        () = interrupts.come() => false,
    }
}

fn failed(error: impl std::fmt::Display) -> CliError {
    CliError::Failed(error.to_string())
}

/// What can be said before anything is touched.
fn check(args: &LocalArgs) -> Result<(), CliError> {
    if args.stable == args.canary {
        return Err(CliError::Usage(format!(
            "--stable and --canary are both {}; two versions need two addresses",
            args.stable
        )));
    }
    let here = |address: &Address| address.port() == args.listen.port() && address.is_loopback();
    let reaches_loopback = args.listen.ip().is_loopback() || args.listen.ip().is_unspecified();
    for (flag, address) in [("--stable", &args.stable), ("--canary", &args.canary)] {
        if reaches_loopback && args.listen.port() != 0 && here(address) {
            let words = format!("--listen {} is the address of {flag}; callers need one of their own", args.listen);
            return Err(CliError::Usage(words));
        }
    }
    if let Some(path) = args.health.as_ref().filter(|path| !path.starts_with('/')) {
        return Err(CliError::Usage(format!("--health {path} is not a path; write it like /healthz")));
    }
    if args.timeout.get().is_zero() {
        return Err(CliError::Usage("--timeout must be above 0".into()));
    }
    Ok(())
}

fn folder_path(args: &LocalArgs, rollout: &Rollout) -> Result<PathBuf, CliError> {
    if let Some(folder) = &args.state_dir {
        return Ok(folder.clone());
    }
    let name = args.name.clone().or_else(|| rollout.metadata.name.clone()).unwrap_or_default();
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\']) {
        return Err(CliError::Usage(format!("\"{name}\" is no name for a folder; give --name")));
    }
    Ok(place::root()?.join(name))
}

/// How other commands reach this one.
fn option(args: &LocalArgs) -> String {
    match (&args.state_dir, &args.name) {
        (Some(folder), _) => {
            let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
            format!("--local {}", whole.display())
        }
        (None, Some(name)) => format!("--local {name}"),
        (None, None) => "--local".to_owned(),
    }
}

/// Holds the folder. A command that looks whether somebody does holds it for a moment itself.
async fn hold(path: &Path) -> Result<Folder, CliError> {
    let mut tries = 0;
    loop {
        match Folder::open(path) {
            Err(FolderError::InUse(_)) if tries < 5 => tries += 1,
            opened => return opened.map_err(failed),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, CliError> {
    TcpListener::bind(address).await.map_err(|error| {
        let what = match error.kind() {
            ErrorKind::AddrInUse => "something listens there already; stop it, or give another --listen".to_owned(),
            ErrorKind::PermissionDenied => {
                "ports under 1024 need the right to (on Linux CAP_NET_BIND_SERVICE); give another --listen".to_owned()
            }
            ErrorKind::AddrNotAvailable => "this machine has no such address; 0.0.0.0 means all it has".to_owned(),
            _ => error.to_string(),
        };
        CliError::Failed(format!("cannot listen on {address}: {what}"))
    })
}

/// Serves the commands, and says where in the folder's kubeconfig.
async fn serve_api(site: &Site) -> Result<JoinHandle<()>, CliError> {
    let loopback = (std::net::Ipv4Addr::LOCALHOST, 0);
    let listener = TcpListener::bind(loopback)
        .await
        .map_err(|error| CliError::Failed(format!("cannot listen on 127.0.0.1 for other commands: {error}")))?;
    let address = listener.local_addr()?;
    let token =
        rest::token().ok_or_else(|| CliError::Failed("the system gives no random numbers for a token".into()))?;
    let key = site.key();
    let config = rest::kubeconfig(address, &token, &key.name, &key.namespace);
    let text = crate::yaml::write(&config).map_err(failed)?;
    site.objects().folder().write_text(place::KUBECONFIG, &text).map_err(failed)?;
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "local".into());
    let routes = rest::routes(site.clone(), &token, &user);
    Ok(tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            tracing::error!(%error, "other commands are not served any more");
        }
    }))
}

/// Prints what happens and takes changes of the file over, until it is interrupted.
async fn tell(
    lines: &mut Lines,
    interrupts: &mut Interrupts,
    site: &Site,
    path: &Path,
    manifest: Manifest,
) -> Result<(), CliError> {
    let mut watched = Watched { seen: stamp(path), manifest };
    let mut look = tokio::time::interval(FILE_EVERY);
    loop {
        tokio::select! {
            () = interrupts.come() => return Ok(()),
            news = lines.next() => lines.print(news)?,
            _ = look.tick() => {
                if let Some(text) = watched.reread(site, path) {
                    lines.say(&text)?;
                }
            }
        }
    }
}

/// The file as it was read last.
struct Watched {
    seen: Option<(SystemTime, u64)>,
    manifest: Manifest,
}

fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let data = std::fs::metadata(path).ok()?;
    Some((data.modified().ok()?, data.len()))
}

impl Watched {
    /// Takes a changed file over; what there is to say of it.
    fn reread(&mut self, site: &Site, path: &Path) -> Option<String> {
        let now = stamp(path)?;
        if self.seen == Some(now) {
            return None;
        }
        self.seen = Some(now);
        let next = match load(path) {
            Ok(next) if next == self.manifest => return None,
            Ok(next) => next,
            Err(error) => return Some(format!("{error}\n  the file as it was stays in force")),
        };
        let taken = site.apply_templates(next.templates.clone()).and_then(|()| site.apply(next.rollout.clone()));
        self.manifest = next;
        Some(match taken {
            Ok(_) => format!("{} has changed and is taken over", path.display()),
            Err(error) => format!("{} has changed and is not taken over: {error}", path.display()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(clap::Parser, Debug)]
    struct Typed {
        #[command(flatten)]
        args: LocalArgs,
    }

    fn typed(more: &str) -> Result<(), String> {
        let words = format!("local -f web.yaml {more}");
        let typed = Typed::try_parse_from(words.split_whitespace()).map_err(|error| error.to_string())?;
        check(&typed.args).map_err(|error| error.to_string())
    }

    #[test]
    fn addresses_that_make_no_sense_are_refused_in_words() {
        let two = "--stable http://127.0.0.1:8081 --canary http://127.0.0.1:8082";
        assert_eq!(typed(&format!("{two} --listen 127.0.0.1:8080")), Ok(()));
        for (more, said) in [
            (format!("{two} --listen 127.0.0.1:8081"), "is the address of --stable"),
            (format!("{two} --listen 0.0.0.0:8082"), "is the address of --canary"),
            (format!("{two} --listen 127.0.0.1:8080 --health healthz"), "is not a path"),
            (format!("{two} --listen 127.0.0.1:8080 --timeout 0s"), "above 0"),
            (format!("{two} --listen 8080"), "--listen"),
            ("--stable https://a --canary http://b --listen 127.0.0.1:8080".into(), "https is not spoken here"),
            (
                "--stable http://a --canary http://a:80 --listen 127.0.0.1:8080".into(),
                "two versions need two addresses",
            ),
        ] {
            let error = typed(&more).unwrap_err();
            assert!(error.contains(said), "{more}: {error}");
        }
    }
}
