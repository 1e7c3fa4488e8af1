//! An orderly beginning and end, and between them whatever happens.

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
    args::{LocalArgs, check, folder_path, option, routing},
    file::{Manifest, load},
    gates, place,
    show::Lines,
};
use crate::{
    cli::{
        args::global::Global,
        exit::{CliError, Exit},
        interrupt::Interrupts,
        offline::lint::files::Files,
    },
    clock::SystemClock,
    local::{
        serve::Server,
        site::{
            Setup, Site,
            drive::drive,
            folder::{Folder, FolderError},
            random, rest,
        },
    },
    ports::Clock,
};

/// How long requests that are under way may take when it ends.
const FAREWELL: Duration = Duration::from_secs(10);
/// How long a caller may keep a connection without sending the head of a request.
const IDLE: Duration = Duration::from_secs(75);
/// How often the file is looked at.
const FILE_EVERY: Duration = Duration::from_secs(1);

/// Runs until it is interrupted.
pub async fn run(args: &LocalArgs, global: &Global) -> Result<Exit, CliError> {
    check(args)?;
    let paths = args.files.all()?;
    let routing = routing(args);
    let manifest = load(&paths, routing)?;
    let path = folder_path(args, &manifest.rollout)?;
    let folder = hold(&path).await?;
    let listener = match args.listen {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let (news, heard) = mpsc::unbounded_channel();
    let setup = setup(args, &manifest).await?;
    let site = Site::open(folder, setup, Arc::new(SystemClock), news).map_err(failed)?;
    site.apply_templates(manifest.templates.clone()).map_err(failed)?;
    site.look(args.health.as_deref()).await;
    let api = serve_api(&site).await?;
    let server = listener.map(|listener| serve(&site, listener)).transpose()?;

    let mut interrupts = Interrupts::new()?;
    let mut lines = Lines::new(&site, heard, global);
    lines.begin(args, &manifest.notes, server.as_ref().map(|server| server.address), &path)?;
    let stop = CancellationToken::new();
    let driving = tokio::spawn({
        let (site, health, stop) = (site.clone(), args.health.clone(), stop.clone());
        async move { drive(&site, health, stop).await }
    });
    let told = tell(&mut lines, &mut interrupts, &site, &paths, manifest).await;
    stop.cancel();
    let drained = match server {
        Some(server) => Some(drain(server, &mut interrupts).await),
        None => None,
    };
    api.abort();
    if let Err(error) = driving.await {
        tracing::error!(%error, "the engine ended unexpectedly");
    }
    site.objects().folder().remove(place::KUBECONFIG).map_err(failed)?;
    lines.end(drained)?;
    told.map(|()| Exit::Done)
}

fn serve(site: &Site, listener: TcpListener) -> Result<Server, CliError> {
    let proxy = site.proxy().clone();
    Server::on(listener, Some(IDLE), move |request| proxy.clone().pass(request)).map_err(failed)
}

async fn setup(args: &LocalArgs, manifest: &Manifest) -> Result<Setup, CliError> {
    Ok(Setup {
        rollout: manifest.rollout.clone(),
        templates: manifest.templates.clone(),
        option: option(args),
        gates: Arc::new(gates::FileGates),
        addresses: [args.stable.clone(), args.canary.clone()],
        timeout: args.timeout.get(),
        seed: u64::try_from(SystemClock.now().as_nanosecond()).unwrap_or(1),
        mesh: args.consul.mesh(&manifest.rollout, args.health.as_ref())?,
        source: args.consul.source().await?,
    })
}

/// Waits for requests in flight, up to a timeout or another signal. Returns whether all have ended.
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

/// Locks the folder. A command that checks whether it is locked holds the lock for a moment itself.
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
            ErrorKind::AddrInUse => "the address is in use; stop the other process, or set another --listen".to_owned(),
            ErrorKind::PermissionDenied => {
                "ports below 1024 require privileges (CAP_NET_BIND_SERVICE on Linux); set another --listen".to_owned()
            }
            ErrorKind::AddrNotAvailable => "this machine has no such address; 0.0.0.0 listens on all".to_owned(),
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
    let token = random::token()
        .ok_or_else(|| CliError::Failed("cannot get random bytes for a token from the system".into()))?;
    let key = site.key();
    let config = rest::kubeconfig(address, &token, &key.name, &key.namespace);
    let text = crate::yaml::write(&config).map_err(failed)?;
    site.objects().folder().write_text(place::KUBECONFIG, &text).map_err(failed)?;
    let routes = rest::routes(site.clone(), &token, &user(|name| std::env::var(name).ok()));
    Ok(tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            tracing::error!(%error, "the API for other commands has stopped");
        }
    }))
}

/// Who gives the commands: only the user who started it can read the token.
fn user(variable: impl Fn(&str) -> Option<String>) -> String {
    let named = ["USER", "LOGNAME"].into_iter().find_map(|name| variable(name).filter(|user| !user.is_empty()));
    named.unwrap_or_else(|| "local".into())
}

/// Prints what happens and takes changes of the file over, until it is interrupted.
async fn tell(
    lines: &mut Lines,
    interrupts: &mut Interrupts,
    site: &Site,
    paths: &[PathBuf],
    manifest: Manifest,
) -> Result<(), CliError> {
    let mut watched = Watched { seen: stamps(paths), manifest };
    let mut look = tokio::time::interval(FILE_EVERY);
    loop {
        tokio::select! {
            () = interrupts.come() => return Ok(()),
            news = lines.next() => lines.print(news)?,
            _ = look.tick() => {
                if let Some(text) = watched.reread(site, paths) {
                    lines.say(&text)?;
                }
            }
        }
    }
}

/// The files as they were read last.
struct Watched {
    seen: Option<Vec<Stamp>>,
    manifest: Manifest,
}

/// A file, when it was last written, and its size.
type Stamp = (PathBuf, SystemTime, u64);

/// All files that the paths name; none while one of them cannot be read.
fn stamps(paths: &[PathBuf]) -> Option<Vec<Stamp>> {
    let stamp = |path: PathBuf| {
        let data = std::fs::metadata(&path).ok()?;
        Some((path, data.modified().ok()?, data.len()))
    };
    Files::default().named(paths).ok()?.into_iter().map(stamp).collect()
}

impl Watched {
    /// Takes changed files over; what there is to say of them.
    fn reread(&mut self, site: &Site, paths: &[PathBuf]) -> Option<String> {
        let now = stamps(paths)?;
        if self.seen.as_ref() == Some(&now) {
            return None;
        }
        self.seen = Some(now);
        let next = match load(paths, site.routing()) {
            Ok(next) if next == self.manifest => return None,
            Ok(next) => next,
            Err(error) => return Some(format!("{error}\n  the previous version of the file stays in effect")),
        };
        let taken = site.apply_templates(next.templates.clone()).and_then(|()| site.apply(next.rollout.clone()));
        self.manifest = next;
        let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        let changed = format!("{} has changed", names.join(", "));
        Some(match taken {
            Ok(_) => format!("{changed} and was applied"),
            Err(error) => format!("{changed} and was not applied: {error}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_carry_the_name_of_who_started_it() {
        let environment = |set: &'static [(&str, &str)]| {
            move |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        for (set, name) in [
            (&[("USER", "ann"), ("LOGNAME", "bob")] as &'static [_], "ann"),
            (&[("USER", ""), ("LOGNAME", "bob")], "bob"),
            (&[], "local"),
        ] {
            assert_eq!(user(environment(set)), name);
        }
    }
}
