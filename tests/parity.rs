//! Equal numbers to Hugging Face transformers, from the folders that
//! `tests/fixtures/make_parity.py` wrote.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use bert_variants::backend::Backend;
use bert_variants::model::{self, Loaded};
use burn::tensor::Device;
use checkpoint::weights;
use eval::pll;
use mlm::{Mlm, MlmModel};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use safetensors::SafeTensors;
use trunk::Sequences;

/// Both programs compute in single precision; logits are of order 10.
const TOLERANCE: f32 = 1e-4;

fn folder(family: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(family)
}

fn load(family: &str, device: &Device) -> Loaded {
    let source = model::find(&folder(family)).expect("a Hugging Face folder");
    model::load::<Mlm>(&source, device).expect("loaded")
}

struct Batch {
    sequences: Sequences,
    rows: usize,
    len: usize,
}

fn numbers(file: &SafeTensors<'_>, name: &str) -> Option<Vec<i64>> {
    let number = |bytes: &[u8]| i64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    Some(file.tensor(name).ok()?.data().chunks_exact(8).map(number).collect())
}

fn floats(file: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let number = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().expect("four bytes"));
    file.tensor(name).expect("a tensor").data().chunks_exact(4).map(number).collect()
}

fn batch(file: &SafeTensors<'_>) -> Batch {
    let shape = file.tensor("input_ids").expect("ids").shape().to_vec();
    let (rows, len) = (shape[0], shape[1]);

    let ids: Vec<u32> =
        numbers(file, "input_ids").expect("ids").iter().map(|id| *id as u32).collect();

    let mask = numbers(file, "attention_mask").expect("a mask");
    let lengths = mask.chunks(len).map(|row| row.iter().sum::<i64>() as usize).collect();
    let segments =
        numbers(file, "token_type_ids").unwrap_or_default().iter().map(|id| *id as u32).collect();
    Batch {
        sequences: Sequences {
            len,
            tokens: ids,
            segments,
            lengths,
            causal: Vec::new(),
            documents: Vec::new(),
        },
        rows,
        len,
    }
}

/// The flat positions that are no padding.
fn real_positions(batch: &Batch) -> Vec<u32> {
    let real =
        |row: usize| (0..batch.sequences.lengths[row]).map(move |i| (row * batch.len + i) as u32);
    (0..batch.rows).flat_map(real).collect()
}

fn logits_are_equal(family: &str, backend: Backend) {
    let Some(device) = common::open(backend) else { return };
    let loaded = load(family, &device);

    let bytes = fs::read(folder(family).join("expected.safetensors")).expect("expected");
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    let batch = batch(&file);

    let positions = real_positions(&batch);
    let predicted = loaded.model.predict(&batch.sequences, &positions);
    let logits = predicted.expect("a masked language model").logits();
    let vocabulary = logits.dims()[1];
    let got: Vec<f32> = logits.into_data().iter::<f32>().collect();

    let expected = floats(&file, "logits");
    for (row, flat) in got.chunks(vocabulary).zip(&positions) {
        let expected = &expected[*flat as usize * vocabulary..][..vocabulary];
        for (got, want) in row.iter().zip(expected) {
            assert!(
                (got - want).abs() < TOLERANCE,
                "{family} on {backend}, position {flat}: {got} is not {want}"
            );
        }
    }
}

#[test]
fn berts_logits_are_equal() {
    Backend::ALL
        .into_iter()
        .filter(|b| b.is_built())
        .for_each(|backend| logits_are_equal("bert", backend));
}

#[test]
fn robertas_logits_are_equal() {
    Backend::ALL
        .into_iter()
        .filter(|b| b.is_built())
        .for_each(|backend| logits_are_equal("roberta", backend));
}

fn scores_are_equal(family: &str) {
    let loaded = load(family, &Device::flex());
    let records: Vec<serde_json::Value> = fs::read_to_string(folder(family).join("pll.jsonl"))
        .expect("scores")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let texts: Vec<&str> =
        records.iter().map(|record| record["text"].as_str().expect("a text")).collect();

    for (record, text) in records.iter().zip(&texts) {
        let ids: Vec<u64> = record["ids"]
            .as_array()
            .expect("ids")
            .iter()
            .map(|id| id.as_u64().expect("id"))
            .collect();
        let got: Vec<u64> =
            loaded.model.tokenizer().encode(text).tokens.iter().map(|id| u64::from(*id)).collect();
        assert_eq!(got, ids[1..ids.len() - 1], "{family}: tokens of {text}");
    }

    for (record, score) in
        records.iter().zip(pll::score(loaded.model.as_ref(), &texts).expect("scored"))
    {
        let (text, pll) = (&record["text"], record["pll"].as_f64().expect("pll"));
        assert!((score.pll - pll).abs() < 1e-3, "{family}: {text}: {} is not {pll}", score.pll);
        let l2r = record["pll_l2r"].as_f64().expect("pll_l2r");
        assert!(
            (score.pll_l2r - l2r).abs() < 1e-3,
            "{family}: {text}: l2r {} is not {l2r}",
            score.pll_l2r
        );
        assert_eq!(score.tokens as u64, record["tokens"].as_u64().expect("tokens"));
    }
}

#[test]
fn berts_pseudo_log_likelihoods_are_equal() {
    scores_are_equal("bert");
}

#[test]
fn robertas_pseudo_log_likelihoods_are_equal() {
    scores_are_equal("roberta");
}

fn gradients_are_equal(family: &str) {
    let device = Device::flex().autodiff();
    let hub = hub::read(&folder(family)).expect("read");
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let fresh = MlmModel::init(&hub.config.encoder, &mut rng, &device);
    let model = weights::load(fresh, &hub.weights).expect("loaded");

    let bytes = fs::read(folder(family).join("expected.safetensors")).expect("expected");
    let batch = batch(&SafeTensors::deserialize(&bytes).expect("safetensors"));

    let bytes = fs::read(folder(family).join("gradients.safetensors")).expect("gradients");
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");

    let labels = numbers(&file, "labels").expect("labels");
    let positions: Vec<u32> =
        (0..labels.len()).filter(|i| labels[*i] >= 0).map(|i| i as u32).collect();
    let labels: Vec<u32> = positions.iter().map(|i| labels[*i as usize] as u32).collect();

    let hidden = model.encoder.forward_at(&batch.sequences.input(&device), &positions, None);
    let count = labels.len();
    let targets = kernels::Targets::new(labels);
    let loss =
        model.head.loss(hidden, model.encoder.embeddings.tokens.val(), targets) / count as f64;

    let expected = floats(&file, "loss")[0];
    let got = loss.clone().into_scalar::<f32>();
    assert!((got - expected).abs() < TOLERANCE, "{family}: loss {got} is not {expected}");

    let grads = loss.backward();
    let check = |name: &str, got: Vec<f32>| {
        let expected = floats(&file, name);
        let largest = expected.iter().fold(0f32, |a, b| a.max(b.abs()));
        for (got, want) in got.iter().zip(&expected) {
            assert!(
                (got - want).abs() < 1e-3 * largest.max(1e-2),
                "{family} {name}: {got} is not {want}"
            );
        }
    };

    let values =
        |tensor: burn::tensor::Tensor<2>| tensor.into_data().iter::<f32>().collect::<Vec<_>>();

    let embeddings = &model.encoder.embeddings;
    let table = embeddings.tokens.grad(&grads).expect("a gradient");
    check(&format!("{family}.embeddings.word_embeddings.weight"), values(table));
    let positions = embeddings
        .places
        .positions
        .as_ref()
        .and_then(|table| table.grad(&grads))
        .expect("a gradient");
    check(&format!("{family}.embeddings.position_embeddings.weight"), values(positions));

    let query = model.encoder.stack.attention[1].query.weight.grad(&grads).expect("a gradient");
    check(
        &format!("{family}.encoder.layer.1.attention.self.query.weight"),
        values(query.transpose()),
    );

    let inner = model.encoder.stack.feed_forward[0].inner.weight.grad(&grads).expect("a gradient");
    check(
        &format!("{family}.encoder.layer.0.intermediate.dense.weight"),
        values(inner.transpose()),
    );
}

#[test]
fn berts_loss_and_gradients_are_equal() {
    gradients_are_equal("bert");
}

#[test]
fn robertas_loss_and_gradients_are_equal() {
    gradients_are_equal("roberta");
}

#[test]
fn padding_does_not_change_a_logit() {
    let device = Device::flex();
    let loaded = load("bert", &device);
    let sentence: Vec<u32> = vec![11, 85, 13, 100, 293, 12];

    let logits = |rows: &[Vec<u32>]| {
        let sequences = Sequences::pad(rows, loaded.model.tokenizer().specials().pad);
        let positions: Vec<u32> = (0..6).collect();
        let predicted = loaded.model.predict(&sequences, &positions);
        let logits = predicted.expect("a masked language model").logits();
        logits.into_data().iter::<f32>().collect::<Vec<_>>()
    };

    let alone = logits(std::slice::from_ref(&sentence));
    let long: Vec<u32> = [vec![11], vec![90; 30], vec![12]].concat();
    let padded = logits(&[sentence, long]);

    // Zeros are added to sums of another length; nothing else differs.
    for (a, b) in alone.iter().zip(&padded) {
        assert!((a - b).abs() < 1e-5, "{a} is not {b}");
    }
}
