//! Finding text files (files, folders and globs), and how they are cut into documents.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::annotations::Annotations;
use crate::compression::{self, Compression};
use crate::error::{Error, Result};
use crate::format::{self, FileFormat, KNOWN};

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
    /// The field of a JSON line, or the column of a table (CSV, TSV, Parquet), that holds a document.
    pub text_field: String,
    /// What is read beside the text.
    #[serde(default)]
    pub annotations: Annotations,
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
    /// formats; of the others it is told how many there are, and of which kinds.
    ///
    /// # Errors
    /// When a path names nothing, a folder holds no text file, a file is of a kind that holds no
    /// text, or it lacks the annotations that `config` asks for.
    pub fn open(config: TextConfig) -> Result<Self> {
        let mut inputs = Vec::new();
        for path in &config.paths {
            inputs.extend(find(path, config.annotations)?);
        }

        if inputs.is_empty() {
            return Err(Error::data("no text was given: name at least one file, folder or glob"));
        }
        if config.annotations == Annotations::Spans {
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

/// The files that a path or a glob names.
fn find(given: &str, annotations: Annotations) -> Result<Vec<TextFile>> {
    let path = Path::new(given);
    if path.is_dir() {
        return folder(path, annotations);
    }
    if path.exists() {
        return Ok(vec![input(path)?]);
    }
    if !given.contains(['*', '?', '[']) {
        return Err(Error::data(format!("no such file or folder: {given}")));
    }

    let pattern = glob::glob(given)
        .map_err(|error| Error::data(format!("the glob {given} is wrong: {error}")))?;
    let mut matches: Vec<PathBuf> = pattern.filter_map(std::result::Result::ok).collect();
    if annotations == Annotations::Spans {
        // A glob may name the annotations with the text.
        matches.retain(|path| !is_annotation(path));
    }
    matches.sort();
    if matches.is_empty() {
        return Err(Error::data(format!("no file matches the glob {given}")));
    }

    let found = matches
        .iter()
        .map(|path| find(&path.to_string_lossy(), annotations))
        .collect::<Result<Vec<_>>>()?;
    Ok(found.into_iter().flatten().collect())
}

/// The text files in a folder and below it, hidden ones left out.
fn folder(path: &Path, annotations: Annotations) -> Result<Vec<TextFile>> {
    let hidden = |entry: &walkdir::DirEntry| {
        entry.depth() > 0 && entry.file_name().to_string_lossy().starts_with('.')
    };
    let entries = walkdir::WalkDir::new(path)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| !hidden(entry));

    let mut inputs = Vec::new();
    let mut skipped: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for entry in entries {
        let entry = entry
            .map_err(|error| Error::data(format!("cannot list {}: {error}", path.display())))?;
        let is_text = format::of_name(entry.path()).is_some();
        let is_spans = annotations == Annotations::Spans && is_annotation(entry.path());
        if !entry.file_type().is_file() || is_spans {
            continue;
        }

        if is_text {
            inputs.push(input(entry.path())?);
        } else {
            let ending = entry.path().extension().unwrap_or_default().to_string_lossy();
            let relative = entry.path().strip_prefix(path).unwrap_or(entry.path());
            skipped.entry(ending.to_lowercase()).or_default().push(relative.to_owned());
        }
    }

    let kinds = kinds(&skipped);
    if inputs.is_empty() {
        let left = if kinds.is_empty() { kinds } else { format!(", but {kinds}") };
        return Err(Error::data(format!(
            "the folder {} holds no text{left}; known are {KNOWN}; a file of another name is read \
             if it is named itself",
            path.display()
        )));
    }
    if !kinds.is_empty() {
        tracing::warn!("{}: left out are {kinds}; known are {KNOWN}", path.display());
    }
    Ok(inputs)
}

/// How many files there are of each ending, and the first of them, in words.
fn kinds(endings: &BTreeMap<String, Vec<PathBuf>>) -> String {
    let kind = |(ending, files): (&String, &Vec<PathBuf>)| {
        let (count, first) = (files.len(), files.first()?.display());
        let files = if count == 1 { "file" } else { "files" };
        let shown = if count == 1 { format!("{first}") } else { format!("{first}, ...") };
        Some(match ending.as_str() {
            "" => format!("{count} {files} without an ending ({shown})"),
            _ => format!("{count} {files} of .{ending} ({shown})"),
        })
    };
    endings.iter().filter_map(kind).collect::<Vec<_>>().join(", ")
}

fn input(path: &Path) -> Result<TextFile> {
    let metadata = path.metadata().map_err(Error::io("open", path))?;
    let (kind, compression) = format::of_file(path)?;
    Ok(TextFile { path: path.to_owned(), kind, compression, bytes: metadata.len(), spans: None })
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
        FileFormat::Csv | FileFormat::Tsv | FileFormat::Parquet => {
            let hint = "write it as JSON lines, or set annotations to none";
            return Err(Error::data(format!(
                "{path}: spans are read beside text files and from JSON lines; {hint}"
            )));
        }
        FileFormat::Plain => {}
    }

    let name = input.path.to_string_lossy();
    let name = compression::of_name(&name).0;
    let endings = std::iter::once("").chain(compression::endings());
    let candidates = endings.map(|ending| PathBuf::from(format!("{name}.spans{ending}")));
    let mut found = candidates.filter(|path| path.exists());

    match (found.next(), found.next()) {
        (Some(found), None) => Ok(Some(found)),
        (Some(one), Some(other)) => Err(Error::data(format!(
            "{} and {} annotate {path}; keep one of them",
            one.display(),
            other.display()
        ))),
        (None, _) => Err(Error::data(format!(
            "{path} has no spans: there is no {name}.spans (compressed or not); \
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
        for name in
            ["z.txt", "a.jsonl.bz2", "b/c.parquet", "b/.hidden.txt", "notes.md", "b/wiki_00"]
        {
            fs::write(folder.path().join(name), "x").expect("written");
        }
        let names = |path: &Path| -> Vec<String> {
            let text = open(&[path]).expect("found");
            text.inputs
                .iter()
                .map(|i| i.path.file_name().expect("a name").to_string_lossy().into_owned())
                .collect()
        };

        assert_eq!(names(folder.path()), ["a.jsonl.bz2", "c.parquet", "z.txt"]);
        assert_eq!(names(&folder.path().join("*.txt")), ["z.txt"]);
        assert_eq!(
            names(&folder.path().join("notes.md")),
            ["notes.md"],
            "a named file is taken whatever it is called"
        );
    }

    #[test]
    fn files_that_are_left_out_are_counted_by_their_endings() {
        let files = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        let endings = BTreeMap::from([
            (String::new(), files(&["AA/wiki_00"])),
            ("md".to_owned(), files(&["notes.md", "old.MD"])),
        ]);
        assert_eq!(
            kinds(&endings),
            "1 file without an ending (AA/wiki_00), 2 files of .md (notes.md, ...)"
        );

        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("a.docx"), "x").expect("written");
        let message = open(&[folder.path()]).expect_err("no text").to_string();
        assert!(
            message.contains("holds no text, but 1 file of .docx (a.docx); known"),
            "{message}"
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
