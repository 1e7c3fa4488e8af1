use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    fake::{Fake, Fault},
    instances::Instance,
    mesh::Mesh,
};
use crate::{
    api::{Percent, reason::Reason},
    engine::{RouteIntent, Seen, Target},
    ports::WorldError,
};

fn intent(percent: u32) -> RouteIntent {
    RouteIntent { canary: Percent::whole(percent), ..RouteIntent::default() }
}

fn testers() -> RouteIntent {
    let route = json!({ "name": "testers", "match": [{ "header": { "name": "X-Cohort", "exact": "beta" } }] });
    RouteIntent { headers: vec![serde_json::from_value(route).unwrap()], ..intent(0) }
}

fn instance(place: usize, revision: &str) -> Instance {
    let address = format!("http://127.0.0.1:{}", 8081 + place).parse().unwrap();
    Instance { place, address, revision: revision.into() }
}

/// A service of the protocol http with both versions, and its stable version in force.
async fn shop() -> (Fake, Mesh) {
    let consul = Fake::start().await;
    consul.put(json!({ "Kind": "service-defaults", "Name": "web", "Protocol": "http" }));
    let mesh = Mesh::of(consul.client(&[]), "web", None);
    mesh.enroll(&[instance(0, "r1"), instance(1, "r2")]).await.unwrap();
    mesh.aim(Target::Stable, "r1").await.unwrap();
    mesh.route(&intent(0)).await.unwrap();
    (consul, mesh)
}

async fn seen(mesh: &Mesh, written: &RouteIntent) -> Seen {
    let mut seen = Seen::default();
    mesh.fill(&mut seen, Some(written.clone()), false, Timestamp::UNIX_EPOCH).await;
    seen
}

fn filter(consul: &Fake, subset: &str) -> Value {
    consul.entry("service-resolver").unwrap()["Subsets"][subset]["Filter"].clone()
}

fn weights(consul: &Fake) -> Vec<f64> {
    let splitter = consul.entry("service-splitter").unwrap();
    splitter["Splits"].as_array().unwrap().iter().map(|split| split["Weight"].as_f64().unwrap()).collect()
}

#[tokio::test]
async fn a_release_goes_from_stable_alone_to_the_new_version_in_the_safe_order() {
    let (consul, mesh) = shop().await;
    let only = |revision: &str| json!(format!("Service.Meta.glidepath_revision == \"{revision}\""));
    assert_eq!([filter(&consul, "stable"), filter(&consul, "canary")], [only("r1"), only("r1")], "none is empty");
    assert_eq!(weights(&consul), [100.0, 0.0]);

    mesh.aim(Target::Canary, "r2").await.unwrap();
    let there = seen(&mesh, &intent(0)).await;
    assert_eq!(there.canary_target.unwrap().endpoints.unwrap().get("r2"), Some(&1));
    mesh.route(&testers()).await.unwrap();
    let there = seen(&mesh, &testers()).await.route.unwrap();
    assert_eq!((there.weight, there.headers, there.drifted), (Some(Percent::ZERO), vec!["testers".to_owned()], false));
    mesh.route(&RouteIntent { canary: Percent::from_basis_points(1), ..testers() }).await.unwrap();
    assert_eq!(weights(&consul), [99.99, 0.01]);

    mesh.route(&intent(100)).await.unwrap();
    assert_eq!(consul.entry("service-router"), None, "what was made for our routes has gone with them");
    mesh.aim(Target::Stable, "r2").await.unwrap();
    mesh.route(&intent(0)).await.unwrap();
    assert_eq!((weights(&consul), filter(&consul, "stable")), (vec![100.0, 0.0], only("r2")));
    let changes = mesh.enroll(&[instance(1, "r2")]).await.unwrap();
    assert_eq!((changes, consul.store().services.len()), (vec![(0, false)], 1));
}

#[tokio::test]
async fn what_is_so_already_is_not_written() {
    let (consul, mesh) = shop().await;
    let before = consul.writes();
    mesh.aim(Target::Stable, "r1").await.unwrap();
    mesh.route(&intent(0)).await.unwrap();
    assert_eq!(mesh.enroll(&[instance(0, "r1"), instance(1, "r2")]).await.unwrap(), []);
    assert_eq!(consul.writes(), before);
    assert!(before.iter().filter(|call| call.contains("/v1/config")).all(|call| call.contains("cas=")), "{before:?}");
}

#[tokio::test]
async fn foreign_splits_routes_and_fields_stay() {
    let (consul, mesh) = shop().await;
    mesh.aim(Target::Canary, "r2").await.unwrap();
    let mut splitter = consul.entry("service-splitter").unwrap();
    splitter["Meta"] = json!({ "team": "shop" });
    consul.put(splitter);
    let admin = json!({ "Match": { "HTTP": { "PathPrefix": "/admin" } }, "Destination": { "Service": "admin" } });
    consul.put(json!({ "Kind": "service-router", "Name": "web", "Routes": [admin] }));
    mesh.route(&RouteIntent { canary: Percent::whole(10), ..testers() }).await.unwrap();
    assert_eq!(consul.entry("service-splitter").unwrap()["Meta"]["team"], "shop");
    assert!(consul.entry("service-router").unwrap()["Routes"].as_array().unwrap().contains(&admin));
    mesh.route(&intent(0)).await.unwrap();
    assert_eq!(consul.entry("service-router").unwrap()["Routes"], json!([admin]), "the user's entry stays");
}

#[tokio::test]
async fn a_change_from_outside_is_drift_and_is_repaired() {
    let (consul, mesh) = shop().await;
    mesh.aim(Target::Canary, "r2").await.unwrap();
    mesh.route(&intent(10)).await.unwrap();
    let mut splitter = consul.entry("service-splitter").unwrap();
    splitter["Splits"][0]["Weight"] = 50.into();
    splitter["Splits"][1]["Weight"] = 50.into();
    consul.put(splitter);
    let route = seen(&mesh, &intent(10)).await.route.unwrap();
    assert_eq!((route.weight, route.drifted), (Some(Percent::whole(50)), true));
    mesh.route(&intent(10)).await.unwrap();
    assert_eq!(weights(&consul), [90.0, 10.0]);
}

#[tokio::test]
async fn a_filter_never_changes_under_requests() {
    let (consul, mesh) = shop().await;
    mesh.aim(Target::Canary, "r2").await.unwrap();
    mesh.route(&intent(10)).await.unwrap();
    for target in [Target::Stable, Target::Canary] {
        let error = mesh.aim(target, "r3").await.unwrap_err().to_string();
        assert!(error.contains("still receives requests"), "{error}");
    }
    mesh.route(&testers()).await.unwrap();
    assert!(mesh.aim(Target::Canary, "r3").await.is_err(), "a header route leads there");
    mesh.route(&intent(0)).await.unwrap();
    mesh.aim(Target::Canary, "r3").await.unwrap();
    assert_eq!(filter(&consul, "canary"), "Service.Meta.glidepath_revision == \"r3\"");
}

/// What becomes of it in the engine: whether it is a refusal, and its words.
fn outcome(error: impl Into<WorldError>) -> (bool, String) {
    let error = error.into();
    (matches!(error, WorldError::Refused { .. }), error.to_string())
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_in_words_and_nothing_is_written() {
    let (consul, mesh) = shop().await;
    let weights_before = weights(&consul);
    let refused = |said: (bool, String), words: &str| assert!(said.0 && said.1.contains(words), "{said:?}");

    consul.put(json!({ "Kind": "service-defaults", "Name": "web", "Protocol": "tcp" }));
    refused(outcome(mesh.route(&intent(10)).await.unwrap_err()), "its protocol is `tcp`, not http, http2 or grpc");
    consul.put(json!({ "Kind": "service-defaults", "Name": "web", "Protocol": "http" }));

    let own = consul.entry("service-splitter").unwrap();
    let mut foreign = own.clone();
    foreign["Meta"]["external-source"] = "kubernetes".into();
    consul.put(foreign);
    let said = outcome(mesh.route(&intent(10)).await.unwrap_err());
    refused(said, "service-splitter web belongs to Kubernetes");
    consul.put(own);

    consul.store().services.insert("web-7".into(), json!({ "ID": "web-7", "Service": "web", "Meta": {} }));
    refused(outcome(mesh.aim(Target::Canary, "r2").await.unwrap_err()), "web-7 of service web is not registered by");
    consul.store().services.remove("web-7");

    consul.fails(Fault::Answers("PUT", 403, "Permission denied".into()));
    refused(outcome(mesh.route(&intent(10)).await.unwrap_err()), "Consul denied the write of service-splitter web");
    consul.fails(Fault::Answers("PUT", 500, "discovery chain \"web\": bad".into()));
    refused(outcome(mesh.route(&intent(10)).await.unwrap_err()), "(HTTP 500: discovery chain \"web\": bad)");
    consul.fails(Fault::None);
    assert_eq!(weights(&consul), weights_before);
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    let (consul, mesh) = shop().await;
    for (fault, percent) in [(Fault::Silent, 10), (Fault::Answers("chain", 503, String::new()), 20), (Fault::Rival, 30)]
    {
        consul.fails(fault.clone());
        let (is_refusal, words) = outcome(mesh.route(&intent(percent)).await.unwrap_err());
        assert!(!is_refusal, "{fault:?}: {words}");
    }
    consul.fails(Fault::None);
    mesh.route(&intent(10)).await.unwrap();
    assert_eq!(weights(&consul), [90.0, 10.0]);
}

#[tokio::test]
async fn a_consul_that_is_away_blocks_a_release_and_no_rest() {
    let (consul, mesh) = shop().await;
    consul.fails(Fault::Silent);
    for rests in [false, true] {
        let mut seen = Seen::default();
        mesh.fill(&mut seen, None, rests, Timestamp::UNIX_EPOCH).await;
        let problem = seen.problems.first().unwrap();
        assert_eq!((&problem.reason, problem.blocks_all), (&Reason::RouterUnavailable, !rests));
        assert!(problem.message.starts_with("cannot reach Consul at http://127.0.0.1:"), "{}", problem.message);
        assert_eq!(seen.route.unwrap().weight, None);
    }
}

/// A weight that Consul has stored counts only once it compiles it.
#[tokio::test]
async fn a_weight_that_is_not_compiled_does_not_count() {
    let (consul, mesh) = shop().await;
    mesh.aim(Target::Canary, "r2").await.unwrap();
    let target = |subset: &str| json!({ "ServiceSubset": subset });
    let resolver = |target: &str| json!({ "Type": "resolver", "Resolver": { "Target": target } });
    let chain = json!({ "Chain": {
        "StartNode": "resolver:a", "Nodes": { "resolver:a": resolver("a") }, "Targets": { "a": target("stable") },
    } });
    consul.fails(Fault::Answers("chain", 200, chain.to_string()));
    let error = mesh.route(&intent(10)).await.unwrap_err().to_string();
    assert!(error.contains("discovery chain of web sends 0 % to the canary, not 10 %"), "{error}");
    let route = seen(&mesh, &intent(10)).await.route.unwrap();
    assert_eq!((route.weight, route.disagreement), (None, Some((Percent::ZERO, Percent::whole(10)))));
}
