//! No router at all: without entries in `spec.traffic` the ratio of replicas is the split (rule S54).
//!
//! Every pod of both revisions stands behind the same Service, so a canary with `c` of `n` pods gets about `c / n` of
//! the requests. There is nothing to route, hence nothing here to plan, read or hand back: [`super::routers`] gives an
//! empty list, `Seen::route` stays `None`, and the engine chooses pod counts that come nearest to a step's weight.
