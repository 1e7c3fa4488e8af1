//! End-to-end tests against the real components. One lane serves all tests of a process (`lanes` runs two processes, each with
//! its part of the modules); each test uses Kubernetes namespaces of its own. They run inside the namespace that
//! `make test-cluster` makes; elsewhere they fail and say so.
//!
//! To add tests: a file here, one `mod` line below, plain `#[test]` functions that call [`lane`].
#![allow(dead_code, reason = "the example and the test binary share these files; each uses its own part")]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test binary: it asserts, and waits on the real clock"
)]

mod audit;
mod component;
mod consul;
mod controller;
mod definitions;
mod exposition;
mod front;
mod grpc;
mod http;
mod judged;
mod kubectl;
mod lane;
mod limits;
mod load;
mod measured;
mod namespace;
mod node;
mod obtain;
mod partition;
mod playing;
mod programs;
mod say;
mod server;
mod shop;
mod wait;
mod waiting;

// The tests.
mod ab_test;
mod admission;
mod adoption;
mod application_pack;
mod bad_input;
mod blue_green;
mod blue_green_routes;
mod consul_routes;
mod deep_objects;
mod detection;
mod envoy_pack;
mod exit_codes;
mod first_hour;
mod fleet_cost;
mod gateway_routes;
mod grpc_streams;
mod guarded_prometheus;
mod harness;
mod header_routes;
mod image;
mod interruptions;
mod istio_versions;
mod many_analyses;
mod many_records;
mod mesh_check;
mod mesh_controller;
mod mesh_faults;
mod mesh_policies;
mod metadata;
mod native_histograms;
mod nginx;
mod other_routers;
mod pod_templates;
mod pods_that_end;
mod presets;
mod propagation;
mod relay;
mod releases;
mod restart;
mod scenarios;
mod slow_prometheus;
mod smoke;
mod subsets;
mod traefik;
mod two_leaders;
mod two_routes;
mod uninstall;
mod upgrade;

use lane::{Lane, Options};
use std::sync::OnceLock;

/// The lane all tests share, brought up by the first that asks. A bring-up that failed fails every test with its reason.
pub fn lane() -> &'static Lane {
    static LANE: OnceLock<Result<Lane, String>> = OnceLock::new();
    let lane = LANE.get_or_init(|| {
        Lane::start(Options { gateway_api: true, ..Options::default() }).map_err(|error| format!("{error:#}"))
    });
    match lane {
        Ok(lane) => lane,
        Err(reason) => panic!("no test cluster: {reason}"),
    }
}

/// The programs under test, with the lane's kubeconfig: `glidepath().args(["status", ...])`.
pub fn glidepath() -> std::process::Command {
    lane().command(env!("CARGO_BIN_EXE_glidepath"))
}
