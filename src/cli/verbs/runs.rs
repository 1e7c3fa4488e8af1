//! AnalysisRuns: `get runs` lists them, `describe run NAME` shows one with its evidence.

use jiff::Timestamp;
use kube::{Api, ResourceExt, api::ListParams};

use super::get::{Listed, age};
use crate::{
    api::{
        ROLLOUT_LABEL,
        analysis::{AnalysisRun, AnalysisRunStatus, LoadStatus, MetricStatus, RunPhase, Verdict},
    },
    chart::spark::spark,
    cli::{
        answer::is_unknown_path,
        args::global::Global,
        connect::{Connection, connect, now},
        exit::{CliError, Exit},
        program::program,
        render::{
            fitted::{Table, flow},
            output::{self, print},
            paint::Paint,
            table::{Cell, INDENT, UNLIMITED, Widths, columns, label, wrap},
        },
    },
    view::phrases,
};

/// Characters of a sparkline.
const SPARK: usize = 30;

/// Shows the one that is named.
pub async fn describe(names: &[String], global: &Global) -> Result<Exit, CliError> {
    let [name] = names else {
        let words = format!("name one AnalysisRun: use '{0} describe run NAME'; '{0} get runs' lists them", program());
        return Err(CliError::Usage(words));
    };
    let run = AnalysisRun::one(&connect(global).await?, name).await?;
    let text = match output::objects(global.output, std::slice::from_ref(&run), false)? {
        Some(text) => text,
        None => described(&run, now(), global.width(), Paint { on: global.color_on() }),
    };
    print(&text)?;
    Ok(Exit::Done)
}

impl Listed for AnalysisRun {
    const KIND: &'static str = "AnalysisRun";

    async fn one(connection: &Connection, name: &str) -> Result<Self, CliError> {
        let runs: Api<AnalysisRun> = Api::namespaced(connection.client.clone(), &connection.namespace);
        match runs.get(name).await {
            Ok(run) => Ok(run),
            Err(error) => Err(match &error {
                kube::Error::Api(status) if is_unknown_path(status) => {
                    connection.kind_missing(Self::KIND, &error).await
                }
                kube::Error::Api(status) if status.code == 404 => not_found(connection, &runs, name).await,
                _ => connection.first_error(format!("read AnalysisRun \"{name}\""), &error).await,
            }),
        }
    }

    fn head(wide: bool) -> Vec<&'static str> {
        let mut head = vec!["NAME", "ROLLOUT", "PHASE", "VERDICT", "METRICS", "AGE"];
        if wide {
            head.extend(["STARTED", "CANARY", "STABLE"]);
        }
        head.push("MESSAGE");
        head
    }

    fn row(&self, wide: bool, now: Timestamp) -> Vec<Cell> {
        let status = self.status.clone().unwrap_or_default();
        let mut cells = vec![
            self.name_any().into(),
            rollout_of(self).into(),
            format!("{:?}", status.phase).into(),
            verdict(&status),
            metrics(&status).into(),
            age(self, now),
        ];
        if wide {
            cells.push(status.started_at.map_or_else(|| "-".into(), phrases::time).into());
            cells.extend([self.spec.arms.canary.as_str().into(), self.spec.arms.stable.as_str().into()]);
        }
        cells.push(status.message.into());
        cells
    }
}

async fn not_found(connection: &Connection, runs: &Api<AnalysisRun>, name: &str) -> CliError {
    let some = runs.list(&ListParams::default().limit(1)).await;
    let there = match some.map(|list| list.items.len()) {
        Ok(0) => "there are none; one begins with a step that has an analysis".to_owned(),
        _ => format!("'{} get runs' lists them", program()),
    };
    CliError::NotFound { kind: "AnalysisRun", name: name.to_owned(), namespace: connection.namespace.clone(), there }
}

/// The Rollout it belongs to; a run can also be created by hand.
fn rollout_of(run: &AnalysisRun) -> String {
    let label = run.labels().get(ROLLOUT_LABEL).cloned();
    let owner = run.owner_references().iter().find(|owner| owner.kind == "Rollout").map(|owner| owner.name.clone());
    label.or(owner).unwrap_or_else(|| "-".into())
}

fn verdict(status: &AnalysisRunStatus) -> Cell {
    Cell::toned(status.verdict.into(), format!("{:?}", status.verdict))
}

/// How many metrics have passed, and how many there are; a failed one is named.
fn metrics(status: &AnalysisRunStatus) -> String {
    let with = |verdict| status.metrics.iter().filter(move |metric| metric.verdict == verdict);
    let failed: Vec<&str> = with(Verdict::Fail).map(|metric| metric.name.as_str()).collect();
    let failed = if failed.is_empty() { String::new() } else { format!(", failed: {}", failed.join(", ")) };
    format!("{}/{} passed{failed}", with(Verdict::Pass).count(), status.metrics.len())
}

/// One run: what it is about, since when, and the evidence of each metric.
pub(in crate::cli) fn described(run: &AnalysisRun, now: Timestamp, width: usize, paint: Paint) -> String {
    let status = run.status.clone().unwrap_or_default();
    let phase = match (status.phase, run.spec.background) {
        (RunPhase::Running, true) => "Running in the background".to_owned(),
        (phase, _) => format!("{phase:?}"),
    };
    let head = [run.name_any().into(), run.namespace().unwrap_or_default().into(), phase.into(), verdict(&status)];
    let mut out = columns(paint, 0, &[head.to_vec()]);
    out.push_str(&wrap(&status.message, 2, width));
    let mut line =
        |name: &str, text: &str| out.push_str(&flow(&[(0, text.into())], &label(name), INDENT, width, paint));
    let (rollout, arms) = (rollout_of(run), &run.spec.arms);
    if rollout != "-" {
        line("rollout", &rollout);
    }
    if !arms.canary.is_empty() && arms.canary != arms.stable {
        line("compares", &format!("canary {} with stable {}", arms.canary, arms.stable));
    }
    if let Some(at) = status.started_at {
        line("started", &format!("{}, {} ago", phrases::time(at), phrases::age(now.duration_since(at))));
    }
    for load in &status.load {
        line("load", &sent(load));
    }
    if !status.metrics.is_empty() {
        out.push_str(&evidence(&status.metrics, width, paint));
    }
    out
}

/// Who sends synthetic traffic.
fn sent(load: &LoadStatus) -> String {
    let jobs = if load.started == 1 { "1 Job".to_owned() } else { format!("{} Jobs", load.started) };
    let now = match (&load.job, load.next_at) {
        (Some(job), _) => format!("Job {job} sends traffic"),
        (None, Some(at)) => format!("the next Job starts at {}", phrases::time(at)),
        (None, None) => "no Job runs".to_owned(),
    };
    let note = load.note.iter().map(|note| format!("; {note}")).collect::<String>();
    format!("{now}, {jobs} started{note}")
}

fn evidence(metrics: &[MetricStatus], width: usize, paint: Paint) -> String {
    let head = vec!["METRIC", "VERDICT", "LAST", "CANARY", "STABLE"];
    let rows: Vec<Vec<Cell>> = metrics.iter().map(metric_row).collect();
    let mut widths = Widths::default();
    // All columns are as wide as their widest cell before the first line is printed.
    Table { indent: 2, head: head.clone(), rows: rows.clone() }.below_others(&mut widths, width, paint);
    let mut table = |head, rows| Table { indent: 2, head, rows }.below_others(&mut widths, width, paint);
    let mut out = format!("\n{}", table(head, Vec::new()));
    for (row, metric) in rows.into_iter().zip(metrics) {
        out.push_str(&table(Vec::new(), vec![row]));
        out.push_str(&wrap(&metric.comparison, 4, width));
        out.push_str(&course(metric, width));
        let needs = metric.needs.iter().filter(|_| matches!(metric.verdict, Verdict::Continue | Verdict::NoData));
        needs.for_each(|needs| out.push_str(&wrap(&format!("needs {needs}"), 4, width)));
        metric.notes.iter().for_each(|note| out.push_str(&wrap(note, 4, width)));
    }
    out
}

/// How its evidence towards Fail developed, on a terminal.
fn course(metric: &MetricStatus, width: usize) -> String {
    let points = metric.trail.as_ref().map(|trail| trail.points()).unwrap_or_default();
    if points.is_empty() || width == UNLIMITED {
        return String::new();
    }
    let shares: Vec<f64> = points.iter().map(|point| point.evidence.fail).collect();
    wrap(&format!("towards Fail {}", spark(&shares, SPARK)), 4, width)
}

fn metric_row(metric: &MetricStatus) -> Vec<Cell> {
    let optional = if metric.required { "" } else { " (optional)" };
    let reason = if metric.reason.is_empty() { String::new() } else { format!(" ({})", metric.reason) };
    let last = metric.measurements.last().map_or("-", |last| last.value.as_str());
    vec![
        format!("{}{optional}", metric.name).into(),
        Cell::toned(metric.verdict.into(), format!("{:?}{reason}", metric.verdict)),
        last.into(),
        metric.canary.as_str().into(),
        metric.stable.as_str().into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::samples;
    use serde_json::json;

    fn run() -> AnalysisRun {
        let metric = |name: &str, verdict: &str, required: bool| {
            json!({
                "name": name, "verdict": verdict, "required": required, "canary": "2.1 % (21/1,000)", "stable": "0.1 % (9/9,000)",
                "comparison": "ratio 21, 95 % CS 8-55, p < 0.001", "needs": "about 300 more canary requests",
                "measurements": [{ "value": "2.1 %", "verdict": verdict }], "notes": ["a counter reset was seen"]
            })
        };
        serde_json::from_value(json!({
            "apiVersion": "glidepath.dev/v1alpha1", "kind": "AnalysisRun",
            "metadata": {
                "name": "checkout-42-1-background", "namespace": "shop", "creationTimestamp": samples::ago(720),
                "labels": { ROLLOUT_LABEL: "checkout" }
            },
            "spec": { "background": true, "metrics": [], "arms": { "namespace": "shop", "canary": "checkout-k3", "stable": "checkout-b7" } },
            "status": {
                "phase": "Running", "verdict": "Fail", "message": "errors failed", "startedAt": samples::ago(700),
                "metrics": [metric("errors", "Fail", true), metric("latency", "Continue", false)]
            }
        }))
        .unwrap()
    }

    #[test]
    fn a_run_in_a_row_and_as_a_whole() {
        let plain = Paint { on: false };
        let cells =
            |wide| vec![AnalysisRun::head(wide).into_iter().map(Cell::from).collect(), run().row(wide, samples::NOW)];
        let mut precise = run();
        precise.status.as_mut().unwrap().started_at = Some("2026-01-01T10:00:00.123456789Z".parse().unwrap());
        let cells_of = precise.row(true, samples::NOW);
        assert!(cells_of.iter().any(|cell| cell.text() == "2026-01-01T10:00:00Z"), "whole seconds: {cells_of:?}");
        insta::assert_snapshot!("run_row", columns(plain, 0, &cells(false)));
        insta::assert_snapshot!("run_row_wide", columns(plain, 0, &cells(true)));
        insta::assert_snapshot!("run_described", described(&run(), samples::NOW, 100, plain));
        let mut with_load = run();
        let ended = LoadStatus { started: 2, note: Some("Job b failed: exit code 3".into()), ..LoadStatus::default() };
        let runs = LoadStatus { job: Some("checkout-42-1-background-a".into()), started: 1, ..LoadStatus::default() };
        with_load.status.as_mut().unwrap().load = vec![runs, ended];
        let text = described(&with_load, samples::NOW, 100, plain);
        assert!(text.contains("load      Job checkout-42-1-background-a sends traffic, 1 Job started\n"), "{text}");
        assert!(text.contains("load      no Job runs, 2 Jobs started; Job b failed: exit code 3\n"), "{text}");
        let with_course = samples::runs().remove(0);
        let shown = |width| described(&with_course, samples::NOW, width, plain);
        assert!(shown(100).contains("    towards Fail ▁▁▁▁▁▂▃▃▄▅▆█\n"), "{}", shown(100));
        assert!(!shown(UNLIMITED).contains("towards Fail"), "no pipe gets any");
    }
}
