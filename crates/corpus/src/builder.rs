//! Tokenising a text into a corpus, once.

use std::fs::{self, File};
use std::path::Path;

use rayon::prelude::*;

use crate::annotations::Annotations;
use crate::corpus::Corpus;
use crate::duplicates::Duplicates;
use crate::error::{Error, Result};
use crate::manifest::{Counts, Manifest, manifest_path};
use crate::observer::{ProgressObserver, check};
use crate::reader::{Documents, Event};
use crate::shards::{Hashed, ShardWriter};
use crate::spans::{TokenSpans, token_spans};
use crate::text::Text;
use crate::tokenizer::{Encoded, Tokenizer};

/// Version of the files' layout and of how text is cut and tokenised.
const FORMAT: u32 = 1;
/// Text tokenised at once.
const BATCH_BYTES: usize = 2 << 20;

/// Builds corpora in a cache folder, where they are found again by what they were made from.
pub struct Builder<'a> {
    text: &'a Text,
    tokenizer: &'a Tokenizer,
    cache: &'a Path,
    observer: &'a dyn ProgressObserver,
}

impl<'a> Builder<'a> {
    /// A corpus of `text` under `tokenizer`, in a folder of its own in `cache`.
    pub fn new(
        text: &'a Text,
        tokenizer: &'a Tokenizer,
        cache: &'a Path,
        observer: &'a dyn ProgressObserver,
    ) -> Self {
        Self { text, tokenizer, cache, observer }
    }

    /// Opens the corpus if the cache has it whole, else builds it. A damaged one is named and built
    /// again. The result is the same for any number of threads; memory does not grow with the text.
    ///
    /// # Errors
    /// When the text cannot be read or has no token, the disk is full, or the caller stops. Nothing
    /// half-made is left.
    pub fn build(&self) -> Result<Corpus> {
        let content_hashes = self.text.content_hashes(self.observer)?.to_vec();
        let settings = (
            FORMAT,
            self.text.config.document,
            &self.text.config.text_field,
            self.tokenizer.hash(),
        );
        let settings = serde_json::to_string(&settings).expect("settings are JSON");
        // Neither names nor positions of files matter, only what kind they are and what is in them.
        let kinds: Vec<String> =
            self.text.inputs.iter().map(|i| format!("{:?}{:?}", i.kind, i.compression)).collect();
        let mut identity = format!("{settings}{kinds:?}{content_hashes:?}");
        let annotations = match self.text.config.annotations {
            Annotations::None => Vec::new(),
            Annotations::Spans => {
                let hashes = self.text.span_hashes(self.observer)?;
                identity.push_str(&format!("spans{hashes:?}"));
                hashes
            }
        };
        let key = blake3::hash(identity.as_bytes()).to_hex();
        let folder = self.cache.join(&key[..16]);
        fs::create_dir_all(self.cache).map_err(Error::io("make the folder", self.cache))?;
        // Another process that builds the same is waited for; it leaves the corpus for us.
        let lock = self.cache.join(format!("{}.lock", &key[..16]));
        let lock = File::create(&lock)
            .and_then(|file| file.lock().map(|()| file))
            .map_err(Error::io("lock", &lock))?;
        if folder.exists() {
            match Corpus::open(&folder) {
                Ok(corpus) => return Ok(corpus),
                Err(error) => tracing::warn!("{error}; it is built again"),
            }
            fs::remove_dir_all(&folder).map_err(Error::io("remove", &folder))?;
        }
        let aside = self.cache.join(format!("{}.tmp", &key[..16]));
        let built = self.write(&aside, content_hashes, annotations).and_then(|()| {
            fs::rename(&aside, &folder).map_err(Error::io("rename", &aside))?;
            Corpus::open(&folder)
        });
        if built.is_err() {
            // What cannot be removed is removed when it is built again.
            let _ = fs::remove_dir_all(&aside);
        }
        drop(lock);
        built
    }

    fn write(
        &self,
        folder: &Path,
        content_hashes: Vec<String>,
        annotations: Vec<String>,
    ) -> Result<()> {
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(Error::io("remove", folder))?;
        }
        fs::create_dir_all(folder).map_err(Error::io("make the folder", folder))?;
        self.observer.stage("tokenising", Some(self.text.bytes()));
        let mut writing = Writing {
            writer: ShardWriter::create(
                folder,
                self.tokenizer.vocabulary_size(),
                self.text.config.annotations,
            )?,
            duplicates: Duplicates::new(folder),
            counts: Counts::default(),
            tokens: vec![0; self.tokenizer.vocabulary_size()],
            open: false,
        };
        let mut documents = Documents::new(self.text);
        let mut batch = read(&mut documents)?;
        let mut encoded: Vec<(Event, Encoded, TokenSpans)> = Vec::new();
        // While one batch is tokenised, the one before it is written and the one after it read.
        while !batch.is_empty() || !encoded.is_empty() {
            check(self.observer)?;
            let beside = || {
                encoded.into_iter().try_for_each(|(event, encoded, spans)| {
                    writing.take(&event, &encoded, &spans)
                })?;
                read(&mut documents)
            };
            let encode = |event| {
                let Event::Paragraph { text, spans } = &event else {
                    return (event, Encoded::default(), TokenSpans::default());
                };
                let encoded = self.tokenizer.encode(text);
                let spans = token_spans(self.tokenizer, text, &encoded, spans);
                (event, encoded, spans)
            };
            let next;
            (encoded, next) = rayon::join(|| batch.into_par_iter().map(encode).collect(), beside);
            batch = next?;
            self.observer.advance(documents.progress());
        }
        writing.counts.cut = documents.cut;
        writing.counts.dropped_spans += documents.dropped_spans;
        self.observer.finish();
        self.finish(folder, writing, content_hashes, annotations)
    }

    fn finish(
        &self,
        folder: &Path,
        writing: Writing,
        content_hashes: Vec<String>,
        annotations: Vec<String>,
    ) -> Result<()> {
        let mut counts = writing.counts;
        counts.tokens = writing.writer.tokens;
        if counts.tokens == 0 {
            let names: Vec<String> =
                self.text.inputs.iter().map(|input| input.path.display().to_string()).collect();
            return Err(Error::data(format!("there is no text in {}", names.join(", "))));
        }
        counts.duplicates = writing.duplicates.count()?;
        counts.unknown = writing.tokens[self.tokenizer.specials().unk as usize];
        let mut files = writing.writer.finish()?;
        let mut file = Hashed::create(&folder.join("counts.bin"))?;
        writing.tokens.iter().try_for_each(|count| file.write(&count.to_le_bytes()))?;
        files.insert("counts.bin".to_owned(), file.finish()?);
        report(&counts);
        let manifest = Manifest {
            format: FORMAT,
            text: self.text.config.clone(),
            content_hashes,
            annotations,
            tokenizer: self.tokenizer.hash(),
            vocabulary: self.tokenizer.vocabulary_size(),
            counts,
            files,
        };
        let mut file = Hashed::create(&manifest_path(folder))?;
        file.write(&serde_json::to_vec_pretty(&manifest).expect("a manifest is JSON"))?;
        file.finish()?;
        Ok(())
    }
}

/// The next part of the text; empty at its end.
fn read(documents: &mut Documents) -> Result<Vec<Event>> {
    let (mut batch, mut size) = (Vec::new(), 0);
    while size < BATCH_BYTES && batch.len() < 1 << 16 {
        let Some(event) = documents.next().transpose()? else { break };
        if let Event::Paragraph { text, .. } = &event {
            size += text.len();
        }
        batch.push(event);
    }
    Ok(batch)
}

fn report(counts: &Counts) {
    let share = |count: u64, of: u64| 100.0 * count as f64 / of.max(1) as f64;
    if counts.duplicates > 0 {
        let (n, of) = (counts.duplicates, counts.documents);
        tracing::warn!("{n} of {of} documents ({:.1} %) repeat an earlier one", share(n, of));
    }
    if counts.cut > 0 {
        tracing::warn!("{} paragraphs were longer than 1 MiB and were cut", counts.cut);
    }
    if counts.dropped_spans > 0 {
        let (n, kept) = (counts.dropped_spans, counts.spans);
        tracing::warn!(
            "{n} annotated spans go over a line break or hold no token and were left out; {kept} are kept"
        );
    }
    if share(counts.unknown, counts.tokens) > 1.0 {
        let percent = share(counts.unknown, counts.tokens);
        tracing::warn!(
            "{percent:.1} % of the tokens are unknown to the tokenizer: does it belong to this text?"
        );
    }
}

struct Writing {
    writer: ShardWriter,
    duplicates: Duplicates,
    counts: Counts,
    tokens: Vec<u64>,
    /// Whether the current document has a token yet.
    open: bool,
}

impl Writing {
    fn take(&mut self, event: &Event, encoded: &Encoded, spans: &TokenSpans) -> Result<()> {
        match event {
            Event::Paragraph { text, .. } => self.paragraph(text, encoded, spans),
            Event::EndOfDocument => self.end(),
        }
    }

    fn paragraph(&mut self, text: &str, encoded: &Encoded, spans: &TokenSpans) -> Result<()> {
        self.counts.bytes += text.len() as u64;
        self.duplicates.paragraph(text);
        self.counts.spans += spans.ranges.len() as u64;
        self.counts.dropped_spans += spans.dropped;
        if encoded.tokens.is_empty() {
            return Ok(());
        }
        if !std::mem::replace(&mut self.open, true) {
            self.writer.start_document()?;
            self.counts.documents += 1;
        }
        self.counts.sentences += encoded.sentence_starts.len() as u64;
        self.counts.words += encoded.word_starts.iter().filter(|starts| **starts).count() as u64;
        encoded.tokens.iter().for_each(|token| self.tokens[*token as usize] += 1);
        self.writer.spans(&spans.ranges)?;
        self.writer.paragraph(&encoded.tokens, &encoded.word_starts, &encoded.sentence_starts)
    }

    fn end(&mut self) -> Result<()> {
        self.open = false;
        self.duplicates.end()
    }
}
