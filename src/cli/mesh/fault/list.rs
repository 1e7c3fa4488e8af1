//! `glidepath mesh fault list`: MeshFaults with what they do and where they stand.

use jiff::Timestamp;
use kube::{Api, ResourceExt, api::ListParams};

use super::access::{failed, faults};
use crate::{
    api::{
        MeshFault,
        fault::{FaultResult, FaultState, MeshFaultSpec},
    },
    cli::{
        args::global::Global,
        connect::{connect, now},
        exit::{CliError, Exit},
        render::{
            fitted::Table,
            output::{self, print},
            paint::{Paint, Tone},
            printable::printable,
            table::Cell,
        },
    },
    view::phrases,
};

/// List faults
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  glidepath mesh fault list
  glidepath mesh fault list -A
  glidepath mesh fault list -o json   the objects themselves")]
pub struct ListArgs {
    /// All namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
}

/// Prints the faults, the newest first.
pub async fn run(args: &ListArgs, global: &Global) -> Result<Exit, CliError> {
    let connection = connect(global).await?;
    let api: Api<MeshFault> =
        if args.all_namespaces { Api::all(connection.client.clone()) } else { faults(&connection) };
    let mut found = match api.list(&ListParams::default()).await {
        Ok(found) => found.items,
        Err(error) => return Err(failed(&connection, "list faults".to_owned(), &error).await),
    };
    found.sort_by_key(|fault| std::cmp::Reverse(fault.creation_timestamp().map(|time| time.0)));
    if let Some(text) = output::objects(global.output, &found, true)? {
        print(&text)?;
    } else if found.is_empty() {
        let namespace = format!("namespace \"{}\"", connection.namespace);
        let place = if args.all_namespaces { "any namespace" } else { &namespace };
        eprintln!("no MeshFaults in {}", printable(place));
    } else {
        let paint = Paint { on: global.color_on() };
        print(&table(&found, args.all_namespaces, now()).text(global.width(), paint))?;
    }
    Ok(Exit::Done)
}

fn table(found: &[MeshFault], namespaces: bool, now: Timestamp) -> Table {
    let head = ["NAMESPACE", "NAME", "SERVICE", "FAULT", "FOR", "STATE", "AGE"];
    let row = |fault: &MeshFault| {
        let created = fault.creation_timestamp().map(|time| phrases::age(now.duration_since(time.0)));
        let target = &fault.spec.target;
        let mut cells = vec![
            Cell::from(fault.namespace().unwrap_or_default()),
            fault.name_any().into(),
            target.service.clone().into(),
            does(&fault.spec).into(),
            fault.spec.duration.to_string().into(),
            stands(fault, now),
            created.unwrap_or_else(|| "-".to_owned()).into(),
        ];
        cells.drain(..usize::from(!namespaces));
        cells
    };
    Table { indent: 0, head: head[usize::from(!namespaces)..].to_vec(), rows: found.iter().map(row).collect() }
}

/// `10 %: 3s, 5 %: 503`.
fn does(spec: &MeshFaultSpec) -> String {
    let delay = spec.delay.as_ref().map(|delay| format!("{}: +{}", delay.share, delay.fixed));
    let abort = spec.abort.as_ref().map(|abort| {
        let grpc = abort.grpc.map(|status| format!("gRPC {}", status.code()));
        let status = abort.status.map(|status| status.to_string()).or(grpc);
        format!("{}: {}", abort.share, status.unwrap_or_default())
    });
    delay.into_iter().chain(abort).collect::<Vec<_>>().join(", ")
}

fn stands(fault: &MeshFault, now: Timestamp) -> Cell {
    match fault.status.as_ref().and_then(|status| status.state.as_ref()) {
        None => Cell::toned(Tone::Warn, "no controller has seen it"),
        Some(FaultState::Pending(pending)) => Cell::toned(Tone::Warn, format!("Pending: {:?}", pending.because)),
        Some(FaultState::Active(active)) if active.until <= now => {
            Cell::toned(Tone::Warn, "Active, past its end: no controller has noticed")
        }
        Some(FaultState::Active(active)) => {
            Cell::toned(Tone::Busy, format!("Active, ends in {}", phrases::short(active.until.duration_since(now))))
        }
        Some(FaultState::Ended(ended)) => {
            let tone = match ended.result {
                FaultResult::Survived => Tone::Good,
                FaultResult::Stopped => Tone::Bad,
                FaultResult::Inconclusive => Tone::Warn,
            };
            Cell::toned(tone, format!("{:?}: {:?}", ended.result, ended.because))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::yaml;

    #[test]
    fn a_fault_is_one_line() {
        let now: Timestamp = "2026-12-01T12:00:00Z".parse().unwrap();
        let fault = |name: &str, effect: serde_json::Value, state: serde_json::Value| -> MeshFault {
            let mut object = json!({
                "apiVersion": "glidepath.dev/v1alpha1", "kind": "MeshFault",
                "metadata": {"namespace": "shop", "name": name, "creationTimestamp": "2026-12-01T11:58:00Z"},
                "spec": {"target": {"service": "payment"}, "duration": "10m", "guard": {"none": true}},
                "status": {"state": state},
            });
            effect.as_object().unwrap().iter().for_each(|(key, value)| object["spec"][key] = value.clone());
            yaml::typed(&object).unwrap()
        };
        let delay = json!({"delay": {"fixed": "3s", "share": 10}});
        let both = json!({"delay": {"fixed": "3s", "share": 10}, "abort": {"status": 503, "share": 0.25}});
        let grpc = json!({"abort": {"grpc": "UNAVAILABLE", "share": 100}});
        let ended = |result: &str, because: &str| json!({"ended": {"result": result, "because": because, "at": now.to_string()}});
        let active = |until: &str| json!({"active": {"since": "2026-12-01T11:58:00Z", "until": until}});
        let found = [
            fault("a", delay.clone(), json!(null)),
            fault("b", both, json!({"pending": {"because": "Releasing", "since": now.to_string()}})),
            fault("c", delay.clone(), active("2026-12-01T12:08:00Z")),
            fault("c2", delay.clone(), active("2026-12-01T12:00:00Z")),
            fault("d", grpc, ended("Survived", "Elapsed")),
            fault("e", delay, ended("Stopped", "BudgetBurned")),
        ];
        let text = table(&found, true, now).text(usize::MAX, Paint { on: false });
        insta::assert_snapshot!(text);
    }
}
