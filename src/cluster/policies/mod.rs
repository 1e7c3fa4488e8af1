//! Mesh policies in a cluster: what is known around them, and one look at a policy at a time.
//!
//! Nothing here runs without `--mesh`. What a policy becomes and when is decided by `mesh::drive`, which is pure; this side
//! reads it out of the tables, asks the metrics that it asks for, records what it says and writes what it wants, in that order.

mod facts;
mod look;
mod metrics;
mod objects;
mod record;
mod specs;
mod writes;
