//! Which files are checked, and their texts.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use super::{indentation::explained, report::Report};
use crate::{
    api::validate::Severity,
    cli::exit::CliError,
    yaml::{self, Document, YamlError, limits::CALL_BYTES},
};

/// A file as it was named and what it holds.
pub(in crate::cli) struct File {
    pub name: String,
    pub text: String,
}

/// How deep folders are searched: enough for any repository, and an end for loops of links.
const MAX_DEPTH: u32 = 32;

/// The most files and folders that are looked at: links can lead in circles.
const MOST_ENTRIES: usize = 100_000;

/// The texts of one call of the command line, all within one [`yaml::Budget`].
#[derive(Default)]
pub(in crate::cli) struct Files {
    budget: yaml::Budget,
    bytes: usize,
    entries: usize,
}

impl Files {
    /// Reads what the paths name, in a stable order.
    pub fn collect(&mut self, paths: &[PathBuf]) -> Result<Vec<File>, CliError> {
        let mut files = Vec::new();
        for path in paths {
            if path.as_os_str() == "-" {
                files.push(self.read("standard input", std::io::stdin().lock())?);
                continue;
            }
            let mut found = Vec::new();
            self.search(path, 0, &mut found)?;
            if found.is_empty() {
                return Err(CliError::Usage(format!("there is no .yaml, .yml or .json file in {}", path.display())));
            }
            for path in found {
                files.push(self.open(&path)?);
            }
        }
        Ok(files)
    }

    /// The files that the paths name, folders searched, in the order in which they are read.
    pub fn named(&mut self, paths: &[PathBuf]) -> Result<Vec<PathBuf>, CliError> {
        let mut found = Vec::new();
        for path in paths {
            self.search(path, 0, &mut found)?;
        }
        Ok(found)
    }

    /// Reads the one file that the path names.
    pub fn one(&mut self, path: &Path) -> Result<File, CliError> {
        if path.is_dir() {
            return Err(CliError::Usage(format!("{} is a folder; list its files", path.display())));
        }
        if path.as_os_str() == "-" { self.read("standard input", std::io::stdin().lock()) } else { self.open(path) }
    }

    /// The documents of a file.
    fn documents(&mut self, file: &File) -> Result<Vec<Result<Document, YamlError>>, YamlError> {
        self.budget.read(&file.text)
    }

    /// The documents of a file, those of lists one by one. What is not readable is reported.
    pub fn readable(&mut self, file: &File, report: &mut Report) -> Vec<Document> {
        let mut add = |error: &YamlError| {
            report.add(&file.name, error.position(), Severity::Error, "", explained(&file.text, error));
        };
        match self.documents(file) {
            Err(error) => {
                add(&error);
                Vec::new()
            }
            Ok(read) => {
                read.into_iter().filter_map(|one| one.map_err(|error| add(&error)).ok()).flat_map(entries).collect()
            }
        }
    }

    fn open(&mut self, path: &Path) -> Result<File, CliError> {
        let file = std::fs::File::open(path).map_err(|error| unreadable(&path.display(), &error))?;
        self.read(&path.display().to_string(), file)
    }

    /// A text from elsewhere. One byte more than is allowed is enough to know that there is too much.
    pub fn read(&mut self, name: &str, source: impl std::io::Read) -> Result<File, CliError> {
        let most = CALL_BYTES - self.bytes;
        let mut bytes = Vec::new();
        source.take(most as u64 + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&name, &error))?;
        if bytes.len() > most {
            return Err(CliError::Failed(format!("{name}: {}", YamlError::TooLarge)));
        }
        self.bytes += bytes.len();
        let text = String::from_utf8(bytes)
            .map_err(|error| not_utf8(name, error.as_bytes(), error.utf8_error().valid_up_to()))?;
        // Some editors begin a file with a byte order mark, which YAML's reader takes for a document of its own.
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        Ok(File { name: name.to_owned(), text })
    }

    fn search(&mut self, path: &Path, depth: u32, found: &mut Vec<PathBuf>) -> Result<(), CliError> {
        let unreadable = |error| unreadable(&path.display(), &error);
        if !std::fs::metadata(path).map_err(unreadable)?.is_dir() {
            found.push(path.to_owned());
            return Ok(());
        }
        let entries: Result<Vec<_>, _> = std::fs::read_dir(path).map_err(unreadable)?.take(MOST_ENTRIES).collect();
        let mut entries: Vec<PathBuf> = entries.map_err(unreadable)?.into_iter().map(|entry| entry.path()).collect();
        entries.sort();
        for entry in entries {
            self.entries += 1;
            if self.entries >= MOST_ENTRIES {
                let words = "there are more than 100,000 files and folders; specify the folders with manifests";
                return Err(CliError::Failed(format!("{}: {words}", path.display())));
            }
            let hidden = entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            let wanted = entry.extension().is_some_and(|kind| kind == "yaml" || kind == "yml" || kind == "json");
            if !hidden && depth < MAX_DEPTH && (wanted || entry.is_dir()) {
                self.search(&entry, depth + 1, found)?;
            }
        }
        Ok(())
    }
}

/// The objects of a list, as `kubectl get -o yaml` prints several; else the document itself.
fn entries(document: Document) -> Vec<Document> {
    if document.is_list() { document.into_entries("items") } else { vec![document] }
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
        let mut files = Files::default();
        let error = files.read("a.yaml", &latin1[..]).err().unwrap().to_string();
        assert_eq!(error, "a.yaml:2:44: byte 0xe9 is not UTF-8; save the file as UTF-8");
        assert_eq!(files.read("b.yaml", "\u{feff}kind: José".as_bytes()).unwrap().text, "kind: José");
    }

    /// M7.
    #[test]
    fn all_files_of_a_call_together_are_bounded() {
        let mut files = Files::default();
        let half = vec![b'#'; CALL_BYTES / 2];
        files.read("a.yaml", &half[..]).unwrap();
        files.read("b.yaml", &half[..]).unwrap();
        let error = files.read("c.yaml", std::io::repeat(b'x')).err().unwrap().to_string();
        assert_eq!(error, "c.yaml: with this file the input exceeds 24 MiB; check the files in several invocations");
    }

    #[test]
    fn links_in_circles_have_an_end() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            std::os::unix::fs::symlink(folder.path(), folder.path().join(name)).unwrap();
        }
        let error = Files::default().collect(&[folder.path().to_owned()]).err().unwrap().to_string();
        assert!(error.contains("more than 100,000 files and folders"), "{error}");
    }
}
