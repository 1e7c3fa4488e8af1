//! From samples to verdicts.
