//! What a split of traffic is, the same for every router and every world: between which targets, and which requests a
//! header or cookie sends to one of them.

pub mod requests;
pub mod targets;
