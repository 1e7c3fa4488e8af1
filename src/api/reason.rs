//! Every word that a status, a condition or an event gives as its reason, every type of condition, and why a tick is due.
//!
//! The words are an interface: scripts, alerts and `kubectl wait` match them. A word of another version is kept as it was
//! read, so that no controller loses what another one wrote.

use std::fmt;

use words::words;

mod words;

words! {
    /// The type of a condition.
    ConditionType {
        /// The object is in its desired state (kstatus).
        Ready,
        /// The object is being brought into its desired state; present only while true (kstatus).
        Reconciling,
        /// The object cannot make progress without an external change; present only while true (kstatus).
        Stalled,
        /// All pods of the desired count are available.
        Available,
        /// Traffic does not follow the plan: drift that keeps coming back.
        RouteDrift,
        /// Another writer keeps changing or deleting an object that Glidepath owns; present only while true.
        ObjectDrift,
        /// Requests were counted to follow the weights; `False` when they do not. Absent while they are too few to say.
        ShareVerified,
        /// The revision in force was pinned by `undo` and stays until the template changes (rule S84).
        Pinned,
    }
}

words! {
    /// The reason under the verdict of a metric.
    MetricReason {
        // Under Pass.
        /// The canary is not worse than stable by more than the margin, or meets its bounds.
        NotWorse,
        /// As many samples met the condition as the metric asks for.
        EnoughSuccesses,
        /// The candidate of an A/B test converts more.
        CandidateWins,
        /// The error budget does not burn too fast.
        WithinBudget,
        /// The number is as usual at this time of the day.
        Usual,
        // Under Fail.
        /// The service's error budget burns too fast, and did not before the analysis began.
        ServiceBurns,
        /// The canary alone burns the error budget too fast.
        CanaryBurns,
        /// The canary is worse than stable by more than the margin, or breaks a bound.
        WorseThanStable,
        /// The canary fails so much that no sequential test is needed.
        Catastrophic,
        /// More samples than `failureLimit` did not meet the condition.
        TooManyFailures,
        /// The control of an A/B test converts more.
        ControlWins,
        /// The score is below `marginal`.
        ScoreTooLow,
        // Under Continue.
        /// No window could be compared yet.
        WarmUp,
        /// It would pass, and waits for its bake time and requests.
        Bake,
        /// The evidence is not enough for a verdict.
        Undecided,
        /// It was not measured yet.
        NotMeasured,
        // Under NoData, and under Inconclusive when that lasts.
        /// The source does not answer.
        SourceError,
        /// The canary has had no requests for long.
        NoCanaryRequests,
        /// Stable has had no requests to compare with for long.
        NoBaseline,
        /// No pod of the canary has had a value above 0 for long.
        NoCanaryValues,
        /// No pod of stable has had a value above 0 for long.
        NoStableValues,
        /// The candidate of an A/B test has had no users for long.
        NoCandidateUsers,
        /// The control of an A/B test has had no users for long.
        NoControlUsers,
        /// The histogram has no buckets that both arms can be compared by.
        NoHistogram,
        /// The service has had no requests.
        NoRequests,
        /// The query has no result.
        NoResult,
        /// The query returns several series.
        SeveralSeries,
        // Under Inconclusive.
        /// More samples than `inconclusiveLimit` met neither condition.
        TooManyInconclusive,
        /// The service's error budget burns too fast, and did so before the analysis began.
        BurnedBefore,
        /// The number is far from what is usual at this time of the day; a Fail with `onAnomaly: Abort`.
        Anomalous,
        /// There are too few earlier days to know what is usual.
        NoHistory,
        /// A difference that matters is ruled out.
        NoDifference,
        /// The score is between `marginal` and `pass`.
        MarginalScore,
        /// Users were not assigned as planned, so the other results cannot be trusted.
        Invalid,
        /// The stored evidence cannot be decoded.
        MemoryUnreadable,
    }
}

impl MetricReason {
    /// Whether no reason is given.
    pub fn is_empty(&self) -> bool {
        self.as_str().is_empty()
    }
}

words! {
    /// Why a rollout has its phase, waits or is held, why a condition is set, and what an event reports.
    Reason {
        // What the status says while nothing fails.
        /// The desired version is stable.
        Stable,
        /// The first version is deployed without steps.
        FirstDeploy,
        /// The next step follows.
        Progressing,
        /// Traffic and pods return to stable.
        Returning,
        /// The release failed or was aborted, and traffic was shifted back to stable.
        Aborted,
        /// An A/B test was decided for the version that was stable before.
        KeptControl,
        /// The desired replicas are 0, so that the steps are suspended.
        ScaledToZero,
        /// The Rollout is being deleted.
        Deleting,
        // What the status of a MeshPolicy says.
        /// The policy's spec is in force.
        PolicyInForce,
        /// A change of the policy is in progress.
        PolicyChanging,
        /// A change of the policy waits for an operator.
        PolicyHeld,
        /// A change of the policy was taken back.
        PolicyReverted,
        /// The mesh cannot do what the policy says.
        PolicyRefused,
        /// Something of others is in the way of the policy.
        PolicyConflicted,
        /// All pods of the desired count are available.
        Available,
        /// Fewer pods are available than desired.
        PodsMissing,
        /// `undo` pinned a revision.
        Undo,
        /// Requests were counted to follow the weight.
        RequestsFollow,
        /// Requests were counted not to follow the weight.
        RequestsDoNotFollow,

        // Waits.
        /// The workload that holds the template is not there.
        NoTemplate,
        /// Pods are to become available.
        Pods,
        /// Routes are to be written and to settle.
        Route,
        /// A target is to list the pods as endpoints.
        Endpoints,
        /// The endpoints of the canary target are to settle.
        TargetSettles,
        /// The preview target is to lead to the new version and to settle.
        Preview,
        /// Requests are being counted.
        Verification,
        /// A pause of the steps.
        Pause,
        /// A pause by command or by `spec.paused`.
        Paused,
        /// A hold before a promotion.
        Held,
        /// A gate is to be approved by an operator.
        Approval,
        /// A gate's endpoint is to approve.
        Gate,
        /// An observation of the traffic at one weight.
        Observe,
        /// An analysis is to reach a verdict.
        Analysis,
        /// An A/B test is to be decided.
        Testing,
        /// Pods are being restarted.
        Restarting,
        /// Objects that the spec no longer references are being restored.
        HandingOver,
        /// Objects are being restored before deletion.
        HandBack,

        // Transitions.
        /// A new revision starts at step 1.
        NewRevision,
        /// A version that was stable before is released without steps.
        ShortWay,
        /// Completed steps were changed.
        StepsEdited,
        /// A step is complete.
        StepCompleted,
        /// The time of a pause is over.
        PauseOver,
        /// All steps are complete.
        Promoting,
        /// The new version is stable.
        Promoted,
        /// The spec returned to the stable version.
        RolledBack,
        /// The time of an observation or analysis was extended.
        Extended,
        /// A command was executed or refused.
        Command,
        /// The user aborted the release.
        AbortedByCommand,
        /// The spec references other objects.
        ObjectsChanged,
        /// The objects that the spec no longer references are restored.
        ObjectsGivenBack,
        /// All pods were restarted.
        Restarted,
        /// A restart ended before all pods were restarted.
        RestartEnded,
        /// A gate approved.
        GateOpened,

        // Failures and holds.
        /// An analysis failed.
        AnalysisFailed,
        /// An analysis reached no verdict in time.
        Inconclusive,
        /// No progress was made within `progressDeadline`.
        ProgressDeadlineExceeded,
        /// All canary pods were lost under traffic.
        CanaryLost,
        /// More containers of the new version were OOM-killed than are allowed.
        OOMKilled,
        /// Containers of the new version restarted more often than is allowed.
        ContainerRestarts,
        /// No pod of the stable version is available.
        StableLost,
        /// The stable target lists no pod of the stable version.
        StableUnreachable,
        /// A gate denied.
        GateRefused,
        /// A gate did not approve in time.
        GateTimeout,
        /// Users were not split as planned.
        SampleRatio,
        /// An A/B test was won by the candidate.
        CandidateWins,
        /// An A/B test was won by control.
        ControlWins,
        /// An A/B test found no difference that matters.
        NoDifference,

        // Drift.
        /// Traffic was changed by another writer again and again.
        RouteDrift,
        /// Objects were changed by another writer again and again.
        ObjectDrift,
        /// Repairs are limited, because they do not last.
        RepairedOften,
        /// The routes were changed by another writer, and repaired.
        RouteRepaired,
        /// The replicas of a ReplicaSet were changed by another writer, and restored.
        ReplicasRestored,
        /// A ReplicaSet without a controller was adopted.
        ReplicaSetAdopted,
        /// A ReplicaSet of another controller has the name or the labels of ours.
        ForeignReplicaSet,
        /// An admission webhook removes the labels or annotations of a pod.
        MetadataChanged,
        /// A pod's eviction would violate a PodDisruptionBudget.
        DisruptionBudget,

        // What blocks a rollout.
        /// The spec is invalid.
        InvalidSpec,
        /// The object cannot be decoded, or the API server calls it invalid.
        Invalid,
        /// The status has a value that this version does not know.
        StatusFromNewerVersion,
        /// A referenced object cannot be decoded.
        UnreadableObject,
        /// An older Rollout references the same object.
        ClaimedBy,
        /// An autoscaler scales the adopted Deployment.
        AutoscaledWorkload,
        /// A Service is missing.
        MissingService,
        /// The Deployment is missing.
        MissingWorkload,
        /// An AnalysisTemplate is missing.
        MissingTemplate,
        /// The templates of an analysis and its arguments do not fit.
        InvalidAnalysis,
        /// A Service's own selector excludes the pods.
        SelectorExcludesPods,
        /// Ready pods lack the annotation by which a mesh learns their revision.
        PodsNotAnnotated,
        /// A router's kind cannot be listed.
        RouterUnavailable,
        /// The ReplicaSet of a revision is gone, and with it its template.
        RevisionLost,
        /// A revision is unknown to the local controller.
        UnknownRevision,
        /// An object of this name exists and is not ours.
        NameTaken,
        /// The action needs a cluster.
        NotLocal,

        // What blocks a route.
        /// A VirtualService is missing.
        MissingVirtualService,
        /// A DestinationRule is missing.
        MissingDestinationRule,
        /// Another route object is missing, such as an HTTPRoute.
        MissingRoute,
        /// The owner of a route does not allow this Rollout to write to it.
        RouteNotAllowed,
        /// Routes of other namespaces are not allowed.
        CrossNamespaceDenied,
        /// A route is shared with another Rollout.
        SharedRoute,
        /// A DestinationRule lacks a subset.
        SubsetNotFound,
        /// A VirtualService lacks a route.
        RouteNotFound,
        /// Several routes fit, and none is named.
        RouteNameNeeded,
        /// A route delegates to another VirtualService, or the one that should delegate to it does not, or excludes its requests.
        DelegateRoute,
        /// No destination of a route is the stable target.
        StableDestinationMissing,
        /// No destination of a route is the canary target.
        CanaryDestinationMissing,
        /// Several destinations of a route are one target.
        AmbiguousDestination,
        /// A weight of a route is invalid.
        InvalidWeight,
        /// Other destinations have all of a route's weight.
        NoShareLeft,
        /// A weight cannot be expressed beside the other destinations'.
        WeightNotExpressible,
        /// A weight is finer than the router supports.
        WeightTooFine,
        /// The route's own headers conflict with ours.
        HeaderTaken,
        /// The route's own cookie handling conflicts with ours.
        CookieTaken,
        /// The route has a mirror of its own.
        MirrorTaken,
        /// A route may not refer to the Services of another namespace.
        BackendNotGranted,
        /// A route would get more rules or matches than its API server accepts.
        TooManyRules,
        /// A kind of route, or its implementation, cannot do what the strategy asks for.
        RouteUnsupported,
        /// The API server drops the share of a mirror.
        MirrorShareDropped,
        /// The implementation of a route does not accept it.
        RouteNotAccepted,
        /// A DestinationRule of the needed name is not ours.
        DestinationRuleNotOurs,
        /// The router cannot do what the steps ask for.
        RouteNotSupported,
        /// A canary Ingress of the same path, or an Ingress of the needed name, is not ours.
        CanaryIngressTaken,

        // Answers of the API server.
        /// A quota is exceeded.
        QuotaExceeded,
        /// The permission is missing.
        Forbidden,
        /// The object is not there.
        NotFound,
        /// The object was rejected by validation or by an admission webhook.
        InvalidObject,
        /// A write was refused for another reason.
        WriteRefused,
        /// The object was changed by another writer in the meantime.
        Conflict,
        /// The credentials were not accepted.
        Unauthorized,
        /// The object is gone for good.
        Gone,
        /// The request refers to a version that is no longer available.
        Expired,
        /// The request is malformed.
        BadRequest,
        /// The kind does not support the verb.
        MethodNotAllowed,
        /// The API server cannot answer in the requested format.
        NotAcceptable,
        /// The request is too large.
        RequestEntityTooLarge,
        /// The API server does not support the request's format.
        UnsupportedMediaType,
        /// An object of this name exists.
        AlreadyExists,

        // Faults.
        /// An action failed for a reason that may pass, and is retried.
        WriteFailed,
        /// A reconcile of the local controller failed, and is retried.
        TickFailed,
        /// A bug of Glidepath: the reconcile panicked.
        InternalError,

        // The local controller.
        /// An instance accepts connections.
        AddressUp,
        /// An instance no longer accepts connections.
        AddressDown,
        /// An instance's address is free again.
        AddressFree,
    }
}

impl Reason {
    /// Whether a wait for this reason ends by an operator's word or by the clock, not by progress.
    pub fn is_pause(&self) -> bool {
        matches!(self, Reason::Pause | Reason::Paused | Reason::Approval)
    }
}

/// Why a tick is due at some time without an outside event. It is logged only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WakeReason {
    /// A wait for this reason ends.
    Wait(Reason),
    /// The progress deadline passes.
    ProgressDeadline,
    /// What was decided is decided upon again, until nothing changes any more.
    StatusChanged,
    /// A lost race or a limit of decisions in a row: the rest follows at once.
    NextDecision,
    /// Writes take effect without an event.
    WritesTakeEffect,
    /// A target has been as written for `settle`.
    TargetSettles,
    /// The routes have been as written for `settle`.
    RouteSettles,
    /// This object may be repaired again.
    Repair(String),
    /// Repairs are no longer limited.
    RepairsUnlimited,
    /// A rejected action may be retried.
    Retry,
    /// A gate may be asked again.
    AskGate,
    /// The stable revision may be scaled down.
    StableScaleDown,
    /// This old revision may be scaled down.
    ScaleDown(String),
}

impl fmt::Display for WakeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WakeReason::Wait(reason) => reason.as_str(),
            WakeReason::ProgressDeadline => "the progress deadline passes",
            WakeReason::StatusChanged => "the status changed",
            WakeReason::NextDecision => "the next decision follows",
            WakeReason::WritesTakeEffect => "writes take effect",
            WakeReason::TargetSettles => "the target settles",
            WakeReason::RouteSettles => "the routes settle",
            WakeReason::Repair(object) => return write!(f, "repairing {object}"),
            WakeReason::RepairsUnlimited => "drift repairs are no longer limited",
            WakeReason::Retry => "retrying a rejected action",
            WakeReason::AskGate => "retrying the gate",
            WakeReason::StableScaleDown => "scaling stable down",
            WakeReason::ScaleDown(revision) => return write!(f, "scaling down {revision}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn every_word_is_stored_and_read_as_its_name() {
        for reason in Reason::ALL {
            let stored = serde_json::to_value(reason).unwrap();
            assert_eq!(stored, json!(format!("{reason:?}")));
            assert_eq!(&serde_json::from_value::<Reason>(stored).unwrap(), reason);
        }
    }

    #[test]
    fn a_word_of_another_version_is_kept() {
        for word in ["Baking", ""] {
            let read: Reason = serde_json::from_value(json!(word)).unwrap();
            assert_eq!(read, Reason::Unknown(word.to_owned()));
            assert_eq!(serde_json::to_value(&read).unwrap(), json!(word));
        }
        assert_eq!(Reason::default().as_str(), "");
        let schema = schemars::schema_for!(ConditionType).to_value();
        assert_eq!((&schema["type"], &schema["enum"]), (&json!("string"), &Value::Null));
    }
}
