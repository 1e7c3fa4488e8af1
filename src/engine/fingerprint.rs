//! Short hashes, to tell whether what was recorded is still the same.

use sha2::{Digest, Sha256};

/// Six bytes of a text's hash, as twelve digits.
pub fn of(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}
