//! Files of every ending, encoding and codec: read alike, or refused by what they are.

mod common;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use corpus::{Builder, DocumentBoundary, Quiet, Text, Tokenizer, TokenizerModel, TrainConfig};
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;

use common::{documents, gzip, write};

fn open(path: &Path) -> corpus::Result<Text> {
    common::open(&[path], DocumentBoundary::BlankLine)
}

/// The paragraphs of each document.
fn read(path: &Path) -> corpus::Result<Vec<Vec<String>>> {
    documents(&open(path)?)
}

/// The error message for a file of this name and content.
fn fault(name: &str, bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let error = read(&write(&folder, name, bytes)).expect_err("refused");
    assert!(error.is_bad_data(), "{error}");
    error.to_string()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
    encoder.write_all(bytes).expect("compressed");
    encoder.finish().expect("compressed")
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let options = lzma_rust2::XzOptions::with_preset(1);
    let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), options).expect("an encoder");
    encoder.write_all(bytes).expect("compressed");
    encoder.finish().expect("compressed")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("compressed")
}

type Compress = fn(&[u8]) -> Vec<u8>;

const COMPRESSIONS: [(&str, Compress); 5] =
    [("", <[u8]>::to_vec), (".gz", gzip), (".zst", zstd), (".bz2", bzip2), (".xz", xz)];

/// The same two documents in every format.
const FORMATS: [(&str, &str); 6] = [
    ("txt", "A mill turns. It creaks.\nNobody minds.\n\nThe \u{e9}clair is gone.\n"),
    ("jsonl", JSON),
    ("ndjson", JSON),
    ("json", JSON),
    ("csv", "id,text\n1,\"A mill turns. It creaks.\nNobody minds.\"\n2,The \u{e9}clair is gone.\n"),
    ("tsv", "text\tid\nThe \u{e9}clair is gone.\t2\n"),
];

const JSON: &str = "{\"text\": \"A mill turns. It creaks.\\nNobody minds.\", \"id\": 1}\n\
                    {\"id\": 2, \"text\": \"The \u{e9}clair is gone.\"}\n";

#[test]
fn every_format_is_read_under_every_compression_and_with_every_end_of_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let last = vec!["The \u{e9}clair is gone.".to_owned()];
    let first = vec!["A mill turns. It creaks.".to_owned(), "Nobody minds.".to_owned()];

    for (format, content) in FORMATS {
        // A line of TSV is a document of one line.
        let expected = match format {
            "tsv" => vec![last.clone()],
            _ => vec![first.clone(), last.clone()],
        };
        for mark in ["", "\u{feff}"] {
            for end in ["\n", "\r\n"] {
                let text = format!("{mark}{}", content.replace('\n', end));
                for (ending, compress) in COMPRESSIONS {
                    let name = format!("a.{format}{ending}");
                    let path = write(&folder, &name, &compress(text.as_bytes()));
                    assert_eq!(read(&path).expect("read"), expected, "{name} {mark:?} {end:?}");
                }
            }
        }
    }
}

#[test]
fn streams_one_after_the_other_are_one_text() {
    let folder = tempfile::tempdir().expect("a folder");
    for (ending, compress) in &COMPRESSIONS[1..] {
        let halves = [compress(b"One mill.\n\nTwo "), compress(b"mills.\n")].concat();
        let path = write(&folder, &format!("a.txt{ending}"), &halves);
        assert_eq!(read(&path).expect("read"), [["One mill."], ["Two mills."]], "{ending}");

        let whole = compress("One mill and another one. ".repeat(1000).as_bytes());
        let message = fault(&format!("cut.txt{ending}"), &whole[..whole.len() / 2]);
        assert!(
            message.contains("ends early") || message.contains("cannot be decompressed"),
            "{ending}: {message}"
        );
    }
}

#[test]
fn contents_decide_where_the_name_does_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let parquet = folder.path().join("table.data");
    write_parquet(&parquet, Compression::UNCOMPRESSED, &["A mill.", "A weir."]);

    let files = [
        write(&folder, "corpus.de.gz", &gzip(b"A mill.\n\nA weir.\n")),
        write(&folder, "corpus.de", &xz(b"A mill.\n\nA weir.\n")),
        write(&folder, "wrong.txt.gz", &bzip2(b"A mill.\n\nA weir.\n")),
        write(&folder, "dump", b"{\"text\": \"A mill.\"}\n{\"text\": \"A weir.\"}\n"),
        write(
            &folder,
            "dump.dat.zst",
            &zstd(b"{\"text\": \"A mill.\"}\n{\"text\": \"A weir.\"}\n"),
        ),
        write(&folder, "notes.md", b"A mill.\n\nA weir.\n"),
        parquet,
    ];
    for file in files {
        assert_eq!(read(&file).expect("read"), [["A mill."], ["A weir."]], "{}", file.display());
    }
}

#[test]
fn what_holds_no_text_is_refused_by_what_it_is() {
    let utf16: Vec<u8> = "\u{feff}A mill.".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut tar = vec![b'a'; 257];
    tar.extend_from_slice(b"ustar\x0000 and more");
    let cases: [(&str, &[u8], &str); 9] = [
        ("a.txt", &utf16, "is UTF-16, not text; convert it"),
        ("a.jsonl", &utf16[2..], "is binary or UTF-16, not text; if it is UTF-16"),
        ("a.docx", b"PK\x03\x04\x14\0", "is a zip archive or an office document"),
        ("a.txt.zip", b"PK\x03\x04\x14\0", "unpack it"),
        ("a.pdf", b"%PDF-1.7\n", "pdftotext"),
        ("a.tar.gz", &gzip(&tar), "is a tar archive"),
        ("a.arrow", b"ARROW1\0\0", "write it as Parquet"),
        ("a.txt.lz4", b"\x04\x22\x4d\x18\x64", "compressed with lz4"),
        ("a.txt", b"caf\xe9\n", "is not UTF-8 at byte 3; convert the file to UTF-8"),
    ];
    for (name, bytes, expected) in cases {
        let message = fault(name, bytes);
        assert!(message.contains(expected), "{name}: {message}");
    }
}

#[test]
fn a_table_without_the_column_of_text_is_refused_with_those_it_has() {
    let message = fault("a.csv", b"id,body\n1,A mill.\n");
    assert!(
        message.ends_with(
            "has no column `text`; it has: id, body. Name the right one with --text-field"
        )
    );
    let message = fault("a.tsv", b"text\tid\ttext\nA\t1\tB\n");
    assert!(message.contains("has two columns `text`"), "{message}");
    let message = fault("a.csv", b"id,text\n1,A mill.\n2,A weir, and more\n");
    assert!(message.contains("line 3: 3 fields where the header has 2"), "{message}");
    let message = fault("a.csv", b"id,text\n1,caf\xe9\n");
    assert!(message.contains("line 2: not UTF-8"), "{message}");

    let folder = tempfile::tempdir().expect("a folder");
    let path = write(&folder, "a.csv", b"text; id\n\"A mill; a weir.\";1\n");
    assert_eq!(read(&path).expect("read"), [["A mill; a weir."]], "semicolons");
}

#[test]
fn arrays_of_json_are_refused_with_the_remedy() {
    for array in ["[{\"text\": \"A mill.\"}]", "[\n  {\"text\": \"A mill.\"}\n]\n"] {
        let message = fault("a.json", array.as_bytes());
        assert!(message.contains("line 1: not a JSON object but an array"), "{message}");
        assert!(message.contains("jq -c '.[]'"), "{message}");
    }
}

/// Rows without text are left out, and counted in the corpus.
#[test]
fn rows_without_text_are_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = "{\"text\": \"A mill turns.\"}\n{\"text\": null}\n{\"text\": \" \"}\n";
    let tokenizer = {
        let text = open(&write(&folder, "train.txt", b"A mill turns. It turns.\n")).expect("found");
        let training =
            TrainConfig { model: TokenizerModel::Bpe, vocabulary: 262, lowercase: false };
        Tokenizer::train_cached(&text, &training, folder.path(), &Quiet).expect("trained")
    };

    let table = "text,id\nA mill turns.,1\n,2\n\" \",3\n";
    for (name, content) in [("a.jsonl", lines), ("a.csv", table)] {
        let text = open(&write(&folder, name, content.as_bytes())).expect("found");
        let corpus = Builder::new(&text, &tokenizer, folder.path(), &Quiet).build().expect("built");
        let counts = &corpus.manifest().counts;
        assert_eq!((counts.documents, counts.empty), (1, 2), "{name}");
        assert_eq!(corpus.statistics().empty_rows, 2);
    }
}

/// A Parquet file of one column.
fn write_parquet(path: &Path, codec: Compression, rows: &[&str]) {
    let schema = "message schema { REQUIRED BYTE_ARRAY text (UTF8); }";
    let schema = Arc::new(parquet::schema::parser::parse_message_type(schema).expect("a schema"));
    let properties = Arc::new(WriterProperties::builder().set_compression(codec).build());
    let file = fs::File::create(path).expect("made");
    let mut writer = SerializedFileWriter::new(file, schema, properties).expect("a writer");

    let mut group = writer.next_row_group().expect("a group");
    let mut column = group.next_column().expect("a column").expect("text");
    let values: Vec<ByteArray> = rows.iter().map(|row| ByteArray::from(*row)).collect();
    column.typed::<ByteArrayType>().write_batch(&values, None, None).expect("written");
    column.close().expect("closed");
    group.close().expect("closed");
    writer.close().expect("closed");
}

#[test]
fn every_codec_of_parquet_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(Default::default()),
        Compression::BROTLI(Default::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::default()),
    ];
    for codec in codecs {
        let path = folder.path().join("a.parquet");
        write_parquet(&path, codec, &["A mill.", "A weir."]);
        assert_eq!(read(&path).expect("read"), [["A mill."], ["A weir."]], "{codec:?}");
    }
}
