//! Would a caller that was seen be cut? The answer has three values, since metrics know who called but not for which path.
//!
//! A mesh's objects say who may call ([`Access`]), its metrics who did ([`Caller`]). [`check`] asks the objects as they would be
//! after a change, foreign ones too, so that the answer is about what the proxies enforce and not about what the policy means.

mod access;
mod answer;
mod caller;
mod known;
mod pattern;

pub use access::{Access, AccessSource, Grant, Operations, PlaintextCaller, TlsMode};
pub use answer::{Answer, Checked, Verdict, check};
pub use caller::{Caller, CallerQuery, Identity};
pub use known::Known;
pub use pattern::Pattern;
