//! Whether a folder is this user's alone to write: it holds a token, and what is read back from it is believed.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// Group and others may write.
const OTHERS_WRITE: u32 = 0o022;
/// Everybody may write.
const ALL_WRITE: u32 = 0o002;
/// In such a folder (`/tmp`) all users may create files, and modify only their own.
const STICKY: u32 = 0o1000;

/// Why a folder is not used.
#[derive(Debug, thiserror::Error)]
pub enum NotPrivate {
    /// Its mode.
    #[error(
        "other users may write to {path} (mode {mode:04o}), and could replace the state; run `chmod go-w {path}`, or use another folder"
    )]
    Mode {
        /// The folder that is meant, links followed.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Its owner.
    #[error("{path} belongs to another user (uid {owner}), who may change its content; use a folder of your own")]
    Owner {
        /// The folder that is meant, links followed.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// A folder above it.
    #[error(
        "all users may write to {above} (mode {mode:04o}) and so replace {path}; run `chmod o-w {above}`, or use another folder"
    )]
    Above {
        /// The folder that is meant, links followed.
        path: PathBuf,
        /// The one above.
        above: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file system says no.
    #[error("cannot access {path}: {source}")]
    Io {
        /// On which folder.
        path: PathBuf,
        /// The system's message.
        source: io::Error,
    },
}

/// The folder without links, if no other user may write to it or put another one in its place.
pub fn private(named: &Path) -> Result<PathBuf, NotPrivate> {
    let io = |source| NotPrivate::Io { path: named.to_owned(), source };
    let path = fs::canonicalize(named).map_err(io)?;
    let data = fs::metadata(&path).map_err(io)?;
    let mode = data.mode() & 0o7777;
    if mode & OTHERS_WRITE != 0 {
        return Err(NotPrivate::Mode { path, mode });
    }
    if data.uid() != own_uid(&path).map_err(io)? {
        return Err(NotPrivate::Owner { path, owner: data.uid() });
    }
    for above in path.ancestors().skip(1) {
        let mode = fs::metadata(above).map_err(io)?.mode() & 0o7777;
        if mode & ALL_WRITE != 0 && mode & STICKY == 0 {
            return Err(NotPrivate::Above { above: above.to_owned(), path, mode });
        }
    }
    Ok(path)
}

/// The user that this process runs as: the owner of its entry in /proc, else of a file that it makes.
fn own_uid(folder: &Path) -> io::Result<u32> {
    if let Ok(own) = fs::metadata("/proc/self") {
        return Ok(own.uid());
    }
    let probe = folder.join(format!(".owner-{}", std::process::id()));
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&probe)?;
    let uid = made.metadata().map(|data| data.uid());
    fs::remove_file(&probe)?;
    uid
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    fn with_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// L7.
    #[test]
    fn a_folder_that_others_may_write_to_is_refused_with_what_to_do() {
        let place = tempfile::tempdir().unwrap();
        let (folder, link) = (place.path().join("state"), place.path().join("link"));
        fs::create_dir(&folder).unwrap();
        symlink(&folder, &link).unwrap();
        for (mode, wanted) in
            [(0o700, None), (0o755, None), (0o777, Some("0777")), (0o770, Some("0770")), (0o1777, Some("1777"))]
        {
            with_mode(&folder, mode);
            for named in [&folder, &link] {
                let found = private(named).map_err(|error| error.to_string());
                match wanted {
                    None => assert_eq!(found.unwrap(), folder.canonicalize().unwrap()),
                    Some(mode) => {
                        let error = found.unwrap_err();
                        let todo = format!("chmod go-w {}", folder.canonicalize().unwrap().display());
                        assert!(error.contains(&todo) && error.contains(mode), "{error}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_folder_that_others_can_replace_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let above = place.path().join("open");
        let folder = above.join("state");
        fs::create_dir_all(&folder).unwrap();
        with_mode(&folder, 0o700);
        with_mode(&above, 0o777);
        let error = private(&folder).unwrap_err().to_string();
        assert!(error.contains("so replace") && error.contains("chmod o-w"), "{error}");
        with_mode(&above, 0o1777);
        private(&folder).unwrap();
    }

    #[test]
    fn a_folder_of_another_user_is_refused() {
        let place = tempfile::tempdir().unwrap();
        // Only root can give a folder away; elsewhere there is nothing to try it on.
        if chown(place.path(), Some(12_345), None).is_ok() {
            let error = private(place.path()).unwrap_err().to_string();
            assert!(error.contains("belongs to another user (uid 12345)"), "{error}");
        } else {
            assert!(matches!(private(Path::new("/")), Err(NotPrivate::Owner { owner: 0, .. })));
        }
    }
}
