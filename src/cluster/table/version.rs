//! Which of two resourceVersions is the newer.

/// Versions are integers that grow; one that is not a number is taken as newer.
pub(super) fn is_newer(new: &str, old: &str) -> bool {
    match (number(new), number(old)) {
        (Some(new), Some(old)) => new > old,
        _ => new != old,
    }
}

/// A resourceVersion as the growing number it is in practice.
pub fn number(version: &str) -> Option<u64> {
    version.parse().ok()
}
