//! Validation of a scenario file, field by field: for `simulate` and for `lint` with the same messages.

use serde_json::Value;

use crate::{
    api::validate::{Finding, Severity},
    cli::offline::lint::{
        object,
        schema::{self, hint},
    },
    sim::{
        actions,
        faults::word,
        load,
        scenario::{self, Entry, FaultKind, MOST_LAWS, Scenario},
    },
    yaml::{self, Document, YamlError},
};

/// Everything wrong with one scenario. What its `files` say is checked when they are read.
pub(in crate::cli) fn check(document: &Document) -> Vec<Finding> {
    let mut found = Vec::new();
    let version = document.text("/apiVersion").unwrap_or_default();
    if version != "glidepath.dev/v1alpha1" {
        found.push(Finding::error("apiVersion", format!("unknown version {version}; there is glidepath.dev/v1alpha1")));
    }
    found.extend(schema::check(scenario::schema(), &document.value).into_iter().filter(|f| !f.path.is_empty()));
    match read(document) {
        Ok(scenario) => {
            world(&scenario, &mut found);
            sizes(&scenario, &mut found);
            source(&scenario, &mut found);
            objects(document, &mut found);
            faults(&scenario, &mut found);
            incidents(&scenario, &mut found);
            for (index, entry) in scenario.timeline.iter().enumerate() {
                let value = &document.value["timeline"][index];
                one_entry(entry, value, &format!("timeline[{index}]"), &mut found);
                replicas(entry, &format!("timeline[{index}]"), &mut found);
            }
        }
        Err(YamlError::Shape { path, message }) => {
            let known =
                found.iter().any(|f| f.path.starts_with(&path) || path.starts_with(&f.path) && !f.path.is_empty());
            if !known {
                found.push(Finding::error(path, message));
            }
        }
        Err(error) => found.push(Finding::error("", error.to_string())),
    }
    found
}

/// The scenario as its type.
pub(in crate::cli) fn read(document: &Document) -> Result<Scenario, YamlError> {
    yaml::typed(&document.value)
}

/// What the schema cannot say of the world.
fn world(scenario: &Scenario, found: &mut Vec<Finding>) {
    let headers = &scenario.world.traffic.headers;
    for (index, kind) in headers.iter().enumerate() {
        if let Err((name, why)) = load::carried(kind) {
            found.push(Finding::error(
                format!("world.traffic.headers[{index}].set.{name}"),
                format!("is not a valid header: {why}"),
            ));
        }
    }
    if headers.iter().map(|kind| kind.share.basis_points()).sum::<u32>() > 10_000 {
        found.push(Finding::error("world.traffic.headers", "the shares add up to more than 100 %"));
    }
    if let Some(hpa) = &scenario.world.hpa {
        if hpa.min > hpa.max {
            found.push(Finding::error("world.hpa.max", format!("{} is below min, {}", hpa.max, hpa.min)));
        }
        if hpa.rps_per_pod <= 0.0 {
            found.push(Finding::error("world.hpa.rpsPerPod", "must be above 0: it is the target per pod"));
        }
    }
}

fn source(scenario: &Scenario, found: &mut Vec<Finding>) {
    if scenario.files.is_empty() && scenario.objects.is_empty() {
        found.push(Finding::error("files", "is missing; set the file of the Rollout, or put it under objects"));
    }
    if scenario.timeline.is_empty() {
        found.push(Finding::error("timeline", "is missing; without it nothing happens"));
    }
    for (name, points) in &scenario.world.series {
        if points.windows(2).any(|pair| pair[1].at < pair[0].at) {
            found.push(Finding::error(format!("world.series.{name}"), "the points must be in the order of time"));
        }
    }
}

/// Our own objects among the inline ones. Whether the templates that they name exist is asked when the files are read.
fn objects(document: &Document, found: &mut Vec<Finding>) {
    for (index, inline) in document.clone().into_entries("objects").iter().enumerate() {
        let ours = inline.text("/apiVersion").is_some_and(|version| version.starts_with("glidepath.dev/"));
        let wrong = match inline.text("/kind") {
            _ if !ours => Vec::new(),
            Some("Scenario") => check(inline),
            _ => object::check(inline, None),
        };
        let placed = |finding: Finding| Finding { path: format!("objects[{index}].{}", finding.path), ..finding };
        found.extend(wrong.into_iter().filter(|finding| finding.severity == Severity::Error).map(placed));
    }
}

fn faults(scenario: &Scenario, found: &mut Vec<Finding>) {
    use FaultKind::{ControllerRestart, LeaderChange, RouteDrift};
    for (index, fault) in scenario.world.faults.iter().enumerate() {
        let path = format!("world.faults[{index}]");
        let once = fault.kind.hits_pods() || matches!(fault.kind, ControllerRestart | LeaderChange | RouteDrift);
        if fault.duration.get().is_zero() && !once {
            found.push(Finding::error(
                format!("{path}.for"),
                format!("is missing; {} has a duration", word(fault.kind)),
            ));
        }
        if fault.target.is_some() && !fault.kind.hits_pods() {
            found.push(Finding::error(
                format!("{path}.target"),
                "only podCrash, oomKill and containerRestart have a target",
            ));
        }
    }
}

fn incidents(scenario: &Scenario, found: &mut Vec<Finding>) {
    for (index, incident) in scenario.world.incidents.iter().enumerate() {
        if incident.duration.get().is_zero() {
            found.push(Finding::error(format!("world.incidents[{index}].for"), "must be above 0: an incident lasts"));
        }
    }
}

/// The keys of an entry that do something.
const DEEDS: [&str; 6] = ["deploy", "patch", "apply", "delete", "scale", "command"];

fn one_entry(entry: &Entry, value: &Value, path: &str, found: &mut Vec<Finding>) {
    let deeds: Vec<&str> = DEEDS.into_iter().filter(|key| value.get(key).is_some()).collect();
    let mut add = |path: &str, message: String| found.push(Finding::error(path, message));
    match (deeds.as_slice(), &entry.expect) {
        ([], None) => add(path, format!("is empty; set expect or one of {}", DEEDS.join(", "))),
        ([], Some(_)) | ([_], None) => {}
        _ => add(path, "an entry must have exactly one action; split it into two".to_owned()),
    }
    if entry.at.is_some() && entry.after.is_some() {
        add(&format!("{path}.after"), "set at or after, not both".to_owned());
    }
    let waits = [("within", entry.within.is_some()), ("throughout", entry.throughout.is_some())];
    let waits: Vec<&str> = waits.into_iter().filter(|(_, there)| *there).map(|(key, _)| key).collect();
    if let Some(wait) = waits.first() {
        let place = format!("{path}.{wait}");
        if entry.expect.is_none() {
            add(&place, "requires expect".to_owned());
        }
        if waits.len() > 1 || entry.at.is_some() || entry.after.is_some() {
            add(&place, "set exactly one of at, after, within, throughout".to_owned());
        }
    }
    if let Some(Value::Object(expect)) = value.get("expect")
        && expect.is_empty()
    {
        add(&format!("{path}.expect"), "expects nothing".to_owned());
    }
    revisions(entry, path, found);
}

/// Pods that objects and patches ask for; what else is wrong with an object is seen when it is applied.
fn replicas(entry: &Entry, path: &str, found: &mut Vec<Finding>) {
    let objects = [("apply", entry.apply.as_ref()), ("patch", entry.patch.as_ref())];
    for (key, object) in objects.into_iter().filter_map(|(key, object)| Some((key, object?))) {
        if let Err(why) = actions::replicas_of(object) {
            found.push(Finding::error(format!("{path}.{key}.spec.replicas"), why));
        }
    }
}

/// Maps have no bound in the schema.
fn sizes(scenario: &Scenario, found: &mut Vec<Finding>) {
    let world = &scenario.world;
    let mut check = |path: String, number: usize| {
        if number > MOST_LAWS {
            found.push(Finding::error(path, format!("has {number} entries, more than {MOST_LAWS}")));
        }
    };
    check("world.versions".to_owned(), world.versions.len());
    check("world.series".to_owned(), world.series.len());
    check("world.gates".to_owned(), world.gates.len());
    for (name, points) in &world.series {
        check(format!("world.series.{name}"), points.len());
        for (index, point) in points.iter().enumerate() {
            check(format!("world.series.{name}[{index}].versions"), point.versions.len());
        }
    }
    for (name, answers) in &world.gates {
        check(format!("world.gates.{name}"), answers.len());
    }
}

/// Roles and revisions are distinct names.
fn revisions(entry: &Entry, path: &str, found: &mut Vec<Finding>) {
    let numbered = |name: &str| name.strip_prefix('r').is_some_and(|number| number.parse::<u64>().is_ok());
    let Some(expect) = &entry.expect else { return };
    let roles = ["stable", "canary", "older"];
    for role in expect.pods.keys().filter(|role| !roles.contains(&role.as_str()) && !numbered(role)) {
        let message = format!("is neither a role nor a revision such as r1{}", hint(role, &roles));
        found.push(Finding::error(format!("{path}.expect.pods.{role}"), message));
    }
    for (key, revision) in [("active", &expect.active), ("preview", &expect.preview)] {
        if revision.as_ref().is_some_and(|wanted| !numbered(wanted) && wanted != "all") {
            found.push(Finding::error(format!("{path}.expect.{key}"), "is neither a revision such as r1 nor `all`"));
        }
    }
    for (service, revision) in expect.services.iter().filter(|(_, wanted)| !numbered(wanted) && *wanted != "all") {
        let message = format!("\"{revision}\" is not a revision such as r1; `all` means the user's own selector");
        found.push(Finding::error(format!("{path}.expect.services.{service}"), message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Vec<String> {
        let document = yaml::read(text).unwrap().remove(0).unwrap();
        check(&document)
            .iter()
            .map(|found| format!("{}:{} {}", document.position(&found.path).line, found.path, found.message))
            .collect()
    }

    const HEAD: &str = "apiVersion: glidepath.dev/v1alpha1\nkind: Scenario\nfiles: [rollout.yaml]\n";

    #[test]
    fn mistakes_are_told_with_their_place_and_a_suggestion() {
        for (text, wanted) in [
            (
                "timeline: [{at: 0s, deploy: {image: a}, exepct: {}}]",
                "4:timeline[0].exepct unknown field; did you mean expect?",
            ),
            ("timeline: [{within: 1m, expect: {phase: Helthy}}]", "did you mean Healthy?"),
            ("timeline: [{at: 5, scale: 3}]", "4:timeline[0].at 5 is not a duration; write 5s"),
            ("timeline: [{at: 5x, scale: 3}]", "4:timeline[0].at \"5x\" is not a duration"),
            ("timeline: [{within: 5s, scale: 3}]", "requires expect"),
            ("timeline: [{scale: 3, deploy: {image: a}}]", "must have exactly one action"),
            ("timeline: [{at: 5s}]", "is empty"),
            ("timeline: [{at: 1s, within: 5s, expect: {step: 1}}]", "exactly one of at, after, within, throughout"),
            ("timeline: [{within: 5s, expect: {pods: {canry: 1}}}]", "did you mean canary?"),
            ("timeline: [{within: 5s, expect: {services: {a: v1}}}]", "a revision such as r1"),
            ("timeline: [{within: 5s, expect: {active: v1}}]", "a revision such as r1"),
            ("timeline: [{scale: 1}]\nworld: {hpa: {min: 3, max: 2, rpsPerPod: 5}}", "world.hpa.max 2 is below min, 3"),
            (
                "timeline: [{scale: 1}]\nworld: {hpa: {min: 1, max: 2, rpsPerPod: 0}}",
                "world.hpa.rpsPerPod must be above 0",
            ),
            (
                "timeline: [{scale: 1}]\nworld: {traffic: {headers: [{share: 60%, set: {a: b}}, {share: 41%, set: {c: d}}]}}",
                "world.traffic.headers the shares add up to more than 100 %",
            ),
            (
                "timeline: [{scale: 1}]\nworld: {traffic: {headers: [{share: 60%, set: {\"a b\": c}}]}}",
                "world.traffic.headers[0].set.a b is not a valid header",
            ),
            ("timeline: [{scale: 1}]\nworld: {hpa: {min: 1}}", "5:world.hpa.max is missing"),
            ("timeline: [{scale: 1}]\nworld: {faults: [{kind: apiConflict}]}", "world.faults[0].for is missing"),
            ("timeline: [{scale: 1}]\nworld: {faults: [{kind: apiConflit, for: 1s}]}", "did you mean apiConflict?"),
            (
                "timeline: [{scale: 1}]\nworld: {incidents: [{at: 1s, for: 0s, errorRate: 5%}]}",
                "5:world.incidents[0].for must be above 0",
            ),
            ("timeline: [{scale: 1}]\nworld: {incidents: [{for: 1m}]}", "world.incidents[0].errorRate is missing"),
            ("timeline: [{scale: 1}]\nworld: {versions: {\"a:1\": {errorRte: 1%}}}", "did you mean errorRate?"),
            ("timeline: [{command: {verb: abrot}}]", "did you mean abort?"),
            ("timeline: []", "timeline is missing"),
            // L3.
            ("timeline: [{scale: 4294967295}]", "4:timeline[0].scale must be at most 100000, got 4294967295"),
            (
                "timeline: [{patch: {spec: {replicas: 4294967295}}}]",
                "4:timeline[0].patch.spec.replicas 4294967295 is not",
            ),
            (
                "timeline: [{scale: 1}]\nworld: {traffic: {rps: 1e9, users: 4294967295}}",
                "5:world.traffic.users must be at most 1000000000, got 4294967295",
            ),
            (
                "timeline: [{scale: 1}]\nworld: {podCapacity: 4294967295}",
                "5:world.podCapacity must be at most 100000, got 4294967295",
            ),
            (
                "timeline: [{scale: 1}]\nworld: {hpa: {min: 1, max: 4294967295, rpsPerPod: 1}}",
                "5:world.hpa.max must be at most 100000, got 4294967295",
            ),
            (
                "timeline: [{scale: 1}]\nworld: {faults: [{kind: podCrash, target: {count: 4294967295}}]}",
                "world.faults[0].target.count must be at most 100000, got 4294967295",
            ),
            ("timeline: [{after: 400d, scale: 1}]", "4:timeline[0].after \"400d\" is longer than a year"),
            (
                "timeline: [{apply: {kind: Deployment, spec: {replicas: -1}}}]",
                "4:timeline[0].apply.spec.replicas -1 is not a number of pods from 0 to 100000",
            ),
            (&format!("timeline: [{}]", "{scale: 1},".repeat(10_001)), "timeline has 10001 entries"),
            (
                &format!("timeline: [{{scale: 1}}]\nworld: {{series: {{a: [{}]}}}}", "{},".repeat(1_001)),
                "has 1001 entries",
            ),
        ] {
            let found = said(&format!("{HEAD}{text}\n"));
            assert!(found.iter().any(|line| line.contains(wanted)), "{text}\n{found:#?}");
        }
    }

    #[test]
    fn a_good_file_has_no_findings() {
        let text = "description: x\non: sim\nworld:\n  seed: 7\n  podStartup: 4s\n  traffic: {rps: 50}\n  versions:\n    \
                    \"shop:2\": {errorRate: 0.1%, latency: {median: 80ms, sigma: 0.6}}\n    \"shop:4\": {ready: never}\n  \
                    series:\n    errors: [{at: 0s, value: 0.001}, {at: 90s, value: null}]\n  faults:\n    \
                    - {at: 60s, for: 30s, kind: apiConflict, probability: 0.5}\ntimeline:\n  - {at: 0s, deploy: {image: a}}\n  \
                    - {within: 1m, expect: {phase: Paused, pods: {stable: 5, r2: 1}, condition: {Stalled: \"True\"}}}\n  \
                    - {after: 5s, command: {verb: promote, full: true}}\nalways: {weightAtMost: 5, totalAvailableAtLeast: 3}\n";
        assert_eq!(said(&format!("{HEAD}{text}")), Vec::<String>::new());
    }
}
