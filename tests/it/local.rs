//! `glidepath local` as users run it: the real program between two real services on loopback, its commands next to it.

mod bench;
mod keys;
mod walk;
mod words;

use std::{collections::BTreeMap, time::Duration};

use glidepath::local::traffic::{Traffic, Users};

use bench::{Bench, Service, ask, is_binomial};

/// Steps of a canary around a common file. `more` are further fields of the spec.
fn canary(steps: &str, more: &str) -> String {
    format!(
        "apiVersion: glidepath.dev/v1alpha1\nkind: Rollout\nmetadata: {{name: web}}\nspec:\n  scaleDownDelay: 0s\n  \
         abortScaleDownDelay: 0s\n{more}  strategy:\n    canary:\n      steps:\n{steps}"
    )
}

/// Judged quickly: what half of a second's requests say is enough here.
const JUDGED: &str = "  analysis: {templates: [{name: quick}]}\n";
const QUICK: &str = "---
apiVersion: glidepath.dev/v1alpha1
kind: AnalysisTemplate
metadata: {name: quick}
spec:
  metrics:
    - name: errors
      ratio:
        bad: {builtin: errors}
        total: {builtin: requests}
        floor: 5%
        pass: {ratio: 3, ceiling: 20%}
  settings: {window: 1s, warmUp: 1s, alpha: 0.01, phi: 1, bake: {duration: 2s, requests: 50}}
";

fn judged() -> String {
    canary("        - setWeight: 50\n        - observe: {atLeast: 1s, atMost: 60s}\n", JUDGED) + QUICK
}

/// Every answer came from this version.
fn all_from(version: &str, count: u64) -> BTreeMap<String, u64> {
    BTreeMap::from([(version.to_owned(), count)])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evidence_promotes_a_good_version_and_takes_a_bad_one_back() {
    let (mut first, second) = (Service::start("v1", 0).await, Service::start("v2", 0).await);
    let bench = Bench::new(&judged());
    let mut local = bench.start(&first, &second, &[]);
    local.until("revision #1 is stable: first deploy");
    let users = Traffic::start(local.address(), Users::at(200));

    let set = bench.glidepath("set image web web=web:v2 --wait --timeout 2m");
    assert_eq!(set.code, 0, "{}", set.text);
    assert!(set.text.contains("web: image set, web=web:v2") && set.text.contains("#2 is stable"), "{}", set.text);
    local.until(&format!("#1 at {} no longer receives traffic", first.url()));
    assert_eq!(ask(local.address(), 200, "").await, all_from("v2", 200));

    // The next version goes where the first one was, and is bad: every third answer is an error.
    let waits = bench.glidepath("set image web web=web:v3");
    assert_eq!(waits.code, 0, "{}", waits.text);
    local.until(&format!("{} has not been restarted since #1", first.url()));
    first.restart("v3", 3).await;
    let ended = bench.glidepath("status web --wait --timeout 2m");
    assert_eq!(ended.code, 10, "{}", ended.text);
    assert!(ended.text.contains("#3 was rolled back: errors failed"), "{}", ended.text);
    assert_eq!(ask(local.address(), 200, "").await, all_from("v2", 200));

    let tally = users.stop().await;
    assert_eq!((tally.refused, tally.transport_failures, tally.underway()), (0, 0, 0), "{tally:?}");
    let history = bench.glidepath("history web").text;
    for (revision, outcome) in [("#3", "rolled back"), ("#2", "promoted"), ("#1", "promoted")] {
        let line = history.lines().find(|line| line.starts_with(revision)).unwrap_or_default();
        assert!(line.contains(outcome), "{revision} {outcome}: {history}");
    }
    // Back to the version before: it still runs where it was promoted from, or says that it must be started.
    let undo = bench.glidepath("undo web");
    assert_eq!(
        (undo.code, undo.text.contains("shifting all traffic back to revision #2, which is stable")),
        (0, true),
        "{}",
        undo.text
    );
    assert_eq!(bench.glidepath("status web --wait --timeout 1m").code, 0);
    let write = bench.glidepath("undo web --write --to-revision 2");
    assert_eq!(write.code, 0, "{}", write.text);
    assert_eq!(bench.rollout()["spec"]["template"]["spec"]["containers"][0]["image"], "web:v2");
    local.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_go_by_what_they_carry_then_by_weight_and_an_abort_takes_all_back() {
    let steps = "        - setHeaderRoute:
            name: testers
            match: [{header: {name: x-tester, exact: \"yes\"}}, {cookie: {name: beta, prefix: \"on\"}}]
        - setMirrorRoute: {percent: 50}
        - setWeight: 12.5
        - pause: {}\n";
    let (first, second) = (Service::start("v1", 0).await, Service::start("v2", 0).await);
    let bench = Bench::new(&canary(steps, ""));
    let mut local = bench.start(&first, &second, &[]);
    local.until("revision #1 is stable: first deploy");
    bench.glidepath("set image web web=web:v2");
    local.until("step 3 of 4 completed");

    const MANY: u64 = 10_000;
    assert_eq!(ask(local.address(), MANY, "x-tester: yes").await, all_from("v2", MANY));
    assert_eq!(ask(local.address(), 500, "cookie: a=b; beta=only").await, all_from("v2", 500));
    assert_eq!(second.copies(), 0, "what goes to the canary is not copied to it");

    let own = second.own_requests();
    let answers = ask(local.address(), MANY, "x-tester: no").await;
    let canary = answers["v2"];
    assert_eq!(answers.values().sum::<u64>(), MANY);
    assert!(is_binomial(canary, MANY, 0.125), "{answers:?}");
    // The answers to copies reached no one: what callers count is what they asked for.
    assert_eq!(second.own_requests() - own, canary);
    // Half of what stable answered was copied; the last copies, 64 at most, may still be on their way.
    let copied = second.copies();
    let share = (0..=64).any(|late| is_binomial(copied + late, answers["v1"], 0.5));
    assert!(share, "{copied} copies of {}", answers["v1"]);

    let status = bench.glidepath("status web").text;
    assert!(status.contains("continue: glidepath promote web --local"), "{status}");
    let abort = bench.glidepath("abort web --reason test");
    assert_eq!((abort.code, abort.text.contains("abort done")), (0, true), "{}", abort.text);
    let ended = bench.glidepath("status web --wait --timeout 1m");
    assert_eq!(ended.code, 10, "{}", ended.text);
    assert_eq!(ask(local.address(), 500, "x-tester: yes").await, all_from("v1", 500));
    let obsolete = bench.glidepath("promote web");
    assert_eq!(obsolete.code, 1, "{}", obsolete.text);
    local.end();
}

/// Killed without warning in each kind of moment, the release continues where it was: every step is done once, in
/// order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_the_middle_loses_nothing_and_repeats_nothing() {
    let steps =
        "        - setWeight: 20\n        - pause: {duration: 3s}\n        - setWeight: 60\n        - pause: {}\n";
    let (first, second) = (Service::start("v1", 0).await, Service::start("v2", 0).await);
    let bench = Bench::new(&canary(steps, ""));
    let mut local = bench.start(&first, &second, &[]);
    local.until("revision #1 is stable: first deploy");
    bench.glidepath("set image web web=web:v2");
    // Steps without a wait follow one another faster than a process is killed, so only lines that a start repeats are awaited.
    for moment in ["#2  step", "#2  step 2/4  20 %", "#2  step 4/4  60 %"] {
        local.until(moment);
        local.kill();
        local = bench.start(&first, &second, &[]);
    }
    // It is at the pause, with the weight of the step in force from the first request on.
    let answers = ask(local.address(), 2_000, "").await;
    assert!(is_binomial(answers["v2"], 2_000, 0.6), "{answers:?}");
    bench.glidepath("promote web");
    local.until("Promoting");
    local.kill();
    local = bench.start(&first, &second, &[]);
    let ended = bench.glidepath("status web --wait --timeout 1m");
    assert_eq!(ended.code, 0, "{}", ended.text);
    assert_eq!(ask(local.address(), 200, "").await, all_from("v2", 200));

    let told = bench.events();
    let times = |text: &str| told.iter().filter(|message| message.contains(text)).count();
    for step in 1..=4 {
        assert!(times(&format!("step {step} of 4 completed")) <= 1, "{told:?}");
    }
    assert_eq!(times("revision #2 is stable: all steps passed"), 1, "{told:?}");
    let rollout = bench.rollout();
    let status = &rollout["status"];
    let history = status["history"].as_array().unwrap();
    assert_eq!((history.len(), &history[0]["outcome"], &history[0]["attempt"]), (2, &"Promoted".into(), &1.into()));
    assert_eq!(status["commands"].as_array().unwrap().len(), 1);
    local.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_canary_loses_its_traffic_and_gets_it_back_when_it_answers() {
    let (first, mut second) = (Service::start("v1", 0).await, Service::start("v2", 0).await);
    let bench = Bench::new(&canary("        - setWeight: 50\n        - pause: {}\n", ""));
    let mut local = bench.start(&first, &second, &["--health", "/healthz"]);
    local.until("revision #1 is stable: first deploy");
    bench.glidepath("set image web web=web:v2");
    local.until("step 1 of 2 completed");
    second.stop().await;
    let lost = local.until("CanaryLost");
    assert!(
        lost.contains(" -> ") && lost.ends_with("no canary pod is available; stable receives all traffic"),
        "{lost}"
    );
    assert_eq!(ask(local.address(), 200, "").await, all_from("v1", 200));
    second.restart("v2", 0).await;
    local.until("Paused  #2  step 2/2  50 %");
    let answers = ask(local.address(), 2_000, "").await;
    assert!(is_binomial(answers["v2"], 2_000, 0.5), "{answers:?}");
    local.end();
}

/// The file is read again when it changes; a new version in it begins a release, and nonsense changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_file_is_taken_over() {
    let template =
        |version: &str| format!("  template: {{spec: {{containers: [{{name: app, image: \"shop:{version}\"}}]}}}}\n");
    let file = |version: &str| canary("        - setWeight: 50\n        - pause: {}\n", &template(version));
    let (first, second) = (Service::start("v1", 0).await, Service::start("v2", 0).await);
    let bench = Bench::new(&file("1"));
    let mut local = bench.start(&first, &second, &[]);
    local.until("revision #1 is stable: first deploy");
    bench.write(&file("2").replace("setWeight", "setWieght"));
    local.until(
        "rollout.yaml:11:11  error   spec.strategy.canary.steps[0].setWieght: unknown field; did you mean setWeight?",
    );
    local.until("the previous version of the file stays in effect");
    bench.write(&file("2"));
    local.until("rollout.yaml has changed and was applied");
    local.until("step 1 of 2 completed");
    assert_eq!(bench.rollout()["status"]["currentRevision"]["number"], 2);

    // What a command named stays when another part of the file changes, also while no one was looking.
    bench.glidepath("set image web app=shop:3");
    local.until("starting revision #3 at step 1");
    local.end();
    bench.write(&(file("2") + "# a remark\n").replace("  scaleDownDelay: 0s\n", "  scaleDownDelay: 1s\n"));
    let local = bench.start(&first, &second, &[]);
    let rollout = bench.rollout();
    assert_eq!(rollout["spec"]["template"]["spec"]["containers"][0]["image"], "shop:3");
    assert_eq!(rollout["spec"]["scaleDownDelay"], "1s");
    local.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_of_a_sticky_test_stay_on_their_version() {
    let test = "apiVersion: glidepath.dev/v1alpha1\nkind: Rollout\nmetadata: {name: web}\nspec:\n  strategy:\n    abTest:\n      \
                weight: 50\n      sticky: {cookie: variant}\n      goal: {templates: [{name: orders}]}\n---\n\
                apiVersion: glidepath.dev/v1alpha1\nkind: AnalysisTemplate\nmetadata: {name: orders}\nspec:\n  metrics:\n    \
                - name: orders\n      conversion:\n        successes: {prometheus: {counter: orders_total}}\n        \
                trials: {prometheus: {counter: visitors_total}}\n";
    let (first, second) = (Service::start("v1", 0).await, Service::start("v2", 0).await);
    let bench = Bench::new(test);
    let mut local = bench.start(&first, &second, &[]);
    local.until("revision #1 is stable: first deploy");
    bench.glidepath("set image web web=web:v2");
    local.until("step 1 of 2 completed");
    let mut users = BTreeMap::new();
    for _ in 0..40 {
        let (version, cookie) = bench::visit(local.address(), "").await;
        let (again, kept) = bench::visit(local.address(), &cookie).await;
        assert_eq!((again, kept.as_str()), (version.clone(), ""), "{cookie}");
        *users.entry(version).or_insert(0) += 1;
    }
    assert_eq!(users.len(), 2, "{users:?}");
    // Who converts is not counted here: an operator decides.
    assert_eq!(bench.glidepath("promote web --reason more-orders").code, 0);
    assert_eq!(bench.glidepath("status web --wait --timeout 1m").code, 0);
    assert_eq!(bench::visit(local.address(), "").await, ("v2".to_owned(), String::new()));
    local.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s22_users_of_a_sticky_canary_stay_on_it_and_those_of_stable_are_assigned_again() {
    let rollout = "apiVersion: glidepath.dev/v1alpha1\nkind: Rollout\nmetadata: {name: web}\nspec:\n  strategy:\n    canary:\n      \
                   sticky: {cookie: release}\n      steps:\n        - setWeight: 30\n        - pause: {}\n        \
                   - setWeight: 60\n        - pause: {}\n";
    let (first, second) = (Service::start("v1", 0).await, Service::start("v2", 0).await);
    let bench = Bench::new(rollout);
    let mut local = bench.start(&first, &second, &[]);
    local.until("revision #1 is stable: first deploy");
    bench.glidepath("set image web web=web:v2");
    local.until("step 1 of 4 completed");
    let mut users = Vec::new();
    for _ in 0..60 {
        let user = bench::visit(local.address(), "").await;
        assert_eq!(bench::visit(local.address(), &user.1).await, (user.0.clone(), String::new()), "{}", user.1);
        users.push(user);
    }
    assert_eq!(bench.glidepath("promote web").code, 0);
    local.until("step 3 of 4 completed");
    let (mut moved, mut stayed) = (0, 0);
    for (version, cookie) in &mut users {
        let (again, next) = bench::visit(local.address(), cookie).await;
        match (version.as_str(), again.as_str()) {
            ("v2", again) => assert_eq!((again, next.as_str()), ("v2", ""), "{cookie}"),
            (_, "v2") => moved += 1,
            _ => stayed += 1,
        }
        if version == "v1" {
            assert_ne!(next, "", "a user of stable is assigned once at each weight");
            assert_eq!(bench::visit(local.address(), &next).await, (again.clone(), String::new()), "{next}");
            (*version, *cookie) = (again, next);
        }
    }
    assert!(moved > 0 && stayed > 0, "{moved} moved, {stayed} stayed");
    assert_eq!(bench.glidepath("abort web").code, 0);
    bench.glidepath("status web --wait --timeout 1m");
    for (_, cookie) in &users {
        assert_eq!(bench::visit(local.address(), cookie).await, ("v1".to_owned(), String::new()), "{cookie}");
    }
    local.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_say_what_is_wrong_and_what_to_do() {
    let (first, second) = (Service::start("v1", 0).await, Service::start("v2", 0).await);
    let bench = Bench::new(&canary("        - setWeight: 50\n", ""));
    let mut local = bench.start(&first, &second, &[]);
    local.until("revision #1 is stable: first deploy");

    let in_use = bench.refused(&first, &second, "127.0.0.1:0");
    assert!(in_use.contains("is in use by another glidepath local; stop that one"), "{in_use}");
    let other = Bench::new(&canary("        - setWeight: 50\n", ""));
    let taken = other.refused(&first, &second, &local.address().to_string());
    assert!(taken.contains("the address is in use"), "{taken}");
    let missing = other.glidepath("status web");
    assert!(missing.code == 1 && missing.text.contains("is not running"), "{}", missing.text);
    let unknown = bench.glidepath("status wbe");
    assert!(unknown.text.contains("did you mean \"web\"?"), "{}", unknown.text);
    let restart = bench.glidepath("restart web");
    assert!(restart.text.contains("restart the process at the address yourself"), "{}", restart.text);
    local.end();
    let gone = bench.glidepath("status web");
    assert!(gone.code == 1 && gone.text.contains("is not running"), "{}", gone.text);

    let third = Service::start("v3", 0).await;
    let moved = bench.refused(&first, &third, "127.0.0.1:0");
    assert!(moved.contains(&format!("belongs to {} and {}", first.url(), second.url())), "{moved}");
    // The addresses in the other order are the same site.
    let swapped = bench.start(&second, &first, &[]);
    assert_eq!(ask(swapped.address(), 100, "").await, all_from("v1", 100));
    swapped.end();
    bench.write(&canary("        - setCanaryScale: {replicas: 2}\n        - setWeight: 50\n", ""));
    let wrong = bench.refused(&first, &second, "127.0.0.1:0");
    assert!(
        wrong.contains("rollout.yaml:10:11  error   spec.strategy.canary.steps[0].setCanaryScale: there is"),
        "{wrong}"
    );
}

/// Requests that are under way when it ends are answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orderly_end_answers_what_is_under_way() {
    let (first, second) = (Service::start("v1", 0).await, Service::start("v2", 0).await);
    let bench = Bench::new(&canary("        - setWeight: 50\n", ""));
    let mut local = bench.start(&first, &second, &[]);
    local.until("revision #1 is stable: first deploy");
    let address = local.address();
    let slow = tokio::spawn(async move { bench::get(address, "/slow").await });
    first.until_asked_slowly().await;
    let ending = tokio::task::spawn_blocking(move || local.end());
    first.answer_slowly();
    assert_eq!(tokio::time::timeout(Duration::from_secs(20), slow).await.unwrap().unwrap(), "v1");
    ending.await.unwrap();
}

/// Gates are asked where the file says, on this machine too; an operator's yes is a promote.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gates_are_asked_and_approved() {
    let board = Service::start("OK", 0).await;
    let steps = format!(
        "        - setWeight: 50\n        - gate: {{name: board, url: \"{}/may\", timeout: 1m}}\n        - gate: {{name: boss, \
         approval: true}}\n",
        board.url()
    );
    let (first, second) = (Service::start("v1", 0).await, Service::start("v2", 0).await);
    let bench = Bench::new(&canary(&steps, ""));
    let mut local = bench.start(&first, &second, &[]);
    local.until("revision #1 is stable: first deploy");
    bench.glidepath("set image web web=web:v2");
    local.until("step 2 of 3 completed");
    assert_eq!(board.own_requests(), 1);
    let approved = bench.glidepath("promote web --reason fine");
    assert_eq!(approved.code, 0, "{}", approved.text);
    assert_eq!(bench.glidepath("status web --wait --timeout 1m").code, 0);
    local.end();
}
