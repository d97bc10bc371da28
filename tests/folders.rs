//! Hugging Face folders are judged by what they hold: the same model however its file was written,
//! and none whose tensors do not fit its configuration.

use std::fs;
use std::path::{Path, PathBuf};

use checkpoint::{Weights, weights};
use hub::{Architecture, HubModel};
use serde_json::{Value, json};
use tempfile::TempDir;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A fixture with other tensors and another configuration.
fn changed(
    name: &str,
    tensors: impl FnOnce(Weights) -> Weights,
    config: impl FnOnce(&mut Value),
) -> TempDir {
    let from = fixture(name);
    let there = tempfile::tempdir().expect("a folder");
    let text = fs::read_to_string(from.join("config.json")).expect("read");
    let mut fields: Value = serde_json::from_str(&text).expect("JSON");
    config(&mut fields);
    fs::write(there.path().join("config.json"), fields.to_string()).expect("written");

    let own = weights::read(&from.join("model.safetensors")).expect("read");
    let bytes = weights::bytes(&tensors(own)).expect("bytes");
    fs::write(there.path().join("model.safetensors"), bytes).expect("written");
    there
}

fn read(folder: &TempDir) -> HubModel {
    hub::read(folder.path()).expect("read")
}

fn refusal(folder: &TempDir) -> String {
    hub::read(folder.path()).expect_err("refused").to_string()
}

fn same(tensors: Weights) -> Weights {
    tensors
}

fn renamed(tensors: Weights, name: impl Fn(&str) -> String) -> Weights {
    tensors.into_iter().map(|(old, tensor)| (name(&old), tensor)).collect()
}

/// A masked language model of every family, the prefix of its encoder, and that of its head.
const MASKED: [(&str, &str); 6] = [
    ("bert", "bert."),
    ("roberta", "roberta."),
    ("albert-masked", "albert."),
    ("electra-generator", "electra."),
    ("distilbert-masked", "distilbert."),
    ("modernbert-masked", "model."),
];

#[test]
fn a_wrapper_around_the_names_changes_nothing() {
    for (name, _) in MASKED {
        let plain = hub::read(&fixture(name)).expect("read");
        for wrapper in ["module.", "_orig_mod.", "module._orig_mod."] {
            let wrapped = |tensors| renamed(tensors, |name| format!("{wrapper}{name}"));
            let model = read(&changed(name, wrapped, |_| {}));
            assert!(model.weights == plain.weights, "{name} {wrapper}");
            assert_eq!(model.unused, plain.unused, "{name} {wrapper}");
        }
    }
}

#[test]
fn the_bias_of_the_output_layer_is_enough() {
    for (name, bias) in [
        ("bert", "cls.predictions.bias"),
        ("roberta", "lm_head.bias"),
        ("albert-masked", "predictions.bias"),
    ] {
        let other = bias.replace(".bias", ".decoder.bias");
        let moved = |tensors| {
            renamed(tensors, |name| if name == bias { other.clone() } else { name.to_owned() })
        };
        let model = read(&changed(name, moved, |_| {}));
        assert!(model.weights == hub::read(&fixture(name)).expect("read").weights, "{name}");
    }
}

#[test]
fn a_file_of_an_encoder_alone_is_one_whatever_config_json_says() {
    for (name, prefix) in MASKED {
        let whole = hub::read(&fixture(name)).expect("read");
        for keeps_prefix in [true, false] {
            let bare = |mut tensors: Weights| {
                tensors.retain(|name, _| name.starts_with(prefix));
                let bare = |name: &str| name.strip_prefix(prefix).unwrap_or(name).to_owned();
                if keeps_prefix { tensors } else { renamed(tensors, bare) }
            };
            let model = read(&changed(name, bare, |_| {}));
            assert_eq!(model.architecture, Architecture::Encoder, "{name}");
            let encoder = |name: &str| name.starts_with("encoder.");
            let expected = whole.weights.iter().filter(|(name, _)| encoder(name));
            let found = model.weights.iter().filter(|(name, _)| encoder(name));
            assert!(found.eq(expected), "{name}");
        }
    }
}

#[test]
fn a_part_of_a_head_is_refused_with_what_is_missing() {
    for (name, missing) in [
        ("bert", "cls.predictions.transform.dense.weight"),
        ("roberta", "lm_head.layer_norm.bias"),
        ("distilbert-sequence", "pre_classifier.bias"),
        ("bert-token", "classifier.bias"),
    ] {
        let without = |mut tensors: Weights| {
            tensors.remove(missing).expect("it is there");
            tensors
        };
        let message = refusal(&changed(name, without, |_| {}));
        assert!(message.contains(&format!("`{missing}` is missing")), "{name}: {message}");
    }
}

#[test]
fn distilberts_sinusoidal_positions_are_those_of_the_file() {
    let set = |fields: &mut Value| fields["sinusoidal_pos_embds"] = json!(true);
    let model = read(&changed("distilbert-masked", same, set));
    assert!(model.weights == hub::read(&fixture("distilbert-masked")).expect("read").weights);
}

#[test]
fn every_shape_is_compared_with_the_configuration() {
    let fields = |family: &str| match family {
        "distilbert-masked" => ["dim", "hidden_dim", "max_position_embeddings", "vocab_size"],
        "modernbert-masked" => ["hidden_size", "intermediate_size", "vocab_size", "vocab_size"],
        _ => ["hidden_size", "intermediate_size", "max_position_embeddings", "vocab_size"],
    };
    for (name, _) in MASKED {
        for field in fields(name) {
            // Widths stay divisible by the number of heads.
            let twice = |fields: &mut Value| {
                fields[field] = json!(2 * fields[field].as_u64().expect("a number"));
            };
            let message = refusal(&changed(name, same, twice));
            assert!(message.contains("has the shape"), "{name} {field}: {message}");
            assert!(message.contains("by the configuration it is"), "{name} {field}: {message}");
        }
    }

    for (name, field) in [
        ("bert", "type_vocab_size"),
        ("electra-generator", "embedding_size"),
        ("albert-masked", "embedding_size"),
    ] {
        let more = |fields: &mut Value| fields[field] = json!(5);
        let message = refusal(&changed(name, same, more));
        assert!(message.contains("has the shape"), "{name} {field}: {message}");
    }
}

#[test]
fn classes_with_names_are_as_many_as_outputs() {
    for name in ["bert-sequence", "roberta-token", "distilbert-sequence", "modernbert-sequence"] {
        let fewer = |fields: &mut Value| {
            let names = fields["id2label"].as_object_mut().expect("names");
            let last = (names.len() - 1).to_string();
            names.remove(&last);
        };
        let message = refusal(&changed(name, same, fewer));
        assert!(message.contains("has the shape") && message.contains("outputs"), "{message}");
    }
}

/// Rows beyond the vocabulary are a part of the table, as padded models have them.
#[test]
fn a_padded_table_is_read_and_written_as_it_is() {
    let pad = |mut tensors: Weights| {
        for name in ["bert.embeddings.word_embeddings.weight", "cls.predictions.bias"] {
            let tensor = tensors.get_mut(name).expect("it is there");
            let width = tensor.values.len() / tensor.shape[0];
            tensor.shape[0] += 8;
            tensor.values.extend(vec![0.5; 8 * width]);
        }
        tensors
    };
    let more = |fields: &mut Value| {
        fields["vocab_size"] = json!(fields["vocab_size"].as_u64().expect("a number") + 8);
    };
    let folder = changed("bert", pad, more);
    let model = read(&folder);

    let tokenizer = corpus::Tokenizer::open(&fixture("bert")).expect("a tokenizer");
    let there = folder.path().join("written");
    hub::write(&there, &model, &tokenizer).expect("written");
    let again = hub::read(&there).expect("read");
    assert!(again.weights == model.weights);
    assert_eq!(again.config.encoder.vocabulary, tokenizer.vocabulary_size() + 8);
}

#[test]
fn shards_that_pytorch_pickled_are_read_like_those_of_safetensors() {
    let pickled = hub::read(&fixture("sharded-pickled")).expect("read");
    assert!(pickled.weights == hub::read(&fixture("sharded")).expect("read").weights);
    assert!(pickled.unused.is_empty());
}

#[test]
fn weights_of_other_programs_are_refused_with_how_to_convert_them() {
    let folder = changed("bert", same, |_| {});
    fs::remove_file(folder.path().join("model.safetensors")).expect("removed");
    fs::write(folder.path().join("tf_model.h5"), "x").expect("written");
    let message = refusal(&folder);
    assert!(message.contains("tf_model.h5 is of another program: convert it"), "{message}");
}
