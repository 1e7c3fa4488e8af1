//! A Prometheus with a password, which the Rollout names by a Secret (H9): nothing is judged until the controller is
//! granted that Secret as docs/controller.md says, and the password is in no object that users can read.

use crate::front::{self, Query, Then};
use crate::judged::Judged;
use crate::lane;
use crate::shop::{PATIENCE, Shop, TWO_WEIGHTS, assert_all_well, changed};
use crate::wait::wait_until;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const NAMESPACE: &str = "guarded";
const ONE_OBSERVATION: &str = "
      - setWeight: 50
      - observe: {atLeast: 5s, atMost: 5m}
";
const PASSWORD: &str = "tr0ub4dor-and-3";
/// `reader` and the password, as HTTP's basic authentication writes them.
const CREDENTIALS: &str = "Basic cmVhZGVyOnRyMHViNGRvci1hbmQtMw==";
const MANUAL: &str = include_str!("../../docs/controller.md");

/// Grants the Secrets that the page's example names, in this namespace.
fn grant() {
    let section = MANUAL.split("## Secrets").nth(1).unwrap();
    let example = section.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    lane().apply(&example.replace("team-a", NAMESPACE)).unwrap();
}

#[test]
fn h9_a_prometheus_with_a_password_is_asked_once_its_secret_is_granted() {
    let refused = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&refused);
    let guarded = front::start(move |query: &Query| {
        if query.header("authorization") == Some(CREDENTIALS) {
            return Then::Pass;
        }
        counted.fetch_add(1, Relaxed);
        Then::Answer("401 Unauthorized", "{}")
    });
    let own = format!(
        "templates: [{{name: errors}}], prometheus: {{address: 'http://{guarded}', auth: {{basic: {{secretRef: {{name: thanos}}}}}}}}"
    );
    let changes = [("templates: [{name: errors}]", own.as_str()), (TWO_WEIGHTS, ONE_OBSERVATION)];
    let shop = Shop::apply(NAMESPACE, &changed(&Shop::yaml(), &changes));
    let secret = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: thanos, namespace: {NAMESPACE}}}\n\
         stringData: {{username: reader, password: {PASSWORD}}}"
    );
    lane().apply(&secret).unwrap();
    shop.wait_for_stable(1);
    shop.answers("v1");
    let users = shop.users();
    shop.release("v2");
    let run = || lane().get(NAMESPACE, "gar", "web-2-1-background").map(|run| run.to_string()).unwrap_or_default();
    wait_until(PATIENCE, "the run to say what it lacks", || run().contains("may not read Secret guarded/thanos"));
    let waiting = shop.wait("the status to say it too", |status| {
        status["message"].as_str().is_some_and(|message| message.contains("may not read Secret guarded/thanos"))
    });
    assert_eq!(waiting["phase"], "Progressing", "nothing is promoted unjudged: {waiting:#}");
    grant();
    shop.wait_for_stable(2);
    assert_all_well(&users.stop().unwrap());
    assert_eq!(shop.last_outcome().0, "Promoted");
    let judged = Judged::of(NAMESPACE, 2);
    assert_eq!((judged.verdict(), refused.load(Relaxed)), ("Pass", 0), "nothing was asked without the password");
    assert!(judged.counted("canary").1 > 0, "it was judged by requests");
    let shown = lane().kubectl(&["get", "gro,gar,groc,events", "-n", NAMESPACE, "-o", "yaml"]).unwrap();
    assert!(!shown.contains(PASSWORD) && !shown.contains("cmVhZGVy"), "the password is shown:\n{shown}");
}
