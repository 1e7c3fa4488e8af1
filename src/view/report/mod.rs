//! The story of one release, for the review afterwards.
//!
//! - [`story`]: what was released when, how it ended and who decided. Begin there.
//! - [`sources`]: what it is made from.
//! - [`run`]: one analysis with its metrics.
//! - [`timeline`]: everything with a time, in order.

pub mod run;
pub mod sources;
pub mod story;
pub mod timeline;
