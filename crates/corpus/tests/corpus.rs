//! From files of every kind to passages, through the public interface.

mod common;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use corpus::{
    Across, Builder, Corpus, DocumentBoundary, PackingConfig, Passages, Quiet, Result, Subset,
    Text, Tokenizer, TokenizerModel, TrainConfig,
};
use tempfile::TempDir;

use common::{documents, gzip, open, write};

fn text(paths: &[&Path]) -> Text {
    open(paths, DocumentBoundary::BlankLine).expect("found")
}

fn parquet(path: &Path, column: &str, rows: &[&str]) {
    use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};

    let schema =
        format!("message schema {{ REQUIRED BYTE_ARRAY {column} (UTF8); REQUIRED INT64 id; }}");
    let schema = Arc::new(parquet::schema::parser::parse_message_type(&schema).expect("a schema"));
    let file = fs::File::create(path).expect("made");
    let mut writer =
        parquet::file::writer::SerializedFileWriter::new(file, schema, Default::default())
            .expect("a writer");

    let mut group = writer.next_row_group().expect("a group");
    let mut texts = group.next_column().expect("a column").expect("text");
    let values: Vec<ByteArray> = rows.iter().map(|row| ByteArray::from(*row)).collect();
    texts.typed::<ByteArrayType>().write_batch(&values, None, None).expect("written");
    texts.close().expect("closed");

    let mut ids = group.next_column().expect("a column").expect("ids");
    let values: Vec<i64> = (0..rows.len() as i64).collect();
    ids.typed::<Int64Type>().write_batch(&values, None, None).expect("written");
    ids.close().expect("closed");

    group.close().expect("closed");
    writer.close().expect("closed");
}

#[test]
fn every_kind_of_file_gives_the_same_documents() {
    let folder = tempfile::tempdir().expect("a folder");
    let plain = "One. Two.\nThree.\n\nFour.\n";
    let lines =
        "{\"text\": \"One. Two.\\nThree.\", \"id\": 1}\n\n{\"id\": 2, \"text\": \"Four.\"}\n";
    let halves = [gzip(&plain.as_bytes()[..7]), gzip(&plain.as_bytes()[7..])].concat();
    let files = [
        write(&folder, "a.txt", plain.as_bytes()),
        write(&folder, "b.txt", format!("\u{feff}{}", plain.replace('\n', "\r\n")).as_bytes()),
        write(&folder, "c.txt.gz", &halves),
        write(&folder, "d.txt.zst", &zstd::encode_all(plain.as_bytes(), 1).expect("compressed")),
        write(&folder, "e.jsonl", lines.as_bytes()),
        write(&folder, "f.jsonl.gz", &gzip(lines.as_bytes())),
        folder.path().join("g.parquet"),
    ];
    parquet(&files[6], "text", &["One. Two.\nThree.", "Four."]);

    for file in &files {
        let found = documents(&text(&[file])).expect("read");
        assert_eq!(found, [vec!["One. Two.", "Three."], vec!["Four."]], "{}", file.display());
    }
}

#[test]
fn the_user_says_what_separates_documents() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = write(&folder, "a.txt", b"One.\nTwo.\n\nThree.\n");
    let count =
        |boundary| documents(&open(&[&file], boundary).expect("found")).expect("read").len();
    assert_eq!(count(DocumentBoundary::Line), 3);
    assert_eq!(count(DocumentBoundary::BlankLine), 2);
    assert_eq!(count(DocumentBoundary::File), 1);
}

#[test]
fn what_is_wrong_with_a_file_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = gzip("Some text that is long enough to be cut. ".repeat(100).as_bytes());
    parquet(&folder.path().join("p.parquet"), "content", &["One."]);
    let cases = [
        (write(&folder, "a.txt", b"good\nb\xffd"), "a.txt is not UTF-8 at byte 6"),
        (write(&folder, "b.txt.gz", &whole[..whole.len() / 2]), "b.txt.gz ends early"),
        (write(&folder, "c.txt.gz", b"no gzip at all"), "c.txt.gz cannot be decompressed"),
        (write(&folder, "d.jsonl", b"{\"text\": \"a\"}\n{\"text\": "), "d.jsonl, line 2: no JSON"),
        (
            write(&folder, "e.jsonl", b"{\"body\": \"a\", \"id\": 1}"),
            "there is no field `text`; it has: body, id",
        ),
        (write(&folder, "f.jsonl", b"[1]"), "f.jsonl, line 1: not a JSON object"),
        (folder.path().join("p.parquet"), "has no column `text`; it has: content, id"),
        (write(&folder, "q.parquet", b"PAR1 but not really"), "is no whole Parquet file"),
    ];
    for (file, message) in cases {
        let error = documents(&text(&[&file])).expect_err("refused");
        assert!(error.is_bad_data());
        assert!(error.to_string().contains(message), "{error} does not say {message}");
    }

    let frame = zstd::encode_all("Some text. ".repeat(1000).as_bytes(), 1).expect("compressed");
    let cut = write(&folder, "g.txt.zst", &frame[..frame.len() / 2]);
    assert!(documents(&text(&[&cut])).expect_err("refused").to_string().contains("ends early"));
}

#[test]
fn a_line_of_five_megabytes_is_cut_and_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let line = "word and ".repeat(600_000);
    let file = write(&folder, "long.txt", line.as_bytes());
    let found = documents(&text(&[&file])).expect("read");
    assert_eq!(found.len(), 1);
    assert!(found[0].len() >= 5 && found[0].iter().all(|paragraph| paragraph.len() <= 1 << 20));
    assert_eq!(found[0].join(" "), line.trim_end());
}

const STORY: &str = "\
    The miller had a cat. The cat had no miller's name, but it came when he called.\n\
    Nobody called it twice. Why should they?\n\n\
    A cart went over the bridge. The bridge held. The driver never knew how old it was.\n\n";

fn train(folder: &TempDir, model: TokenizerModel, vocabulary: usize) -> Result<Tokenizer> {
    let file = write(folder, "story.txt", STORY.repeat(20).as_bytes());
    Tokenizer::train(&text(&[&file]), &TrainConfig { model, vocabulary, lowercase: true }, &Quiet)
}

const MODELS: [(TokenizerModel, usize); 3] =
    [(TokenizerModel::Wordpiece, 120), (TokenizerModel::Bpe, 300), (TokenizerModel::Unigram, 100)];

#[test]
fn training_gives_the_same_file_every_time_and_for_any_number_of_threads() {
    let folder = tempfile::tempdir().expect("a folder");
    for (model, vocabulary) in MODELS {
        let hash = |threads| {
            let pool =
                rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
            pool.install(|| train(&folder, model, vocabulary).expect("trained").hash())
        };

        let first = hash(1);
        for threads in [1, 2, 4] {
            assert_eq!(hash(threads), first, "{model:?}");
        }
    }
}

#[test]
fn text_survives_tokens_and_words_are_known() {
    let folder = tempfile::tempdir().expect("a folder");
    for (model, vocabulary) in MODELS {
        let tokenizer = train(&folder, model, vocabulary).expect("trained");
        let encoded = tokenizer.encode("the bridge held. Why should the miller call?");
        let text = tokenizer.decode(&encoded.tokens);
        assert_eq!(
            text.trim().to_lowercase(),
            "the bridge held. why should the miller call?",
            "{model:?}"
        );

        let words = encoded.word_starts.iter().filter(|starts| **starts).count();
        // Eight words. The full stop and the question mark are words too, except in byte-level BPE.
        let expected = if model == TokenizerModel::Bpe { 8 } else { 10 };
        assert_eq!(words, expected, "{model:?}: {encoded:?}");

        assert_eq!(encoded.sentence_starts.len(), 2, "{model:?}");
        let second = encoded.sentence_starts[1] as usize;
        assert!(
            tokenizer.decode(&encoded.tokens[second..]).trim().to_lowercase().starts_with("why"),
            "{model:?}"
        );
    }
}

#[test]
fn a_text_that_spells_a_special_token_is_text() {
    let folder = tempfile::tempdir().expect("a folder");
    for (model, vocabulary) in MODELS {
        let tokenizer = train(&folder, model, vocabulary).expect("trained");
        let specials = tokenizer.specials();
        let tokens = tokenizer.encode("the [MASK] and <mask> and [SEP] </s> <pad>").tokens;
        let special = [specials.cls, specials.sep, specials.pad, specials.mask];
        assert!(tokens.iter().all(|token| !special.contains(token)), "{model:?}: {tokens:?}");
    }
}

#[test]
fn a_vocabulary_that_cannot_hold_the_alphabet_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = train(&folder, TokenizerModel::Bpe, 100).expect_err("refused").to_string();
    assert!(error.contains("a vocabulary of 100 tokens is too small"), "{error}");
}

#[test]
fn tokenizers_of_other_tools_are_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    let vocab = "[PAD]\n[unused0]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\ncat\n##s\n.\n";
    let file = write(&folder, "vocab.txt", vocab.as_bytes());
    let tokenizer = Tokenizer::open(&file).expect("opened");
    assert_eq!(tokenizer.encode("The cats.").tokens, [6, 7, 8, 9]);
    assert_eq!(tokenizer.encode("The cats.").word_starts, [true, true, false, true]);
    assert_eq!((tokenizer.specials().mask, tokenizer.vocabulary_size()), (5, 10));

    write(&folder, "tokenizer_config.json", b"{\"do_lower_case\": false}");
    assert_eq!(
        Tokenizer::open(folder.path()).expect("opened").encode("The").tokens,
        [2],
        "cased: unknown"
    );

    let missing = write(&folder, "other.txt", b"[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\n");
    let error = Tokenizer::open(&missing).expect_err("refused").to_string();
    assert!(error.contains("no special token [MASK] or <mask>"), "{error}");
}

fn built(folder: &TempDir, tokenizer: &Tokenizer, file: &Path) -> Corpus {
    Builder::new(&text(&[file]), tokenizer, &folder.path().join("cache"), &Quiet)
        .build()
        .expect("built")
}

#[test]
fn a_corpus_is_built_once_and_again_when_text_or_tokenizer_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let tokenizer = train(&folder, TokenizerModel::Wordpiece, 120).expect("trained");
    let file = write(&folder, "a.txt", STORY.as_bytes());
    let first = built(&folder, &tokenizer, &file);
    let made =
        |corpus: &Corpus| fs::metadata(corpus.folder()).expect("there").modified().expect("a time");

    let again = built(&folder, &tokenizer, &file);
    assert_eq!((first.folder(), made(&first)), (again.folder(), made(&again)));

    let other = train(&folder, TokenizerModel::Bpe, 300).expect("trained");
    assert_ne!(built(&folder, &other, &file).folder(), first.folder());
    let file = write(&folder, "a.txt", format!("{STORY}\nMore.\n").as_bytes());
    assert_ne!(built(&folder, &tokenizer, &file).folder(), first.folder());
}

#[test]
fn shards_are_the_same_bytes_for_any_number_of_threads() {
    let folder = tempfile::tempdir().expect("a folder");
    let tokenizer = train(&folder, TokenizerModel::Wordpiece, 120).expect("trained");
    let file = write(&folder, "a.txt", STORY.repeat(50).as_bytes());
    let bytes = |threads: usize| {
        let cache = folder.path().join(format!("cache-{threads}"));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        let corpus =
            pool.install(|| Builder::new(&text(&[&file]), &tokenizer, &cache, &Quiet).build());
        corpus.expect("built").manifest().files.clone()
    };

    assert_eq!(bytes(1), bytes(2));
    assert_eq!(bytes(1), bytes(4));
}

#[test]
fn a_damaged_file_is_named_and_the_corpus_is_built_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let tokenizer = train(&folder, TokenizerModel::Wordpiece, 120).expect("trained");
    let file = write(&folder, "a.txt", STORY.as_bytes());
    let corpus = built(&folder, &tokenizer, &file).folder().to_owned();

    for name in ["tokens-00000.bin", "words.bin", "sentences.bin", "documents.bin", "counts.bin"] {
        let shard = corpus.join(name);
        let good = fs::read(&shard).expect("read");
        let mut bad = good.clone();
        bad[0] ^= 1;
        fs::write(&shard, bad).expect("written");

        let error = Corpus::open(&corpus).expect_err("refused").to_string();
        assert!(error.contains(name) && error.contains("damaged"), "{error}");
        built(&folder, &tokenizer, &file);
        assert_eq!(fs::read(&shard).expect("read"), good);
    }
}

/// Stops as soon as a stage has begun.
struct StopIn {
    stage: &'static str,
    begun: AtomicBool,
}

impl corpus::ProgressObserver for StopIn {
    fn stage(&self, name: &str, _total: Option<u64>) {
        self.begun.store(name == self.stage, Ordering::Relaxed);
    }
    fn advance(&self, _done: u64) {}
    fn finish(&self) {}
    fn interrupted(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }
}

#[test]
fn an_interrupted_build_leaves_nothing_that_is_taken_for_good() {
    let folder = tempfile::tempdir().expect("a folder");
    let tokenizer = train(&folder, TokenizerModel::Wordpiece, 120).expect("trained");
    let file = write(&folder, "a.txt", STORY.repeat(20_000).as_bytes());
    let cache = folder.path().join("cache");

    let stop = StopIn { stage: "tokenising", begun: AtomicBool::new(false) };
    let error =
        Builder::new(&text(&[&file]), &tokenizer, &cache, &stop).build().expect_err("stopped");
    assert!(matches!(error, corpus::Error::Interrupted), "{error}");
    let left = fs::read_dir(&cache)
        .expect("listed")
        .filter(|entry| entry.as_ref().expect("an entry").path().is_dir());
    assert_eq!(left.count(), 0);
}

/// Sixty documents: two different ones, thirty times each.
fn stories(folder: &TempDir) -> (Tokenizer, Arc<Corpus>) {
    let tokenizer = train(folder, TokenizerModel::Wordpiece, 120).expect("trained");
    let file = write(folder, "a.txt", STORY.repeat(30).as_bytes());
    let corpus = Arc::new(built(folder, &tokenizer, &file));
    (tokenizer, corpus)
}

fn packing(max_tokens: usize, across: Across) -> PackingConfig {
    PackingConfig {
        max_tokens,
        across,
        overfill: false,
        separator_room: 1,
        short_share: 0.0,
        seed: 1,
    }
}

#[test]
fn passages_hold_every_token_once_and_know_their_sentences_and_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let (tokenizer, corpus) = stories(&folder);
    assert_eq!((corpus.documents(), corpus.statistics().duplicates), (60, 58));
    let lines: Vec<u32> = STORY
        .repeat(30)
        .lines()
        .filter(|line| !line.is_empty())
        .flat_map(|line| tokenizer.encode(line).tokens)
        .collect();

    for across in [Across::Document, Across::Corpus] {
        let packing = PackingConfig { short_share: 0.1, ..packing(30, across) };
        let passages = Passages::open(&corpus, Subset::All, packing, &Quiet).expect("packed");
        let all: Vec<_> = (0..passages.len()).map(|number| passages.get(number)).collect();
        let text: Vec<u32> = all.iter().flat_map(|passage| passage.tokens.clone()).collect();
        assert_eq!(text.len() as u64, corpus.tokens());
        assert_eq!(passages.tokens(), corpus.tokens());
        assert_eq!(text, lines, "tokens come in the order of the text");

        for passage in &all {
            assert!(passage.tokens.len() + passage.document_starts.len() <= 30);
            assert!(passage.word_starts[0] && passage.sentence_starts[0] == 0);
            for starts in [&passage.sentence_starts[1..], &passage.document_starts[..]] {
                for start in starts {
                    assert!(passage.word_starts[*start as usize], "a sentence starts with a word");
                }
            }
            assert!(
                passage.document_starts.iter().all(|start| passage.sentence_starts.contains(start))
            );
        }

        let crossing = all.iter().any(|passage| !passage.document_starts.is_empty());
        assert_eq!(crossing, across == Across::Corpus);
    }
}

#[test]
fn the_subsets_of_a_split_hold_all_tokens_together() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, corpus) = stories(&folder);
    let tokens = |subset| {
        let packing = packing(30, Across::Corpus);
        Passages::open(&corpus, subset, packing, &Quiet).expect("packed").tokens()
    };

    let (valid_fraction, seed) = (0.2, 3);
    let train = tokens(Subset::Train { valid_fraction, seed });
    let valid = tokens(Subset::Valid { valid_fraction, seed });
    assert_eq!(train + valid, corpus.tokens());
}

#[test]
fn a_partner_is_whole_sentences_of_another_document_and_long_enough() {
    let folder = tempfile::tempdir().expect("a folder");
    let (tokenizer, corpus) = stories(&folder);
    let mut sentences = Vec::new();
    for line in STORY.lines().map(|line| tokenizer.encode(line)) {
        let starts = line.sentence_starts.iter().map(|start| *start as usize);
        sentences.extend(starts.map(|start| line.tokens[start..].to_vec()));
    }

    let packing = packing(12, Across::Document);
    let passages = Passages::open(&corpus, Subset::All, packing, &Quiet).expect("packed");
    let mut begun = std::collections::BTreeSet::new();
    for number in 0..passages.len() {
        let partner = passages.partner(number, 1, 0).expect("one of the other documents");
        assert_eq!(Some(&partner), passages.partner(number, 1, 0).as_ref());

        assert!(
            sentences.iter().any(|sentence| partner.tokens.starts_with(&sentence[..3])),
            "begins with a sentence"
        );
        assert!(partner.tokens.len() >= 12, "both documents have as many");
        assert!(partner.document_starts.is_empty(), "of one document");
        begun.insert(partner.tokens[..3].to_vec());
    }
    assert!(begun.len() > 2, "not always the same sentence");

    let other = |epoch| {
        (0..passages.len()).map(|number| passages.partner(number, 1, epoch)).collect::<Vec<_>>()
    };
    assert_ne!(other(0), other(1));
}

#[cfg(target_os = "linux")]
mod memory {
    use std::sync::atomic::AtomicU64;

    use super::*;

    /// The resident memory of this process in MiB.
    fn resident_memory() -> u64 {
        let status = fs::read_to_string("/proc/self/status").expect("status");
        let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("a line");
        line.split_whitespace().nth(1).expect("a number").parse::<u64>().expect("a number") / 1024
    }

    /// Notes the highest resident memory.
    #[derive(Default)]
    struct MemoryObserver {
        highest: AtomicU64,
    }

    impl corpus::ProgressObserver for MemoryObserver {
        fn stage(&self, _name: &str, _total: Option<u64>) {}
        fn advance(&self, _done: u64) {}
        fn finish(&self) {}
        fn interrupted(&self) -> bool {
            self.highest.fetch_max(resident_memory(), Ordering::Relaxed);
            false
        }
    }

    /// Memory must not grow with the text: 60 MB of it, one document in one file, take up at most
    /// 150 MiB.
    #[test]
    fn memory_does_not_grow_with_the_text() {
        let folder = tempfile::tempdir().expect("a folder");
        let tokenizer = train(&folder, TokenizerModel::Wordpiece, 120).expect("trained");
        let path = folder.path().join("big.txt");
        let mut file = fs::File::create(&path).expect("made");
        let paragraph = STORY.replace('\n', " ") + "\n";
        for _ in 0..60_000_000 / paragraph.len() {
            file.write_all(paragraph.as_bytes()).expect("written");
        }

        let before = resident_memory();
        let observer = MemoryObserver::default();
        let cache = folder.path().join("cache");
        let corpus =
            Builder::new(&text(&[&path]), &tokenizer, &cache, &observer).build().expect("built");
        assert!(corpus.tokens() > 10_000_000);

        let used = observer.highest.load(Ordering::Relaxed).saturating_sub(before);
        // A batch of 2 MiB of text, its tokens, and the stages between: measured at about 60 MB,
        // whatever the size of the text.
        assert!(used < 150, "{used} MB");
    }
}
