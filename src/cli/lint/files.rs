//! Which files are checked, and their texts.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use crate::{cli::exit::CliError, yaml};

/// A file as it was named and what it holds.
pub(in crate::cli) struct File {
    pub name: String,
    pub text: String,
}

/// How deep folders are searched: enough for any repository, and an end for loops of links.
const MAX_DEPTH: u32 = 32;

/// Reads what the paths name, in a stable order.
pub(in crate::cli) fn collect(paths: &[PathBuf]) -> Result<Vec<File>, CliError> {
    let mut files = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            files.push(read("standard input", std::io::stdin().lock())?);
            continue;
        }
        let mut found = Vec::new();
        search(path, 0, &mut found)?;
        if found.is_empty() {
            return Err(CliError::Usage(format!("there is no .yaml, .yml or .json file in {}", path.display())));
        }
        for path in found {
            let file = std::fs::File::open(&path).map_err(|error| unreadable(&path.display(), &error))?;
            files.push(read(&path.display().to_string(), file)?);
        }
    }
    Ok(files)
}

fn search(path: &Path, depth: u32, found: &mut Vec<PathBuf>) -> Result<(), CliError> {
    let unreadable = |error| unreadable(&path.display(), &error);
    if !std::fs::metadata(path).map_err(unreadable)?.is_dir() {
        found.push(path.to_owned());
        return Ok(());
    }
    let entries: Result<Vec<_>, _> = std::fs::read_dir(path).map_err(unreadable)?.collect();
    let mut entries: Vec<PathBuf> = entries.map_err(unreadable)?.into_iter().map(|entry| entry.path()).collect();
    entries.sort();
    for entry in entries {
        let hidden = entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let wanted = entry.extension().is_some_and(|kind| kind == "yaml" || kind == "yml" || kind == "json");
        if !hidden && depth < MAX_DEPTH && (wanted || entry.is_dir()) {
            search(&entry, depth + 1, found)?;
        }
    }
    Ok(())
}

/// One byte more than is allowed is enough to know that a file is too large.
fn read(name: &str, source: impl std::io::Read) -> Result<File, CliError> {
    let mut bytes = Vec::new();
    let limit = yaml::MAX_BYTES as u64 + 1;
    source.take(limit).read_to_end(&mut bytes).map_err(|error| unreadable(&name, &error))?;
    let text = match std::str::from_utf8(&bytes) {
        // What is too large is refused as such, wherever it was cut.
        Err(error) if bytes.len() <= yaml::MAX_BYTES => return Err(not_utf8(name, &bytes, error.valid_up_to())),
        _ => String::from_utf8_lossy(&bytes),
    };
    // Some editors begin a file with a byte order mark, which YAML's reader takes for a document of its own.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned();
    Ok(File { name: name.to_owned(), text })
}

/// The API server takes UTF-8 alone; a Latin-1 letter would be another one there.
fn not_utf8(name: &str, bytes: &[u8], at: usize) -> CliError {
    let before = &bytes[..at];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
    let byte = bytes.get(at).copied().unwrap_or_default();
    CliError::Failed(format!("{name}:{line}:{column}: byte 0x{byte:02x} is not UTF-8; save the file as UTF-8"))
}

fn unreadable(name: &dyn std::fmt::Display, error: &std::io::Error) -> CliError {
    CliError::Usage(format!("cannot read {name}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// W11: kubectl refuses such a file, so it must not pass here.
    #[test]
    fn w11_a_file_that_is_not_utf8_is_refused_with_its_place() {
        let latin1 = b"kind: Rollout\nmetadata: {name: web, annotations: {\xc3\xb6: \"Jos\xe9\"}}\n";
        let error = read("a.yaml", &latin1[..]).err().unwrap().to_string();
        assert_eq!(error, "a.yaml:2:44: byte 0xe9 is not UTF-8; save the file as UTF-8");
        assert_eq!(read("b.yaml", "\u{feff}kind: José".as_bytes()).unwrap().text, "kind: José");
        let large = vec![0xc3; yaml::MAX_BYTES + 1];
        assert!(read("c.yaml", &large[..]).unwrap().text.len() > yaml::MAX_BYTES, "its size is what is told");
    }
}
