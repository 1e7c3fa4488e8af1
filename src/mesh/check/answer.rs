//! The answer for each caller, and what it means for the change (rule P1).

use std::fmt;

use super::{
    access::{Access, Effect, Grant},
    caller::Caller,
    known::Known,
};

/// What becomes of a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It may call as before.
    Allowed,
    /// It would be cut, and why.
    Cut(String),
    /// It depends on what no metric tells.
    Depends(&'static str),
}

/// The answers of a check, those that would be cut first, with the most requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checked {
    /// Each caller with its answer.
    pub callers: Vec<(Caller, Answer)>,
}

/// What a check means for the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every caller that was seen may call.
    Allowed,
    /// At least one would be cut.
    Cut,
    /// None would be for certain, but some may: an audit or a person decides.
    Depends,
    /// No caller was seen at all: without metrics nothing is known.
    Unknown,
}

impl Checked {
    /// What it means.
    pub fn verdict(&self) -> Verdict {
        let any = |wanted: fn(&Answer) -> bool| self.callers.iter().any(|(_, answer)| wanted(answer));
        match () {
            () if self.callers.is_empty() => Verdict::Unknown,
            () if any(|answer| matches!(answer, Answer::Cut(_))) => Verdict::Cut,
            () if any(|answer| matches!(answer, Answer::Depends(_))) => Verdict::Depends,
            () => Verdict::Allowed,
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Allowed => f.write_str("allowed"),
            Answer::Cut(why) => write!(f, "cut: {why}"),
            Answer::Depends(on) => write!(f, "depends on {on}, which no metric tells"),
        }
    }
}

/// What becomes of the callers that were seen, when the mesh's objects say this.
pub fn check(access: &Access, callers: Vec<Caller>) -> Checked {
    let answered = callers.into_iter().map(|caller| {
        let answer = answer(access, &caller);
        (caller, answer)
    });
    let mut callers: Vec<(Caller, Answer)> = answered.collect();
    callers.sort_by(|(one, answer), (other, theirs)| {
        rank(answer).cmp(&rank(theirs)).then(other.count.total_cmp(&one.count)).then(one.workload.cmp(&other.workload))
    });
    Checked { callers }
}

fn rank(answer: &Answer) -> u8 {
    match answer {
        Answer::Cut(_) => 0,
        Answer::Depends(_) => 1,
        Answer::Allowed => 2,
    }
}

fn answer(access: &Access, caller: &Caller) -> Answer {
    let transport = transport(access, caller);
    if let Answer::Cut(_) = transport {
        return transport;
    }
    let rules = rules(access, caller);
    if transport == Answer::Allowed || matches!(rules, Answer::Cut(_)) { rules } else { transport }
}

/// Whether the caller's connection is accepted.
fn transport(access: &Access, caller: &Caller) -> Answer {
    let strict = access.accepts(caller);
    let told = access.plaintext.iter().find(|told| told.namespace.as_deref().is_none_or(|of| of == namespace(caller)));
    let why = match told {
        _ if !caller.is_mutual => "plaintext, and the port accepts mutual TLS alone".to_owned(),
        Some(told) => format!("{} turns mutual TLS off, and the port accepts nothing else", told.object),
        None => return Answer::Allowed,
    };
    match strict {
        Known::Yes => Answer::Cut(why),
        Known::No => Answer::Allowed,
        Known::Depends(on) => Answer::Depends(on),
    }
}

fn namespace(caller: &Caller) -> &str {
    let by_name = || caller.workload.split('/').next().unwrap_or_default();
    caller.identity.as_ref().map_or_else(by_name, |identity| identity.account.namespace.as_str())
}

/// Whether the rules admit the caller: what is denied counts first, then what is allowed.
fn rules(access: &Access, caller: &Caller) -> Answer {
    let matched = |grants: &[Grant], effect| Known::any(grants.iter().map(|grant| grant.matches(caller, effect)));
    let denied = matched(&access.deny, Effect::Deny);
    if denied == Known::Yes {
        let by = access.deny.iter().find(|grant| grant.matches(caller, Effect::Deny) == Known::Yes);
        return Answer::Cut(format!("{} denies it", by.map(|grant| grant.object.as_str()).unwrap_or_default()));
    }
    let allowed = access.allow.as_deref().map_or(Known::Yes, |allow| matched(allow, Effect::Allow));
    if allowed == Known::No {
        return Answer::Cut(format!("no rule{} allows it", of(access.allow.as_deref().unwrap_or_default())));
    }
    let external = access.external.as_ref().map(|_| Known::Depends("an external authorizer"));
    match Known::all([!denied, allowed].into_iter().chain(external)) {
        Known::Depends(on) => Answer::Depends(on),
        Known::Yes | Known::No => Answer::Allowed,
    }
}

/// ` of AuthorizationPolicy shop/web`, for the objects of rules.
fn of(grants: &[Grant]) -> String {
    let mut objects: Vec<&str> = grants.iter().map(|grant| grant.object.as_str()).collect();
    objects.dedup();
    if objects.is_empty() { String::new() } else { format!(" of {}", objects.join(", ")) }
}
