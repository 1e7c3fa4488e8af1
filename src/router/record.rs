//! What of a route object is ours, as an annotation of the object records it.
//!
//! A rule of the Gateway API has no field for a mark of ours that every served version keeps: `name` came with v1.4 and is
//! pruned before. A rule of a kind that only a Rollout names may have none at all. So the rules that were added are recorded
//! by digest, per Rollout, in the same write. Whoever applies the list of rules anew takes ours away with it; what the
//! annotation then still records matches nothing and goes with the next write.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    api::strategy::{HeaderRoute, RequestMatch},
    router::context::RouteContext,
};

/// The annotation: by Rollout, `namespace/name`, what it added.
const ANNOTATION: &str = "glidepath.dev/rules";

/// What one Rollout added to a route object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    /// The digests of the rules that were added, by what they are for: the name of a header route, or one of our own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) rules: BTreeMap<String, BTreeSet<String>>,
    /// The headers that the rules of each header route require, in lower case.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) headers: BTreeMap<String, BTreeSet<String>>,
    /// Whether the mirror was written with a share below 100 %.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) mirror_share: bool,
    /// Whether that share was missing when the object was read back.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) share_dropped: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

impl Record {
    /// What the Rollout recorded in an object. What cannot be read records nothing.
    pub(super) fn of(ctx: &RouteContext, object: &Value) -> Self {
        let own = all(object).and_then(|mut all| all.remove(&key(ctx)));
        own.and_then(|own| serde_json::from_value(own).ok()).unwrap_or_default()
    }

    /// Notes a rule that was added.
    pub(super) fn add(&mut self, name: &str, digest: String) {
        self.rules.entry(name.to_owned()).or_default().insert(digest);
    }

    /// Notes which headers the rules of these header routes require, where any were added.
    pub(super) fn require(&mut self, routes: &[HeaderRoute]) {
        for route in routes.iter().filter(|route| self.rules.contains_key(&route.name)) {
            self.headers.insert(route.name.clone(), route.matches.iter().map(RequestMatch::header_name).collect());
        }
    }

    /// The names under which a rule of this digest was added: header routes may have the same matches.
    pub(super) fn names<'r>(&'r self, digest: &str) -> impl Iterator<Item = &'r str> {
        self.rules.iter().filter(move |(_, digests)| digests.contains(digest)).map(|(name, _)| name.as_str())
    }

    /// Records it in an object, next to what other Rollouts recorded; a record of nothing is none. What others wrote under
    /// this key and cannot be read stays, unless there is something to record.
    pub(super) fn write(&self, ctx: &RouteContext, object: &mut Value) {
        let nothing = *self == Record::default();
        let written = object.pointer("/metadata/annotations").and_then(|all| all.get(ANNOTATION)).is_some();
        let Some(mut all) = all(object).or_else(|| (!nothing || !written).then(Map::new)) else { return };
        let own = serde_json::to_value(self).ok().filter(|_| !nothing);
        let known = Self::of(ctx, object);
        // An earlier version noted no headers: that alone is no reason to write.
        let is_as_before = known.headers.is_empty() && known == Record { headers: BTreeMap::new(), ..self.clone() };
        if all.get(&key(ctx)) == own.as_ref() || !nothing && is_as_before {
            return;
        }
        all.remove(&key(ctx));
        all.extend(own.map(|own| (key(ctx), own)));
        if all.is_empty() {
            forget(object);
            return;
        }
        let sorted: BTreeMap<String, Value> = all.into_iter().collect();
        let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
        let annotations = metadata.entry("annotations").or_insert(Value::Null);
        if !annotations.is_object() {
            *annotations = json!({});
        }
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.insert(ANNOTATION.to_owned(), json!(sorted).to_string().into());
        }
    }
}

/// What is on record of an object, beside the rules that it has.
pub(super) struct Recorded {
    pub(super) record: Record,
    /// The digests of rules that are there.
    there: BTreeSet<String>,
}

impl Recorded {
    /// A record, and the digests of the rules that may be ours.
    pub(super) fn new(record: Record, digests: impl Iterator<Item = String>) -> Self {
        let there = if record.headers.is_empty() { BTreeSet::new() } else { digests.collect() };
        Recorded { record, there }
    }

    /// The header route that a rule without a record was made for, of which others have edited the match: a rule of that route is
    /// missing, and this one has something of it by the route's name and a header that it requires.
    pub(super) fn edited(&self, has: impl Fn(&str, &str) -> bool) -> Option<&str> {
        let missing = |name: &str| self.record.rules.get(name).is_some_and(|digests| !digests.is_subset(&self.there));
        let mut routes = self.record.headers.iter().filter(|(name, _)| missing(name));
        let found = routes.find(|(name, headers)| headers.iter().any(|header| has(name, header)));
        found.map(|(name, _)| name.as_str())
    }
}

fn key(ctx: &RouteContext) -> String {
    format!("{}/{}", ctx.namespace, ctx.rollout_name)
}

/// What all Rollouts recorded; `None` when there is nothing that can be read.
fn all(object: &Value) -> Option<Map<String, Value>> {
    serde_json::from_str(object["metadata"]["annotations"][ANNOTATION].as_str()?).ok()
}

fn forget(object: &mut Value) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) else { return };
    let was_there = annotations.shift_remove(ANNOTATION).is_some();
    if was_there && annotations.is_empty() {
        metadata.shift_remove("annotations");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(rollout: &str) -> RouteContext {
        RouteContext { namespace: "shop".into(), rollout_name: rollout.into(), ..RouteContext::default() }
    }

    #[test]
    fn rollouts_that_share_a_route_record_side_by_side_and_leave_nothing() {
        let bare = json!({"metadata": {"name": "web", "annotations": {"team": "a"}}});
        let mut object = bare.clone();
        let (one, other) = (context("one"), context("other"));
        for (ctx, digest) in [(&one, "k3v9"), (&other, "x7aa")] {
            let mut record = Record::default();
            record.add("testers", digest.to_owned());
            record.write(ctx, &mut object);
        }
        let names =
            |object: &Value, digest| Record::of(&one, object).names(digest).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(names(&object, "k3v9"), ["testers"]);
        assert!(names(&object, "x7aa").is_empty(), "another Rollout's");
        Record::default().write(&other, &mut object);
        assert_eq!(names(&object, "k3v9"), ["testers"]);
        Record::default().write(&one, &mut object);
        assert_eq!(object, bare);
    }

    #[test]
    fn what_an_earlier_version_recorded_without_headers_is_written_only_with_something_else() {
        let ctx = context("one");
        let testers: HeaderRoute =
            serde_json::from_value(json!({"name": "testers", "match": [{"cookie": {"name": "beta", "exact": "1"}}]}))
                .unwrap();
        let mut record = Record::default();
        record.add("testers", "k3v9".to_owned());
        let mut object = json!({"metadata": {}});
        record.write(&ctx, &mut object);
        let earlier = object.clone();
        record.require(std::slice::from_ref(&testers));
        record.write(&ctx, &mut object);
        assert_eq!(object, earlier);
        record.add("testers", "x7aa".to_owned());
        record.write(&ctx, &mut object);
        assert_eq!(Record::of(&ctx, &object).headers["testers"].iter().collect::<Vec<_>>(), ["cookie"]);
    }

    #[test]
    fn what_cannot_be_read_stays_until_there_is_something_to_record() {
        let odd = json!({"metadata": {"annotations": {ANNOTATION: "{"}}});
        let mut object = odd.clone();
        Record::default().write(&context("one"), &mut object);
        assert_eq!((Record::of(&context("one"), &object), &object), (Record::default(), &odd));
        let record = Record { share_dropped: true, ..Record::default() };
        record.write(&context("one"), &mut object);
        assert_eq!(Record::of(&context("one"), &object), record);
    }
}
