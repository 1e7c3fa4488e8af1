//! A Rollout as it is kept: its text, and beside it what is asked of all Rollouts at once.

use std::sync::Mutex;

use serde::Deserialize;

use super::{
    locks::lock,
    raw_object::{RawObject, decode},
    table::Kept,
    text::Text,
    unreadable::Unreadable,
};
use crate::api::{Rollout, status::Phase};

/// A Rollout, or why it could not be read.
#[derive(Clone, Debug, PartialEq)]
pub struct CachedRollout {
    /// The object, or what is at fault.
    object: Result<Text, Box<Unreadable>>,
    /// Which installation's it is, as far as that can be read.
    pub class: Option<Box<str>>,
    /// Its phase.
    pub phase: Option<Phase>,
    /// Whether a mesh splits its traffic.
    pub has_mesh: bool,
    fresh: Fresh,
}

/// The object, decoded to find out whether it can be: whoever reads it first takes it.
#[derive(Debug, Default)]
struct Fresh(Mutex<Option<Box<Rollout>>>);

impl Clone for Fresh {
    fn clone(&self) -> Self {
        Fresh::default()
    }
}

impl PartialEq for Fresh {
    /// It says nothing that the text does not.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl CachedRollout {
    /// The object, or what is at fault.
    pub fn read(&self) -> Result<Rollout, Box<Unreadable>> {
        if let Some(fresh) = lock(&self.fresh.0).take() {
            return Ok(*fresh);
        }
        let text = self.object.as_ref().map_err(Clone::clone)?;
        text.read().map_err(|error| Box::new(Unreadable::invalid(error.to_string())))
    }

    /// The object as JSON, where it can be read.
    pub fn json(&self) -> Option<serde_json::Value> {
        self.object.as_ref().ok().and_then(|text| text.read().ok())
    }

    /// What is at fault.
    pub fn fault(&self) -> Option<&Unreadable> {
        self.object.as_ref().err().map(Box::as_ref)
    }

    fn unreadable(fault: Unreadable) -> Self {
        CachedRollout {
            object: Err(Box::new(fault)),
            class: None,
            phase: None,
            has_mesh: false,
            fresh: Fresh::default(),
        }
    }
}

/// The class in the spec of a Rollout that may not be readable otherwise.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Classed {
    class: Option<Box<str>>,
}

impl Kept for CachedRollout {
    fn keep(object: &RawObject<'_>) -> Result<Self, String> {
        let Classed { class } = object.get("spec").unwrap_or_default();
        let json = object.kept_json()?;
        Ok(match decode::<Rollout>(&json) {
            Ok(rollout) => CachedRollout {
                object: Ok(json.into()),
                class,
                phase: rollout.status.as_ref().and_then(|status| status.phase),
                has_mesh: rollout.spec.has_mesh(),
                fresh: Fresh(Mutex::new(Some(Box::new(rollout)))),
            },
            Err(fault) => CachedRollout { class, ..CachedRollout::unreadable(Unreadable::of(object, fault)) },
        })
    }
    fn keep_unread(object: &RawObject<'_>, why: &str) -> Option<Self> {
        Some(CachedRollout::unreadable(Unreadable::too_deep(object, why)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::table::{Entry, kept};

    #[test]
    fn what_is_kept_is_no_longer_than_the_text_of_the_rollout() {
        let containers = json!([{"name": "app", "image": "app:1", "env": [{"name": "A", "value": "1"}]}]);
        let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": containers}});
        let fields = json!([{"manager": "kubectl", "fieldsV1": {"f:spec": {"f:template": template}}}]);
        let annotations = json!({"kubectl.kubernetes.io/last-applied-configuration": template.to_string()});
        let metadata = json!({"name": "web", "namespace": "shop", "managedFields": fields, "annotations": annotations});
        let rollout = json!({"apiVersion": "glidepath.dev/v1alpha1", "kind": "Rollout", "metadata": metadata,
            "spec": {"strategy": {"canary": {"steps": []}}, "template": template}, "status": {"phase": "Healthy"}});
        let kept = kept::<CachedRollout>(&rollout);
        let text = kept.object.as_ref().unwrap();
        assert!(text.len() < template.to_string().len() + 250, "{text:?}");
        for _ in 0..2 {
            let read = kept.read().unwrap();
            assert_eq!((kept.phase, read.spec.template.as_ref()), (Some(Phase::Healthy), Some(&template)));
        }
        assert!(lock(&kept.fresh.0).is_none(), "at rest it is text alone");
        assert!(size_of::<Entry<CachedRollout>>() <= 200);
    }

    #[test]
    fn an_undecodable_rollout_names_the_field() {
        let kept = kept::<CachedRollout>(&json!({"apiVersion": "glidepath.dev/v1alpha1", "kind": "Rollout",
            "metadata": {"name": "a"}, "spec": {"settle": 5}}));
        let fault = kept.read().unwrap_err();
        assert!(fault.message.contains("spec.settle"), "{fault:?}");
    }
}
