//! How long a weight was compared: what a Pass needs besides its evidence.

use serde::{Deserialize, Serialize};

use crate::{
    api::common::HumanDuration,
    evidence::{context::Context, format},
};

/// The compared time of the current weight.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Bake {
    epoch: u32,
    /// In seconds.
    baked: i64,
}

impl Bake {
    /// At the start of a run.
    pub fn begin(context: &Context) -> Self {
        Bake { epoch: context.epoch, baked: 0 }
    }

    /// Whether a new weight begins with what is counted from `start` on (unix seconds): its bake does then.
    pub fn begins_anew(&mut self, start: i64, context: &Context) -> bool {
        let anew = self.epoch != context.epoch && start >= context.epoch_since.as_second();
        if anew {
            *self = Bake::begin(context);
        }
        anew
    }

    /// Adds compared time, in seconds.
    pub fn add(&mut self, seconds: i64) {
        self.baked += seconds;
    }

    /// Whether it belongs to the weight of now.
    pub fn is_current(&self, context: &Context) -> bool {
        self.epoch == context.epoch
    }

    /// Whether the weight was compared for long enough.
    pub fn has_lasted(&self, context: &Context) -> bool {
        self.baked >= context.frozen.bake_seconds
    }

    /// Whether it was compared for long enough, with canary requests enough.
    pub fn is_over(&self, requests: u64, context: &Context) -> bool {
        self.has_lasted(context) && requests >= context.frozen.bake_requests
    }

    /// Seconds that are missing at the weight of now.
    pub fn missing_seconds(&self, context: &Context) -> u64 {
        let baked = if self.is_current(context) { self.baked } else { 0 };
        u64::try_from(context.frozen.bake_seconds - baked).unwrap_or(0)
    }

    /// What a Pass still needs, one part each; none when it has all. `forecast`: so many more canary requests decide at the
    /// rates so far; without one it takes what is `better`.
    pub fn needs(&self, requests: u64, forecast: Option<u64>, better: &str, context: &Context) -> Vec<String> {
        let mut parts = Vec::new();
        match forecast.filter(|_| self.is_current(context)) {
            Some(forecast) => {
                let needed = forecast.max(context.frozen.bake_requests.saturating_sub(requests));
                parts.extend((needed > 0).then(|| format!("about {} more canary requests", format::about(needed))));
            }
            None if self.is_current(context) => parts.push(better.to_owned()),
            None => parts.push("traffic at the new weight".to_owned()),
        }
        let short = self.missing_seconds(context);
        parts.extend((short > 0).then(|| format!("{} more of counted time", HumanDuration::secs(short))));
        parts
    }
}
