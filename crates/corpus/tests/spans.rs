//! Annotated spans from a user's files to passages, through the public interface.

use std::fs;
use std::io::Write;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use corpus::{
    Across, Annotations, Builder, Corpus, DocumentBoundary, PackingConfig, Passage, Passages,
    Quiet, Result, Subset, Text, TextConfig, Tokenizer, TokenizerModel, TrainConfig, below,
    keyed_rng,
};
use tempfile::TempDir;

/// A folder with texts, their annotations, a tokenizer and a cache.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().expect("a folder") };
        let vocabulary =
            "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nold\ncat\n##s\nmet\nzoe\n東\n京\nin\n.\n,\n-";
        bench.write("vocab.txt", vocabulary.as_bytes());
        bench
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes).expect("written");
        path
    }

    fn tokenizer(&self) -> Tokenizer {
        Tokenizer::open(&self.folder.path().join("vocab.txt")).expect("opened")
    }

    fn text(&self, name: &str, annotations: Annotations) -> Result<Text> {
        let paths = vec![self.folder.path().join(name).display().to_string()];
        let (document, text_field) = (DocumentBoundary::BlankLine, "text".to_owned());
        Text::open(TextConfig { paths, document, text_field, annotations })
    }

    fn build(
        &self,
        name: &str,
        tokenizer: &Tokenizer,
        annotations: Annotations,
    ) -> Result<Arc<Corpus>> {
        let text = self.text(name, annotations)?;
        Builder::new(&text, tokenizer, &self.folder.path().join("cache"), &Quiet)
            .build()
            .map(Arc::new)
    }

    fn spans(&self, name: &str) -> Result<Arc<Corpus>> {
        self.build(name, &self.tokenizer(), Annotations::Spans)
    }

    fn refused(&self, name: &str) -> String {
        let error = self.spans(name).expect_err("refused");
        assert!(error.is_bad_data(), "{error}");
        error.to_string().replace(&format!("{}/", self.folder.path().display()), "")
    }
}

fn passages(corpus: &Arc<Corpus>, max_tokens: usize, across: Across) -> Vec<Passage> {
    let packing = PackingConfig {
        max_tokens,
        across,
        overfill: false,
        separator_room: 0,
        short_share: 0.0,
        seed: 0,
    };
    let passages = Passages::open(corpus, Subset::All, packing, &Quiet).expect("packed");
    (0..passages.len()).map(|number| passages.get(number)).collect()
}

/// The text as one passage.
fn whole(corpus: &Arc<Corpus>) -> Passage {
    let mut all = passages(corpus, 1 << 22, Across::Corpus);
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("compressed");
    encoder.finish().expect("compressed")
}

#[test]
fn spans_become_the_tokens_of_the_words_they_touch() {
    let bench = Bench::new();
    // Tokens: 0 zoe, 1 met, 2 the, 3 old, 4 cat, 5 ##s, 6 in, 7 東, 8 京, 9 .; 10 the, 11 cat, 12
    // ##s, 13 .
    let text = "\u{feff} Zoë met the old cats in 東京.\r\n\r\nThe cats.\r\n";
    // Spans: "Zoë"; "he old cat", in the middle of a word at both ends; "東京" without its full stop;
    // in the next document "s."
    let spans = "0:4 10:20 25:27\r\n\r\n7:9\r\n";
    bench.write("a.txt", text.as_bytes());
    bench.write("a.txt.spans", spans.as_bytes());

    let corpus = bench.spans("a.txt").expect("built");
    assert_eq!(whole(&corpus).spans, [0..1, 2..6, 7..9, 11..14]);

    let each = passages(&corpus, 20, Across::Document);
    assert_eq!(each[0].spans, [0..1, 2..6, 7..9]);
    assert_eq!(each[1].spans, [Range { start: 1, end: 4 }]);
    assert_eq!((corpus.statistics().spans, corpus.statistics().dropped_spans), (4, 0));
}

#[test]
fn spans_that_share_a_word_become_one_and_those_without_a_token_are_counted() {
    let bench = Bench::new();
    bench.write("a.txt", "cats met \u{200b}cats the\n".as_bytes());
    bench.write("a.txt.spans", b"0:2 2:6 9:10 14:15 15:18\n");
    let corpus = bench.spans("a.txt").expect("built");
    assert_eq!(whole(&corpus).spans, [0..3, 5..6], "{:?}", whole(&corpus).tokens);
    assert_eq!((corpus.manifest().counts.spans, corpus.manifest().counts.dropped_spans), (2, 2));
}

#[test]
fn every_kind_of_file_carries_the_same_spans() {
    let bench = Bench::new();
    let (text, spans) = ("Zoë met\nthe cats.\n\nthe cat\n", "0:3\n4:8\n\n0:7\n");
    let zstd = |bytes: &str| zstd::encode_all(bytes.as_bytes(), 1).expect("compressed");
    bench.write("a.txt", text.as_bytes());
    bench.write("a.txt.spans", spans.as_bytes());
    bench.write("b.txt.gz", &gzip(text.as_bytes()));
    bench.write("b.txt.spans.zst", &zstd(spans));
    bench.write("c.txt.zst", &zstd(text));
    bench.write("c.txt.spans.gz", &gzip(spans.as_bytes()));

    let record =
        |text: &str, spans: &str| format!("{{\"text\": \"{text}\", \"spans\": {spans}}}\n");
    let lines =
        record("Zoë met\\nthe cats.", "[[0, 3], [12, 16]]") + &record("the cat", "[[0, 7]]");
    bench.write("d.jsonl", lines.as_bytes());

    for name in ["a.txt", "b.txt.gz", "c.txt.zst", "d.jsonl", "a.tx*", "a.*"] {
        let corpus = bench.spans(name).expect("built");
        assert_eq!(whole(&corpus).spans, [0..1, 3..5, 6..8], "{name}");
    }
}

#[test]
fn a_span_of_a_json_line_does_not_go_over_a_line_break() {
    let bench = Bench::new();
    let lines = [
        r#"{"text": "the cat \n met. ", "spans": [[0, 3], [4, 13], [14, 15]]}"#,
        r#"{"text": "cats"}"#,
        r#"{"text": "the", "spans": null}"#,
    ];
    bench.write("a.jsonl", (lines.join("\n") + "\n").as_bytes());

    let corpus = bench.spans("a.jsonl").expect("built");
    assert_eq!(whole(&corpus).spans, [Range { start: 0, end: 1 }]);
    assert_eq!(
        corpus.manifest().counts.dropped_spans,
        2,
        "one over the line break, one of a space"
    );
}

#[test]
fn a_paragraph_that_is_cut_keeps_its_spans() {
    let bench = Bench::new();
    let words = 600_000;
    // Each span is a pair of words, so that a cut may fall into it.
    let text = "cats ".repeat(words);
    let spans: Vec<Range<usize>> = (0..words / 2).map(|pair| 10 * pair..10 * pair + 9).collect();

    let line: Vec<String> =
        spans.iter().map(|span| format!("{}:{}", span.start, span.end)).collect();
    let list: Vec<[usize; 2]> = spans.iter().map(|span| [span.start, span.end]).collect();
    bench.write("a.txt", text.as_bytes());
    bench.write("a.txt.spans", line.join(" ").as_bytes());
    bench.write("b.jsonl", serde_json::json!({"text": text, "spans": list}).to_string().as_bytes());

    for name in ["a.txt", "b.jsonl"] {
        let corpus = bench.spans(name).expect("built");
        let counts = &corpus.manifest().counts;
        assert_eq!(counts.cut, 2, "{name}");
        assert_eq!(counts.spans + counts.dropped_spans, words as u64 / 2, "{name}");

        let all = whole(&corpus).spans;
        assert_eq!(all.len() as u64, counts.spans);
        assert!(all.iter().all(|span| span.start % 4 == 0 && span.end == span.start + 4), "{name}");
        assert!(counts.dropped_spans <= 2, "{name}: at most one per cut");
        assert!(counts.spans < words as u64 / 2 || counts.dropped_spans == 0);
    }
}

#[test]
fn what_is_wrong_with_an_annotation_file_is_named() {
    let bench = Bench::new();
    bench.write("a.txt", b"the cat\n");
    assert!(
        bench
            .refused("a.txt")
            .starts_with("a.txt has no spans: there is no a.txt.spans (compressed or not)")
    );

    bench.write("a.txt.spans", b"0:3\n4:5\n");
    assert!(
        bench
            .refused("a.txt")
            .starts_with("a.txt.spans goes on after line 1, but a.txt ends there")
    );

    bench.write("a.txt.spans", b"");
    assert!(bench.refused("a.txt").starts_with("a.txt.spans ends after line 0, but a.txt goes on"));

    bench.write("a.txt.spans", b"0:3 6:9\n");
    assert!(
        bench
            .refused("a.txt")
            .starts_with("a.txt.spans, line 1: the span 6:9 ends beyond the text, which has 7 ")
    );

    bench.write("a.txt.spans.gz", &gzip(b"0:3\n"));
    assert!(
        bench
            .refused("a.txt")
            .starts_with("a.txt.spans and a.txt.spans.gz annotate a.txt; keep one")
    );

    bench.write("p.parquet", b"PAR1");
    assert!(
        bench
            .refused("p.parquet")
            .starts_with("p.parquet: spans are read beside text files and from JSON lines; ")
    );
}

#[test]
fn what_is_wrong_with_the_spans_of_a_json_line_is_named() {
    let bench = Bench::new();
    for (spans, message) in [
        ("[[0, 2], [1, 3]]", "the span 1:3 begins before 0:2 ends"),
        ("[[4, 8]]", "the span 4:8 ends beyond the text, which has 7 characters"),
        ("[[2, 2]]", "the span 2:2 is empty"),
        ("[[1, 2, 3]]", "the field `spans` holds no spans (invalid length 3"),
        ("[[-1, 2]]", "the field `spans` holds no spans ("),
        ("\"0:1\"", "the field `spans` holds no spans ("),
    ] {
        let second = format!("{{\"text\": \"the cat\", \"spans\": {spans}}}");
        bench.write("j.jsonl", format!("{{\"text\": \"a\"}}\n{second}").as_bytes());
        let refused = bench.refused("j.jsonl");
        assert!(refused.starts_with(&format!("j.jsonl, line 2: {message}")), "{refused}");
    }

    let corpus = bench
        .build("j.jsonl", &bench.tokenizer(), Annotations::None)
        .expect("not read unless asked for");
    assert!(whole(&corpus).spans.is_empty());
}

#[test]
fn without_annotations_a_corpus_is_found_where_it_was_before_there_were_any() {
    let bench = Bench::new();
    let tokenizer = bench.tokenizer();
    bench.write("a.txt", b"the cat\n");
    bench.write("a.txt.spans", b"0:3\n");
    let plain = bench.build("a.txt", &tokenizer, Annotations::None).expect("built");

    // The key of version 0.1.0, written out.
    let (hash, content) = (tokenizer.hash(), blake3::hash(b"the cat\n").to_hex());
    let identity = format!("[1,\"blank-line\",\"text\",\"{hash}\"][\"PlainNone\"][\"{content}\"]");
    let key = blake3::hash(identity.as_bytes()).to_hex();
    assert!(plain.folder().ends_with(&key[..16]));
    assert!(!plain.manifest().files.contains_key("spans.bin"));

    // The manifest of version 0.1.0 lacks what concerns annotations.
    let path = plain.folder().join("manifest.json");
    let mut manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(&path).expect("read")).expect("JSON");
    manifest.as_object_mut().expect("an object").remove("annotations").expect("there");
    manifest["text"].as_object_mut().expect("an object").remove("annotations").expect("there");
    for count in ["spans", "dropped_spans"] {
        manifest["counts"].as_object_mut().expect("an object").remove(count).expect("there");
    }
    fs::write(&path, manifest.to_string()).expect("written");
    assert_eq!(Corpus::open(plain.folder()).expect("opened").manifest(), plain.manifest());
}

#[test]
fn other_annotations_give_another_corpus() {
    let bench = Bench::new();
    let tokenizer = bench.tokenizer();
    bench.write("a.txt", b"the cat\n");
    bench.write("a.txt.spans", b"0:3\n");
    let build = |annotations| bench.build("a.txt", &tokenizer, annotations).expect("built");
    let plain = build(Annotations::None);

    let first = build(Annotations::Spans);
    assert_ne!(first.folder(), plain.folder());
    assert_eq!(build(Annotations::Spans).folder(), first.folder());

    bench.write("a.txt.spans", b"4:7\n");
    let second = build(Annotations::Spans);
    assert_ne!(second.folder(), first.folder());
    assert_eq!(whole(&first).spans, [Range { start: 0, end: 1 }]);
    assert_eq!(whole(&second).spans, [Range { start: 1, end: 2 }]);
    assert_eq!(build(Annotations::None).folder(), plain.folder());
}

#[test]
fn damaged_spans_are_named_and_built_again() {
    let bench = Bench::new();
    bench.write("a.txt", b"the cat\n");
    bench.write("a.txt.spans", b"0:3 4:7\n");
    let shard = bench.spans("a.txt").expect("built").folder().join("spans.bin");
    let good = fs::read(&shard).expect("read");
    assert_eq!(good, [0u64, 1, 1, 2].map(u64::to_le_bytes).concat());

    fs::write(&shard, &good[..16]).expect("written");
    let error = Corpus::open(shard.parent().expect("a folder")).expect_err("refused").to_string();
    assert!(error.contains("spans.bin is damaged"), "{error}");
    bench.spans("a.txt").expect("built again");
    assert_eq!(fs::read(&shard).expect("read"), good);
}

const STORY: [&str; 4] = [
    "The miller had a cat, and the cat had no miller's name. It came when he called.",
    "Nobody called it twice. Why should they?",
    "",
    "A cart went over the bridge; the bridge held. The driver never knew how old it was.",
];

/// Writes the story `times` times with drawn spans; returns each line with its spans.
fn story(bench: &Bench, times: usize) -> Vec<(&'static str, Vec<Range<usize>>)> {
    let rng = &mut keyed_rng("story", 0, 0, 0);
    let (mut text, mut annotation, mut lines) = (String::new(), String::new(), Vec::new());

    for line in STORY.iter().copied().cycle().take(STORY.len() * times) {
        let (mut at, mut spans) = (0, Vec::new());
        loop {
            let start = at + below(20, rng);
            at = start + 1 + below(12, rng);
            if at > line.len() {
                break;
            }
            spans.push(start..at);
        }

        text += &format!("{line}\n");
        let pairs: Vec<String> =
            spans.iter().map(|span| format!("{}:{}", span.start, span.end)).collect();
        annotation += &format!("{}\n", pairs.join(" "));
        lines.push((line, spans));
    }

    bench.write("story.txt", text.as_bytes());
    bench.write("story.txt.spans", annotation.as_bytes());
    lines
}

const MODELS: [(TokenizerModel, usize); 3] =
    [(TokenizerModel::Wordpiece, 100), (TokenizerModel::Bpe, 280), (TokenizerModel::Unigram, 80)];

fn train(bench: &Bench, (model, vocabulary): (TokenizerModel, usize)) -> Tokenizer {
    let text = bench.text("story.txt", Annotations::None).expect("found");
    Tokenizer::train(&text, &TrainConfig { model, vocabulary, lowercase: true }, &Quiet)
        .expect("trained")
}

/// The spans of a text in words. A word begins with each character for which `begins`, given the
/// character before it and the character, holds.
fn in_words(
    lines: &[(&str, Vec<Range<usize>>)],
    begins: impl Fn(char, char) -> bool,
) -> Vec<Range<usize>> {
    let (mut words, mut found) = (0, Vec::<Range<usize>>::new());
    for (line, spans) in lines {
        let mut before = ' ';
        let word_of: Vec<Option<usize>> = line
            .chars()
            .map(|character| {
                words += usize::from(begins(before, character));
                before = character;
                (character != ' ').then(|| words - 1)
            })
            .collect();

        for span in spans {
            let mut touched = word_of[span.clone()].iter().flatten();
            let Some(first) = touched.next() else { continue };
            let end = touched.next_back().unwrap_or(first) + 1;
            match found.last_mut() {
                Some(last) if *first < last.end => last.end = end,
                _ => found.push(*first..end),
            }
        }
    }
    found
}

#[test]
fn spans_of_every_model_are_the_words_they_touch() {
    let bench = Bench::new();
    let lines = story(&bench, 50);
    for model in MODELS {
        let tokenizer = train(&bench, model);
        let corpus = bench.build("story.txt", &tokenizer, Annotations::Spans).expect("built");
        let passage = whole(&corpus);
        let starts = passage
            .word_starts
            .iter()
            .enumerate()
            .filter(|(_, starts)| **starts)
            .map(|(token, _)| token);
        let starts: Vec<usize> = starts.chain([passage.tokens.len()]).collect();

        let word = |token: u32| starts.binary_search(&(token as usize)).expect("a word begins");
        let found: Vec<Range<usize>> =
            passage.spans.iter().map(|span| word(span.start)..word(span.end)).collect();
        assert!(found.windows(2).all(|pair| pair[0].end <= pair[1].start), "{model:?}");
        assert_eq!(corpus.manifest().counts.spans, found.len() as u64);

        // Each model's rule for a text of letters, spaces and punctuation.
        match model.0 {
            TokenizerModel::Wordpiece => {
                let begins = |before: char, c: char| {
                    c != ' ' && !(before.is_alphabetic() && c.is_alphabetic())
                };
                assert_eq!(found, in_words(&lines, begins));
            }
            TokenizerModel::Bpe => {
                let begins = |before: char, c: char| before == ' ' && c != ' ';
                assert_eq!(found, in_words(&lines, begins));
            }
            // Whether punctuation is a word depends on the vocabulary.
            TokenizerModel::Unigram => assert!(found.len() > 500),
        }
    }
}

#[test]
fn a_passage_holds_every_span_that_its_edges_do_not_cut() {
    let bench = Bench::new();
    story(&bench, 100);
    let tokenizer = train(&bench, MODELS[0]);
    let corpus = bench.build("story.txt", &tokenizer, Annotations::Spans).expect("built");
    let all = whole(&corpus).spans;

    for (max_tokens, across) in
        [(7, Across::Document), (16, Across::Corpus), (64, Across::Document)]
    {
        let mut from = 0;
        let mut cut = 0;
        for passage in passages(&corpus, max_tokens, across) {
            let to = from + passage.tokens.len() as u32;
            let inside = all.iter().filter(|span| from <= span.start && span.end <= to);
            let inside: Vec<Range<u32>> =
                inside.map(|span| span.start - from..span.end - from).collect();
            assert_eq!(passage.spans, inside);

            cut += all.iter().filter(|span| span.start < to && to < span.end).count();
            from = to;
        }
        assert!(max_tokens > 7 || cut > 0, "short passages cut spans");
    }
}

#[test]
fn spans_are_the_same_bytes_for_any_number_of_threads() {
    let bench = Bench::new();
    story(&bench, 12_000);
    let (tokenizer, text) =
        (bench.tokenizer(), bench.text("story.txt", Annotations::Spans).expect("found"));
    let files = |threads: usize| {
        let cache = bench.folder.path().join(format!("cache-{threads}"));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        let corpus = pool
            .install(|| Builder::new(&text, &tokenizer, &cache, &Quiet).build())
            .expect("built");
        assert!(corpus.manifest().counts.spans > 50_000);
        corpus.manifest().files.clone()
    };

    let first = files(1);
    assert!(first.contains_key("spans.bin"));
    assert_eq!(files(2), first);
    assert_eq!(files(4), first);

    let plain = bench.build("story.txt", &tokenizer, Annotations::None).expect("built");
    assert!(
        plain.manifest().files.iter().all(|(name, entry)| first[name] == *entry),
        "the text's files are the same"
    );
}

#[test]
fn annotations_do_not_change_a_tokenizer_that_is_trained_on_the_text() {
    let bench = Bench::new();
    story(&bench, 20);
    let config = TrainConfig { model: TokenizerModel::Wordpiece, vocabulary: 100, lowercase: true };
    let hash = |annotations| {
        let text = bench.text("story.txt", annotations).expect("found");
        Tokenizer::train(&text, &config, &Quiet).expect("trained").hash()
    };
    assert_eq!(hash(Annotations::None), hash(Annotations::Spans));
}

#[test]
fn a_compressed_file_without_an_extension_of_its_own_has_spans_too() {
    let bench = Bench::new();
    bench.write("notes.gz", &gzip(b"the cat\n"));
    bench.write("notes.spans", b"4:7\n");
    assert_eq!(whole(&bench.spans("notes.gz").expect("built")).spans, [Range { start: 1, end: 2 }]);
}
