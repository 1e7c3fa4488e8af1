//! The folder that keeps a rollout: one JSON file per object, written whole or not at all, by one process at a time.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use serde::Serialize;
use serde_json::Value;

use super::private::{NotPrivate, private};

const LOCK: &str = "lock";
/// How a file is called while it is being written; a crash may leave one behind.
const UNFINISHED: &str = ".new";

/// The folder, held by this process until it is dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process holds it.
    #[error("{0} is in use by another glidepath local; stop that one, or use another --name")]
    InUse(PathBuf),
    /// Others may write to it.
    #[error(transparent)]
    NotPrivate(#[from] NotPrivate),
    /// The file system says no.
    #[error("cannot {doing} {path}: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's message.
        source: io::Error,
    },
    /// A file that cannot be read.
    #[error("{path} is corrupt: {message}; move the folder away to start from scratch")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
}

fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FolderError {
    move |source| FolderError::Io { doing, path: path.to_owned(), source }
}

impl Folder {
    /// Makes the folder if need be and holds it. One that others may write to is refused.
    pub fn open(path: &Path) -> Result<Folder, FolderError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io("make the folder", path))?;
        let path = &private(path)?;
        let at = path.join(LOCK);
        let lock = own().open(&at).map_err(io("open", &at))?;
        match lock.try_lock() {
            Ok(()) => Ok(Folder { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(FolderError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(io("lock", &at)(error)),
        }
    }

    /// Whether a process holds the folder at this moment.
    pub fn is_held(path: &Path) -> bool {
        File::open(path.join(LOCK)).is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The JSON files of a folder in it, by name without ending; empty when there is none.
    pub fn read_all(&self, inner: &str) -> Result<Vec<(String, Value)>, FolderError> {
        let at = self.path.join(inner);
        let entries = match fs::read_dir(&at) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(io("list", &at))?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let name = entry.map_err(io("list", &at))?.file_name().to_string_lossy().into_owned();
            let Some(stem) = name.strip_suffix(".json") else { continue };
            if let Some(value) = self.read(&format!("{inner}/{stem}"))? {
                found.push((stem.to_owned(), value));
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }

    /// One JSON file, if it is there.
    pub fn read(&self, name: &str) -> Result<Option<Value>, FolderError> {
        let at = self.path.join(format!("{name}.json"));
        let text = match fs::read(&at) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(io("read", &at))?,
        };
        let value = serde_json::from_slice(&text);
        value.map(Some).map_err(|error| FolderError::Unreadable { path: at, message: error.to_string() })
    }

    /// Writes one JSON file. After a crash there is either the old or the new one.
    pub fn write(&self, name: &str, value: &impl Serialize) -> Result<(), FolderError> {
        let at = self.path.join(format!("{name}.json"));
        let text = serde_json::to_vec_pretty(value)
            .map_err(|error| FolderError::Unreadable { path: at.clone(), message: error.to_string() })?;
        self.write_whole(&at, &text)
    }

    /// Writes a file that only its owner may read.
    pub fn write_text(&self, name: &str, text: &str) -> Result<(), FolderError> {
        self.write_whole(&self.path.join(name), text.as_bytes())
    }

    fn write_whole(&self, at: &Path, text: &[u8]) -> Result<(), FolderError> {
        let parent = at.parent().unwrap_or(&self.path);
        if parent != self.path && !parent.exists() {
            fs::DirBuilder::new().mode(0o700).create(parent).map_err(io("make the folder", parent))?;
        }
        let unfinished = at.with_added_extension(&UNFINISHED[1..]);
        // A new file: an existing one is from a crash, or a link to elsewhere.
        if let Err(error) = fs::remove_file(&unfinished)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(io("write", &unfinished)(error));
        }
        let mut file = own().create_new(true).open(&unfinished).map_err(io("write", &unfinished))?;
        file.write_all(text).and_then(|()| file.sync_all()).map_err(io("write", &unfinished))?;
        fs::rename(&unfinished, at).map_err(io("write", at))?;
        // The name is on the disk only when the folder is.
        File::open(parent).and_then(|folder| folder.sync_all()).map_err(io("write", parent))
    }

    /// Takes a file away; one that is gone already is no error.
    pub fn remove(&self, name: &str) -> Result<(), FolderError> {
        let at = self.path.join(name);
        match fs::remove_file(&at) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io("remove", &at)(error)),
            _ => Ok(()),
        }
    }
}

/// A file that only this user may read.
fn own() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn one_process_holds_it_and_what_was_written_is_read_back() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("web");
        assert!(!Folder::is_held(&path));
        let folder = Folder::open(&path).unwrap();
        assert!(Folder::is_held(&path));
        assert!(matches!(Folder::open(&path), Err(FolderError::InUse(_))));

        for (name, number) in [("runs/b", 1), ("runs/a", 2), ("runs/b", 3), ("site", 4)] {
            folder.write(name, &number).unwrap();
        }
        // A link left by another user is not followed.
        let elsewhere = place.path().join("elsewhere");
        fs::write(&elsewhere, "mine").unwrap();
        std::os::unix::fs::symlink(&elsewhere, path.join("site.json.new")).unwrap();
        folder.write("site", &4).unwrap();
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "mine");
        // A crash in the middle of a write.
        fs::write(path.join("runs/c.json.new"), "{").unwrap();
        let read = folder.read_all("runs").unwrap();
        assert_eq!(read, [("a".to_owned(), 2.into()), ("b".to_owned(), 3.into())]);
        assert_eq!(folder.read("site").unwrap(), Some(4.into()));
        folder.remove("runs/a.json").unwrap();
        folder.remove("runs/a.json").unwrap();
        assert_eq!(folder.read("runs/a").unwrap(), None);

        drop(folder);
        assert!(!Folder::is_held(&path));
        Folder::open(&path).unwrap();
    }

    #[test]
    fn others_may_not_read_it_and_a_broken_file_is_named() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(&place.path().join("web")).unwrap();
        folder.write_text("kubeconfig", "secret").unwrap();
        let mode = |name: &str| fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(""), mode("kubeconfig")), (0o700, 0o600));
        fs::write(folder.path().join("site.json"), "{").unwrap();
        let error = folder.read("site").unwrap_err().to_string();
        assert!(error.contains("site.json") && error.contains("move the folder away"), "{error}");
    }
}
