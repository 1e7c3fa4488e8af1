//! `glidepath demo`: the main job without a cluster, with real requests, in under two minutes.
//!
//! Three versions of one service are deployed one after the other: the first, a good one, and a bad one. The engine and the
//! judges are the controller's; only the pods and the router are local ([`crate::local`]).

mod chapter;
mod file;
mod log;
mod play;
mod show;
mod speed;
mod summary;

use std::{io::IsTerminal, path::PathBuf, sync::Arc, time::Duration};

use hyper::header::{HeaderName, HeaderValue};
use jiff::SignedDuration;

use super::{
    args::global::Global,
    exit::{CliError, Exit},
    interrupt::Interrupts,
};
use crate::{
    api::{HumanDuration, Percent, status::Outcome},
    engine::items::{header_routes, items},
    local::{
        LocalWorld,
        pods::Behaviour,
        proxy::Proxy,
        serve::Server,
        traffic::{Traffic, Users},
    },
    ports::Clock,
    routing::requests::example,
    view::phrases::short,
};

use chapter::{Chapter, Ending};
use file::Manifest;
use play::Play;
use show::Show;
use speed::FastClock;
use summary::{Account, counted};

/// Run a good and a bad release on this machine, with real requests
#[derive(clap::Args, Clone, Debug)]
pub struct DemoArgs {
    /// Use this Rollout (and the AnalysisTemplates in the same file) instead of the demo's
    #[arg(long, value_name = "FILE")]
    pub rollout: Option<PathBuf>,
    /// The error rate of the bad version
    #[arg(long, value_name = "PERCENT", default_value = "5%")]
    pub error_rate: Percent,
    /// The response time of every request
    #[arg(long, value_name = "TIME", default_value = "20ms")]
    pub latency: HumanDuration,
    /// Requests per second
    #[arg(long, value_name = "NUMBER", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    pub rps: u32,
    /// The random seed
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// Pass time so many times as fast: with 60 a wait of an hour takes a minute. Requests are not sent faster, so there
    /// are as many fewer of them in each window
    #[arg(long, value_name = "FACTOR", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub speed: u32,
}

/// What good versions answer with errors: as real services do, once in 2,000 requests.
const USUAL_ERROR_RATE: f64 = 0.0005;
/// How long a pod may take to begin an answer: longer than the users wait.
const TIMEOUT: Duration = Duration::from_secs(60);
/// A file that takes longer than this is not watched to its end.
const LONG: Duration = Duration::from_secs(60);
/// How long a pod takes to start.
const START_UP: Duration = Duration::from_millis(400);

/// Runs the demo. `Done` when the good version was promoted and the bad one rolled back.
pub async fn run(args: &DemoArgs, global: &Global) -> Result<Exit, CliError> {
    let manifest = file::load(args.rollout.as_deref())?;
    let terminal = std::io::stdout().is_terminal();
    let mut show = Show::new(terminal, global.color_on());
    show.say(&introduction(args, &manifest))?;
    let judged = manifest.rollout.spec.background().is_some();
    let testers = testers(&manifest);
    let clock: Arc<dyn Clock> = Arc::new(FastClock::new(args.speed));
    let loopback =
        |error| CliError::Failed(format!("cannot listen on 127.0.0.1: {error}; the demo needs free ports there"));
    let interrupts = Interrupts::new()?;
    let proxy = Arc::new(Proxy::new(args.seed, TIMEOUT, "no ready pod behind this route"));
    let (serving, router) = (proxy.clone(), proxy.clone());
    let server = Server::start(move |request| serving.clone().pass(request)).await.map_err(loopback)?;
    let seed = args.seed.wrapping_add(1);
    let world = LocalWorld::new(manifest.rollout, manifest.templates, proxy, clock.clone(), seed);
    let beat = play::BEAT / args.speed;
    let mut play = Play { world: world.clone(), clock, beat, traffic: None, show: &mut show, interrupts };
    let told = tell_story(&mut play, args, server.address, &testers).await;
    let traffic = play.traffic.take();
    let tally = match traffic {
        Some(traffic) => traffic.stop().await,
        None => Default::default(),
    };
    server.drain().await;
    world.shut_down().await;
    let (counted, mirrored) = (world.counters().in_all().total, router.mirrored());
    let account = Account { endings: told?, tally, counted, mirrored, judged, width: global.width() };
    show.say(&summary::text(&account))?;
    Ok(if account.as_told() && account.none_lost() { Exit::Done } else { Exit::Failed })
}

/// What the requests carry that the file's header routes match: all but what only an expression describes.
fn testers(manifest: &Manifest) -> Vec<(HeaderName, HeaderValue)> {
    let steps = items(&manifest.rollout.spec.strategy.steps());
    header_routes(&steps).iter().filter_map(|route| example(&route.matches)).collect()
}

/// The chapters, until one does not go as expected.
async fn tell_story(
    play: &mut Play<'_>,
    args: &DemoArgs,
    address: std::net::SocketAddr,
    testers: &[(HeaderName, HeaderValue)],
) -> Result<Vec<Ending>, CliError> {
    let mut endings = Vec::new();
    for chapter in chapters(args) {
        let ending = play.chapter(chapter).await?;
        let goes_on = ending.as_told();
        endings.push(ending);
        if !goes_on {
            break;
        }
        if play.traffic.is_none() {
            let users = Users { rps: args.rps, testers: testers.to_vec() };
            play.traffic = Some(Traffic::start(address, users));
            play.show.say(&format!("Load: {} per second from now on.\n", counted(args.rps.into(), "request")))?;
        }
    }
    Ok(endings)
}

fn chapters(args: &DemoArgs) -> [Chapter; 3] {
    let behaviour = |version: &str, error_rate| Behaviour {
        version: version.to_owned(),
        error_rate,
        latency: args.latency.get(),
        start_up: START_UP,
    };
    [
        Chapter { title: "first deploy".into(), behaviour: behaviour("v1", USUAL_ERROR_RATE), expected: None },
        Chapter {
            title: "a good release".into(),
            behaviour: behaviour("v2", USUAL_ERROR_RATE),
            expected: Some(Outcome::Promoted),
        },
        Chapter {
            title: format!("a bad release, {} errors", args.error_rate),
            behaviour: behaviour("v3", args.error_rate.share()),
            expected: Some(Outcome::Aborted),
        },
    ]
}

fn introduction(args: &DemoArgs, manifest: &Manifest) -> String {
    let times = if manifest.own_times { own_times(manifest.least(), args.speed) } else { SHORTENED.to_owned() };
    format!(
        "Glidepath demo, on 127.0.0.1 and without a cluster: real HTTP servers as pods, a\n\
         splitter as router, {} a second. v1 is deployed, then v2 (good), then\n\
         v3 ({} errors). The engine and the judges are the controller's own.\n\
         {times}\n",
        counted(args.rps.into(), "request"),
        args.error_rate
    )
}

const SHORTENED: &str = "Windows, warm-up, bake and delays are shortened to seconds; a real release takes minutes.";

/// How long the user's file takes, which may be longer than anyone watches.
fn own_times(least: Duration, speed: u32) -> String {
    let shown = |time: Duration| short(SignedDuration::try_from(time).unwrap_or_default());
    let fast = if speed > 1 { format!(", {} at --speed {speed}", shown(least / speed)) } else { String::new() };
    let long = least / speed > LONG;
    let hint =
        if long { "\nCtrl-C sums up what was seen; --speed 60 makes a wait of an hour one of a minute." } else { "" };
    format!(
        "Durations are those of the file: the waits of its steps take at least {} in the good\n\
         release{fast}, longer until the analysis decides.{hint}",
        shown(least)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_ones_own_says_how_long_it_takes() {
        let hour = Duration::from_secs(3_600);
        let text = own_times(hour, 1);
        assert!(text.contains("at least 1h in the good\nrelease, longer") && text.contains("--speed 60"), "{text}");
        let fast = own_times(hour, 60);
        assert!(fast.contains("at least 1h in the good\nrelease, 1m at --speed 60,"), "{fast}");
        assert!(!own_times(Duration::from_secs(20), 1).contains("--speed"));
    }
}
