//! A tokenizer's files as transformers reads them.

use anyhow::{Context, Result};
use corpus::Tokenizer;
use serde_json::{Map, Value, json};
use trunk::EncoderConfig;

use super::config::SpecialIds;
use super::{Architecture, HubModel};

/// The ids that `config.json` names.
pub fn ids(tokenizer: &Tokenizer) -> SpecialIds {
    let specials = tokenizer.specials();
    SpecialIds { pad: specials.pad, begin: specials.cls, end: specials.sep }
}

/// Names and contents of the files: `tokenizer.json`, its settings, and the vocabulary in the
/// family's older form where it has one.
///
/// # Errors
/// When the tokenizer is no JSON object.
pub fn files(tokenizer: &Tokenizer, model: &HubModel) -> Result<Vec<(String, String)>> {
    let EncoderConfig { positions, segments, .. } = model.config.encoder;
    let segmented = segments > 1;
    let mut json: Value =
        serde_json::from_str(tokenizer.json()).context("the tokenizer is no JSON")?;
    // Taggers are given words, each with a space before it.
    let spaced =
        model.architecture == Architecture::Token && json["pre_tokenizer"]["type"] == "ByteLevel";
    if spaced {
        json["pre_tokenizer"]["add_prefix_space"] = true.into();
    }
    let specials = tokenizer.specials();
    let token = |id: u32| tokenizer.token(id).unwrap_or_default().to_owned();
    let (cls, sep) = (token(specials.cls), token(specials.sep));
    if json["post_processor"].is_null() {
        let piece = |name: &str, kind: u8| json!({"SpecialToken": {"id": name, "type_id": kind}});
        let text = |name: &str, kind: u8| json!({"Sequence": {"id": name, "type_id": kind}});
        let second = u8::from(segmented);
        let mut pair = vec![piece(&cls, 0), text("A", 0), piece(&sep, 0)];
        if cls == "<s>" {
            // RoBERTa separates the sentences of a pair by two.
            pair.push(piece(&sep, 0));
        }
        pair.extend([text("B", second), piece(&sep, second)]);
        json["post_processor"] = json!({
            "type": "TemplateProcessing",
            "single": [piece(&cls, 0), text("A", 0), piece(&sep, 0)],
            "pair": pair,
            "special_tokens": {
                (cls.as_str()): {"id": cls, "ids": [specials.cls], "tokens": [cls]},
                (sep.as_str()): {"id": sep, "ids": [specials.sep], "tokens": [sep]},
            },
        });
    }
    let mut names = json!({
        "unk_token": token(specials.unk),
        "sep_token": sep,
        "pad_token": token(specials.pad),
        "cls_token": cls,
        "mask_token": token(specials.mask),
    });
    if cls == "<s>" {
        names["bos_token"] = cls.into();
        names["eos_token"] = sep.into();
    }
    let inputs: &[&str] = if segmented {
        &["input_ids", "token_type_ids", "attention_mask"]
    } else {
        &["input_ids", "attention_mask"]
    };
    let mut settings = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": positions,
        "model_input_names": inputs,
        "clean_up_tokenization_spaces": false,
    });
    if spaced {
        settings["add_prefix_space"] = true.into();
    }
    if let Some(lowercase) = json["normalizer"]["lowercase"].as_bool() {
        settings["do_lower_case"] = lowercase.into();
    }
    for (name, value) in names.as_object().into_iter().flatten() {
        settings[name] = value.clone();
    }
    let mut files = vec![
        ("tokenizer.json".to_owned(), serde_json::to_string_pretty(&json)?),
        ("tokenizer_config.json".to_owned(), serde_json::to_string_pretty(&settings)?),
        ("special_tokens_map.json".to_owned(), serde_json::to_string_pretty(&names)?),
    ];
    let lines = || -> String {
        (0..tokenizer.vocabulary_size() as u32).map(|id| token(id) + "\n").collect()
    };
    match json["model"]["type"].as_str() {
        Some("WordPiece") => files.push(("vocab.txt".to_owned(), lines())),
        Some("BPE") => {
            let ids = (0..tokenizer.vocabulary_size() as u32).map(|id| (token(id), json!(id)));
            files.push((
                "vocab.json".to_owned(),
                serde_json::to_string(&ids.collect::<Map<_, _>>())?,
            ));
            files.push(("merges.txt".to_owned(), merges(&json["model"]["merges"])));
        }
        _ => {}
    }
    Ok(files)
}

/// A merge is written as a pair, or as both halves with a space between.
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

    use super::super::read;
    use super::*;

    #[test]
    fn a_taggers_tokenizer_puts_a_space_before_the_first_word_as_it_was_trained() {
        let first = |fixture: &str| {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(fixture);
            let tokenizer = Tokenizer::open(&folder).expect("a tokenizer");
            let model = read(&folder).expect("a model");
            let written = tempfile::tempdir().expect("a folder");
            for (name, text) in files(&tokenizer, &model).expect("files") {
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
