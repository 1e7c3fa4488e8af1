//! A faulty API server in this process: it drives the real adapters, controller, Lease and analysis in virtual time, fails
//! by a seed, and checks every write that takes effect on what is stored. docs/test-faults.md says how to use it.
//!
//! From the bottom up: [`kinds`], [`store`], [`patches`] and [`verbs`] are an API server; [`wire`] and [`watching`] are the
//! way to it, on which [`faults`] happen and which [`roles`] guard; [`life`] makes pods; [`checks`] and [`leadership`] say what must hold;
//! [`process`] is a controller; [`scene`] puts them together for [`named`] tests, [`contract`] for those of every router, and
//! [`histories`] for random ones, made of [`deeds`].

mod checks;
mod cluster;
mod contract;
mod deeds;
mod faults;
mod histories;
mod kinds;
mod leadership;
mod life;
mod named;
mod objects;
mod patches;
mod process;
mod reintroduced;
mod roles;
mod scene;
mod store;
mod verbs;
mod watching;
mod wire;
