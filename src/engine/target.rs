//! The two targets of traffic.

/// The two targets of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// The stable Service (and root) or subset.
    Stable,
    /// The canary Service or subset.
    Canary,
}
