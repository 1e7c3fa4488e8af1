//! What `mesh check` prints: one table of callers per Service, those that would be cut first.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    api::common::HumanDuration,
    cli::render::{
        fitted::Table,
        paint::{Paint, Tone},
        table::Cell,
    },
    evidence::grouped,
    mesh::check::{Answer, Caller, Checked, Verdict},
    view::{document::API_VERSION, phrases},
};

/// A Service with what would become of its callers.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub service: String,
    pub since: HumanDuration,
    pub checked: Checked,
}

/// All Services, as a table each.
pub(super) fn text(rows: &[Row], now: Timestamp, width: usize, paint: Paint) -> String {
    rows.iter().map(|row| one(row, now, width, paint)).collect::<Vec<_>>().join("\n")
}

fn one(row: &Row, now: Timestamp, width: usize, paint: Paint) -> String {
    let Row { service, since, checked } = row;
    let since = phrases::short(since.signed());
    let count = |wanted: fn(&Answer) -> bool| checked.callers.iter().filter(|(_, answer)| wanted(answer)).count();
    let cut = count(|answer| matches!(answer, Answer::Cut(_)));
    let depends = count(|answer| matches!(answer, Answer::Depends(_)));
    let head = match checked.verdict() {
        Verdict::Unknown => {
            format!("Service {service}: no caller was seen in the last {since}, so it is not known who would be cut\n")
        }
        Verdict::Allowed => {
            format!("Service {service}: all {} callers of the last {since} may call\n", checked.callers.len())
        }
        Verdict::Cut | Verdict::Depends => format!(
            "Service {service}: of {} callers of the last {since}, {cut} would be cut; for {depends} it depends\n",
            checked.callers.len()
        ),
    };
    if checked.callers.is_empty() {
        return head;
    }
    let rows = checked.callers.iter().map(|(caller, answer)| cells(caller, answer, now)).collect();
    head + &Table { indent: 0, head: vec!["CALLER", "COUNT", "LAST SEEN", "ANSWER"], rows }.text(width, paint)
}

fn cells(caller: &Caller, answer: &Answer, now: Timestamp) -> Vec<Cell> {
    let tone = match answer {
        Answer::Allowed => Tone::Good,
        Answer::Depends(_) => Tone::Warn,
        Answer::Cut(_) => Tone::Bad,
    };
    let count = caller.count.round() as u64;
    let unit = if caller.is_http { "request" } else { "connection" };
    let plural = if count == 1 { "" } else { "s" };
    let seen = caller.last_seen.map(|seen| format!("{} ago", phrases::age(now.duration_since(seen))));
    vec![
        Cell::from(caller.to_string()),
        Cell::from(format!("{} {unit}{plural}", grouped(count))),
        Cell::from(seen.unwrap_or_else(|| "-".to_owned())),
        Cell::toned(tone, answer.to_string()),
    ]
}

/// The same for scripts.
pub(super) fn json(rows: &[Row]) -> Value {
    let callers = |checked: &Checked| {
        checked.callers.iter().map(|(caller, answer)| caller_json(caller, answer)).collect::<Vec<_>>()
    };
    let service = |row: &Row| {
        json!({
            "service": row.service,
            "sinceSeconds": row.since.get().as_secs(),
            "verdict": format!("{:?}", row.checked.verdict()),
            "callers": callers(&row.checked),
        })
    };
    json!({"apiVersion": API_VERSION, "kind": "MeshCheckReport", "services": rows.iter().map(service).collect::<Vec<_>>()})
}

fn caller_json(caller: &Caller, answer: &Answer) -> Value {
    let (answer, reason) = match answer {
        Answer::Allowed => ("Allowed", None),
        Answer::Cut(why) => ("Cut", Some(why.clone())),
        Answer::Depends(on) => ("Depends", Some((*on).to_owned())),
    };
    json!({
        "workload": caller.workload,
        "principal": caller.identity.as_ref().map(crate::mesh::check::Identity::principal),
        "mutualTLS": caller.is_mutual,
        "protocol": if caller.is_http { "HTTP" } else { "TCP" },
        "count": caller.count,
        "lastSeen": caller.last_seen.map(phrases::time),
        "answer": answer,
        "reason": reason,
    })
}
