//! What is fuzzed: each module's `run` takes any bytes and panics when the product does, or when it breaks what it promises.
//!
//! The bodies stand here once. `fuzz/` makes them targets of libFuzzer, and `tests/it/fuzz.rs` runs them as bounded property
//! tests, so they name nothing but the library and serde.

pub mod answers;
mod choices;
pub mod conditions;
mod json;
pub mod routes;
// Declared here, where the fuzz targets find it too; the tests know it as `crate::small_world`.
#[path = "../../small_world/mod.rs"]
pub mod small_world;
pub mod step;
pub mod units;
pub mod yaml;
