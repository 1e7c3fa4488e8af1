//! What the fleet is: how many Rollouts of which kind, and how long they wait. Accepted figures are kept by workload.

use std::fmt;
use std::time::Duration;

/// The fleet and the timers of its update.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Workload {
    /// How many Rollouts
    #[arg(long, default_value_t = 100)]
    pub rollouts: usize,
    /// Pods of each Rollout
    #[arg(long, default_value_t = 1)]
    pub replicas: u32,
    /// Give each Rollout a VirtualService, and two Services more
    #[arg(long)]
    pub mesh: bool,
    /// Give each Rollout an HTTPRoute of a Gateway beside its VirtualService
    #[arg(long, requires = "mesh")]
    pub ingress: bool,
    /// Shorten settle, pauses and the delay before old pods go; `make test` does
    #[arg(long)]
    pub short: bool,
}

impl Workload {
    /// How long each pause of the steps lasts, in seconds.
    pub fn pause(&self) -> i64 {
        if self.short { 4 } else { 10 }
    }

    /// `settle` and `scaleDownDelay`, where they are not the defaults.
    pub fn delays(&self) -> Option<(&'static str, &'static str)> {
        self.short.then_some(("4s", "5s"))
    }

    /// The fleet is watched for so long after its last promotion: old pods go in it, with the defaults after 30 s.
    pub fn tail(&self) -> Duration {
        Duration::from_secs(if self.short { 15 } else { 60 })
    }

    /// A fleet that was deployed and has made no request for so long is at rest.
    pub fn quiet(&self) -> Duration {
        Duration::from_secs(if self.short { 3 } else { 15 })
    }
}

/// The name under which its figures are accepted: `1000 Rollouts, mesh`.
impl fmt::Display for Workload {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mesh = match (self.mesh, self.ingress) {
            (true, true) => "mesh and ingress",
            (true, false) => "mesh",
            (false, _) => "no mesh",
        };
        write!(to, "{} Rollouts, {mesh}", self.rollouts)?;
        if self.replicas != 1 {
            write!(to, ", {} pods each", self.replicas)?;
        }
        if self.short { write!(to, ", short timers") } else { Ok(()) }
    }
}
