//! Two controllers that are paused and cut off from the API server again and again, while releases continue and users ask:
//! only the holder of the Lease ever writes, and no request is lost. Who wrote when is read from the API server's audit log,
//! from outside of both processes.
//!
//! `make test` plays a few faults; `GLIDEPATH_PAUSES=200` plays that many.

use crate::audit::{Audit, Stray};
use crate::controller::{Apart, away};
use crate::lane;
use crate::load::Load;
use crate::partition::{Link, Network};
use crate::relay::leader;
use crate::say::say;
use crate::server::Server;
use crate::shop::{PATIENCE, Shop, TWO_WEIGHTS, assert_all_well, changed};
use crate::wait::{until, wait_until};
use jiff::Timestamp;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{scope, sleep};
use std::time::Duration;

const SEED: u64 = 20_261_128;
const NAMES: [&str; 2] = ["glidepath-a", "glidepath-b"];
const FEW: usize = 10;
const TWO_SHORT_STEPS: &str = "
      - setWeight: 20
      - pause: {duration: 2s}
      - setWeight: 50
      - pause: {duration: 2s}
";

/// What happens to one controller.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// The process is suspended.
    Pause,
    Partition(Network),
}

/// A fault of one controller: so long after the one before, and so long.
#[derive(Debug, Clone, Copy)]
struct Turn {
    fault: Fault,
    after: Duration,
    lasts: Duration,
}

impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.fault {
            Fault::Pause => "paused",
            Fault::Partition(Network::Refusing) => "refused",
            Fault::Partition(Network::Dropping) => "dropped",
            Fault::Partition(_) => "delayed",
        };
        write!(f, "{what} for {:.1}s", self.lasts.as_secs_f64())
    }
}

/// The faults of one controller. The first leader is paused for longer than its Lease lasts while the other is well; after
/// that short faults are more frequent than long ones, and those of the two controllers overlap as it comes.
fn plan(member: usize, faults: usize) -> Vec<Turn> {
    let mut random = fastrand::Rng::with_seed(SEED + member as u64);
    let seconds = Duration::from_secs_f64;
    let mut turns: Vec<Turn> = (0..faults)
        .map(|_| {
            let fault = *random.choice(&KINDS).unwrap_or(&Fault::Pause);
            Turn { fault, after: seconds(1.0 + 6.0 * random.f64()), lasts: seconds(60.0 * random.f64().powi(3)) }
        })
        .collect();
    match (member, turns.first_mut()) {
        (0, Some(first)) => *first = Turn { fault: Fault::Pause, after: seconds(2.0), lasts: seconds(22.0) },
        (_, Some(first)) => first.after = seconds(30.0),
        _ => {}
    }
    turns
}

const KINDS: [Fault; 4] = [
    Fault::Pause,
    Fault::Partition(Network::Refusing),
    Fault::Partition(Network::Dropping),
    Fault::Partition(Network::Delaying),
];

/// One of the two controllers, behind a link of its own. It starts again when it has ended, as its Deployment would.
struct Member {
    apart: Apart,
    link: Arc<Link>,
    server: Mutex<Server>,
    /// Microseconds since 1970 at which what was held back was let through.
    delivered: Mutex<Vec<i64>>,
}

impl Member {
    fn start(index: usize) -> Self {
        let link = Link::to("127.0.0.1:6443".parse().unwrap()).unwrap();
        let apart = Apart::new(NAMES[index], &format!("127.0.0.1:{}", 8092 + index), link.address());
        let server = Mutex::new(apart.start());
        Self { apart, link, server, delivered: Mutex::default() }
    }

    fn play(&self, turns: &[Turn], played: &AtomicUsize, all: usize) {
        for turn in turns {
            self.live(turn.after);
            let number = played.fetch_add(1, Ordering::Relaxed) + 1;
            say(format_args!("fault {number} of {all}: {} {turn}", self.apart.identity));
            match turn.fault {
                Fault::Pause => {
                    let server = self.server.lock().unwrap();
                    server.signal("STOP").unwrap();
                    sleep(turn.lasts);
                    server.signal("CONT").unwrap();
                }
                Fault::Partition(network) => {
                    self.link.set(network);
                    self.live(turn.lasts);
                    if network == Network::Delaying {
                        self.delivered.lock().unwrap().push(Timestamp::now().as_microsecond());
                    }
                    self.link.set(Network::Whole);
                }
            }
        }
        self.live(Duration::from_secs(2));
    }

    /// Whether a write of this process that came after its term is what a network may do to one that was sent in time: it was
    /// let through just now, and it took effect only on what the process had seen.
    fn was_delivered_late(&self, stray: &Stray) -> bool {
        let just = |since: &i64| (*since..since + 2_000_000).contains(&stray.write.received);
        stray.identity == self.apart.identity
            && stray.write.conditional
            && self.delivered.lock().unwrap().iter().any(just)
    }

    /// Time passes, and a controller that ended starts again.
    fn live(&self, time: Duration) {
        let _ = until(time, || {
            let mut server = self.server.lock().unwrap();
            if server.check().is_err() {
                *server = self.apart.start();
            }
            sleep(Duration::from_millis(200));
            Ok(false)
        });
    }
}

fn faults() -> usize {
    std::env::var("GLIDEPATH_PAUSES").map_or(FEW, |text| text.parse().expect("GLIDEPATH_PAUSES is a number"))
}

fn open(namespace: &'static str) -> Shop {
    let yaml = changed(
        &Shop::yaml(),
        &[
            (TWO_WEIGHTS, TWO_SHORT_STEPS),
            ("  analysis: {templates: [{name: errors}]}\n", ""),
            // Time without a leader is no fault of the version.
            ("progressDeadline: 60s", "progressDeadline: 1h"),
        ],
    );
    let shop = Shop::apply(namespace, &yaml);
    shop.wait_for_stable(1);
    shop.answers("v1");
    shop
}

/// One release after another, until `over`; the first has begun. How many there were.
fn release(shops: &[Shop], over: &AtomicBool) -> usize {
    let mut releases = 1;
    while !over.load(Ordering::Relaxed) {
        for shop in shops {
            let status = shop.status();
            if status["phase"] == "Healthy" {
                releases += 1;
                shop.release(&format!("v{}", releases + 1));
            }
        }
        sleep(Duration::from_secs(3));
    }
    releases
}

#[test]
fn paused_and_partitioned_controllers_never_write_beside_the_leader() {
    let faults = faults();
    let shops = ["leaders-1", "leaders-2"].map(open);
    let users: Vec<Load> = shops.iter().map(Shop::users).collect();
    let _away = away();
    let first = Member::start(0);
    wait_until(PATIENCE, "the first to lead", || leader() == NAMES[0]);
    let pair = [first, Member::start(1)];
    say(format_args!("{faults} faults by seed {SEED}"));
    shops[0].release("v2");
    wait_until(PATIENCE, "the leader to write a route", || shops[0].weights() != (100, 0));

    let (over, played) = (AtomicBool::new(false), AtomicUsize::new(0));
    let releases = scope(|scope| {
        let releasing = scope.spawn(|| release(&shops, &over));
        let playing: Vec<_> = (0..pair.len())
            .map(|index| {
                let (member, played) = (&pair[index], &played);
                let own = faults / 2 + faults % 2 * (1 - index);
                scope.spawn(move || member.play(&plan(index, own), played, faults))
            })
            .collect();
        let played: Vec<_> = playing.into_iter().map(|one| one.join()).collect();
        over.store(true, Ordering::Relaxed);
        let releases = releasing.join();
        played.into_iter().for_each(|one| one.unwrap());
        releases.unwrap()
    });
    for shop in &shops {
        shop.wait_longer(PATIENCE * 3, "the last release to end well", |status| {
            status["phase"] == "Healthy" && status["stableRevision"] == status["currentRevision"]
        });
    }
    for load in users {
        assert_all_well(&load.stop().unwrap());
    }
    judge(&pair, releases);
}

/// What the API server's log says about it.
fn judge(pair: &[Member], releases: usize) {
    let audit = Audit::read(lane().folder(), &NAMES).unwrap();
    let (writes, terms) = (audit.by_process(), audit.terms());
    let late = |stray: &Stray| pair.iter().any(|member| member.was_delivered_late(stray));
    let (late, strays): (Vec<_>, Vec<_>) = audit.strays().into_iter().partition(late);
    println!("{releases} releases, {terms} terms of leadership, writes by process and kind: {writes:?}");
    println!("sent in time, delivered after the term, and conditional on what was observed: {late:?}");
    assert!(strays.is_empty(), "written without the Lease: {strays:#?}");
    for name in NAMES {
        let of = |resource: &str| writes.get(&(name, resource)).copied().unwrap_or_default();
        assert!(of("virtualservices") > 0, "{name} wrote no route: the faults tested nothing");
    }
    assert!(terms >= 2 && releases >= 2, "{terms} terms, {releases} releases");
}
