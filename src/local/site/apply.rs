//! A site as others hold it: opened from its folder, changed by its file and by patches.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{
    admission::{Routing, check},
    folder::{Folder, FolderError},
    health::Health,
    kinds,
    objects::Objects,
    placement::Placement,
    state::{Inner, News, PLACEMENT, State},
};
use crate::{
    api::{
        LOCAL_OPTION, Rollout,
        analysis::AnalysisTemplateSpec,
        validate::{self, Severity},
    },
    local::{
        address::Address,
        consul::Mesh,
        counters::Counters,
        proxy::{Backend, Proxy},
    },
    ports::{Clock, GateAsker, RolloutKey, Source},
    reconcile::GateDesk,
};

/// The proxy's answer while no version serves.
const NOTHING_SERVES: &str = "no version is serving yet; see 'glidepath status --local'";

/// What a site is made of.
pub struct Setup {
    /// The Rollout of the file, prepared.
    pub rollout: Rollout,
    /// The templates of the file.
    pub templates: BTreeMap<String, AnalysisTemplateSpec>,
    /// The option by which commands reach the site, for their hints.
    pub option: String,
    /// Who asks gates.
    pub gates: Arc<dyn GateAsker>,
    /// Stable and canary, as given on the command line.
    pub addresses: [Address; 2],
    /// How long a version may take to begin an answer.
    pub timeout: Duration,
    /// The random seed of the proxy.
    pub seed: u64,
    /// What routes in place of the proxy.
    pub mesh: Option<Mesh>,
    /// Where numbers come from in place of what the proxy counts.
    pub source: Option<Arc<dyn Source>>,
}

/// Why a site cannot be opened or changed.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// The folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The folder belongs to other addresses.
    #[error("{folder} belongs to {known}; use these addresses, or another --name, or move the folder away")]
    OtherAddresses {
        /// Where.
        folder: String,
        /// Which.
        known: String,
    },
    /// The folder belongs to another Rollout.
    #[error("{folder} belongs to the Rollout \"{known}\"; use another --name, or move the folder away")]
    OtherRollout {
        /// Where.
        folder: String,
        /// Which.
        known: String,
    },
    /// The spec makes no sense here.
    #[error("{0}")]
    Invalid(String),
    /// Somebody else wrote first.
    #[error("the Rollout has changed in the meantime")]
    Conflict,
}

/// One Rollout with its two addresses.
#[derive(Clone)]
pub struct Site {
    pub(super) inner: Arc<Inner>,
}

impl Site {
    /// Loads the state of the folder, or starts from scratch, and applies the file. News is sent to `news`.
    pub fn open(
        folder: Folder,
        setup: Setup,
        clock: Arc<dyn Clock>,
        news: mpsc::UnboundedSender<News>,
    ) -> Result<Site, SiteError> {
        let metadata = &setup.rollout.metadata;
        let key = RolloutKey {
            namespace: metadata.namespace.clone().unwrap_or_else(|| "default".into()),
            name: metadata.name.clone().unwrap_or_default(),
        };
        let before = read_ground(&folder)?;
        let restored = before.is_some();
        let [stable, canary] = setup.addresses.clone().map(|address| address.to_string());
        let placement = match before {
            Some(placement) => with_addresses(placement, &stable, &canary, &folder)?,
            None => Placement::new(stable, canary),
        };
        let addresses = in_order(&placement, setup.addresses);
        let state = State::new(placement, setup.templates);
        let counters = Arc::new(Counters::new(clock.clone()));
        let has_metrics = setup.source.is_some();
        let inner = Inner {
            deciding_since: restored.then(|| clock.now()),
            source: setup.source.unwrap_or_else(|| counters.clone()),
            counters,
            has_metrics,
            mesh: setup.mesh,
            proxy: Arc::new(Proxy::new(setup.seed, setup.timeout, NOTHING_SERVES)),
            objects: Objects::open(folder)?,
            state: Mutex::new(state),
            changed: Arc::default(),
            key,
            clock,
            backends: addresses.map(Backend::new),
            option: setup.option,
            gates: GateDesk::new(setup.gates),
            news,
        };
        let site = Site { inner: Arc::new(inner) };
        site.apply(setup.rollout)?;
        site.inner.keep(&mut site.inner.state())?;
        Ok(site)
    }

    /// The Rollout's name.
    pub fn key(&self) -> RolloutKey {
        self.inner.key.clone()
    }

    /// What routes here.
    pub fn routing(&self) -> Routing {
        self.inner.routing()
    }

    /// What routes in place of the proxy.
    pub fn mesh(&self) -> Option<&Mesh> {
        self.inner.mesh.as_ref()
    }

    /// The objects.
    pub fn objects(&self) -> &Objects {
        &self.inner.objects
    }

    /// The proxy.
    pub fn proxy(&self) -> &Arc<Proxy> {
        &self.inner.proxy
    }

    /// The Rollout as it is.
    pub fn rollout(&self) -> Option<Rollout> {
        self.inner.objects.typed_one(kinds::ROLLOUT, &self.inner.key.name)
    }

    /// Which version is where.
    pub fn placement(&self) -> Placement {
        self.inner.state().placement.clone()
    }

    /// Whether the two addresses answer.
    pub fn health(&self) -> [Health; 2] {
        self.inner.state().health.clone()
    }

    /// Takes the file over. What was changed by command since stays where the file has not changed. Says whether anything is
    /// different now.
    pub fn apply(&self, wanted: Rollout) -> Result<bool, SiteError> {
        let objects = &self.inner.objects;
        self.refuse_another(&wanted)?;
        let now = serde_json::to_value(&wanted).unwrap_or_default();
        let applied = objects.folder().read(APPLIED)?;
        let same_template =
            applied.as_ref().is_some_and(|applied| applied["spec"]["template"] == now["spec"]["template"]);
        // The engine may write its status at any moment, and must not lose it.
        loop {
            let there = self.rollout();
            let same_option = there.as_ref().is_some_and(|there| self.inner.is_reached_as_before(there));
            if applied.as_ref() == Some(&now) && same_option {
                return Ok(false);
            }
            let next = match there {
                Some(there) => changed(there, wanted.clone(), same_template),
                None => self.inner.begun(wanted.clone()),
            };
            if objects.replace(kinds::ROLLOUT, &self.inner.with_option(next))?.is_some() {
                break;
            }
        }
        objects.folder().write(APPLIED, &now)?;
        self.inner.changed.notify_one();
        Ok(true)
    }

    fn refuse_another(&self, wanted: &Rollout) -> Result<(), SiteError> {
        let objects = &self.inner.objects;
        let kept = objects.typed::<Rollout>(kinds::ROLLOUT).into_iter().filter_map(|rollout| rollout.metadata.name);
        match kept.into_iter().find(|name| Some(name) != wanted.metadata.name.as_ref()) {
            Some(known) => {
                Err(SiteError::OtherRollout { folder: objects.folder().path().display().to_string(), known })
            }
            None => Ok(()),
        }
    }

    /// Takes other templates over.
    pub fn apply_templates(&self, templates: BTreeMap<String, AnalysisTemplateSpec>) -> Result<(), SiteError> {
        let objects = &self.inner.objects;
        for (name, spec) in &templates {
            let object = json!({ "metadata": { "name": name, "namespace": self.inner.key.namespace }, "spec": spec });
            objects.put(kinds::TEMPLATE, &object)?;
        }
        for old in objects.list(kinds::TEMPLATE).1 {
            let name = old["metadata"]["name"].as_str().unwrap_or_default();
            if !templates.contains_key(name) {
                objects.remove(kinds::TEMPLATE, name)?;
            }
        }
        self.inner.state().templates = templates;
        Ok(())
    }

    /// Writes a spec that came from a command, if the Rollout is still the one it was made from.
    pub fn replace(&self, mut next: Rollout) -> Result<Arc<Value>, SiteError> {
        let first = validate::rollout(&next.spec)
            .into_iter()
            .chain(check(&next.spec, self.routing()))
            .find(|f| f.severity == Severity::Error);
        if let Some(finding) = first {
            return Err(SiteError::Invalid(format!("{}: {}", finding.path, finding.message)));
        }
        let there = self.rollout().ok_or(SiteError::Conflict)?;
        let generation = there.metadata.generation.unwrap_or(1) + i64::from(next.spec != there.spec);
        next.metadata.generation = Some(generation);
        next.status = there.status;
        let written = self.inner.objects.replace(kinds::ROLLOUT, &next)?.ok_or(SiteError::Conflict)?;
        self.inner.changed.notify_one();
        Ok(written)
    }

    /// Waits until something outside the engine has changed.
    pub async fn changed(&self) {
        self.inner.changed.notified().await;
    }
}

/// The file as it was taken over last.
const APPLIED: &str = "applied";

fn read_ground(folder: &Folder) -> Result<Option<Placement>, SiteError> {
    let Some(value) = folder.read(PLACEMENT)? else { return Ok(None) };
    let path = folder.path().join(format!("{PLACEMENT}.json"));
    let read = serde_json::from_value(value);
    read.map(Some).map_err(|error| FolderError::Unreadable { path, message: error.to_string() }.into())
}

/// The same two addresses, in whichever order, are the same site: after a promotion stable is at the other one.
fn with_addresses(placement: Placement, stable: &str, canary: &str, folder: &Folder) -> Result<Placement, SiteError> {
    let known = placement.places.each_ref().map(|place| place.address.as_str());
    if known == [stable, canary] || known == [canary, stable] {
        return Ok(placement);
    }
    let folder = folder.path().display().to_string();
    Err(SiteError::OtherAddresses { folder, known: known.join(" and ") })
}

fn in_order(placement: &Placement, given: [Address; 2]) -> [Address; 2] {
    let [stable, canary] = given;
    if placement.places[0].address == stable.to_string() { [stable, canary] } else { [canary, stable] }
}

/// The Rollout with another file, and with the template of before where the file's has not changed: a command may have
/// set another version in the meantime.
fn changed(there: Rollout, wanted: Rollout, same_template: bool) -> Rollout {
    let mut next = wanted;
    if same_template {
        next.spec.template = there.spec.template.clone();
    }
    let generation = there.metadata.generation.unwrap_or(1) + i64::from(next.spec != there.spec);
    let (labels, annotations) = (next.metadata.labels.take(), next.metadata.annotations.take());
    (next.metadata, next.status) = (there.metadata, there.status);
    (next.metadata.labels, next.metadata.annotations) = (labels, annotations);
    next.metadata.generation = Some(generation);
    next
}

impl Inner {
    /// The Rollout as a new object.
    fn begun(&self, mut rollout: Rollout) -> Rollout {
        let metadata = &mut rollout.metadata;
        metadata.namespace = Some(self.key.namespace.clone());
        metadata.uid = Some(super::random::random_hex(16));
        metadata.creation_timestamp = Some(self.time());
        metadata.generation = Some(1);
        // A file that was read from a cluster names the version it had there.
        metadata.resource_version = None;
        rollout
    }

    fn with_option(&self, mut rollout: Rollout) -> Rollout {
        rollout.metadata.annotations.get_or_insert_default().insert(LOCAL_OPTION.into(), self.option.clone());
        rollout
    }

    fn is_reached_as_before(&self, rollout: &Rollout) -> bool {
        rollout.metadata.annotations.as_ref().and_then(|all| all.get(LOCAL_OPTION)) == Some(&self.option)
    }
}
