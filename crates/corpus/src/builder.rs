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

/// Version of the file layout and of how text is cut and tokenised.
const FORMAT: u32 = 1;
/// Size in bytes of the text that is tokenised at once.
const BATCH_BYTES: usize = 2 << 20;

/// Builds corpora in a cache folder, each under a key of the files and settings it is made from.
pub struct Builder<'a> {
    text: &'a Text,
    tokenizer: &'a Tokenizer,
    cache: &'a Path,
    observer: &'a dyn ProgressObserver,
}

impl<'a> Builder<'a> {
    /// A builder of the corpus of `text` under `tokenizer`, in a subfolder of `cache`.
    pub fn new(
        text: &'a Text,
        tokenizer: &'a Tokenizer,
        cache: &'a Path,
        observer: &'a dyn ProgressObserver,
    ) -> Self {
        Self { text, tokenizer, cache, observer }
    }

    /// Opens the corpus if the cache holds it, else builds it. A damaged one is reported and built
    /// again. The result is the same for any number of threads; memory does not grow with the text.
    ///
    /// # Errors
    /// When the text cannot be read or has no token, the disk is full, or the caller stops. Nothing
    /// unfinished is left.
    pub fn build(&self) -> Result<Corpus> {
        let hashes = self.source_hashes()?;
        let key = self.key(&hashes);
        let folder = self.cache.join(&key);
        fs::create_dir_all(self.cache).map_err(Error::io("make the folder", self.cache))?;

        // Waits for another process that builds the same corpus, which is then opened.
        let lock = self.cache.join(format!("{key}.lock"));
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

        let aside = self.cache.join(format!("{key}.tmp"));
        let built = self.write(&aside, hashes).and_then(|()| {
            fs::rename(&aside, &folder).map_err(Error::io("rename", &aside))?;
            Corpus::open(&folder)
        });
        if built.is_err() {
            // If removing fails, the next build removes the folder.
            let _ = fs::remove_dir_all(&aside);
        }
        drop(lock);
        built
    }

    fn source_hashes(&self) -> Result<SourceHashes> {
        let content = self.text.content_hashes(self.observer)?.to_vec();
        let annotations = match self.text.config.annotations {
            Annotations::None => Vec::new(),
            Annotations::Spans => self.text.span_hashes(self.observer)?,
        };
        Ok(SourceHashes { content, annotations })
    }

    /// The name under which the cache holds the corpus. It depends on settings, tokenizer and the
    /// format and content of each file, but not on the paths of the files.
    fn key(&self, hashes: &SourceHashes) -> String {
        let config = &self.text.config;
        let settings = (FORMAT, config.document, &config.text_field, self.tokenizer.hash());
        let settings = serde_json::to_string(&settings).expect("settings are JSON");
        let kinds: Vec<String> =
            self.text.inputs.iter().map(|i| format!("{:?}{:?}", i.kind, i.compression)).collect();

        let mut identity = format!("{settings}{kinds:?}{:?}", hashes.content);
        if config.annotations == Annotations::Spans {
            identity.push_str(&format!("spans{:?}", hashes.annotations));
        }
        blake3::hash(identity.as_bytes()).to_hex()[..16].to_owned()
    }

    /// Tokenises the text and writes the corpus to `folder`.
    fn write(&self, folder: &Path, hashes: SourceHashes) -> Result<()> {
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(Error::io("remove", folder))?;
        }
        fs::create_dir_all(folder).map_err(Error::io("make the folder", folder))?;

        self.observer.stage("tokenising", Some(self.text.bytes()));
        let vocabulary = self.tokenizer.vocabulary_size();
        let shards = ShardWriter::create(folder, vocabulary, self.text.config.annotations)?;
        let mut writer = CorpusWriter {
            shards,
            duplicates: Duplicates::new(folder),
            counts: Counts::default(),
            token_counts: vec![0; vocabulary],
            in_document: false,
        };

        let mut documents = Documents::new(self.text);
        let mut batch = read(&mut documents)?;
        let mut encoded: Vec<EncodedEvent> = Vec::new();
        // While one batch is tokenised, the batch before it is written and the one after it read.
        while !batch.is_empty() || !encoded.is_empty() {
            check(self.observer)?;
            let tokenise =
                || batch.into_par_iter().map(|event| encode(self.tokenizer, event)).collect();
            let write_and_read = || {
                encoded.into_iter().try_for_each(|event| writer.take(&event))?;
                read(&mut documents)
            };

            let next;
            (encoded, next) = rayon::join(tokenise, write_and_read);
            batch = next?;
            self.observer.advance(documents.progress());
        }

        writer.counts.cut = documents.cut;
        writer.counts.empty = documents.empty;
        writer.counts.dropped_spans += documents.dropped_spans;
        self.observer.finish();
        self.finish(folder, writer, hashes)
    }

    /// Writes what is known only at the end of the text: counts and the manifest.
    fn finish(&self, folder: &Path, writer: CorpusWriter, hashes: SourceHashes) -> Result<()> {
        let mut counts = writer.counts;
        counts.tokens = writer.shards.tokens;
        if counts.tokens == 0 {
            let names: Vec<String> =
                self.text.inputs.iter().map(|input| input.path.display().to_string()).collect();
            return Err(Error::data(format!("there is no text in {}", names.join(", "))));
        }
        counts.duplicates = writer.duplicates.count()?;
        counts.unknown = writer.token_counts[self.tokenizer.specials().unk as usize];

        let mut files = writer.shards.finish()?;
        let mut file = Hashed::create(&folder.join("counts.bin"))?;
        writer.token_counts.iter().try_for_each(|count| file.write(&count.to_le_bytes()))?;
        files.insert("counts.bin".to_owned(), file.finish()?);
        report(&counts);

        let manifest = Manifest {
            format: FORMAT,
            text: self.text.config.clone(),
            content_hashes: hashes.content,
            annotations: hashes.annotations,
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

/// Hashes of the files that a corpus is made from.
struct SourceHashes {
    content: Vec<String>,
    annotations: Vec<String>,
}

/// An event with the tokens and the spans of its paragraph; both are empty at the end of a
/// document.
struct EncodedEvent {
    event: Event,
    encoded: Encoded,
    spans: TokenSpans,
}

/// Tokenises the paragraph of an event.
fn encode(tokenizer: &Tokenizer, event: Event) -> EncodedEvent {
    let (encoded, spans) = match &event {
        Event::Paragraph { text, spans } => {
            let encoded = tokenizer.encode(text);
            let spans = token_spans(tokenizer, text, &encoded, spans);
            (encoded, spans)
        }
        Event::EndOfDocument => Default::default(),
    };
    EncodedEvent { event, encoded, spans }
}

/// The next batch of the text; empty at the end.
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

/// Warns about a text that is probably not what the user meant to give.
fn report(counts: &Counts) {
    let percent = |count: u64, of: u64| 100.0 * count as f64 / of.max(1) as f64;

    if counts.duplicates > 0 {
        let (n, of) = (counts.duplicates, counts.documents);
        tracing::warn!("{n} of {of} documents ({:.1} %) repeat an earlier one", percent(n, of));
    }
    if counts.empty > 0 {
        let (n, of) = (counts.empty, counts.empty + counts.documents);
        tracing::warn!("{n} of {of} rows hold no text (null or blank) and are left out");
    }
    if counts.cut > 0 {
        tracing::warn!("{} paragraphs were longer than 1 MiB and were cut", counts.cut);
    }
    if counts.dropped_spans > 0 {
        let (n, kept) = (counts.dropped_spans, counts.spans);
        tracing::warn!(
            "{n} annotated spans go over a line break or hold no token and were left out; \
             {kept} are kept"
        );
    }
    let unknown = percent(counts.unknown, counts.tokens);
    if unknown > 1.0 {
        tracing::warn!(
            "{unknown:.1} % of the tokens are unknown to the tokenizer: \
             does it belong to this text?"
        );
    }
}

/// Writes the shards of a corpus and counts what is in them.
struct CorpusWriter {
    shards: ShardWriter,
    duplicates: Duplicates,
    counts: Counts,
    /// How often each token id occurs.
    token_counts: Vec<u64>,
    /// Whether the current document has a token.
    in_document: bool,
}

impl CorpusWriter {
    fn take(&mut self, EncodedEvent { event, encoded, spans }: &EncodedEvent) -> Result<()> {
        match event {
            Event::Paragraph { text, .. } => self.paragraph(text, encoded, spans),
            Event::EndOfDocument => self.end_document(),
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
        if !std::mem::replace(&mut self.in_document, true) {
            self.shards.start_document()?;
            self.counts.documents += 1;
        }

        self.counts.sentences += encoded.sentence_starts.len() as u64;
        self.counts.words += encoded.word_starts.iter().filter(|starts| **starts).count() as u64;
        encoded.tokens.iter().for_each(|token| self.token_counts[*token as usize] += 1);

        self.shards.spans(&spans.ranges)?;
        self.shards.paragraph(&encoded.tokens, &encoded.word_starts, &encoded.sentence_starts)
    }

    fn end_document(&mut self) -> Result<()> {
        self.in_document = false;
        self.duplicates.end()
    }
}
