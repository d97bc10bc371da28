//! Vocabularies that grow: added tokens, longer vocabularies, and tables with rows to spare.

mod common;

use std::fs;
use std::path::Path;

use checkpoint::{HostTensor, Weights, weights};
use common::{Sandbox, json, stderr};
use corpus::Tokenizer;
use serde_json::Value;

const TABLE: &str = "bert.embeddings.word_embeddings.weight";
const BIAS: &str = "cls.predictions.bias";

/// A trained model as a Hugging Face folder, `base`.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new(12);
    sandbox.pretrain("run", 10).assert().success();
    sandbox.command("export").args(["--model", "run", "--to", "base"]).assert().success();
    sandbox
}

/// Continues `base` for a step that changes next to nothing, and exports the result.
fn grow(sandbox: &Sandbox, init: &str, out: &str, flags: &[&str]) -> String {
    let mut command = sandbox.pretrain(out, 1);
    let run = command.args(["--init", init, "--learning-rate", "1e-9"]).args(flags).assert();
    let told = stderr(&run.success());
    let there = format!("{out}-there");
    sandbox.command("export").args(["--model", out, "--to", &there]).assert().success();
    told
}

fn tensors(folder: &Path) -> Weights {
    weights::read(&folder.join("model.safetensors")).expect("read")
}

fn config(folder: &Path) -> Value {
    let text = fs::read_to_string(folder.join("config.json")).expect("read");
    serde_json::from_str(&text).expect("JSON")
}

/// The row of a token.
fn row(HostTensor { shape, values }: &HostTensor, id: usize) -> &[f32] {
    let width: usize = shape[1..].iter().product();
    &values[id * width..(id + 1) * width]
}

fn assert_near(got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len());
    for (got, want) in got.iter().zip(want) {
        assert!((got - want).abs() < 1e-6, "{got} is not {want}");
    }
}

/// Checks that `grown` has the rows of `base`, and that the rows of `new` are the mean of those of
/// the tokens that their text was before.
fn assert_grown(sandbox: &Sandbox, grown: &str, new: &[&str]) {
    let [base, grown] = ["base", grown].map(|name| sandbox.path(name));
    let [old, own] = [&base, &grown].map(|folder| Tokenizer::open(folder).expect("a tokenizer"));
    assert_eq!(own.vocabulary_size(), old.vocabulary_size() + new.len());
    assert_eq!(config(&grown)["vocab_size"], own.vocabulary_size());

    let [before, after] = [&base, &grown].map(|folder| tensors(folder));
    for name in [TABLE, BIAS] {
        let (before, after) = (&before[name], &after[name]);
        for id in 0..old.vocabulary_size() {
            assert_near(row(after, id), row(before, id));
        }
        for (id, token) in (old.vocabulary_size()..).zip(new) {
            assert_eq!(own.token(id as u32), Some(*token));
            assert_eq!(own.encode(token).tokens, [id as u32]);

            let pieces = old.encode(token).tokens;
            assert!(pieces.len() > 1, "{token} was {pieces:?}");
            let mut mean = vec![0.0; row(after, id).len()];
            for piece in &pieces {
                let sum = mean.iter_mut().zip(row(before, *piece as usize));
                sum.for_each(|(sum, value)| *sum += value / pieces.len() as f32);
            }
            assert_near(row(after, id), &mean);
        }
    }
}

#[test]
fn added_tokens_start_as_the_mean_of_their_pieces_and_the_others_as_they_were() {
    let sandbox = sandbox();
    fs::write(sandbox.path("tokens.txt"), "riverwind\nhouse\nstonetree\n").expect("written");
    let told = grow(&sandbox, "base", "grown", &["--add-tokens", "tokens.txt"]);
    let mean = "2 new tokens start as the mean of their pieces: riverwind, stonetree";
    assert!(told.contains(mean), "{told}");
    assert!(told.contains("1 of 3 tokens are in the vocabulary already"), "{told}");
    assert_grown(&sandbox, "grown-there", &["riverwind", "stonetree"]);

    // The run has its own copy of the tokenizer, and its command continues it.
    let again = sandbox.pretrain("grown", 1);
    let mut again = again;
    let flags = ["--init", "base", "--learning-rate", "1e-9", "--add-tokens", "tokens.txt"];
    assert!(stderr(&again.args(flags).assert().success()).contains("is finished"));
    fs::remove_file(sandbox.path("tokens.txt")).expect("removed");
    let eval = ["--model", "grown", "--task", "loss", "--json"];
    let loss = json(&sandbox.command("eval").args(eval).assert().success())["loss"].clone();
    assert!(loss.as_f64().is_some_and(f64::is_finite), "{loss}");
}

#[test]
fn a_longer_vocabulary_is_a_grown_one_and_another_is_refused() {
    let sandbox = sandbox();
    let vocabulary = fs::read_to_string(sandbox.path("base/vocab.txt")).expect("read");
    let longer = format!("{vocabulary}riverwind\nstonetree\n");
    fs::write(sandbox.path("longer.txt"), &longer).expect("written");
    let told = grow(&sandbox, "base", "grown", &["--tokenizer", "longer.txt"]);
    assert!(told.contains("2 new tokens start as the mean"), "{told}");
    assert_grown(&sandbox, "grown-there", &["riverwind", "stonetree"]);

    fs::write(sandbox.path("other.txt"), longer.replace("\nhouse\n", "\nhut\n")).expect("written");
    let other = ["--init", "base", "--tokenizer", "other.txt"];
    let refused = stderr(&sandbox.pretrain("other", 1).args(other).assert().code(3));
    assert!(refused.contains("its tokens are others than those of corpus.tokenizer"), "{refused}");
}

#[test]
fn a_padded_table_is_continued_as_it_is_and_its_spare_rows_are_given_to_new_tokens() {
    let sandbox = sandbox();
    let padded = sandbox.path("padded");
    fs::create_dir(&padded).expect("made");
    for entry in fs::read_dir(sandbox.path("base")).expect("entries") {
        let path = entry.expect("an entry").path();
        fs::copy(&path, padded.join(path.file_name().expect("a name"))).expect("copied");
    }

    let mut fields = config(&padded);
    let tokens = fields["vocab_size"].as_u64().expect("a number");
    fields["vocab_size"] = (tokens + 7).into();
    fs::write(padded.join("config.json"), fields.to_string()).expect("written");
    let mut own = tensors(&padded);
    for name in [TABLE, BIAS] {
        let HostTensor { shape, values } = own.get_mut(name).expect("it is there");
        let width = values.len() / shape[0];
        shape[0] += 7;
        // So that a row without a token would be the most probable one.
        values.extend(vec![30.0; 7 * width]);
    }
    fs::write(padded.join("model.safetensors"), weights::bytes(&own).expect("bytes"))
        .expect("written");

    let told = grow(&sandbox, "padded", "plain", &[]);
    assert!(told.contains(&format!("its table has {} rows for {tokens} tokens", tokens + 7)));
    assert_eq!(config(&sandbox.path("plain-there"))["vocab_size"], tokens + 7);
    let fill = ["--model", "plain", "--text", "the old [MASK] falls.", "--top", "5", "--json"];
    let filled = json(&sandbox.command("fill-mask").args(fill).assert().success()).to_string();
    assert!(!filled.contains("\"token\":\"\""), "{filled}");

    fs::write(sandbox.path("tokens.txt"), "riverwind\n").expect("written");
    grow(&sandbox, "padded", "grown", &["--add-tokens", "tokens.txt"]);
    let there = sandbox.path("grown-there");
    assert_eq!(config(&there)["vocab_size"], tokens + 7);
    let table = &tensors(&there)[TABLE];
    assert!(row(table, tokens as usize).iter().all(|value| value.abs() < 5.0), "the new token");
    assert!(row(table, tokens as usize + 1).iter().all(|value| (value - 30.0).abs() < 1e-3));
}
