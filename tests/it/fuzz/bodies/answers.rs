//! An HTTP answer of whatever stands behind a Prometheus address: its samples, or an error in our words.

use glidepath::source::prometheus::read_answer;

const STATUSES: [u16; 12] = [200, 200, 200, 204, 301, 400, 401, 422, 429, 500, 503, 999];
/// The longest error: our words, and at most 200 characters of the server's.
const LONGEST: usize = 400;

/// Reads the bytes as an answer: the first chooses the status, the rest is the body.
pub fn run(bytes: &[u8]) {
    let Some((first, body)) = bytes.split_first() else { return };
    let status = STATUSES[usize::from(*first) % STATUSES.len()];
    match read_answer(status, body) {
        Ok(samples) => assert!(samples.len() <= body.len() / 2, "{} samples in {} bytes", samples.len(), body.len()),
        Err(error) => {
            let message = error.to_string();
            assert!(message.chars().count() <= LONGEST, "{message}");
            assert!(!message.contains(char::is_control), "{message:?}");
        }
    }
}
