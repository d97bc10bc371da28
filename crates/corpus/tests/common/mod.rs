//! What the tests of this crate share: texts in files, and what is read from them.
#![allow(dead_code, reason = "each test file uses some of it")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use corpus::{Annotations, DocumentBoundary, Documents, Event, Result, Text, TextConfig};
use tempfile::TempDir;

/// The text in `paths`, without annotations.
pub fn open(paths: &[&Path], document: DocumentBoundary) -> Result<Text> {
    let paths = paths.iter().map(|path| path.display().to_string()).collect();
    Text::open(TextConfig {
        paths,
        document,
        text_field: "text".to_owned(),
        annotations: Annotations::None,
    })
}

/// The paragraphs of each document.
pub fn documents(text: &Text) -> Result<Vec<Vec<String>>> {
    let mut documents = vec![Vec::new()];
    for event in Documents::new(text) {
        match event? {
            Event::Paragraph { text, .. } => documents.last_mut().expect("one").push(text),
            Event::EndOfDocument => documents.push(Vec::new()),
        }
    }
    documents.pop();
    Ok(documents)
}

/// Writes a file and returns its path.
pub fn write(folder: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("written");
    path
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("compressed");
    encoder.finish().expect("compressed")
}
