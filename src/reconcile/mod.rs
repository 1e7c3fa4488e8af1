//! What walks, the same in the controller, the simulator and local mode: one tick of a Rollout, one step of an
//! AnalysisRun, the desk on which gates' answers lie, and fair turns at what many ask at once.

mod deferred;
mod gate_desk;
pub mod replicas;
pub mod retry;
pub mod runs;
pub mod tick;
pub mod turns;

pub use gate_desk::GateDesk;
