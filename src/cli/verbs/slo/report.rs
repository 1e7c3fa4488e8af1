//! What `slo` prints of one objective.

use serde_json::{Value, json};

use super::subject::Subject;
use crate::{
    api::common::HumanDuration,
    cli::render::{
        fitted::Table,
        paint::{Paint, Tone},
        table::Cell,
    },
    evidence::{
        grouped,
        slo::{ALERTS, Counted, Events, FAST, SLOW, availability, budget, burn, is_on, sli, span, within_slo},
    },
};

/// What was counted in one window.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// Its length.
    pub seconds: u64,
    /// Whether the counters have series in it.
    pub has_series: bool,
    /// Its events.
    pub events: Events,
    /// Notes of the source.
    pub notes: Vec<String>,
}

/// A service and its objective, with what was counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// What it is about.
    pub subject: Subject,
    windows: Vec<(u64, Events)>,
    has_series: bool,
    /// Of response times: a request that takes longer is bad.
    pub under: Option<HumanDuration>,
    /// How much of the period has series, if not all of it.
    pub seen: Option<u64>,
    /// Notes for users.
    pub notes: Vec<String>,
}

impl Report {
    /// Nothing counted yet.
    pub fn new(subject: Subject) -> Self {
        Report { subject, windows: Vec::new(), has_series: false, under: None, seen: None, notes: Vec::new() }
    }

    /// Adds a window, the shortest first. A longer one has at least the events of a shorter one: its pieces are longer, and
    /// pods that are younger than a piece have none in it.
    pub fn add(&mut self, window: Window) {
        let shorter = self.windows.last().map(|(_, events)| *events).unwrap_or_default();
        let events = if window.events.total < shorter.total { shorter } else { window.events };
        self.windows.push((window.seconds, events));
        self.has_series |= window.has_series;
        self.notes.extend(window.notes);
    }

    /// Adds the period: what was counted of it before the longest window, and that window.
    pub fn add_rest(&mut self, rest: Window) {
        let longest = self.windows.last().map(|(_, events)| *events).unwrap_or_default();
        self.add(Window { events: rest.events.plus(longest), ..rest });
    }

    /// Why nothing can be said.
    pub fn nothing(&self) -> String {
        let Subject { name, namespace, .. } = &self.subject;
        match (&self.subject.counted, self.has_series) {
            (_, false) if self.under.is_some() => {
                format!("no buckets of response times of {name} within {}: is its histogram exported?", self.period())
            }
            (_, true) => format!("{name} had no requests in {}", self.covered()),
            (Counted::Service { .. }, false) => format!(
                "no series of {name} in namespace {namespace} within {}: check its name, --namespace and --pack; a new pod \
                 counts from its second scrape on",
                self.period()
            ),
            (Counted::Selected, false) => format!("the counters of {name} select no series within {}", self.period()),
        }
    }

    /// The period: `30d`.
    fn period(&self) -> String {
        span(self.subject.slo.period_seconds)
    }

    /// What of the period was seen: `30d`, `2h of 30d`.
    fn covered(&self) -> String {
        match self.seen {
            Some(0) => format!("less than 2m of {}", self.period()),
            Some(seconds) => format!("{} of {}", span(seconds), self.period()),
            None => self.period(),
        }
    }

    /// The notes of the source, and how much of the period was seen.
    fn notes(&self) -> Vec<String> {
        let seen = self.seen.filter(|_| self.under.is_none() && self.has_series).map(|_| {
            let covered = self.covered();
            format!("{covered} seen: the service is younger, or Prometheus keeps less; all figures are of that time")
        });
        self.notes.iter().cloned().chain(seen).collect()
    }

    fn events(&self, seconds: u64) -> Events {
        self.windows.iter().find(|(length, _)| *length == seconds).map(|(_, events)| *events).unwrap_or_default()
    }

    fn whole(&self) -> Events {
        self.events(self.subject.slo.period_seconds)
    }

    /// Whether the objective is met over the period; `None` without events.
    pub fn is_within(&self) -> Option<bool> {
        sli(self.whole()).map(|sli| within_slo(sli, self.subject.slo.objective))
    }

    fn budget_left(&self) -> Option<f64> {
        self.subject.slo.budget_left(self.whole())
    }

    fn exhausted_in(&self) -> Option<u64> {
        let slo = &self.subject.slo;
        let hour = slo.burn(self.events(FAST.long_seconds))?;
        slo.exhausted_in(self.budget_left()?, hour).map(|seconds| seconds as u64)
    }

    /// The alerts that are on.
    fn burning(&self) -> Vec<&'static str> {
        let on = |alert| is_on(alert, &self.subject.slo, &self.windows);
        [("fast", on(&FAST)), ("slow", on(&SLOW))].into_iter().filter(|(_, on)| *on).map(|(name, _)| name).collect()
    }

    /// The burn rate at which the alert of a window fires, if it is one of an alert.
    fn limit(&self, seconds: u64) -> Option<f64> {
        let alert = ALERTS.iter().find(|alert| alert.long_seconds == seconds || alert.short_seconds == seconds);
        // Windows of the slower alerts are the long ones of a faster one, which comes first.
        alert.map(|alert| alert.burn(self.subject.slo.period_seconds))
    }

    /// Its numbers, for scripts (docs/json.md).
    pub fn figures(&self) -> Value {
        let slo = &self.subject.slo;
        let window = |(seconds, events): &(u64, Events)| {
            json!({
                "seconds": seconds, "bad": events.bad, "total": events.total, "burn": slo.burn(*events).map(rounded),
                "limit": self.limit(*seconds),
            })
        };
        let share = json!(sli(self.whole()).map(percent));
        let (name, under) = match self.under {
            Some(under) => ("share", json!(under.get().as_secs_f64())),
            None => ("availability", Value::Null),
        };
        let mut figures = json!({
            "underSeconds": under,
            "objective": percent(slo.objective),
            "periodSeconds": slo.period_seconds,
            "seenSeconds": self.seen.unwrap_or(slo.period_seconds),
            name: share,
            "within": self.is_within(),
            "budgetLeft": self.budget_left().map(percent),
            "exhaustedInSeconds": self.exhausted_in(),
            "burning": self.burning(),
            "windows": self.windows.iter().map(window).collect::<Vec<_>>(),
            "notes": self.notes(),
        });
        if let (Value::Object(fields), None) = (&mut figures, self.under) {
            fields.remove("underSeconds");
        }
        figures
    }

    /// For people.
    pub fn text(&self, width: usize, paint: Paint) -> String {
        let mut out = self.head(paint);
        let bad = if self.under.is_some() { "SLOW" } else { "BAD" };
        let head = vec!["WINDOW", "BURN", "LIMIT", bad, "EVENTS"];
        let rows = self.windows.iter().map(|window| self.row(*window)).collect();
        out += &Table { indent: 2, head, rows }.text(width, paint);
        for name in self.burning() {
            let line = format!("the {name} burn alert is on: both of its windows are above their limit");
            out += &format!("\n{}\n", paint.text(Tone::Bad, &line));
        }
        out + &self.notes().iter().map(|note| format!("\nnote: {note}\n")).collect::<String>()
    }

    fn head(&self, paint: Paint) -> String {
        let objective = percent(self.subject.slo.objective);
        let (tone, word) = match self.is_within() {
            Some(true) => (Tone::Good, "within"),
            Some(false) => (Tone::Bad, "missed"),
            None => (Tone::Dim, "no requests"),
        };
        let under = self.under.map(|under| format!(" under {under}")).unwrap_or_default();
        let share = availability(self.whole()).map(|share| format!("{share}{under} over {}", self.covered()));
        let left = self.budget_left().map(budget);
        let exhausted = self.exhausted_in().filter(|seconds| *seconds > 0);
        let exhausted = exhausted.map(|seconds| format!("exhausted in {} at the last hour's burn", span(seconds)));
        let word = format!("objective {objective} %: {}", paint.text(tone, word));
        let parts =
            [Some(self.subject.name.clone()).filter(|name| !name.is_empty()), share, Some(word), left, exhausted];
        format!("{}\n\n", parts.into_iter().flatten().collect::<Vec<_>>().join("   "))
    }

    fn row(&self, (seconds, events): (u64, Events)) -> Vec<Cell> {
        let (rate, limit) = (self.subject.slo.burn(events), self.limit(seconds));
        let above = rate.zip(limit).is_some_and(|(rate, limit)| rate > limit);
        let tone = if above { Tone::Warn } else { Tone::Plain };
        let shown = |rate: Option<f64>| rate.map_or_else(|| "-".to_owned(), burn);
        vec![
            span(seconds).into(),
            Cell::toned(tone, shown(rate)),
            shown(limit).into(),
            grouped(events.bad).into(),
            grouped(events.total).into(),
        ]
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

/// A share in percent, without the digits that a binary number adds.
fn percent(share: f64) -> f64 {
    rounded(share * 100.0)
}
