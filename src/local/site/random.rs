//! Names and tokens that nobody can guess, from the system.

/// So many random bytes as hexadecimal digits, from the system.
pub fn random_hex(bytes: usize) -> String {
    // The system's random numbers do not run out; zeroes would only make a name that is refused as taken.
    drawn_hex(bytes).unwrap_or_else(|| "00".repeat(bytes))
}

/// An unguessable token; none if the system provides no random numbers.
pub fn token() -> Option<String> {
    drawn_hex(32)
}

fn drawn_hex(bytes: usize) -> Option<String> {
    let mut buffer = vec![0; bytes];
    rustls::crypto::ring::default_provider().secure_random.fill(&mut buffer).ok()?;
    Some(buffer.iter().map(|byte| format!("{byte:02x}")).collect())
}
