//! A tokenizer's files as transformers reads them.

use anyhow::{Context, Result};
use corpus::Tokenizer;
use serde_json::{Map, Value, json};

use super::config::SpecialIds;

/// The ids that `config.json` names.
pub fn ids(tokenizer: &Tokenizer) -> SpecialIds {
    let specials = tokenizer.specials();
    SpecialIds { pad: specials.pad, begin: specials.cls, end: specials.sep }
}

/// Names and contents of the files: `tokenizer.json`, its settings, and the vocabulary in the family's older form where it
/// has one. `segmented`: whether the second sentence of a pair is of segment 1.
///
/// # Errors
/// When the tokenizer is no JSON object.
pub fn files(tokenizer: &Tokenizer, positions: usize, segmented: bool) -> Result<Vec<(String, String)>> {
    let mut json: Value = serde_json::from_str(tokenizer.json()).context("the tokenizer is no JSON")?;
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
    let inputs: &[&str] =
        if segmented { &["input_ids", "token_type_ids", "attention_mask"] } else { &["input_ids", "attention_mask"] };
    let mut settings = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": positions,
        "model_input_names": inputs,
        "clean_up_tokenization_spaces": false,
    });
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
    let lines = || -> String { (0..tokenizer.vocabulary_size() as u32).map(|id| token(id) + "\n").collect() };
    match json["model"]["type"].as_str() {
        Some("WordPiece") => files.push(("vocab.txt".to_owned(), lines())),
        Some("BPE") => {
            let ids = (0..tokenizer.vocabulary_size() as u32).map(|id| (token(id), json!(id)));
            files.push(("vocab.json".to_owned(), serde_json::to_string(&ids.collect::<Map<_, _>>())?));
            files.push(("merges.txt".to_owned(), merges(&json["model"]["merges"])));
        }
        _ => {}
    }
    Ok(files)
}

/// A merge is written as a pair, or as both halves with a space between.
fn merges(merges: &Value) -> String {
    let line = |merge: &Value| match merge.as_array().map(Vec::as_slice) {
        Some([a, b]) => format!("{} {}\n", a.as_str().unwrap_or_default(), b.as_str().unwrap_or_default()),
        _ => format!("{}\n", merge.as_str().unwrap_or_default()),
    };
    let lines: String = merges.as_array().into_iter().flatten().map(line).collect();
    format!("#version: 0.2\n{lines}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_are_written_in_either_form() {
        assert_eq!(merges(&json!([["a", "b"], "ab c"])), "#version: 0.2\na b\nab c\n");
    }
}
