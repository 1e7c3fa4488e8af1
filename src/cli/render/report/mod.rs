//! The report of a release as a page and as Markdown: the same facts, from [`crate::view::report`].
//!
//! - [`facts`]: the rows of the summary, and times in both zones.
//! - [`charts`]: the drawings of a metric.
//! - [`inputs`]: what an analysis asked and judged by.
//! - [`html`] and [`markdown`]: the two forms.

mod charts;
mod facts;
pub mod html;
mod inputs;
pub mod markdown;
#[cfg(test)]
mod tests;
