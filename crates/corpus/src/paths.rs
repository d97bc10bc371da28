//! Files of text out of paths, folders and globs.

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::text::{Compression, Input, Kind};

const KNOWN: &str = ".txt, .jsonl, .json (each also with .gz or .zst) and .parquet";
const ARCHIVES: [&str; 9] = [".tar", ".tar.gz", ".tgz", ".tar.zst", ".zip", ".7z", ".bz2", ".xz", ".rar"];

/// The files that `paths` name, in that order; within a folder or a glob sorted by name. A file that is named twice is
/// taken once.
pub fn find_all(paths: &[String]) -> Result<Vec<Input>> {
    let mut seen = HashSet::new();
    let mut inputs = Vec::new();
    for given in paths {
        for input in find(given)? {
            let place = fs::canonicalize(&input.path).map_err(Error::io("open", &input.path))?;
            if seen.insert(place) {
                inputs.push(input);
            } else {
                tracing::warn!("{} is named more than once; it is read once", input.path.display());
            }
        }
    }
    Ok(inputs)
}

fn find(given: &str) -> Result<Vec<Input>> {
    let path = Path::new(given);
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            let inputs = folder(path)?;
            if inputs.is_empty() {
                let path = path.display();
                return Err(Error::NotFound(format!("the folder {path} holds no text; known are {KNOWN}")));
            }
            Ok(inputs)
        }
        Ok(metadata) => Ok(vec![named(path, &metadata)?]),
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Err(Error::io("open", path)(error))
        }
        Err(_) if given.contains(['*', '?', '[']) => matches(given),
        Err(_) if given.is_empty() => Err(Error::NotFound("a path is empty: name a file, folder or glob".to_owned())),
        Err(_) => Err(Error::NotFound(format!("no such file or folder: {given}"))),
    }
}

fn matches(pattern: &str) -> Result<Vec<Input>> {
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    let found = glob::glob_with(pattern, options)
        .map_err(|error| Error::NotFound(format!("the glob {pattern} is wrong: {error}")))?;
    let mut paths: Vec<PathBuf> = Vec::new();
    for path in found {
        paths.push(path.map_err(|error| {
            let path = error.path().to_owned();
            Error::io("list", &path)(error.into())
        })?);
    }
    paths.sort();
    let mut inputs: Vec<Input> = Vec::new();
    for path in &paths {
        let metadata = fs::metadata(path).map_err(Error::io("open", path))?;
        // `a/**` matches the folders in a folder that it matches, too.
        let below = inputs.iter().any(|input| input.path == *path || input.path.starts_with(path));
        match metadata.is_dir() {
            _ if below => {}
            true => inputs.extend(folder(path)?),
            false => inputs.push(named(path, &metadata)?),
        }
    }
    if inputs.is_empty() {
        return Err(Error::NotFound(format!("no text file matches the glob {pattern}; known are {KNOWN}")));
    }
    Ok(inputs)
}

/// The files of known kinds in a folder and the folders in it. Links are followed: dataset caches are full of them.
fn folder(path: &Path) -> Result<Vec<Input>> {
    let hidden = |entry: &walkdir::DirEntry| entry.depth() > 0 && entry.file_name().to_string_lossy().starts_with('.');
    let mut inputs = Vec::new();
    let entries = walkdir::WalkDir::new(path).follow_links(true).sort_by_file_name().into_iter();
    for entry in entries.filter_entry(|entry| !hidden(entry)) {
        let entry = entry.map_err(|error| Error::io("list", path)(error.into()))?;
        if let Some((kind, compression)) = known(entry.path()).filter(|_| entry.file_type().is_file()) {
            let metadata = fs::metadata(entry.path()).map_err(Error::io("open", entry.path()))?;
            inputs.push(Input { path: entry.path().to_owned(), kind, compression, bytes: metadata.len() });
        }
    }
    Ok(inputs)
}

/// A file that was named: text, whatever its extension, unless it is known to be something else.
fn named(path: &Path, metadata: &Metadata) -> Result<Input> {
    let shown = path.display();
    if !metadata.is_file() {
        return Err(Error::Unreadable(format!(
            "{shown} is no regular file: text is read twice, so write it to a file first"
        )));
    }
    let name = name(path);
    if let Some(archive) = ARCHIVES.iter().find(|archive| name.ends_with(*archive)) {
        return Err(Error::Unreadable(format!("{shown} is an archive ({archive}): unpack it; known are {KNOWN}")));
    }
    let (kind, compression) = known(path).unwrap_or((Kind::Plain, compression(&name).1));
    Ok(Input { path: path.to_owned(), kind, compression, bytes: metadata.len() })
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().to_lowercase()
}

fn compression(name: &str) -> (&str, Compression) {
    match (name.strip_suffix(".gz"), name.strip_suffix(".zst")) {
        (Some(stem), _) => (stem, Compression::Gzip),
        (_, Some(stem)) => (stem, Compression::Zstd),
        _ => (name, Compression::None),
    }
}

fn known(path: &Path) -> Option<(Kind, Compression)> {
    let name = name(path);
    let (stem, compression) = compression(&name);
    let kind = match stem.rsplit_once('.').map(|(_, extension)| extension) {
        Some("txt") => Kind::Plain,
        Some("jsonl" | "json" | "ndjson") => Kind::JsonLines,
        Some("parquet") if compression == Compression::None => Kind::Parquet,
        // A compressed file without an extension of its own is taken for plain text.
        None if compression != Compression::None => Kind::Plain,
        _ => return None,
    };
    Some((kind, compression))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find_in(folder: &Path, paths: &[&str]) -> Result<Vec<String>> {
        let paths: Vec<String> = paths.iter().map(|path| folder.join(path).display().to_string()).collect();
        let name = |input: Input| input.path.file_name().expect("a name").to_string_lossy().into_owned();
        Ok(find_all(&paths)?.into_iter().map(name).collect())
    }

    fn made(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for name in names {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, "x").expect("written");
        }
        folder
    }

    #[test]
    fn folders_and_globs_give_known_files_in_a_fixed_order() {
        let folder = made(&["z.txt", "a.jsonl.gz", "b/c.parquet", "b/.hidden.txt", ".h/d.txt", "notes.md", "e.TXT"]);
        let names = |path: &str| find_in(folder.path(), &[path]).expect("found");
        assert_eq!(names(""), ["a.jsonl.gz", "c.parquet", "e.TXT", "z.txt"]);
        assert_eq!(names("*.txt"), ["z.txt"]);
        assert_eq!(names("**/*.[tp]*"), ["c.parquet", "z.txt"]);
        assert_eq!(names("**/*"), ["a.jsonl.gz", "c.parquet", "e.TXT", "notes.md", "z.txt"]);
        assert_eq!(names("notes.md"), ["notes.md"], "a named file is taken whatever it is called");
    }

    #[test]
    fn a_file_named_twice_is_taken_once() {
        let folder = made(&["a.txt", "b.txt"]);
        assert_eq!(find_in(folder.path(), &["b.txt", "", "./b.txt"]).expect("found"), ["b.txt", "a.txt"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_pipes_refused() {
        let folder = made(&["blobs/1.txt"]);
        std::os::unix::fs::symlink(folder.path().join("blobs/1.txt"), folder.path().join("set.txt")).expect("linked");
        assert_eq!(find_in(folder.path(), &["set.txt"]).expect("found"), ["set.txt"]);
        let error = find_all(&["/dev/null".to_owned()]).expect_err("refused").to_string();
        assert_eq!(error, "/dev/null is no regular file: text is read twice, so write it to a file first");
    }

    #[test]
    fn what_is_not_there_or_no_text_is_named() {
        let folder = made(&["old/text.tar.gz", "notes.md"]);
        let message = |name: &str| find_in(folder.path(), &[name]).expect_err("refused").to_string();
        assert!(message("none.txt").starts_with("no such file or folder: "));
        assert!(message("*.txt").starts_with("no text file matches the glob "));
        assert!(message("").contains("holds no text; known are .txt"));
        assert!(message("old/text.tar.gz").contains("is an archive (.tar.gz): unpack it"));
        assert!(message("[.txt").starts_with("the glob "));
    }

    #[test]
    fn compression_and_kind_are_told_by_the_name() {
        let kind = |name: &str| known(Path::new(name));
        assert_eq!(kind("a.txt.zst"), Some((Kind::Plain, Compression::Zstd)));
        assert_eq!(kind("dump.gz"), Some((Kind::Plain, Compression::Gzip)));
        assert_eq!(kind("a.parquet.gz"), None);
        assert_eq!(kind("readme"), None);
    }
}
