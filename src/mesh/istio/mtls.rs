//! `mtls`: a PeerAuthentication, and what the installer has to say of the mesh's TLS.

use serde_json::{Map, Value, json};

use super::kinds::{PEER_AUTHENTICATIONS, SECURITY_V1, others_for_the_same_pods, selected};
use crate::{
    api::policy::{Mtls, MtlsMode, TlsVersion},
    mesh::{
        intent::Intent,
        plan::{MeshPlan, MeshWrite},
    },
    router::Objects,
};

pub(super) fn plan(intent: &Intent<'_>, current: &Objects) -> MeshPlan {
    let mut plan = MeshPlan::default();
    let Some(mtls) = &intent.spec.mtls else { return plan };
    if !mtls.ports.is_empty() && intent.selector().is_none() {
        let why = "istio knows ports of selected pods alone; set spec.target.service or spec.target.workload";
        plan.refused.push(intent.refusal("mtls.ports", why));
    }
    plan.notes.extend(installers(mtls));
    if mtls.mode.is_some() || !mtls.ports.is_empty() {
        plan.conflicts.extend(others_for_the_same_pods(intent, current, &PEER_AUTHENTICATIONS, "spec.mtls"));
        plan.writes.push(MeshWrite::Own(peer_authentication(intent, mtls)));
    }
    plan
}

fn peer_authentication(intent: &Intent<'_>, mtls: &Mtls) -> Value {
    let mut spec = selected(intent, json!({}));
    if let Some(mode) = mtls.mode {
        spec["mtls"] = json!({"mode": word(mode)});
    }
    if !mtls.ports.is_empty() {
        let ports = mtls.ports.iter().map(|(port, mode)| (port.clone(), json!({"mode": word(*mode)})));
        spec["portLevelMtls"] = Value::Object(ports.collect::<Map<_, _>>());
    }
    intent.own(SECURITY_V1, "PeerAuthentication", "mtls", spec)
}

const fn word(mode: MtlsMode) -> &'static str {
    match mode {
        MtlsMode::Strict => "STRICT",
        MtlsMode::Permissive => "PERMISSIVE",
        MtlsMode::Disable => "DISABLE",
    }
}

/// What only the installation says: the versions and cipher suites between the mesh's proxies.
fn installers(mtls: &Mtls) -> Option<String> {
    let version = mtls.min_version.map(|version| match version {
        TlsVersion::V1_2 => "minProtocolVersion: TLSV1_2".to_owned(),
        TlsVersion::V1_3 => "minProtocolVersion: TLSV1_3".to_owned(),
    });
    let ciphers = (!mtls.ciphers.is_empty()).then(|| format!("cipherSuites: [{}]", mtls.ciphers.join(", ")));
    let lines: Vec<String> = version.into_iter().chain(ciphers).collect();
    let text = || format!("set in Istio's installation: meshConfig: {{meshMTLS: {{{}}}}}", lines.join(", "));
    (!lines.is_empty()).then(text)
}
