//! Plays scenario files on the real cluster: the same files, keys and words as `glidepath simulate`, in real time. Each has
//! a namespace of its own, so that several are played at the same time.
//!
//! Objects come from the files as they are written. The behavior of versions is sent to the node harness by image;
//! users are a load that goes through the mesh client; gates are endpoints of this process.

mod deeds;
mod eyes;
mod gates;
mod look;
mod player;
mod refused;
mod setting;
mod telling;
mod users;

pub use refused::refused;
pub use setting::tell;

use crate::lane::Lane;
use ::glidepath::cli::offline::simulate::Loaded;
use anyhow::{Result, ensure};
use eyes::Eyes;
use gates::Gates;
use player::Player;
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use telling::Teller;

/// What all scenarios share.
pub struct Stage {
    eyes: Arc<Eyes>,
    gates: Gates,
    /// The lane's folder.
    folder: PathBuf,
}

/// How a scenario went.
pub struct Played {
    pub name: String,
    /// The whole story, where it failed.
    pub failed: Option<String>,
    pub took: Duration,
}

impl Stage {
    /// On a lane whose controller runs.
    pub async fn open(lane: &Lane) -> Result<Self> {
        let eyes = Arc::new(Eyes::open(&lane.kubeconfig()).await?);
        Ok(Self { eyes, gates: Gates::open().await?, folder: lane.folder().to_owned() })
    }

    /// Plays one scenario in a namespace of its own.
    pub async fn play(&self, name: &str, loaded: &Loaded) -> Played {
        let began = Instant::now();
        let failed = match self.told(name, loaded).await {
            Ok(failed) => failed,
            Err(error) => Some(format!("{name}: {error:#}\n")),
        };
        Played { name: name.to_owned(), failed, took: began.elapsed() }
    }

    /// The story, when it failed.
    async fn told(&self, name: &str, loaded: &Loaded) -> Result<Option<String>> {
        let refused: Vec<String> = refused(loaded).into_iter().map(|(path, why)| format!("{path}: {why}")).collect();
        ensure!(refused.is_empty(), "this file cannot be played on a real cluster: {}", refused.join("; "));
        let mut teller = Teller::new(name);
        let setting = setting::create(self, name, loaded, &mut teller).await?;
        let mut player = Player::new(setting, teller);
        let failure = player.play().await.err();
        Ok(failure.map(|failure| player.teller.whole(loaded, &failure)))
    }
}

/// A value inside another; `null` where there is none.
fn at_path(value: &Value, path: &str) -> Value {
    value.pointer(path).cloned().unwrap_or_default()
}
