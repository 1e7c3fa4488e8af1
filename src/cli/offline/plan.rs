//! `glidepath plan`: the timeline of a release as a file describes it, without a cluster.

mod columns;

use std::time::Duration;

use columns::{Columns, Row, labelled, lines};

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
    view::{phrases, step},
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
    /// The number of pods; default: the file's replicas, else 10
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(0..=i64::from(MOST_PODS)))]
    pub replicas: Option<u32>,
}

const FORMATS: [OutputFormat; 4] = [OutputFormat::Table, OutputFormat::Json, OutputFormat::Yaml, OutputFormat::Name];
const CANNOT: &str = "cannot plan a release with these errors";

/// What is planned with when neither the file nor the command line says how many pods there are.
const USUAL_REPLICAS: u32 = 10;

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
    let (mut refusal, mut plans) = (Refusal::default(), Vec::new());
    for file in &files {
        let documents = refusal.documents(&mut reader, file);
        for document in documents.iter().filter(|one| one.text("/kind") == Some("Rollout")) {
            if refusal.extend(&file.name, document, check::object(document, None)) {
                plans.extend(of_document(document, args.replicas));
            }
        }
    }
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
    let all = serde_json::Value::from_iter(plans.iter().map(json));
    let text = || plans.iter().map(|plan| plan.text(width)).collect::<Vec<_>>().join("\n");
    Ok(output::value(format, &all)?.unwrap_or_else(text))
}

/// The timeline of one Rollout.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    name: String,
    replicas: u32,
    split: Split,
    lines: Vec<Line>,
    people: u32,
    gates: u32,
    least: Duration,
    open_waits: u32,
    most_pods: u32,
    /// What the strategy calls the step that brings up the new version's pods.
    scale: &'static str,
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

fn of_document(document: &Document, replicas: Option<u32>) -> Result<Plan, YamlError> {
    let spec: RolloutSpec = yaml::typed(&document.value["spec"])?;
    let name = document.text("/metadata/name").unwrap_or("rollout");
    Ok(plan(name, &spec, replicas.or(spec.replicas).unwrap_or(USUAL_REPLICAS)))
}

/// Walks the steps once, adding up the waiting. The pods are those that the engine will ask for.
pub fn plan(name: &str, spec: &RolloutSpec, replicas: u32) -> Plan {
    let release = Release::of(spec, replicas);
    let roles = [("canary", &spec.canary_metadata), ("stable", &spec.stable_metadata)].into_iter();
    let mut plan = Plan {
        name: name.to_owned(),
        replicas,
        split: release.split(),
        most_pods: release.most_pods(),
        scale: if spec.strategy.blue_green.is_some() { "preview" } else { "setCanaryScale" },
        roles: roles.filter_map(|(role, metadata)| Some((role, metadata.clone()?))).collect(),
        ..Plan::default()
    };
    let steps = release.items();
    for (index, item) in (0u32..).zip(steps) {
        plan.step(index, item, items::weight_at(steps, index, 0), |sub| release.canary_pods(index, sub));
    }
    let pods = match plan.split {
        Split::Routes => format!("{replicas} new pods, then all traffic"),
        Split::Switch => format!("{replicas} new pods, then the active Service is switched"),
        Split::Ratio => pods_text(replicas),
    };
    plan.line(String::new(), "promotion".to_owned(), pods, Percent::FULL);
    plan
}

fn names(templates: &[TemplateRef]) -> String {
    templates.iter().map(|template| template.name.as_str()).collect::<Vec<_>>().join(", ")
}

impl Plan {
    /// How long its waits take at the soonest.
    pub fn least(&self) -> Duration {
        self.least
    }

    fn line(&mut self, number: String, what: String, detail: String, weight: Percent) {
        self.lines.push(Line { number, at: self.least, what, detail, weight });
    }

    fn step(&mut self, index: u32, item: &Item, weight: Percent, pods: impl Fn(u32) -> u32) {
        let number = (index + 1).to_string();
        match item {
            Item::SetWeight(set) => self.line(number, format!("setWeight {set}"), pods_text(pods(0)), weight),
            Item::SetCanaryScale(_) => self.line(number, self.scale.to_owned(), pods_text(pods(0)), weight),
            Item::Pause(Some(duration)) => {
                self.line(number, format!("pause {duration}"), String::new(), weight);
                self.least += duration.get();
            }
            Item::Pause(None) => {
                self.line(number, "pause".to_owned(), "until an operator promotes".to_owned(), weight);
                self.people += 1;
            }
            Item::Observe { at_least, at_most } => {
                let detail = format!("at least {at_least}, at most {at_most}, then once more {at_most}");
                self.line(number, "observe".to_owned(), detail, weight);
                self.least += at_least.get();
                self.open_waits += 1;
            }
            Item::Analysis(analysis) => {
                let at_most = analysis.at_most();
                let what = format!("analysis {}", names(&analysis.templates));
                self.line(number, what, format!("at most {at_most}"), weight);
                self.open_waits += 1;
            }
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
                let detail = format!("at least {}, at most {}", decide.at_least, decide.at_most);
                self.line(number, format!("test by {}", names(&decide.goal.templates)), detail, weight);
                self.least += decide.at_least.get();
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
            let number = format!("{}.{}", index + 1, stride + 1);
            let detail = format!("{}, for {every}", pods_text(pods(stride * 2)));
            self.line(number, format!("ramp to {weight}"), detail, *weight);
            self.least += every.get();
        }
    }

    /// Human-readable, in so many columns: time, step, action, pods, a bar of the weight; and the totals.
    pub fn text(&self, width: usize) -> String {
        let split = match self.split {
            Split::Routes => "weights in the mesh",
            Split::Ratio => "no mesh: the ratio of pods",
            Split::Switch => "no mesh: the active Service is switched",
        };
        let heading = format!("{}  {}, {split}", self.name, pods_text(self.replicas));
        let mut text: String = lines(&heading, width).iter().map(|line| format!("{line}\n")).collect();
        let times: Vec<String> = self.lines.iter().map(|line| format!("+{}", HumanDuration::from(line.at))).collect();
        let rows: Vec<Row<'_>> = times.iter().zip(&self.lines).map(|(at, line)| line.row(at)).collect();
        let columns = Columns::of(&rows, width);
        text.extend(rows.into_iter().map(|row| columns.lay_out(row)));
        text += &labelled("total", &self.sum(), width);
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
        let evidence = if self.open_waits > 0 { ", longer until the analysis decides" } else { "" };
        let least = HumanDuration::from(self.least);
        format!("at least {least} of waiting{evidence}{gates}{people}; at most {} at a time", pods_text(self.most_pods))
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
        "replicas": plan.replicas,
        "mesh": plan.split == Split::Routes,
        "steps": lines.collect::<Vec<_>>(),
        "waitsAtLeast": HumanDuration::from(plan.least),
        "pausesForAPerson": plan.people,
        "podsAtMost": plan.most_pods,
    });
    for (role, metadata) in &plan.roles {
        json[format!("{role}Metadata")] = serde_json::json!(metadata);
    }
    json
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
        let of = |metadata| plan("web", &spec(metadata), 4);
        let both = of(json!({"labels": {"role": "canary", "a": "1"}, "annotations": {"example.com/note": "on trial"}}));
        let lines =
            "    canary  pods carry a=1, role=canary, example.com/note=on trial\n    stable  pods carry role=stable\n";
        assert!(both.text(100).ends_with(lines), "{}", both.text(100));
        assert_eq!(json(&both)["canaryMetadata"]["labels"], json!({"a": "1", "role": "canary"}));
        assert!(!of(json!({})).text(100).contains("canary  pods carry"));
    }

    #[test]
    fn it_fits_the_terminal_and_loses_no_word() {
        let steps = json!([{"setWeight": 25}, {"observe": {"atLeast": "5m", "atMost": "30m"}}, {"pause": {}},
            {"analysis": {"templates": [{"name": "checkout-load-test"}, {"name": "long-template-name"}]}}]);
        let spec = json!({"strategy": {"canary": {"steps": steps}}, "stableMetadata": {"labels": {"role": "stable"}}});
        let plan = plan("web", &serde_json::from_value(spec).unwrap(), 100);
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
