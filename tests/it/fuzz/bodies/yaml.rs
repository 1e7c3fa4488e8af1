//! A file from bytes to findings, as `lint` takes it: any file has a report, the same one each time, and every finding a
//! place in the file.

use glidepath::cli::{offline::lint::lint_bytes, render::paint::Paint};

/// What YAML's readers may take for the end of a line.
const BREAKS: [char; 5] = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];

/// Lints the bytes as one file.
pub fn run(bytes: &[u8]) {
    let Ok(report) = lint_bytes("input.yaml", bytes) else { return };
    let lines = String::from_utf8_lossy(bytes).matches(BREAKS).count() + 2;
    for found in &report.findings {
        assert!((1..=lines).contains(&found.line) && found.column >= 1, "{found:?} in a file of {lines} lines");
        assert!(!found.message.is_empty(), "{found:?}");
    }
    report.text(Paint { on: false });
    report.json();
    let again = lint_bytes("input.yaml", bytes).map(|report| report.findings);
    assert!(again.is_ok_and(|findings| findings == report.findings), "a second look finds something else");
}
