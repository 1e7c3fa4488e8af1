//! What `lint` finds in the file of a Rollout, as a problem that blocks it.

use crate::{
    api::{
        Rollout,
        reason::Reason,
        validate::{self, Finding, Severity},
    },
    engine::Problem,
    router,
};

/// The findings of `lint`, with the same messages.
pub fn invalid(rollout: &Rollout) -> Option<Problem> {
    let mut found = validate::name("Rollout", rollout.metadata.name.as_deref().unwrap_or_default());
    found.extend(validate::rollout(&rollout.spec));
    found.extend(router::unmet(&rollout.spec));
    blocking(&found)
}

/// Whether nothing but the file's own mistakes lets nothing begin, and the objects that were written to are on record.
pub fn is_file_invalid(rollout: &Rollout, problems: &[Problem]) -> bool {
    let on_record = rollout.status.as_ref().is_some_and(|status| status.memory.objects.is_some());
    let mut blocking = problems.iter().filter(|problem| problem.blocks_all).peekable();
    on_record && blocking.peek().is_some() && blocking.all(|problem| problem.reason == Reason::InvalidSpec)
}

/// The errors among findings, as one problem.
pub fn blocking(findings: &[Finding]) -> Option<Problem> {
    let errors: Vec<String> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| format!("{}: {}", finding.path, finding.message))
        .collect();
    (!errors.is_empty()).then(|| Problem { reason: Reason::InvalidSpec, message: errors.join("; "), blocks_all: true })
}
