//! `glidepath plan`: the timeline of a release as a file describes it, without a cluster.

mod clock;
mod columns;
mod objects;

use std::{collections::BTreeSet, time::Duration};

pub use objects::Objects;

use clock::Clock;
use columns::{Columns, Row, labelled, lines};
use objects::Replicas;

use super::{
    format::only,
    lint::{check, files::Files},
    objects::no_rollout,
    refusal::Refusal,
};
use crate::{
    api::{
        analysis::TemplateRef,
        common::{HumanDuration, Percent},
        metadata::PodMetadata,
        pod_count::MOST_PODS,
        rollout::RolloutSpec,
        strategy::{AnalysisStep, DEFAULT_AT_MOST},
    },
    cli::{
        args::{
            files::FileArgs,
            global::{Global, OutputFormat},
        },
        exit::{CliError, Exit},
        render::output::{self, print},
    },
    engine::{
        Split,
        items::{self, Item},
        peak::Release,
    },
    evidence::Soonest,
    view::{document::API_VERSION, phrases, step},
    yaml::{self, Document, YamlError},
};

/// Preview the release of a Rollout file
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  glidepath plan rollouts/checkout.yaml
  glidepath plan -f rollouts/ --replicas 20
  kustomize build . | glidepath plan -")]
pub struct PlanArgs {
    /// What is planned.
    #[command(flatten)]
    pub files: FileArgs,
    /// The number of pods; default: that of the files, else 10
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(0..=i64::from(MOST_PODS)))]
    pub replicas: Option<u32>,
}

const FORMATS: [OutputFormat; 4] = [OutputFormat::Table, OutputFormat::Json, OutputFormat::Yaml, OutputFormat::Name];
const CANNOT: &str = "cannot plan a release with these errors";

/// Prints one timeline per Rollout in the files.
pub fn run(args: &PlanArgs, global: &Global) -> Result<Exit, CliError> {
    only(global.output, "plan", &FORMATS)?;
    print(&shown(&plans(args)?, global.output, global.width())?)?;
    Ok(Exit::Done)
}

/// Reads, checks and plans every Rollout in the files.
pub fn plans(args: &PlanArgs) -> Result<Vec<Plan>, CliError> {
    let mut reader = Files::default();
    let files = reader.collect(&args.files.all()?)?;
    let (mut refusal, mut rollouts, mut objects) = (Refusal::default(), Vec::new(), Objects::default());
    for file in &files {
        for document in refusal.documents(&mut reader, file) {
            objects.add(&document);
            if document.text("/kind") == Some("Rollout")
                && refusal.extend(&file.name, &document, check::object(&document, None))
            {
                rollouts.push(document);
            }
        }
    }
    let plans: Vec<Plan> =
        rollouts.iter().filter_map(|document| of_document(document, args.replicas, &objects).ok()).collect();
    refusal.check(CANNOT)?;
    if plans.is_empty() {
        return Err(no_rollout(&files));
    }
    Ok(plans)
}

fn shown(plans: &[Plan], format: OutputFormat, width: usize) -> Result<String, CliError> {
    if format == OutputFormat::Name {
        return Ok(plans.iter().map(|plan| format!("rollout.glidepath.dev/{}\n", plan.name)).collect());
    }
    let all = serde_json::json!({
        "apiVersion": API_VERSION,
        "kind": "PlanReport",
        "plans": plans.iter().map(json).collect::<Vec<_>>(),
    });
    let text = || plans.iter().map(|plan| plan.text(width)).collect::<Vec<_>>().join("\n");
    Ok(output::value(format, &all)?.unwrap_or_else(text))
}

/// The timeline of one Rollout.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    name: String,
    replicas: Replicas,
    split: Split,
    lines: Vec<Line>,
    people: u32,
    gates: u32,
    clock: Clock,
    open_waits: u32,
    most_pods: u32,
    /// What the strategy calls the step that brings up the new version's pods.
    scale: &'static str,
    /// The templates whose Jobs send traffic while they are measured.
    load: BTreeSet<String>,
    /// What pods carry for their role, by the role's name.
    roles: Vec<(&'static str, PodMetadata)>,
}

#[derive(Clone, Debug)]
struct Line {
    number: String,
    /// When it begins at the soonest, in waiting time; pods and routes take theirs on top.
    at: Duration,
    what: String,
    detail: String,
    weight: Percent,
}

impl Line {
    fn row<'a>(&'a self, at: &'a str) -> Row<'a> {
        Row { at, number: &self.number, what: &self.what, detail: &self.detail, weight: self.weight }
    }
}

fn of_document(document: &Document, replicas: Option<u32>, objects: &Objects) -> Result<Plan, YamlError> {
    let spec: RolloutSpec = yaml::typed(&document.value["spec"])?;
    let name = document.text("/metadata/name").unwrap_or("rollout");
    let asked = replicas.map(|count| Replicas { count, assumed: None });
    Ok(plan(name, &spec, asked.unwrap_or_else(|| objects.replicas(&spec)), objects))
}

/// Walks the steps once, adding up the waiting. The pods are those that the engine will ask for.
fn plan(name: &str, spec: &RolloutSpec, replicas: Replicas, objects: &Objects) -> Plan {
    let count = replicas.count;
    let release = Release::of(spec, count);
    let roles = [("canary", &spec.canary_metadata), ("stable", &spec.stable_metadata)].into_iter();
    let mut plan = Plan {
        name: name.to_owned(),
        replicas,
        split: release.split(),
        most_pods: release.most_pods(),
        clock: Clock::new(background(spec, release.items(), objects)),
        load: objects.with_load(spec),
        scale: if spec.strategy.blue_green.is_some() { "preview" } else { "setCanaryScale" },
        roles: roles.filter_map(|(role, metadata)| Some((role, metadata.clone()?))).collect(),
        ..Plan::default()
    };
    let steps = release.items();
    for (index, item) in (0u32..).zip(steps) {
        plan.step(index, item, items::weight_at(steps, index, 0), |sub| release.canary_pods(index, sub), objects);
    }
    plan.last_observation();
    let pods = match plan.split {
        Split::Routes => format!("{count} new pods, then all traffic"),
        Split::Switch => format!("{count} new pods, then the active Service is switched"),
        Split::Ratio => pods_text(count),
    };
    plan.line(String::new(), "promotion".to_owned(), pods, Percent::FULL);
    if let Some(analysis) = spec.strategy.blue_green.iter().find_map(|it| it.post_promotion_analysis.as_ref()) {
        plan.analysis(String::new(), analysis, Percent::FULL, objects);
    }
    plan
}

/// The soonest time of a whole release of this spec.
pub fn least(spec: &RolloutSpec, objects: &Objects) -> Duration {
    plan("", spec, objects.replicas(spec), objects).clock.now()
}

/// The step that the background analysis starts with, and how soon it can pass.
fn background(spec: &RolloutSpec, steps: &[Item], objects: &Objects) -> Option<(u32, Soonest)> {
    let templates = spec.background()?.templates;
    let asked = spec.analysis.as_ref().and_then(|analysis| analysis.starting_step).unwrap_or(0);
    Some((items::first_traffic(steps)?.max(asked), objects.soonest(&templates)))
}

fn names(templates: &[TemplateRef]) -> String {
    templates.iter().map(|template| template.name.as_str()).collect::<Vec<_>>().join(", ")
}

impl Plan {
    fn line(&mut self, number: String, what: String, detail: String, weight: Percent) {
        self.lines.push(Line { number, at: self.clock.now(), what, detail, weight });
    }

    fn step(&mut self, index: u32, item: &Item, weight: Percent, pods: impl Fn(u32) -> u32, objects: &Objects) {
        let number = (index + 1).to_string();
        self.clock.enter(index, weight);
        match item {
            Item::SetWeight(set) => self.line(number, format!("setWeight {set}"), pods_text(pods(0)), weight),
            Item::SetCanaryScale(_) => self.line(number, self.scale.to_owned(), pods_text(pods(0)), weight),
            Item::Pause(Some(duration)) => {
                self.line(number, format!("pause {duration}"), String::new(), weight);
                self.clock.pass(duration.get());
            }
            Item::Pause(None) => {
                self.line(number, "pause".to_owned(), "until an operator promotes".to_owned(), weight);
                self.people += 1;
            }
            Item::Observe { at_least, at_most } => {
                self.observe(number, *at_least, *at_most, weight);
            }
            Item::Analysis(analysis) => self.analysis(number, analysis, weight, objects),
            Item::Gate(gate) => {
                let then = phrases::timeout(gate.on_timeout.unwrap_or_default());
                let detail = match gate.host() {
                    Some(host) => format!("until {host} approves; after {} {then}", gate.timeout()),
                    None => format!("until an operator approves; after {} {then}", gate.timeout()),
                };
                self.line(number, step::gate_name(gate), detail, weight);
                self.people += u32::from(gate.is_approval());
                self.gates += u32::from(!gate.is_approval());
            }
            Item::Decide(decide) => {
                // No result of the goal's comes sooner.
                let at_least = decide.at_least.get().max(objects.soonest(&decide.goal.templates).from_start);
                let detail = format!("{}at most {}", at_least_text(at_least), decide.at_most);
                self.line(number, format!("test by {}", names(&decide.goal.templates)), detail, weight);
                self.clock.pass(at_least);
                self.open_waits += 1;
            }
            Item::HeaderRoute(route) if route.matches.is_empty() => {
                self.line(number, format!("setHeaderRoute {}", route.name), "taken away".to_owned(), weight);
            }
            Item::HeaderRoute(route) => {
                let detail = format!("{}, matching requests", pods_text(pods(0).max(1)));
                self.line(number, format!("setHeaderRoute {}", route.name), detail, weight);
            }
            Item::MirrorRoute(mirror) => {
                self.line(number, format!("setMirrorRoute {}", mirror.percent), "mirrored requests".to_owned(), weight);
            }
            Item::Ramp { weights, every, .. } => self.ramp(index, weights, *every, pods),
        }
    }

    /// Every stride of a ramp is a line of its own (rule S17).
    fn ramp(&mut self, index: u32, weights: &[Percent], every: HumanDuration, pods: impl Fn(u32) -> u32) {
        for (stride, weight) in (0u32..).zip(weights) {
            self.clock.enter(index, *weight);
            let number = format!("{}.{}", index + 1, stride + 1);
            let detail = format!("{}, for {every}", pods_text(pods(stride * 2)));
            self.line(number, format!("ramp to {weight}"), detail, *weight);
            self.clock.pass(every.get());
        }
    }

    fn observe(&mut self, number: String, at_least: HumanDuration, at_most: HumanDuration, weight: Percent) {
        self.line(number, "observe".to_owned(), until_verdict(at_least.get(), at_most), weight);
        self.clock.observe(at_least.get());
        self.open_waits += 1;
    }

    /// Before the promotion, what was not observed at the last weight is.
    fn last_observation(&mut self) {
        if self.clock.needs_last_pass() {
            let weight = self.lines.last().map_or(Percent::ZERO, |line| line.weight);
            self.observe(String::new(), HumanDuration::default(), DEFAULT_AT_MOST, weight);
        }
    }

    /// An analysis of its own starts with its step.
    fn analysis(&mut self, number: String, analysis: &AnalysisStep, weight: Percent, objects: &Objects) {
        let at_least = objects.soonest(&analysis.templates).from_start;
        let what = format!("analysis {}", names(&analysis.templates));
        self.line(number, what, until_verdict(at_least, analysis.at_most()), weight);
        self.clock.pass(at_least);
        self.open_waits += 1;
    }

    /// Human-readable, in so many columns: time, step, action, pods, a bar of the weight; and the totals.
    pub fn text(&self, width: usize) -> String {
        let split = match self.split {
            Split::Routes => "weights in the mesh",
            Split::Ratio => "no mesh: the ratio of pods",
            Split::Switch => "no mesh: the active Service is switched",
        };
        let heading = format!("{}  {}, {split}", self.name, pods_text(self.replicas.count));
        let assumed = self.replicas.assumed.iter();
        let assumed =
            assumed.map(|todo| format!("assumes {}; pass --replicas, or {todo}", pods_text(self.replicas.count)));
        let head = std::iter::once(heading).chain(assumed).flat_map(|line| lines(&line, width));
        let mut text: String = head.map(|line| format!("{line}\n")).collect();
        let times: Vec<String> = self.lines.iter().map(|line| format!("+{}", HumanDuration::from(line.at))).collect();
        let rows: Vec<Row<'_>> = times.iter().zip(&self.lines).map(|(at, line)| line.row(at)).collect();
        let columns = Columns::of(&rows, width);
        text.extend(rows.into_iter().map(|row| columns.lay_out(row)));
        text += &labelled("total", &self.sum(), width);
        for template in &self.load {
            let words = format!("a Job of template {template} sends traffic while it is measured");
            text += &labelled("load", &words, width);
        }
        for (role, metadata) in self.roles.iter().filter(|(_, metadata)| !metadata.is_empty()) {
            text += &labelled(role, &format!("pods carry {}", carried(metadata)), width);
        }
        text
    }

    fn sum(&self) -> String {
        let people = match self.people {
            0 => String::new(),
            1 => ", one manual wait".to_owned(),
            people => format!(", {people} manual waits"),
        };
        let gates = match self.gates {
            0 => String::new(),
            1 => ", one gate".to_owned(),
            gates => format!(", {gates} gates"),
        };
        let waiting = match (HumanDuration::from(self.clock.now()), self.open_waits) {
            (least, 0) if least.get().is_zero() => "no timed waits".to_owned(),
            (least, _) if least.get().is_zero() => "waits until the analysis decides".to_owned(),
            (least, 0) => format!("at least {least} of waiting"),
            (least, _) => format!("at least {least} of waiting, longer until the analysis decides"),
        };
        format!("{waiting}{gates}{people}; at most {} at a time", pods_text(self.most_pods))
    }
}

fn json(plan: &Plan) -> serde_json::Value {
    let lines = plan.lines.iter().map(|line| {
        serde_json::json!({
            "step": line.number,
            "notBefore": HumanDuration::from(line.at),
            "what": line.what,
            "detail": line.detail,
            "weight": line.weight,
        })
    });
    let mut json = serde_json::json!({
        "rollout": plan.name,
        "replicas": plan.replicas.count,
        "replicasAssumed": plan.replicas.assumed.is_some(),
        "mesh": plan.split == Split::Routes,
        "steps": lines.collect::<Vec<_>>(),
        "waitsAtLeast": HumanDuration::from(plan.clock.now()),
        "pausesForAPerson": plan.people,
        "podsAtMost": plan.most_pods,
    });
    if !plan.load.is_empty() {
        json["load"] = serde_json::json!(plan.load);
    }
    for (role, metadata) in &plan.roles {
        json[format!("{role}Metadata")] = serde_json::json!(metadata);
    }
    json
}

/// A wait for a verdict is extended once by as much.
fn until_verdict(at_least: Duration, at_most: HumanDuration) -> String {
    format!("{}at most {at_most}, then once more {at_most}", at_least_text(at_least))
}

fn at_least_text(at_least: Duration) -> String {
    if at_least.is_zero() { String::new() } else { format!("at least {}, ", HumanDuration::from(at_least)) }
}

fn carried(metadata: &PodMetadata) -> String {
    let all = metadata.labels.iter().chain(&metadata.annotations);
    all.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ")
}

fn pods_text(pods: u32) -> String {
    if pods == 1 { "1 pod".to_owned() } else { format!("{pods} pods") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plan_says_what_pods_carry_for_their_role() {
        let spec = |metadata: serde_json::Value| {
            serde_json::from_value(json!({"strategy": {"canary": {}}, "stableMetadata": {"labels": {"role": "stable"}},
                "canaryMetadata": metadata}))
            .unwrap()
        };
        let of = |metadata| plan("web", &spec(metadata), Replicas { count: 4, assumed: None }, &Objects::default());
        let both = of(json!({"labels": {"role": "canary", "a": "1"}, "annotations": {"example.com/note": "on trial"}}));
        let lines =
            "    canary  pods carry a=1, role=canary, example.com/note=on trial\n    stable  pods carry role=stable\n";
        assert!(both.text(100).ends_with(lines), "{}", both.text(100));
        assert_eq!(json(&both)["canaryMetadata"]["labels"], json!({"a": "1", "role": "canary"}));
        assert!(!of(json!({})).text(100).contains("canary  pods carry"));
    }

    #[test]
    fn a_plan_names_the_templates_that_send_traffic() {
        let template = |load| serde_json::from_value(json!({"metrics": [], "load": load})).unwrap();
        let job = json!({"job": {"template": {"spec": {"containers": [{"name": "hey"}]}}}});
        let templates = [("a".to_owned(), template(job)), ("b".to_owned(), template(json!(null)))];
        let steps = json!([{"analysis": {"templates": [{"name": "a"}, {"name": "b"}]}}]);
        let spec = serde_json::from_value(json!({"strategy": {"canary": {"steps": steps}}})).unwrap();
        let objects = Objects::of_templates(templates.into());
        let plan = plan("web", &spec, Replicas { count: 4, assumed: None }, &objects);
        assert!(plan.text(100).ends_with("load  a Job of template a sends traffic while it is measured\n"));
        assert_eq!(json(&plan)["load"], json!(["a"]));
    }

    #[test]
    fn it_fits_the_terminal_and_loses_no_word() {
        let steps = json!([{"setWeight": 25}, {"observe": {"atLeast": "5m", "atMost": "30m"}}, {"pause": {}},
            {"analysis": {"templates": [{"name": "checkout-load-test"}, {"name": "long-template-name"}]}}]);
        let spec = json!({"strategy": {"canary": {"steps": steps}}, "stableMetadata": {"labels": {"role": "stable"}}});
        let pods = Replicas { count: 100, assumed: None };
        let plan = plan("web", &serde_json::from_value(spec).unwrap(), pods, &Objects::default());
        let words = |width| {
            plan.text(width)
                .split_whitespace()
                .filter(|word| !word.contains(['█', '▏', '▎', '▍', '▌', '▋', '▊', '▉']))
                .count()
        };
        for width in 60..=140 {
            let text = plan.text(width);
            assert!(text.lines().all(|line| line.chars().count() <= width), "{width}\n{text}");
            assert_eq!(words(width), words(1_000), "{width}\n{text}");
        }
        insta::assert_snapshot!("plan_80", plan.text(80));
    }
}
