//! What the API server's validation says of single fields: values out of a list, numbers between bounds, one of several
//! fields. From `pkg/apis/core/validation` of Kubernetes 1.33; a value that a later version adds is in the list too.

use serde_json::Value;

use super::read::{has, text};
use crate::{api::validate::Finding, cli::offline::lint::schema::nearest, yaml::join};

/// Texts that are one of a list. An empty one is an absent one.
const CHOICES: [(&str, &str, &[&str]); 29] = [
    ("AppArmorProfile", "type", &["Localhost", "RuntimeDefault", "Unconfined"]),
    ("AzureDiskVolumeSource", "cachingMode", &["None", "ReadOnly", "ReadWrite"]),
    ("AzureDiskVolumeSource", "kind", &["Shared", "Dedicated", "Managed"]),
    ("Container", "imagePullPolicy", &["Always", "IfNotPresent", "Never"]),
    ("Container", "restartPolicy", &["Always", "OnFailure", "Never"]),
    ("Container", "terminationMessagePolicy", &["File", "FallbackToLogsOnError"]),
    ("ContainerPort", "protocol", &["TCP", "UDP", "SCTP"]),
    ("ContainerResizePolicy", "resourceName", &["cpu", "memory"]),
    ("ContainerResizePolicy", "restartPolicy", &["NotRequired", "RestartContainer"]),
    ("HTTPGetAction", "scheme", &["HTTP", "HTTPS"]),
    ("HostPathVolumeSource", "type", &HOST_PATHS),
    ("ImageVolumeSource", "pullPolicy", &["Always", "IfNotPresent", "Never"]),
    ("LabelSelectorRequirement", "operator", &["In", "NotIn", "Exists", "DoesNotExist"]),
    ("NodeSelectorRequirement", "operator", &["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]),
    ("PodOS", "name", &["linux", "windows"]),
    ("PodSecurityContext", "fsGroupChangePolicy", &["OnRootMismatch", "Always"]),
    ("PodSecurityContext", "supplementalGroupsPolicy", &["Merge", "Strict"]),
    ("PodSecurityContext", "seLinuxChangePolicy", &["MountOption", "Recursive"]),
    ("PodSpec", "dnsPolicy", &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]),
    ("PodSpec", "preemptionPolicy", &["PreemptLowerPriority", "Never"]),
    ("SeccompProfile", "type", &["Localhost", "RuntimeDefault", "Unconfined"]),
    ("SecurityContext", "procMount", &["Default", "Unmasked"]),
    ("Toleration", "effect", &["NoSchedule", "PreferNoSchedule", "NoExecute"]),
    ("Toleration", "operator", &["Equal", "Exists", "Lt", "Gt"]),
    ("TopologySpreadConstraint", "nodeAffinityPolicy", &["Honor", "Ignore"]),
    ("TopologySpreadConstraint", "nodeTaintsPolicy", &["Honor", "Ignore"]),
    ("TopologySpreadConstraint", "whenUnsatisfiable", &["DoNotSchedule", "ScheduleAnyway"]),
    ("VolumeMount", "mountPropagation", &["None", "HostToContainer", "Bidirectional"]),
    ("VolumeMount", "recursiveReadOnly", &["Disabled", "IfPossible", "Enabled"]),
];

const HOST_PATHS: [&str; 7] =
    ["DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice"];

/// The largest user or group.
const MOST_ID: i64 = i32::MAX as i64;
const MOST_PORT: i64 = 65_535;
/// 0777: read, write and execute for everyone.
const MOST_MODE: i64 = 0o777;

/// Numbers between bounds, both allowed.
const NUMBERS: [(&str, &str, i64, i64); 32] = [
    ("ConfigMapVolumeSource", "defaultMode", 0, MOST_MODE),
    ("ContainerPort", "containerPort", 1, MOST_PORT),
    ("ContainerPort", "hostPort", 0, MOST_PORT),
    ("DownwardAPIVolumeFile", "mode", 0, MOST_MODE),
    ("DownwardAPIVolumeSource", "defaultMode", 0, MOST_MODE),
    ("GRPCAction", "port", 1, MOST_PORT),
    ("HTTPGetAction", "port", 1, MOST_PORT),
    ("KeyToPath", "mode", 0, MOST_MODE),
    ("PodSecurityContext", "fsGroup", 0, MOST_ID),
    ("PodSecurityContext", "runAsGroup", 0, MOST_ID),
    ("PodSecurityContext", "runAsUser", 0, MOST_ID),
    ("PreferredSchedulingTerm", "weight", 1, 100),
    ("Probe", "failureThreshold", 0, i64::MAX),
    ("Probe", "initialDelaySeconds", 0, i64::MAX),
    ("Probe", "periodSeconds", 0, i64::MAX),
    ("Probe", "successThreshold", 0, i64::MAX),
    ("Probe", "terminationGracePeriodSeconds", 1, i64::MAX),
    ("Probe", "timeoutSeconds", 0, i64::MAX),
    ("ProjectedVolumeSource", "defaultMode", 0, MOST_MODE),
    ("SecretVolumeSource", "defaultMode", 0, MOST_MODE),
    ("SecurityContext", "runAsGroup", 0, MOST_ID),
    ("SecurityContext", "runAsUser", 0, MOST_ID),
    ("ServiceAccountTokenProjection", "expirationSeconds", 600, 1 << 32),
    ("SleepAction", "seconds", 0, i64::MAX),
    ("TCPSocketAction", "port", 1, MOST_PORT),
    ("TopologySpreadConstraint", "maxSkew", 1, i64::MAX),
    ("TopologySpreadConstraint", "minDomains", 1, i64::MAX),
    ("WeightedPodAffinityTerm", "weight", 1, 100),
    ("AWSElasticBlockStoreVolumeSource", "partition", 0, 255),
    ("GCEPersistentDiskVolumeSource", "partition", 0, 255),
    ("ISCSIVolumeSource", "lun", 0, 255),
    ("FCVolumeSource", "lun", 0, 255),
];

/// Objects with exactly one of several fields.
const ONE_OF: [(&str, &[&str]); 4] = [
    ("EnvFromSource", &["configMapRef", "secretRef"]),
    ("EnvVarSource", &["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"]),
    ("LifecycleHandler", &["exec", "httpGet", "tcpSocket", "sleep"]),
    ("Probe", &["exec", "httpGet", "tcpSocket", "grpc"]),
];

pub(super) fn check(kind: &str, object: &Value, path: &str, found: &mut Vec<Finding>) {
    for (_, field, choices) in CHOICES.iter().filter(|(name, ..)| *name == kind) {
        let given = text(object, field).filter(|text| !choices.contains(text));
        found.extend(given.map(|text| Finding::error(join(path, field), not_among(text, choices))));
    }
    for (_, field, least, most) in NUMBERS.iter().filter(|(name, ..)| *name == kind) {
        let given = object.get(field).and_then(Value::as_i64).filter(|number| !(least..=most).contains(&number));
        found.extend(given.map(|number| Finding::error(join(path, field), outside(number, *least, *most))));
    }
    for (_, fields) in ONE_OF.iter().filter(|(name, _)| *name == kind) {
        exactly_one(fields, object, path, found);
    }
}

/// What is said of a text that is none of a list.
pub(super) fn not_among(text: &str, choices: &[&str]) -> String {
    let near = nearest(text, choices).map(|name| format!("; did you mean {name}?")).unwrap_or_default();
    format!("\"{text}\" is none of {}{near}", choices.join(", "))
}

fn outside(number: i64, least: i64, most: i64) -> String {
    match (number < least, most) {
        (true, _) => format!("must be at least {least}, got {number}"),
        (false, MOST_MODE) => format!("must be at most octal 777, got {number} (octal {number:o})"),
        (false, most) => format!("must be at most {most}, got {number}"),
    }
}

fn exactly_one(fields: &[&str], object: &Value, path: &str, found: &mut Vec<Finding>) {
    let given: Vec<&str> = fields.iter().copied().filter(|field| has(object, field)).collect();
    match given.as_slice() {
        [_] => {}
        [] => found.push(Finding::error(path, format!("must have one of {}; it has none", fields.join(", ")))),
        [_, second, ..] => found.push(Finding::error(
            join(path, second),
            format!("only one of {} may be set, not {}", fields.join(", "), given.join(" and ")),
        )),
    }
}
