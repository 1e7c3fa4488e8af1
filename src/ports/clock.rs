//! The door to time.

/// The time. The real one is `clock.rs`; tests and the simulator have their own.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> jiff::Timestamp;
}
