//! Which requests, as matches of routes, and who may send them.
//!
//! Linkerd uses one route for a request: that with the longest path, then one with a method, then the oldest. A policy admits a
//! request that any of its rules admits. So the callers of a wider match are added to the narrower ones inside it; where the age
//! of two routes would decide between different callers, the rules are refused.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::callers::Callers;
use crate::{
    api::policy::{GrpcMethod, Operation},
    mesh::{intent::Intent, plan::Refusal},
};

/// The methods that a route can match.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
/// The longest value that a match may have.
const MOST_PATH: usize = 1024;

/// The paths of a match.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Paths {
    /// All.
    All,
    /// This one.
    Exact(String),
    /// Those that begin so.
    Prefix(String),
}

/// Requests that one match of a route has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Requests {
    pub paths: Paths,
    /// `None`: any.
    pub method: Option<String>,
}

/// Requests, who may send them, and the field that says so.
pub(super) type Admitted = BTreeMap<Requests, (Callers, String)>;

/// The requests of an operation; none for one of ports alone.
pub(super) fn of(intent: &Intent<'_>, operation: &Operation, place: &str) -> Result<Vec<Requests>, Refusal> {
    if let Some(GrpcMethod { service, method }) = &operation.grpc {
        let paths = match method {
            Some(method) => Paths::Exact(format!("/{service}/{method}")),
            None => Paths::Prefix(format!("/{service}/")),
        };
        return Ok(vec![Requests { paths, method: Some("POST".to_owned()) }]);
    }
    if operation.methods.is_empty() && operation.paths.is_empty() {
        return Ok(Vec::new());
    }
    if let Some(index) = operation.methods.iter().position(|method| !METHODS.contains(&method.as_str())) {
        let why = format!("linkerd matches the methods {} alone; remove the other", METHODS.join(", "));
        return Err(intent.refusal(format!("{place}.methods[{index}]"), why));
    }
    let paths: Vec<Paths> = match operation.paths.as_slice() {
        [] => vec![Paths::All],
        paths => paths.iter().map(|path| Paths::of(path)).collect(),
    };
    if let Some(index) = paths.iter().position(|path| path.value().len() > MOST_PATH) {
        let why = format!("the path is longer than {MOST_PATH} characters as an expression; shorten it");
        return Err(intent.refusal(format!("{place}.paths[{index}]"), why));
    }
    let methods: Vec<Option<String>> = match operation.methods.as_slice() {
        [] => vec![None],
        methods => methods.iter().cloned().map(Some).collect(),
    };
    let each = paths
        .into_iter()
        .flat_map(|paths| methods.iter().map(move |method| Requests { paths: paths.clone(), method: method.clone() }));
    Ok(each.collect())
}

/// The callers of each match, those of the wider ones around it included.
pub(super) fn closed(intent: &Intent<'_>, admitted: Admitted) -> Result<Admitted, Refusal> {
    let mut admitted = with_methods(admitted);
    for (wide, (callers, place)) in admitted.clone() {
        let inside: Vec<Requests> = admitted.keys().filter(|narrow| wide.is_passed_over_for(narrow)).cloned().collect();
        for narrow in inside {
            let Some(both) = wide.method_of_both(&narrow) else { continue };
            let there = admitted.get(&narrow).map(|(callers, _)| callers.clone()).unwrap_or_default();
            let requests = Requests { paths: narrow.paths, method: both };
            let entry = admitted.entry(requests).or_insert_with(|| (Callers::default(), place.clone()));
            entry.0.join(&there);
            entry.0.join(&callers);
        }
    }
    let entries: Vec<(&Requests, &(Callers, String))> = admitted.iter().collect();
    for (index, (one, (callers, place))) in entries.iter().enumerate() {
        let tie = entries[..index].iter().find(|(other, (theirs, _))| one.ties_with(other) && theirs != callers);
        if let Some((_, (_, other))) = tie {
            let why = format!(
                "overlaps {other} for other callers, and linkerd applies one of the two to a request; give both the same callers, or paths or methods that do not overlap"
            );
            return Err(intent.refusal(place.clone(), why));
        }
    }
    Ok(admitted)
}

/// The path `/` is as long as the prefix of all paths: only a method lets its route come first.
fn with_methods(mut admitted: Admitted) -> Admitted {
    let root = Requests { paths: Paths::Exact("/".to_owned()), method: None };
    if let Some((callers, place)) = admitted.remove(&root) {
        for method in METHODS {
            let requests = Requests { method: Some(method.to_owned()), ..root.clone() };
            let entry = admitted.entry(requests).or_insert_with(|| (Callers::default(), place.clone()));
            entry.0.join(&callers);
        }
    }
    admitted
}

impl Requests {
    /// Whether Linkerd takes the narrower match for a request that has both, for its longer path or its method.
    fn is_passed_over_for(&self, narrow: &Requests) -> bool {
        let by_path = self.paths == Paths::All && narrow.paths.value().len() > "/".len();
        let by_method = self.paths == narrow.paths && self.method.is_none() && narrow.method.is_some();
        self != narrow && (by_path || by_method)
    }

    /// The method of the requests that have both matches; none if there are no such requests.
    fn method_of_both(&self, other: &Requests) -> Option<Option<String>> {
        match (&self.method, &other.method) {
            (Some(one), Some(other)) if one != other => None,
            (one, other) => Some(one.clone().or_else(|| other.clone())),
        }
    }

    /// Whether there are requests for which the age of the routes decides.
    fn ties_with(&self, other: &Requests) -> bool {
        let decided = self.is_passed_over_for(other) || other.is_passed_over_for(self);
        !decided && self.method_of_both(other).is_some() && self.paths.overlap(&other.paths)
    }

    /// The match, of a route.
    pub fn json(&self) -> Value {
        let kind = match self.paths {
            Paths::All => "PathPrefix",
            Paths::Exact(_) => "Exact",
            Paths::Prefix(_) => "RegularExpression",
        };
        let mut json = json!({"path": {"type": kind, "value": self.paths.value()}});
        if let Some(method) = &self.method {
            json["method"] = json!(method);
        }
        json
    }
}

impl Paths {
    fn of(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some("/") => Paths::All,
            Some(prefix) => Paths::Prefix(prefix.to_owned()),
            None => Paths::Exact(text.to_owned()),
        }
    }

    /// The value of a match. Gateway API's `PathPrefix` is by elements of the path and forgets a slash at the end: `/api/` would
    /// also admit `/api`. An expression admits exactly the prefix; Linkerd matches it against the whole path.
    fn value(&self) -> String {
        match self {
            Paths::All => "/".to_owned(),
            Paths::Exact(path) => path.clone(),
            Paths::Prefix(prefix) => format!("{}.*", regex::escape(prefix)),
        }
    }

    fn overlap(&self, other: &Paths) -> bool {
        match (self, other) {
            (Paths::All, _) | (_, Paths::All) => true,
            (Paths::Exact(one), Paths::Exact(other)) => one == other,
            (Paths::Prefix(prefix), Paths::Exact(path)) | (Paths::Exact(path), Paths::Prefix(prefix)) => {
                path.starts_with(prefix)
            }
            (Paths::Prefix(one), Paths::Prefix(other)) => one.starts_with(other) || other.starts_with(one),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        api::policy::MeshPolicySpec,
        mesh::{facts::Facts, intent::Target},
    };

    type Request = (&'static str, &'static str);

    fn closed_of(rules: &[(Requests, u8)]) -> Result<Admitted, Refusal> {
        let facts = Facts::default();
        let (spec, target) = (MeshPolicySpec::default(), Target::Namespace);
        let intent =
            Intent { mesh: "linkerd", namespace: "shop", policy: "p", target, spec, facts: &facts, others: Vec::new() };
        let mut admitted = Admitted::new();
        for (requests, caller) in rules {
            admitted.entry(requests.clone()).or_default().0.join(&caller_of(*caller));
        }
        closed(&intent, admitted)
    }

    fn caller_of(caller: u8) -> Callers {
        let identities = BTreeSet::from([("shop".to_owned(), Some(caller.to_string()))]);
        Callers { identities, ..Callers::default() }
    }

    fn has(requests: &Requests, (method, path): Request) -> bool {
        let by_path = match &requests.paths {
            Paths::All => true,
            Paths::Exact(exact) => exact == path,
            Paths::Prefix(prefix) => path.starts_with(prefix),
        };
        by_path && requests.method.as_deref().is_none_or(|own| own == method)
    }

    /// What Linkerd's proxy does with a request: routes from the oldest to the youngest.
    fn is_admitted(routes: &[(Callers, Vec<Requests>)], request: Request, caller: u8) -> bool {
        let rank = |requests: &Requests| {
            let length = if requests.paths == Paths::All { 1 } else { request.1.len() };
            (length, requests.method.is_some())
        };
        let mut best: Option<((usize, bool), &Callers)> = None;
        for (callers, matches) in routes {
            let Some(rank) = matches.iter().filter(|one| has(one, request)).map(rank).max() else { continue };
            if best.is_none_or(|(first, _)| rank > first) {
                best = Some((rank, callers));
            }
        }
        best.is_some_and(|(_, callers)| callers.identities.is_superset(&caller_of(caller).identities))
    }

    fn requests() -> impl Strategy<Value = Requests> {
        let paths = prop_oneof![
            Just(Paths::All),
            Just(Paths::Prefix("/a/".to_owned())),
            Just(Paths::Prefix("/a/b".to_owned())),
            Just(Paths::Exact("/a".to_owned())),
            Just(Paths::Exact("/a/b".to_owned())),
            Just(Paths::Exact("/".to_owned())),
        ];
        (paths, prop_oneof![Just(None), Just(Some("GET".to_owned())), Just(Some("POST".to_owned()))])
            .prop_map(|(paths, method)| Requests { paths, method })
    }

    proptest! {
        /// A route admits a request when a rule does, whatever the age of the routes.
        #[test]
        fn linkerd_admits_what_the_rules_admit(
            rules in prop::collection::vec((requests(), 0..3u8), 1..6),
            ages in Just((0..10usize).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let Ok(admitted) = closed_of(&rules) else { return Ok(()) };
            let mut groups: BTreeMap<Callers, Vec<Requests>> = BTreeMap::new();
            for (requests, (callers, _)) in &admitted {
                groups.entry(callers.clone()).or_default().push(requests.clone());
            }
            let all = Requests { paths: Paths::All, method: None };
            if !admitted.contains_key(&all) {
                groups.entry(Callers::default()).or_default().push(all);
            }
            let mut routes: Vec<_> = groups.into_iter().collect();
            let mut order = ages.iter().copied();
            routes.sort_by_cached_key(|_| order.next());
            for path in ["/", "/a", "/a/", "/a/b", "/a/bc", "/b"] {
                for (method, caller) in [("GET", 0), ("GET", 1), ("POST", 1), ("POST", 2), ("PUT", 0), ("PUT", 2)] {
                    let wanted = rules.iter().any(|(one, by)| *by == caller && has(one, (method, path)));
                    prop_assert_eq!(is_admitted(&routes, (method, path), caller), wanted, "{} {} by {}: {:?}", method, path, caller, routes);
                }
            }
        }
    }

    #[test]
    fn a_wider_rule_and_a_narrower_one_are_not_refused() {
        let of = |paths: Paths, method: Option<&str>| Requests { paths, method: method.map(str::to_owned) };
        let admin = || Paths::Prefix("/admin/".to_owned());
        let closed = closed_of(&[(of(Paths::All, Some("GET")), 0), (of(admin(), None), 1)]).unwrap();
        let callers = |requests: &Requests| closed[requests].0.identities.len();
        assert_eq!(callers(&of(Paths::All, Some("GET"))), 1);
        assert_eq!((callers(&of(admin(), None)), callers(&of(admin(), Some("GET")))), (1, 2));
        let refused = closed_of(&[(of(admin(), None), 0), (of(Paths::Exact("/admin/x".into()), None), 1)]);
        assert!(refused.unwrap_err().why.starts_with("overlaps "));
    }

    #[test]
    fn a_prefix_is_an_expression_for_exactly_that_prefix() {
        let expression = |text: &str| regex::Regex::new(&format!("^(?:{})$", Paths::of(text).value())).unwrap();
        let api = expression("/api/*");
        assert!(api.is_match("/api/") && api.is_match("/api/v1/x") && !api.is_match("/api") && !api.is_match("/apis/"));
        assert!(!expression("/a.b/*").is_match("/axb/c"));
    }
}
