//! ALBERT's `spiece.model`: a SentencePiece Unigram model as transformers converts it
//! (`AlbertConverter`).

use std::path::Path;

use prost::Message;
use serde_json::{Value, json};
use tokenizers::Tokenizer;
use tokenizers::normalizers::{
    Lowercase, NFKD, NormalizerWrapper, Precompiled, Replace, Sequence, StripAccents,
};

use super::json::{SpaceBefore, from_json, metaspace, special_token};
use crate::error::{Error, Result};

/// `ModelProto` of `sentencepiece_model.proto`, with the fields that the conversion reads; others
/// are skipped.
#[derive(Message)]
struct Model {
    #[prost(message, repeated, tag = "1")]
    pieces: Vec<Piece>,
    #[prost(message, optional, tag = "2")]
    trainer_spec: Option<TrainerSpec>,
    #[prost(message, optional, tag = "3")]
    normalizer_spec: Option<NormalizerSpec>,
}

/// `ModelProto.SentencePiece`.
#[derive(Message)]
struct Piece {
    #[prost(string, optional, tag = "1")]
    piece: Option<String>,
    #[prost(float, optional, tag = "2")]
    score: Option<f32>,
}

/// `TrainerSpec`.
#[derive(Message)]
struct TrainerSpec {
    #[prost(enumeration = "ModelType", optional, tag = "3", default = "Unigram")]
    model_type: Option<i32>,
    #[prost(int32, optional, tag = "40")]
    unk_id: Option<i32>,
}

/// `TrainerSpec.ModelType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
enum ModelType {
    Unigram = 1,
    Bpe = 2,
    Word = 3,
    Char = 4,
}

/// `NormalizerSpec`.
#[derive(Message)]
struct NormalizerSpec {
    #[prost(bytes = "vec", optional, tag = "2")]
    precompiled_charsmap: Option<Vec<u8>>,
}

/// The tokenizer of a model file. Case and accents are kept if `settings`, the content of
/// `tokenizer_config.json`, say so.
pub fn open(path: &Path, settings: &Value) -> Result<Tokenizer> {
    let bad = |error: &dyn std::fmt::Display| Error::data(format!("{}: {error}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| bad(&error))?;
    let model = Model::decode(bytes.as_slice())
        .map_err(|error| bad(&format!("no SentencePiece model: {error}")))?;

    let trainer = model
        .trainer_spec
        .as_ref()
        .ok_or_else(|| bad(&"the model does not say how it was trained"))?;
    if trainer.model_type() != ModelType::Unigram {
        return Err(bad(&"only SentencePiece's Unigram models are read, as ALBERT's is"));
    }

    let mut tokenizer = from_json(&parts(&model.pieces, trainer.unk_id()), path)?;
    let steps = normalizers(&model, settings).map_err(|error| bad(&error))?;
    tokenizer.with_normalizer(Some(Sequence::new(steps))).map_err(|error| bad(&error))?;
    Ok(tokenizer)
}

/// The parts of the tokenizer, without its normalizer.
fn parts(pieces: &[Piece], unk_id: i32) -> Value {
    let scored = |piece: &Piece| {
        // A penalty, so that a number and the comma after it become two pieces.
        let penalty = if number_and_comma(piece.piece()) { 100.0 } else { 0.0 };
        json!([piece.piece(), f64::from(piece.score()) - penalty])
    };
    let vocabulary: Vec<Value> = pieces.iter().map(scored).collect();

    let special = |(id, piece): (usize, &Piece)| {
        let name = piece.piece();
        let known = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"].contains(&name);
        let space = if name == "[MASK]" { SpaceBefore::Taken } else { SpaceBefore::Left };
        known.then(|| special_token(&id.into(), name, space))
    };
    let added: Vec<Value> = pieces.iter().enumerate().filter_map(special).collect();

    json!({
        "version": "1.0",
        "added_tokens": added,
        "normalizer": null,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace()],
        },
        "post_processor": null,
        "decoder": metaspace(),
        "model": {
            "type": "Unigram",
            "unk_id": unk_id,
            "vocab": vocabulary,
            "byte_fallback": false,
        },
    })
}

/// The steps of the normalizer, in order.
fn normalizers(model: &Model, settings: &Value) -> tokenizers::Result<Vec<NormalizerWrapper>> {
    let replace = |from: &str| Replace::new(from, "\"").map(NormalizerWrapper::from);
    let mut steps = vec![replace("``")?, replace("''")?];
    if settings["keep_accents"].as_bool() != Some(true) {
        steps.extend([NFKD.into(), StripAccents.into()]);
    }
    if settings["do_lower_case"].as_bool() != Some(false) {
        steps.push(Lowercase.into());
    }

    let charsmap =
        model.normalizer_spec.as_ref().map_or(&[][..], NormalizerSpec::precompiled_charsmap);
    if !charsmap.is_empty() {
        steps.push(Precompiled::from(charsmap)?.into());
    }
    Ok(steps)
}

/// Whether a piece ends with a digit and a comma.
fn number_and_comma(piece: &str) -> bool {
    let mut ends = piece.chars().rev();
    piece.chars().count() >= 2
        && ends.next() == Some(',')
        && ends.next().is_some_and(|c| c.is_ascii_digit())
}
