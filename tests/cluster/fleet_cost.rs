//! What a small fleet costs the API server, next to docs/performance.json: `make scale` with few Rollouts and short timers,
//! on a cluster of its own in a namespace of its own, so that no object of another test adds to its requests.

use crate::namespace::{LANE, PROGRAM};
use std::process::{Command, Stdio};

const FLEET: &[&str] = &["--rollouts", "50", "--mesh", "--short", "--idle", "5"];

#[test]
fn a_small_fleet_costs_what_was_accepted() {
    let program = std::env::var_os(PROGRAM).unwrap_or_else(|| panic!("{PROGRAM} is not set: run `make test-cluster`"));
    let mut scale = Command::new(program);
    scale.arg("scale").args(FLEET).args(["--controller", env!("CARGO_BIN_EXE_glidepath")]);
    let output = scale.env_remove(LANE).stdin(Stdio::null()).stderr(Stdio::inherit()).output().unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    println!("{report}");
    assert!(output.status.success(), "the reason is printed above");
    assert!(report.contains("No figure is more than"), "nothing was accepted for this workload");
}
