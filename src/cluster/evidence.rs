//! What ended runs have found, as long as a decision may rest on it.

use std::{collections::BTreeMap, sync::Arc};

use crate::api::analysis::AnalysisRunStatus;

/// What the ended runs of one attempt have found, by name, each with the uid of the run that found it.
pub(super) type Evidence = BTreeMap<String, (String, Arc<AnalysisRunStatus>)>;
