//! The one integration binary; each topic is a module.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "tests stop at what they did not expect"
)]

mod ab_test;
mod analyze;
mod architecture;
mod blue_green;
mod cel;
mod completion;
mod controller_log;
mod crds;
mod dependencies;
mod deploy;
mod docs;
mod drift;
mod engine;
mod faulty;
mod files;
mod fuzz;
mod gate_step;
mod gates;
mod guards;
mod histories;
mod hostile;
mod layers;
mod lint;
mod lint_inputs;
mod local;
mod mesh;
mod model;
mod ownership;
mod performance;
mod plan;
mod pod_cases;
mod pod_fields;
mod pod_templates;
mod reach;
mod record;
mod router;
mod router_weights;
mod scenarios;
mod semantics;
mod soak;
mod sticky_canary;
mod tick;
mod time_limits;
mod total;
mod trust;
mod upgrade;
mod vectors;
mod words;

use fuzz::bodies::small_world;
