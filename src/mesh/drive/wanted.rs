//! The policy as it is wanted: its plan on the mesh, how it is to change, and what is wrong with it.

use jiff::{SignedDuration, Timestamp};

use super::{
    callers, desired,
    seen::{Ask, Seen, ServiceCallers},
};
use crate::{
    api::{
        MeshPolicy,
        common::HumanDuration,
        policy::{Change, HeldAt, MeshPolicySpec, PolicyState},
        validate::{self, Severity},
    },
    mesh::{
        MeshKind, MeshPlan, MeshWrite,
        change::{Decision, Desired, GUARD, PlanSeen, Settings},
        check::{Caller, Checked, Verdict},
        facts::Service,
        services, settings,
    },
    yaml,
};

/// The policy as it is wanted: its plan, its settings, and what is wrong with it.
pub(super) struct Wanted {
    pub kind: Option<&'static MeshKind>,
    pub plan: MeshPlan,
    pub settings: Settings,
    pub problems: Vec<String>,
    guard: HumanDuration,
    has_rules: bool,
}

impl Wanted {
    /// Of what is seen.
    pub fn of(seen: &Seen<'_>) -> Self {
        let spec = &seen.policy.spec;
        let whole = settings::of(spec).ok().and_then(|settings| yaml::typed::<MeshPolicySpec>(&settings.spec).ok());
        let whole = whole.as_ref().unwrap_or(spec);
        let kind = seen.kind.ok();
        let plan = kind.map(|kind| desired::of_spec(seen, kind, spec)).unwrap_or_default();
        let has_rules = whole.authorization.is_some() || !whole.jwt.is_empty();
        let cuts = has_rules || whole.mtls.is_some() || loosens(seen);
        let problems = problems(seen, kind, &plan, whole.change.as_ref());
        Wanted {
            guard: whole.change.as_ref().and_then(|change| change.guard).unwrap_or(GUARD),
            settings: Settings::of(whole.change.as_ref(), cuts),
            kind,
            plan,
            problems,
            has_rules,
        }
    }

    /// Whether it can be carried out.
    pub fn plan_seen(&self) -> PlanSeen {
        match () {
            () if !self.problems.is_empty() => PlanSeen::Refused,
            () if !self.plan.conflicts.is_empty() => PlanSeen::Conflicted,
            () => PlanSeen::Clear,
        }
    }

    /// What the objects do not say yet of a state.
    pub fn pending(&self, seen: &Seen<'_>, desired: &Desired) -> Vec<MeshWrite> {
        let Some(kind) = self.kind else { return Vec::new() };
        let plan = MeshPlan { writes: desired::writes(seen, kind, &self.settings, desired), ..MeshPlan::default() };
        plan.pending(seen.objects)
    }

    /// What becomes of the callers, once the metrics have said who they are.
    pub fn checked<'a>(&self, seen: &Seen<'a>) -> Option<Vec<(&'a Service, Checked)>> {
        let metrics = seen.metrics?.ok()?;
        callers::checked(self.kind?, seen.facts, &self.plan.after(seen.objects), &metrics.before)
    }

    /// What the check says: without metrics nothing is known; before they were asked there is no answer.
    pub fn verdict(&self, seen: &Seen<'_>, checked: Option<&[(&Service, Checked)]>) -> Option<Verdict> {
        seen.metrics.map(|_| checked.map_or(Verdict::Unknown, callers::verdict))
    }

    /// The caller that is cut (rule P5): what 403 says is only of use where there are rules.
    pub fn cut<'a>(&self, seen: &Seen<'a>) -> Option<(&'a ServiceCallers, &'a Caller)> {
        callers::cut(seen.metrics?.ok()?).filter(|_| self.has_rules)
    }

    /// What the state that follows has to know: who called, and who is denied.
    pub fn ask(&self, seen: &Seen<'_>, decision: &Decision) -> Option<Ask> {
        if seen.metrics.is_some() || !self.settings.has_guard || self.kind.is_none() {
            return None;
        }
        let (until, denials) = match decision.standing.state.as_ref()? {
            PolicyState::Checking(_) if seen.releasing.is_none() => (seen.now, false),
            PolicyState::Held(held) if held.at == HeldAt::Check {} => (seen.now, false),
            PolicyState::Baking(baking) if self.has_rules => (self.began(baking.until), true),
            _ => return None,
        };
        let services = services(seen.policy, seen.facts);
        let services = services.into_iter().map(|one| (one.namespace.clone(), one.name.clone())).collect();
        Some(Ask { services, seconds: self.guard.get().as_secs().max(1), until, denials })
    }

    /// When the wave that is watched until then was written.
    fn began(&self, until: Timestamp) -> Timestamp {
        let bake = SignedDuration::try_from(self.settings.bake).unwrap_or(SignedDuration::ZERO);
        until.saturating_sub(bake).unwrap_or(until)
    }
}

/// A policy that had rules and has none any more opens what was closed, and one that had others may close what was open: the
/// check is for both.
fn loosens(seen: &Seen<'_>) -> bool {
    let in_force = seen.policy.status.as_ref().and_then(|status| status.in_force.as_ref());
    let former = in_force.and_then(|id| seen.specs.get(id));
    former.is_some_and(|spec| spec.mtls.is_some() || spec.authorization.is_some() || !spec.jwt.is_empty())
}

fn problems(seen: &Seen<'_>, kind: Option<&MeshKind>, plan: &MeshPlan, change: Option<&Change>) -> Vec<String> {
    let MeshPolicy { spec, status, .. } = seen.policy;
    let findings = validate::policy(spec).into_iter().filter(|finding| finding.severity == Severity::Error);
    let mut found: Vec<String> = findings.map(|finding| format!("{}: {}", finding.path, finding.message)).collect();
    found.extend(seen.kind.err().map(|why| format!("spec.mesh: {why}")));
    let before = status.as_ref().and_then(|status| status.mesh.as_deref());
    if let (Some(kind), Some(before)) =
        (kind, before.filter(|_| status.as_ref().is_some_and(|status| status.in_force.is_some())))
        && kind.key != before
    {
        found.push(format!(
            "spec.mesh: the policy is in force on {before}; delete it, and create another one for {}",
            kind.key
        ));
    }
    if change.is_some_and(|change| change.analysis.is_some()) {
        found.push("spec.change.analysis: is not carried out by this version; remove it".to_owned());
    }
    found.extend(plan.refused.iter().map(ToString::to_string));
    found
}
