//! Charts: numbers in, SVG and sparklines out. Pure, without any other module of ours, so that a report and a page in a browser
//! draw the same.
//!
//! A chart has a title, a description, and a table with the same numbers ([`figure::Chart`]). What is drawn differs by shape and
//! dash, not by color alone, and follows the reader's light or dark scheme.
//!
//! - [`evidence`]: the canary over stable with its interval, and below it how much of the evidence for a verdict is there.
//! - [`rates`]: the share of bad events of both arms, or one measured value.
//! - [`traffic`]: the canary's weight.
//! - [`spark`]: a few block characters for a line of text.

pub mod evidence;
pub mod figure;
mod panel;
pub mod rates;
mod scale;
pub mod spark;
mod svg;
pub mod traffic;
