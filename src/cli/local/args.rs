//! The command line of `glidepath local`, and what can be said of it before anything is touched.

use std::{net::SocketAddr, path::PathBuf};

use super::{consul::ConsulArgs, place};
use crate::{
    api::{HumanDuration, Rollout},
    cli::{args::files::FileArgs, exit::CliError},
    local::{address::Address, site::admission::Routing},
};

/// Release between two addresses on this machine, without a cluster
///
/// Callers use the address of --listen. Every request goes to one of the two addresses behind it, by the steps of the
/// file; what they answer is counted and judged, and a bad version loses its traffic again.
///
/// Start the new version at the address that has no traffic, then name it: with 'glidepath set image NAME ... --local', or
/// in the file, which is read again whenever it changes. After a promotion the two addresses have swapped roles: the next
/// version goes where the old one was.
///
/// With --consul there is no address for clients: both versions are registered as instances of one service in Consul's mesh, and
/// its sidecars split the requests.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  glidepath local -f rollout.yaml --listen 127.0.0.1:8080 \\
    --stable http://127.0.0.1:8081 --canary http://127.0.0.1:8082
  glidepath local -f rollout.yaml --listen 0.0.0.0:80 --health /healthz \\
    --stable http://10.0.0.4:80 --canary http://10.0.0.5:80
  CONSUL_HTTP_TOKEN_FILE=/etc/web/token glidepath local -f rollout.yaml \\
    --consul http://127.0.0.1:8500 --consul-service web \\
    --stable http://127.0.0.1:8081 --canary http://127.0.0.1:8082

The files are read again when they change, so that standard input is refused.

In another terminal:
  glidepath status web --local --watch
  glidepath set image web web=web:v2 --local
  glidepath abort web --local

Ctrl-C stops it after requests in flight are finished; after a restart the release resumes. Exit code 0 after a graceful shutdown, 1 when it cannot start, 2 on a usage error.")]
pub struct LocalArgs {
    /// The file of the Rollout, with the AnalysisTemplates it references.
    #[command(flatten)]
    pub files: FileArgs,
    /// The address of the stable version
    #[arg(long, value_name = "URL")]
    pub stable: Address,
    /// The address of the next version
    #[arg(long, value_name = "URL")]
    pub canary: Address,
    /// The address for clients; :8080 is 127.0.0.1:8080
    #[arg(long, value_name = "ADDRESS", value_parser = listen, required_unless_present = "consul")]
    pub listen: Option<SocketAddr>,
    /// Consul as the router.
    #[command(flatten)]
    pub consul: ConsulArgs,
    /// The name of the state folder; default: the Rollout's name
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Keep the state in this folder instead of $XDG_STATE_HOME/glidepath/NAME; use --local FOLDER with other commands
    /// then
    #[arg(long, value_name = "FOLDER", conflicts_with = "name")]
    pub state_dir: Option<PathBuf>,
    /// Health check path: a version is up when a GET returns a status below 400. Default: when it accepts connections
    #[arg(long, value_name = "PATH")]
    pub health: Option<String>,
    /// Response timeout of a version
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub timeout: HumanDuration,
}

/// Other programs take an address without a host for all addresses; here other machines are let in only where that is asked for.
fn listen(text: &str) -> Result<SocketAddr, String> {
    let whole =
        text.strip_prefix(':').or_else(|| text.strip_prefix("localhost:")).map(|port| format!("127.0.0.1:{port}"));
    whole
        .as_deref()
        .unwrap_or(text)
        .parse()
        .map_err(|_| "is not an address; use 127.0.0.1:8080 or :8080 for this machine, 0.0.0.0:8080 for all".to_owned())
}

/// What can be said before anything is touched.
pub(super) fn check(args: &LocalArgs) -> Result<(), CliError> {
    if args.files.all()?.iter().any(|path| path.as_os_str() == "-") {
        let words = "local reads its files again when they change; name a file instead of standard input";
        return Err(CliError::Usage(words.into()));
    }
    if args.stable == args.canary {
        return Err(CliError::Usage(format!(
            "--stable and --canary are both {}; two versions need two addresses",
            args.stable
        )));
    }
    if let Some(listen) = args.listen {
        check_listen(args, listen)?;
    }
    if let Some(path) = args.health.as_ref().filter(|path| !path.starts_with('/')) {
        return Err(CliError::Usage(format!("--health {path} is not a path; use a path like /healthz")));
    }
    if args.timeout.get().is_zero() {
        return Err(CliError::Usage("--timeout must be above 0".into()));
    }
    Ok(())
}

fn check_listen(args: &LocalArgs, listen: SocketAddr) -> Result<(), CliError> {
    let here = |address: &Address| address.port() == listen.port() && address.is_loopback();
    let reaches_loopback = listen.ip().is_loopback() || listen.ip().is_unspecified();
    for (flag, address) in [("--stable", &args.stable), ("--canary", &args.canary)] {
        if reaches_loopback && listen.port() != 0 && here(address) {
            let words = format!("--listen {listen} is the address of {flag}; use a different address for clients");
            return Err(CliError::Usage(words));
        }
    }
    Ok(())
}

/// What routes between the two addresses.
pub(super) fn routing(args: &LocalArgs) -> Routing {
    args.consul.routing()
}

/// Where the state is kept.
pub(super) fn folder_path(args: &LocalArgs, rollout: &Rollout) -> Result<PathBuf, CliError> {
    if let Some(folder) = &args.state_dir {
        return Ok(folder.clone());
    }
    let name = args.name.clone().or_else(|| rollout.metadata.name.clone()).unwrap_or_default();
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\']) {
        return Err(CliError::Usage(format!("\"{name}\" is not a valid folder name; set --name")));
    }
    Ok(place::root()?.join(name))
}

/// How other commands reach this one.
pub(super) fn option(args: &LocalArgs) -> String {
    match (&args.state_dir, &args.name) {
        (Some(folder), _) => {
            let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
            format!("--local {}", whole.display())
        }
        (None, Some(name)) => format!("--local {name}"),
        (None, None) => "--local".to_owned(),
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
    fn an_address_without_a_host_is_on_this_machine() {
        for (text, wanted) in [
            (":8080", "127.0.0.1:8080"),
            ("localhost:80", "127.0.0.1:80"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("[::1]:9", "[::1]:9"),
        ] {
            assert_eq!(listen(text), Ok(wanted.parse().unwrap()), "{text}");
        }
        assert!(listen("web:http").unwrap_err().contains("use 127.0.0.1:8080"));
    }

    #[test]
    fn addresses_that_make_no_sense_are_refused_in_words() {
        let two = "--stable http://127.0.0.1:8081 --canary http://127.0.0.1:8082";
        assert_eq!(typed(&format!("{two} --listen 127.0.0.1:8080")), Ok(()));
        assert_eq!(typed(&format!("{two} --consul http://127.0.0.1:8500")), Ok(()));
        for (more, said) in [
            (format!("{two} --listen 127.0.0.1:8081"), "is the address of --stable"),
            (format!("{two} --listen 0.0.0.0:8082"), "is the address of --canary"),
            (format!("{two} --listen 127.0.0.1:8080 --health healthz"), "is not a path"),
            (format!("{two} --listen 127.0.0.1:8080 --timeout 0s"), "above 0"),
            (format!("{two} --listen 8080"), "--listen"),
            (format!("- {two} --listen 127.0.0.1:8080"), "name a file instead of standard input"),
            (two.to_owned(), "--listen"),
            (format!("{two} --listen 127.0.0.1:8080 --consul http://127.0.0.1:8500"), "cannot be used with"),
            (format!("{two} --listen 127.0.0.1:8080 --consul-service web"), "cannot be used with"),
            (format!("{two} --listen 127.0.0.1:8080 --prometheus http://a"), "--prometheus"),
            ("--stable https://a --canary http://b --listen 127.0.0.1:8080".into(), "https is not supported"),
            (
                "--stable http://a --canary http://a:80 --listen 127.0.0.1:8080".into(),
                "two versions need two addresses",
            ),
        ] {
            let error = typed(&more).expect_err(&more);
            assert!(error.contains(said), "{more}: {error}");
        }
    }
}
