//! What the tests of the command share: the command, a small text, small settings.
#![allow(dead_code, reason = "each test file uses some of it")]

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use tempfile::TempDir;

/// A folder with a small text, a cache, and room for runs.
pub struct Sandbox {
    folder: TempDir,
}

impl Sandbox {
    /// With a training text of `documents` documents.
    pub fn new(documents: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("train.txt"), text(documents, 1)).expect("written");
        fs::write(folder.path().join("valid.txt"), text(documents.div_ceil(4), 2))
            .expect("written");
        fs::write(folder.path().join("small.toml"), SMALL).expect("written");
        Self { folder }
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The command, with nothing set.
    pub fn command(&self, subcommand: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bert-variants"));
        command
            .arg(subcommand)
            .current_dir(self.folder.path())
            .env("XDG_CACHE_HOME", self.path("cache"));
        command
    }

    /// `pretrain` of a very small model into the folder `out`.
    pub fn pretrain(&self, out: &str, steps: u64) -> Command {
        let mut command = self.command("pretrain");
        command.args([
            "--config",
            "small.toml",
            "--corpus",
            "train.txt",
            "--valid",
            "valid.txt",
            "--out",
            out,
        ]);
        command.args(["--steps", &steps.to_string()]);
        command
    }

    /// The bytes of the model in the newest checkpoint of a run.
    pub fn weights(&self, out: &str) -> Vec<u8> {
        let latest = fs::read_to_string(self.path(out).join("latest")).expect("a checkpoint");
        fs::read(self.path(out).join("checkpoints").join(latest).join("model.safetensors"))
            .expect("weights")
    }

    /// The records of a JSONL file of a run.
    pub fn records(&self, out: &str, file: &str) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.path(out).join(file)).expect("records");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

/// Settings of a model that trains tens of steps a second.
const SMALL: &str = r#"
[encoder]
hidden = 32
feed_forward = 64
positions = 32

[corpus]
tokenizer = "train:wordpiece:300"
max_length = 32

[batch]
size = 8

[optimizer]
learning_rate = 3e-3

[log]
every = 1
"#;

/// Random sentences over a small vocabulary, cut into documents; nothing but the seed decides.
pub fn text(documents: usize, seed: u64) -> String {
    let words = "the a small old river house tree wind child door stone bridge runs falls sees \
                 opens closes under over beside slowly often never green cold bright and but while";
    let words: Vec<&str> = words.split_whitespace().collect();

    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % n as u64) as usize
    };

    let mut text = String::new();
    for _ in 0..documents {
        for _ in 0..3 {
            for _ in 0..4 {
                let sentence: Vec<&str> =
                    (0..5 + next(8)).map(|_| words[next(words.len())]).collect();
                // A capital tells where a sentence begins.
                let sentence = sentence.join(" ");
                text.push_str(&sentence[..1].to_uppercase());
                text.push_str(&sentence[1..]);
                text.push_str(". ");
            }
            text.push('\n');
        }
        text.push('\n');
    }
    text
}

/// Sentences that are about water or not, which one word tells: a table with a header.
pub fn table(rows: usize, offset: usize) -> String {
    let row = |i: usize| {
        let (word, label) = if i.is_multiple_of(2) { ("river", "wet") } else { ("house", "dry") };
        format!(
            "the {} {word} falls {}.\t{label}\n",
            ["old", "cold", "new"][i % 3],
            ["under", "near"][i / 2 % 2]
        )
    };
    std::iter::once("sentence\tlabel\n".to_owned())
        .chain((offset..offset + rows).map(row))
        .collect()
}

/// What a command wrote to standard error.
pub fn stderr(assert: &Assert) -> String {
    String::from_utf8_lossy(&assert.get_output().stderr).into_owned()
}

/// What a command wrote to standard output.
pub fn stdout(assert: &Assert) -> String {
    String::from_utf8_lossy(&assert.get_output().stdout).into_owned()
}

/// The one JSON document that a command wrote.
pub fn json(assert: &Assert) -> serde_json::Value {
    serde_json::from_str(&stdout(assert)).expect("one JSON document and nothing else")
}

/// The last step of a run's metrics, or 0.
pub fn last_step(run: &Path) -> u64 {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap_or_default();
    let last =
        text.lines().rev().find_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    last.and_then(|record| record["step"].as_u64()).unwrap_or(0)
}

/// The backend's device; none, with a message, where this build or machine has none.
/// `BERT_VARIANTS_REQUIRE_WGPU` makes a missing wgpu device a failure.
pub fn open(backend: bert_variants::backend::Backend) -> Option<burn::tensor::Device> {
    match backend.open() {
        Ok(device) => Some(device),
        Err(error) => {
            let required = std::env::var_os("BERT_VARIANTS_REQUIRE_WGPU").is_some();
            let wgpu = backend == bert_variants::backend::Backend::Wgpu;
            assert!(!(required && wgpu), "{error}");
            eprintln!("skipped: {error}");
            None
        }
    }
}
