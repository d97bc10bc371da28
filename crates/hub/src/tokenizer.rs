//! The files of a tokenizer as transformers reads them.

use corpus::Tokenizer;
use serde_json::{Map, Value, json};

use crate::family::Architecture;
use crate::fields::SpecialIds;
use crate::model::HubModel;

/// The ids that `config.json` names.
pub fn ids(tokenizer: &Tokenizer) -> SpecialIds {
    let specials = tokenizer.specials();
    SpecialIds { pad: specials.pad, begin: specials.cls, end: specials.sep }
}

/// Names and contents of the files: `tokenizer.json`, its settings, and the vocabulary in the
/// family's older form where it has one.
pub fn files(tokenizer: &Tokenizer, model: &HubModel) -> Vec<(&'static str, String)> {
    let mut json: Value = serde_json::from_str(tokenizer.json()).expect("a tokenizer is JSON");
    let segmented = model.config.encoder.segments > 1;
    // Taggers receive words, each with a space before it.
    let spaced =
        model.architecture == Architecture::Token && json["pre_tokenizer"]["type"] == "ByteLevel";
    if spaced {
        json["pre_tokenizer"]["add_prefix_space"] = true.into();
    }
    if json["post_processor"].is_null() {
        json["post_processor"] = template(tokenizer, segmented);
    }

    let names = special_names(tokenizer);
    let mut settings = names.clone();
    settings["tokenizer_class"] = "PreTrainedTokenizerFast".into();
    settings["model_max_length"] = model.config.encoder.positions.into();
    settings["model_input_names"] = if segmented {
        json!(["input_ids", "token_type_ids", "attention_mask"])
    } else {
        json!(["input_ids", "attention_mask"])
    };
    settings["clean_up_tokenization_spaces"] = false.into();
    if spaced {
        settings["add_prefix_space"] = true.into();
    }
    if let Some(lowercase) = json["normalizer"]["lowercase"].as_bool() {
        settings["do_lower_case"] = lowercase.into();
    }

    let text = |value: &Value| serde_json::to_string_pretty(value).expect("a value is JSON");
    let mut files = vec![
        ("tokenizer.json", text(&json)),
        ("tokenizer_config.json", text(&settings)),
        ("special_tokens_map.json", text(&names)),
    ];
    files.extend(vocabulary(tokenizer, &json["model"]));
    files
}

/// How one text and two texts are laid out with special tokens.
fn template(tokenizer: &Tokenizer, segmented: bool) -> Value {
    let specials = tokenizer.specials();
    let (cls, sep) = (name_of(tokenizer, specials.cls), name_of(tokenizer, specials.sep));
    let piece = |name: &str, kind: u8| json!({"SpecialToken": {"id": name, "type_id": kind}});
    let text = |name: &str, kind: u8| json!({"Sequence": {"id": name, "type_id": kind}});

    let second = u8::from(segmented);
    let mut pair = vec![piece(&cls, 0), text("A", 0), piece(&sep, 0)];
    if cls == "<s>" {
        // RoBERTa puts two separators between the sentences of a pair.
        pair.push(piece(&sep, 0));
    }
    pair.extend([text("B", second), piece(&sep, second)]);

    json!({
        "type": "TemplateProcessing",
        "single": [piece(&cls, 0), text("A", 0), piece(&sep, 0)],
        "pair": pair,
        "special_tokens": {
            (cls.as_str()): {"id": cls, "ids": [specials.cls], "tokens": [cls]},
            (sep.as_str()): {"id": sep, "ids": [specials.sep], "tokens": [sep]},
        },
    })
}

/// The special tokens under transformers' names.
fn special_names(tokenizer: &Tokenizer) -> Value {
    let specials = tokenizer.specials();
    let mut names = json!({
        "unk_token": name_of(tokenizer, specials.unk),
        "sep_token": name_of(tokenizer, specials.sep),
        "pad_token": name_of(tokenizer, specials.pad),
        "cls_token": name_of(tokenizer, specials.cls),
        "mask_token": name_of(tokenizer, specials.mask),
    });

    if names["cls_token"] == "<s>" {
        names["bos_token"] = names["cls_token"].clone();
        names["eos_token"] = names["sep_token"].clone();
    }
    names
}

/// The vocabulary files of transformers' older, slower tokenizers.
fn vocabulary(tokenizer: &Tokenizer, model: &Value) -> Vec<(&'static str, String)> {
    let ids = 0..tokenizer.vocabulary_size() as u32;
    match model["type"].as_str() {
        Some("WordPiece") => {
            vec![("vocab.txt", ids.map(|id| name_of(tokenizer, id) + "\n").collect())]
        }
        Some("BPE") => {
            let numbers: Map<String, Value> =
                ids.map(|id| (name_of(tokenizer, id), json!(id))).collect();
            let numbers = Value::from(numbers).to_string();
            vec![("vocab.json", numbers), ("merges.txt", merges(&model["merges"]))]
        }
        _ => Vec::new(),
    }
}

/// The token with an id; empty if there is none.
fn name_of(tokenizer: &Tokenizer, id: u32) -> String {
    tokenizer.token(id).unwrap_or_default().to_owned()
}

/// The text of `merges.txt`. In `tokenizer.json`, a merge is a pair, or both halves with a space
/// between them.
fn merges(merges: &Value) -> String {
    let line = |merge: &Value| match merge.as_array().map(Vec::as_slice) {
        Some([a, b]) => {
            format!("{} {}\n", a.as_str().unwrap_or_default(), b.as_str().unwrap_or_default())
        }
        _ => format!("{}\n", merge.as_str().unwrap_or_default()),
    };
    let lines: String = merges.as_array().into_iter().flatten().map(line).collect();
    format!("#version: 0.2\n{lines}")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tasks::tagging;

    use super::*;
    use crate::read;

    #[test]
    fn a_taggers_tokenizer_puts_a_space_before_the_first_word_as_it_was_trained() {
        let first = |fixture: &str| {
            let folder =
                Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(fixture);
            let tokenizer = Tokenizer::open(&folder).expect("a tokenizer");
            let model = read(&folder).expect("a model");
            let written = tempfile::tempdir().expect("a folder");
            for (name, text) in files(&tokenizer, &model) {
                std::fs::write(written.path().join(name), text).expect("written");
            }

            let aligned = tagging::align(&tokenizer, &["river".to_owned()], 9).tokens;
            let exported =
                Tokenizer::open(&written.path().join("tokenizer.json")).expect("a tokenizer");
            (
                exported.encode("river").tokens == aligned,
                exported.encode(" river").tokens == aligned,
            )
        };
        assert_eq!(first("roberta-token"), (true, true));
        assert_eq!(first("roberta-sequence"), (false, true));
        assert_eq!(first("bert-token"), (true, true));
    }

    #[test]
    fn merges_are_written_in_either_form() {
        assert_eq!(merges(&json!([["a", "b"], "ab c"])), "#version: 0.2\na b\nab c\n");
    }
}
