//! What is shown of one Rollout, as values: computed once from the object, its pods and the time, so that every verb shows
//! the same, and a page in a browser can.
//!
//! - [`situation`]: where it is, what it waits for, until when, what comes next, what can be done. Begin there. It is made of
//!   [`place`], [`waits`], [`step`] and [`commands`]; [`doing`] puts it into a phrase.
//! - [`traffic`], [`revision`], [`pod`] and [`evidence`]: the rows of the screen; [`courses`]: its sparklines.
//! - [`history`] and [`acts`]: the releases and commands of the past, and who gave which command; [`pause`]: the one in force.
//! - [`report`]: the story of one release, with its charts' numbers, for the review afterwards.
//! - [`explanation`]: the situation in sentences. [`overview`]: the situation for scripts, which [`document`] puts into an
//!   envelope, as it does the other two.
//! - [`ending`]: whether the release that a command waits for is over, and how.
//! - [`phrases`]: times and words that all of them share.

pub mod acts;
pub mod commands;
pub mod courses;
pub mod document;
pub mod doing;
pub mod ending;
pub mod evidence;
pub mod explanation;
pub mod guards;
pub mod history;
mod metric_words;
pub mod overview;
pub mod pause;
pub mod phrases;
pub mod place;
pub mod pod;
pub mod report;
pub mod revision;
#[cfg(test)]
pub mod samples;
pub mod situation;
pub mod step;
pub mod traffic;
pub mod waits;
