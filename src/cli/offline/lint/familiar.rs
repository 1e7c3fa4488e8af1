//! Fields of Argo Rollouts, Flagger and Deployments, and where Glidepath has what they say.
//!
//! Who moves in writes the names that they know. Each has its place here; a test compares the places with our schemas.

/// A field that another tool has.
pub(super) struct Familiar {
    /// The end of its path, without indexes.
    field: &'static str,
    /// Whose it is, with the apostrophe.
    whose: &'static str,
    /// What to write here, or why there is nothing to write.
    here: Here,
}

enum Here {
    /// The fields of our schemas, and the form to write them in.
    Is(&'static [&'static str], &'static str),
    /// No equal, and why or what to do.
    Nothing(&'static str),
}

use Here::{Is, Nothing};

const ARGO: &str = "Argo Rollouts'";
const FLAGGER: &str = "Flagger's";
const DEPLOYMENT: &str = "a Deployment's";

const fn argo(field: &'static str, here: Here) -> Familiar {
    Familiar { field, whose: ARGO, here }
}

const fn flagger(field: &'static str, here: Here) -> Familiar {
    Familiar { field, whose: FLAGGER, here }
}

const fn deployment(field: &'static str, here: Here) -> Familiar {
    Familiar { field, whose: DEPLOYMENT, here }
}

/// The first that fits counts, so a longer path stands before its end alone.
const FAMILIAR: &[Familiar] = &[
    argo("stableService", Is(&["spec.services.stable"], "")),
    argo("canaryService", Is(&["spec.services.canary"], "")),
    argo("trafficRouting", Is(&["spec.traffic"], ", a list: [{istio: {virtualServices: [{name: NAME}]}}]")),
    argo("scaleDownDelaySeconds", Is(&["spec.scaleDownDelay"], ", with a unit: 30s")),
    argo("abortScaleDownDelaySeconds", Is(&["spec.abortScaleDownDelay"], ", with a unit: 30s")),
    argo("scaleDownDelayRevisionLimit", Nothing("old revisions keep their pods for spec.scaleDownDelay")),
    argo(
        "autoPromotionEnabled",
        Is(&["spec.strategy.blueGreen.autoPromotion.enabled"], ": write autoPromotion: {enabled: false}"),
    ),
    argo(
        "autoPromotionSeconds",
        Is(&["spec.strategy.blueGreen.autoPromotion.after"], ", with a unit: write autoPromotion: {after: 30s}"),
    ),
    argo("previewReplicaCount", Is(&["spec.strategy.blueGreen.previewReplicas"], "")),
    argo("activeMetadata", Is(&["spec.stableMetadata"], "")),
    argo("previewMetadata", Is(&["spec.canaryMetadata"], "")),
    argo("progressDeadlineAbort", Is(&["spec.onFailure"], ", Rollback by default")),
    argo("antiAffinity", Nothing("set the affinity in the pod template")),
    argo("restartAt", Nothing("use 'glidepath restart'")),
    argo("pingPong", Nothing("stable and canary Services keep their roles")),
    argo("managedRoutes", Nothing("the steps setHeaderRoute and setMirrorRoute manage their routes themselves")),
    argo("maxTrafficWeight", Nothing("weights are percentages, down to 0.01")),
    argo("templateName", Is(&["spec.analysis.templates.name"], "")),
    argo("setCanaryScale.weight", Is(&["spec.strategy.canary.steps.setCanaryScale.percent"], "")),
    argo("setCanaryScale.matchTrafficWeight", Is(&["spec.strategy.canary.steps.setCanaryScale.matchWeight"], "")),
    argo("setMirrorRoute.percentage", Is(&["spec.strategy.canary.steps.setMirrorRoute.percent"], "")),
    argo(
        "match.headerName",
        Is(
            &["spec.strategy.canary.steps.setHeaderRoute.match.header.name"],
            ": write header: {name: x-canary, exact: \"true\"}",
        ),
    ),
    argo(
        "match.headerValue",
        Is(
            &["spec.strategy.canary.steps.setHeaderRoute.match.header.exact"],
            ": write header: {name: x-canary, exact: \"true\"}",
        ),
    ),
    argo("steps.experiment", Nothing("an analysis step judges the canary beside stable")),
    argo("steps.plugin", Nothing("an external decision is a gate step")),
    argo(
        "metrics.provider",
        Is(
            &["spec.metrics.threshold.query"],
            ": write threshold: {query: PROMQL, success: CONDITION}, or one of web, datadog, newRelic, cloudWatch, graphite and \
             influxdb in place of query",
        ),
    ),
    argo("web.jsonBody", Is(&["spec.metrics.threshold.web.body"], ", a text")),
    argo("web.timeoutSeconds", Is(&["spec.metrics.threshold.web.timeout"], ", with a unit: 10s")),
    argo("web.authentication", Is(&["spec.metrics.threshold.web.auth"], "")),
    argo("web.insecure", Nothing("a server's certificate is always verified; name its CA under tls.caSecretRef")),
    argo("metrics.successCondition", Is(&["spec.metrics.threshold.success"], "")),
    argo("metrics.failureCondition", Is(&["spec.metrics.threshold.failure"], "")),
    argo("dryRun", Is(&["spec.metrics.required"], ": false in the metric")),
    argo("measurementRetention", Nothing("a run keeps what it needs")),
    flagger("targetRef", Is(&["spec.workloadRef"], "")),
    flagger("autoscalerRef", Nothing("let the autoscaler's scaleTargetRef name the Rollout")),
    flagger("ingressRef", Is(&["spec.traffic"], "")),
    flagger("routeRef", Is(&["spec.traffic"], "")),
    flagger("provider", Is(&["spec.traffic"], "")),
    flagger("service", Is(&["spec.services"], "")),
    flagger("skipAnalysis", Nothing("remove spec.analysis, or use 'glidepath promote --full'")),
    flagger("revertOnDeletion", Nothing("a Deployment is always restored")),
    flagger("analysis.interval", Is(&["spec.strategy.canary.steps.observe.atLeast"], ", as in observe: {atLeast: 5m}")),
    flagger(
        "analysis.iterations",
        Is(&["spec.strategy.canary.steps.observe.atLeast"], ", as in observe: {atLeast: 5m}"),
    ),
    flagger("analysis.threshold", Nothing("statistical tests decide, not a number of failed checks")),
    flagger(
        "maxWeight",
        Is(&["spec.strategy.canary.steps.ramp.to"], ", as in ramp: {from: 10, to: 50, by: 10, every: 5m}"),
    ),
    flagger(
        "stepWeight",
        Is(&["spec.strategy.canary.steps.ramp.by"], ", as in ramp: {from: 10, to: 50, by: 10, every: 5m}"),
    ),
    flagger("stepWeights", Is(&["spec.strategy.canary.steps.setWeight"], ", one step each")),
    flagger("stepWeightPromotion", Nothing("the promotion replaces pods as maxSurge allows")),
    flagger("analysis.match", Is(&["spec.strategy.canary.steps.setHeaderRoute", "spec.strategy.abTest.match"], "")),
    flagger("analysis.metrics", Is(&["spec.analysis.templates"], ", which name AnalysisTemplates")),
    flagger("mirror", Is(&["spec.strategy.canary.steps.setMirrorRoute"], "")),
    flagger("mirrorWeight", Is(&["spec.strategy.canary.steps.setMirrorRoute.percent"], "")),
    flagger("webhooks", Is(&["spec.strategy.canary.steps.gate"], "")),
    flagger("alerts", Nothing("Glidepath emits events and metrics")),
    flagger("sessionAffinity", Is(&["spec.strategy.canary.sticky", "spec.strategy.abTest.sticky"], "")),
    flagger("primaryReadyThreshold", Nothing("a step waits for all of its pods")),
    flagger("canaryReadyThreshold", Nothing("a step waits for all of its pods")),
    deployment("progressDeadlineSeconds", Is(&["spec.progressDeadline"], ", with a unit: 10m")),
    deployment(
        "strategy.rollingUpdate",
        Is(&["spec.strategy.canary"], ": write canary: {maxSurge: 25%, maxUnavailable: 0}"),
    ),
    deployment("strategy.type", Is(&["spec.strategy.canary", "spec.strategy.blueGreen", "spec.strategy.abTest"], "")),
];

/// What to write instead of a field that our schema does not have, if another tool has it.
pub(super) fn advice(path: &str) -> Option<String> {
    let plain = without_indexes(path);
    let inside = plain.strip_prefix("spec.")?;
    let fits = |known: &&Familiar| {
        inside.strip_suffix(known.field).is_some_and(|before| before.is_empty() || before.ends_with('.'))
    };
    FAMILIAR.iter().find(fits).map(|known| known.words(&plain))
}

impl Familiar {
    fn words(&self, path: &str) -> String {
        let name = self.field.rsplit('.').next().unwrap_or(self.field);
        match &self.here {
            Is(places, form) => {
                let places: Vec<&str> = places.iter().map(|place| beside(place, path)).collect();
                format!("{} {name} is {}{form}", self.whose, places.join(" or "))
            }
            Nothing(why) => format!("{} {name} has no equal here: {why}", self.whose),
        }
    }
}

/// The place, or its last field alone when it lies in the same object as the path.
fn beside<'p>(place: &'p str, path: &str) -> &'p str {
    let parent = |path: &str| path.rsplit('.').nth(1).map(str::to_owned);
    match place.rsplit('.').next() {
        Some(field) if parent(place) != Some("spec".to_owned()) && parent(place) == parent(path) => field,
        _ => place,
    }
}

/// `spec.steps[2].pause` as `spec.steps.pause`.
fn without_indexes(path: &str) -> String {
    let mut plain = String::with_capacity(path.len());
    let mut inside = false;
    for c in path.chars() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            other if !inside => plain.push(other),
            _ => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::api::crds;

    fn has(schema: &Value, path: &str) -> bool {
        path.split('.')
            .try_fold(schema, |schema, field| {
                let schema = schema.get("items").unwrap_or(schema);
                schema.get("properties")?.get(field)
            })
            .is_some()
    }

    #[test]
    fn every_place_that_is_named_exists_and_no_familiar_field_does() {
        let schemas: Vec<&Value> = ["Rollout", "AnalysisTemplate"].into_iter().filter_map(crds::schema).collect();
        for known in FAMILIAR {
            if let Is(places, _) = &known.here {
                assert!(!places.is_empty(), "{}", known.field);
                for place in *places {
                    assert!(schemas.iter().any(|schema| has(schema, place)), "{}: there is no {place}", known.field);
                }
            }
            let taken = format!("spec.{}", known.field);
            assert!(!schemas.iter().any(|schema| has(schema, &taken)), "{taken} is a field of ours");
        }
    }

    #[test]
    fn a_field_is_known_by_the_end_of_its_path() {
        for (path, words) in [
            ("spec.strategy.canary.stableService", "Argo Rollouts' stableService is spec.services.stable"),
            ("spec.strategy.canary.trafficRouting", "Argo Rollouts' trafficRouting is spec.traffic, a list: [{istio:"),
            (
                "spec.strategy.blueGreen.autoPromotionEnabled",
                "Argo Rollouts' autoPromotionEnabled is spec.strategy.blueGreen.autoPromotion.enabled: write autoPromotion: {enabled: false}",
            ),
            ("spec.analysis.templates[1].templateName", "Argo Rollouts' templateName is name"),
            (
                "spec.metrics[0].provider",
                "Argo Rollouts' provider is spec.metrics.threshold.query: write threshold: {query",
            ),
            ("spec.provider", "Flagger's provider is spec.traffic"),
            (
                "spec.analysis.stepWeight",
                "Flagger's stepWeight is spec.strategy.canary.steps.ramp.by, as in ramp: {from",
            ),
            (
                "spec.progressDeadlineSeconds",
                "a Deployment's progressDeadlineSeconds is spec.progressDeadline, with a unit: 10m",
            ),
            ("spec.analysis.threshold", "Flagger's threshold has no equal here: statistical tests decide"),
        ] {
            let said = advice(path).unwrap_or_default();
            assert!(said.starts_with(words), "{path}: {said}");
        }
        for none in ["spec.notAService", "stableService", "spec.threshold", ""] {
            assert_eq!(advice(none), None, "{none}");
        }
    }
}
