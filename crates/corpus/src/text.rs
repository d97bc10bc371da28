//! Finding text files (files, folders and globs), and how they are cut into documents.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::annotations::Annotations;
use crate::compression::{self, Compression};
use crate::error::{Error, Result};

/// What separates documents in a plain text file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DocumentBoundary {
    /// Every line is a document.
    Line,
    /// A blank line stands between documents; a line is a paragraph.
    #[default]
    BlankLine,
    /// The file is one document.
    File,
}

/// Which text is read and how it is cut into documents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextConfig {
    /// Files, folders and globs.
    pub paths: Vec<String>,
    /// What separates documents in plain text.
    pub document: DocumentBoundary,
    /// The field of a JSON line, or the column of a Parquet file, that holds a document.
    pub text_field: String,
    /// What is read beside the text.
    #[serde(default)]
    pub annotations: Annotations,
}

/// The format of a file, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// One paragraph per line.
    Plain,
    /// One JSON object per line, each a document.
    JsonLines,
    /// A table with one document per row.
    Parquet,
}

/// A file of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextFile {
    /// Path.
    pub path: PathBuf,
    /// Format.
    pub kind: FileFormat,
    /// Compression.
    pub compression: Compression,
    /// Size on disk.
    pub bytes: u64,
    /// The file of its spans, if spans are read and are not in the text file itself.
    pub spans: Option<PathBuf>,
}

/// Text files that were found and checked, but not yet read.
#[derive(Clone, Debug)]
pub struct Text {
    /// The configuration by which they were found.
    pub config: TextConfig,
    /// The files, in a fixed order.
    pub inputs: Vec<TextFile>,
    pub(crate) hashes: OnceLock<Vec<String>>,
}

impl Text {
    /// Finds the files that `config` names. Folders are searched recursively for files of known
    /// formats.
    ///
    /// # Errors
    /// When a path names nothing, a folder holds no text file, or a file lacks the annotations that
    /// `config` asks for.
    pub fn open(config: TextConfig) -> Result<Self> {
        let mut inputs = Vec::new();
        for path in &config.paths {
            inputs.extend(find(path)?);
        }

        if inputs.is_empty() {
            return Err(Error::data("no text was given: name at least one file, folder or glob"));
        }
        if config.annotations == Annotations::Spans {
            // A glob may name the annotations with the text.
            inputs.retain(|input| !is_annotation(&input.path));
            inputs.iter_mut().try_for_each(|input| {
                input.spans = find_spans(input)?;
                Ok(())
            })?;
        }

        Ok(Self { config, inputs, hashes: OnceLock::new() })
    }

    /// Size of the files on disk.
    pub fn bytes(&self) -> u64 {
        self.inputs.iter().map(|input| input.bytes).sum()
    }
}

const KNOWN: &str = ".txt, .jsonl, .json (each also with .gz or .zst) and .parquet";

/// The files that a path or a glob names.
fn find(given: &str) -> Result<Vec<TextFile>> {
    let path = Path::new(given);
    if path.is_dir() {
        return folder(path);
    }
    if path.exists() {
        let kind = classify(path).unwrap_or((FileFormat::Plain, Compression::None));
        return Ok(vec![input(path, kind)?]);
    }
    if !given.contains(['*', '?', '[']) {
        return Err(Error::data(format!("no such file or folder: {given}")));
    }

    let pattern = glob::glob(given)
        .map_err(|error| Error::data(format!("the glob {given} is wrong: {error}")))?;
    let mut matches: Vec<PathBuf> = pattern.filter_map(std::result::Result::ok).collect();
    matches.sort();
    if matches.is_empty() {
        return Err(Error::data(format!("no file matches the glob {given}")));
    }

    let found =
        matches.iter().map(|path| find(&path.to_string_lossy())).collect::<Result<Vec<_>>>()?;
    Ok(found.into_iter().flatten().collect())
}

/// The text files in a folder and below it, hidden ones left out.
fn folder(path: &Path) -> Result<Vec<TextFile>> {
    let hidden = |entry: &walkdir::DirEntry| {
        entry.depth() > 0 && entry.file_name().to_string_lossy().starts_with('.')
    };
    let entries = walkdir::WalkDir::new(path)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| !hidden(entry));

    let mut inputs = Vec::new();
    for entry in entries {
        let entry = entry
            .map_err(|error| Error::data(format!("cannot list {}: {error}", path.display())))?;
        if let Some(kind) = classify(entry.path()).filter(|_| entry.file_type().is_file()) {
            inputs.push(input(entry.path(), kind)?);
        }
    }

    if inputs.is_empty() {
        return Err(Error::data(format!(
            "the folder {} holds no text; known are {KNOWN}",
            path.display()
        )));
    }
    Ok(inputs)
}

fn input(path: &Path, (kind, compression): (FileFormat, Compression)) -> Result<TextFile> {
    let metadata = path.metadata().map_err(Error::io("open", path))?;
    Ok(TextFile { path: path.to_owned(), kind, compression, bytes: metadata.len(), spans: None })
}

/// Format and compression of a file by its name; none if the name is not of a text file.
fn classify(path: &Path) -> Option<(FileFormat, Compression)> {
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    let (stem, compression) = compression::of_name(&name);
    let kind = match stem.rsplit_once('.').map(|(_, extension)| extension) {
        Some("txt") => FileFormat::Plain,
        Some("jsonl" | "json") => FileFormat::JsonLines,
        Some("parquet") if compression == Compression::None => FileFormat::Parquet,
        // Without another extension, a compressed file is taken for plain text.
        None if compression != Compression::None => FileFormat::Plain,
        _ => return None,
    };
    Some((kind, compression))
}

/// The compression of a file of spans, by its name.
pub(crate) fn spans_compression(path: &Path) -> Compression {
    compression::of_name(&path.to_string_lossy()).1
}

fn is_annotation(path: &Path) -> bool {
    compression::of_name(&path.to_string_lossy()).0.ends_with(".spans")
}

/// The file of spans beside a plain text file; none for JSON lines, which hold their spans.
fn find_spans(input: &TextFile) -> Result<Option<PathBuf>> {
    let path = input.path.display();
    match input.kind {
        FileFormat::JsonLines => return Ok(None),
        FileFormat::Parquet => {
            let hint = "write it as JSON lines, or set annotations to none";
            return Err(Error::data(format!(
                "{path}: spans are read beside text files and from JSON lines; {hint}"
            )));
        }
        FileFormat::Plain => {}
    }

    let name = input.path.to_string_lossy();
    let name =
        if input.compression == Compression::None { &name } else { compression::of_name(&name).0 };
    let candidates =
        ["", ".gz", ".zst"].map(|extension| PathBuf::from(format!("{name}.spans{extension}")));
    let mut found = candidates.into_iter().filter(|path| path.exists());

    match (found.next(), found.next()) {
        (Some(found), None) => Ok(Some(found)),
        (Some(one), Some(other)) => Err(Error::data(format!(
            "{} and {} annotate {path}; keep one of them",
            one.display(),
            other.display()
        ))),
        (None, _) => Err(Error::data(format!(
            "{path} has no spans: there is no {name}.spans (or .spans.gz, .spans.zst); \
             write it, or set annotations to none"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn open(paths: &[&Path]) -> Result<Text> {
        let paths = paths.iter().map(|path| path.display().to_string()).collect();
        let text_field = "text".to_owned();
        Text::open(TextConfig {
            paths,
            document: DocumentBoundary::BlankLine,
            text_field,
            annotations: Annotations::None,
        })
    }

    #[test]
    fn folders_and_globs_give_known_files_in_a_fixed_order() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("b")).expect("made");
        for name in ["z.txt", "a.jsonl.gz", "b/c.parquet", "b/.hidden.txt", "notes.md"] {
            fs::write(folder.path().join(name), "x").expect("written");
        }
        let names = |path: &Path| -> Vec<String> {
            let text = open(&[path]).expect("found");
            text.inputs
                .iter()
                .map(|i| i.path.file_name().expect("a name").to_string_lossy().into_owned())
                .collect()
        };

        assert_eq!(names(folder.path()), ["a.jsonl.gz", "c.parquet", "z.txt"]);
        assert_eq!(names(&folder.path().join("*.txt")), ["z.txt"]);
        assert_eq!(
            names(&folder.path().join("notes.md")),
            ["notes.md"],
            "a named file is taken whatever it is called"
        );
    }

    #[test]
    fn what_is_not_there_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let message =
            |name: &str| open(&[&folder.path().join(name)]).expect_err("refused").to_string();

        assert!(message("none.txt").starts_with("no such file or folder: "));
        assert!(message("*.txt").starts_with("no file matches the glob "));
        assert!(message("").contains("holds no text; known are .txt"));
    }
}
