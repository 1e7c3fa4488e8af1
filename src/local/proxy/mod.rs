//! The HTTP proxy of `demo` and `local`: one table of backends, and each request goes to one of them.
//!
//! [`serve`](super::serve) accepts the connections; [`Proxy::pass`] answers one request. HTTP/1.1 is forwarded as
//! HTTP/1.1, with upgrades such as WebSocket, and HTTP/2 as HTTP/2, which gRPC needs. The two modes differ only in
//! what they put into the [`Table`].

mod backend;
mod body;
mod choice;
mod counted;
mod forward;
mod headers;
mod mirror;
mod table;
mod tunnel;

pub use backend::{Backend, connector};
pub use choice::Choice;
pub use forward::{OWN_RESPONSE_HEADER, Proxy};
pub use table::Table;
