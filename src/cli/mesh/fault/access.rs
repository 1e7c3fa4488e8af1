//! Calls about MeshFaults, and what their errors mean.

use kube::Api;

use crate::{
    api::MeshFault,
    cli::{answer, connect::Connection, exit::CliError},
};

/// The faults of the namespace.
pub(super) fn faults(connection: &Connection) -> Api<MeshFault> {
    Api::namespaced(connection.client.clone(), &connection.namespace)
}

/// An error of a call about faults. Where their kind is missing, no controller would carry one out.
pub(super) async fn failed(connection: &Connection, doing: String, error: &kube::Error) -> CliError {
    let is_unknown = matches!(error, kube::Error::Api(status) if answer::is_unknown_path(status));
    if !is_unknown {
        return connection.first_error(doing, error).await;
    }
    match connection.kind_missing("MeshFault", error).await {
        CliError::KindMissing(_) => CliError::Failed(format!(
            "cannot {doing}: the CRD of kind MeshFault is not installed, so no controller runs with --mesh that would carry a \
             fault out; to apply one by hand, write it to a file and use 'glidepath mesh render'"
        )),
        other => other,
    }
}
