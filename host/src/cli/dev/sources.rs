//! The files of a project, looked at: by their dates, and by what is in them where those
//! have changed. A build that writes what it reads is no reason for another one.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

/// More files than any guest is written in. Beyond: a folder that should not be watched,
/// and of which the rest is not looked at.
const MOST: usize = 10_000;
/// What tools make beside what people write.
const MADE: [&str; 4] = ["target", "node_modules", "__pycache__", "build"];

/// When each was written, and how long it is.
type Stamps = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

/// What is watched, and how it was when it was looked at last.
pub(super) struct Sources {
    watched: Vec<PathBuf>,
    /// Of the last look.
    stamps: Stamps,
    /// Of the last look at which nothing was in between.
    settled: Stamps,
    contents: Vec<u8>,
}

impl Sources {
    /// Nothing has been looked at yet.
    pub(super) fn new(watched: Vec<PathBuf>) -> Self {
        Self { watched, stamps: Stamps::new(), settled: Stamps::new(), contents: Vec::new() }
    }

    /// Looks once: a file that is another one than when a change was told last, once it is
    /// the same in two looks. The first look tells nothing.
    pub(super) async fn changed(&mut self) -> Option<PathBuf> {
        let watched = self.watched.clone();
        let stamps = apart(move || look(&watched)).await;
        if self.contents.is_empty() {
            self.contents = contents(&stamps).await;
            self.settled = stamps.clone();
            self.stamps = stamps;
            return None;
        }
        let is_settled = stamps == self.stamps;
        self.stamps = stamps;
        if !is_settled || self.stamps == self.settled {
            return None;
        }
        let changed = difference(&self.settled, &self.stamps);
        let contents = contents(&self.stamps).await;
        self.settled = self.stamps.clone();
        let is_other = contents != self.contents;
        self.contents = contents;
        changed.filter(|_| is_other)
    }
}

/// A disk may take its time: not on the threads that serve.
async fn apart<T: Default + Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap_or_default()
}

fn look(watched: &[PathBuf]) -> Stamps {
    let mut stamps = Stamps::new();
    let mut folders = Vec::new();
    for path in watched {
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => folders.push(path.clone()),
            Ok(found) => drop(stamps.insert(path.clone(), stamp(&found))),
            // It may come.
            Err(_) => {}
        }
    }
    while let Some(folder) = folders.pop() {
        // A folder that is gone has no files.
        let _ = enter(&folder, &mut folders, &mut stamps);
    }
    stamps
}

fn enter(folder: &Path, folders: &mut Vec<PathBuf>, stamps: &mut Stamps) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_made = MADE.iter().any(|made| name == *made) || name.as_encoded_bytes().starts_with(b".");
        if is_made || stamps.len() >= MOST {
            continue;
        }
        // Of the link itself: one that leads in a circle is no folder.
        let found = entry.metadata()?;
        if found.is_dir() {
            folders.push(entry.path());
        } else {
            stamps.insert(entry.path(), stamp(&found));
        }
    }
    Ok(())
}

fn stamp(found: &fs::Metadata) -> (Option<SystemTime>, u64) {
    (found.modified().ok(), found.len())
}

async fn contents(stamps: &Stamps) -> Vec<u8> {
    let paths: Vec<PathBuf> = stamps.keys().cloned().collect();
    apart(move || digest(&paths)).await
}

fn digest(paths: &[PathBuf]) -> Vec<u8> {
    let mut digest = Sha256::new();
    for path in paths {
        digest.update(path.as_os_str().as_encoded_bytes());
        // One that is gone by now is another one at the next look.
        let text = fs::read(path).unwrap_or_default();
        digest.update(text.len().to_le_bytes());
        digest.update(text);
    }
    digest.finalize().to_vec()
}

fn difference(old: &Stamps, new: &Stamps) -> Option<PathBuf> {
    let changed = new.iter().find(|(path, stamp)| old.get(*path) != Some(stamp));
    let gone = || old.keys().find(|path| !new.contains_key(*path));
    changed.map(|(path, _)| path).or_else(gone).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn twice(sources: &mut Sources) -> Option<PathBuf> {
        match sources.changed().await {
            None => sources.changed().await,
            changed => changed,
        }
    }

    #[tokio::test]
    async fn a_change_is_one_of_what_is_in_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, other) = (folder.path().join("a.rs"), folder.path().join("sub/b.rs"));
        fs::create_dir_all(folder.path().join("sub/target")).expect("made");
        fs::write(&file, "one").expect("written");
        let mut sources = Sources::new(vec![folder.path().into(), "nowhere".into()]);
        assert_eq!(twice(&mut sources).await, None, "the first look tells nothing");

        fs::write(&file, "another").expect("written");
        assert_eq!(sources.changed().await, None, "it may not be whole");
        assert_eq!(sources.changed().await, Some(file.clone()));
        assert_eq!(twice(&mut sources).await, None);

        fs::write(&other, "new").expect("written");
        assert_eq!(twice(&mut sources).await, Some(other.clone()));
        fs::remove_file(&other).expect("removed");
        assert_eq!(twice(&mut sources).await, Some(other));

        // The same again, what a tool makes, and what is hidden.
        fs::write(&file, "another").expect("written");
        fs::write(folder.path().join("sub/target/made"), "x").expect("written");
        fs::write(folder.path().join(".swp"), "x").expect("written");
        assert_eq!(twice(&mut sources).await, None);
    }
}
