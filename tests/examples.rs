//! The programs in `examples/` do what they say.

mod common;
#[allow(dead_code, reason = "the example's `main` is not called here")]
#[path = "../examples/pretrain.rs"]
mod pretrain;
#[allow(dead_code, reason = "the example's `main` is not called here")]
#[path = "../examples/read_hub_folder.rs"]
mod read_hub_folder;

use std::collections::BTreeSet;
use std::path::Path;

use common::Sandbox;
use safetensors::SafeTensors;

#[test]
fn a_run_from_rust_learns_which_word_is_frequent() {
    let sandbox = Sandbox::new(40);
    let (corpus, out) = (sandbox.path("train.txt"), sandbox.path("run"));
    let text = "the old [MASK] runs under the bridge.";
    let best = pretrain::pretrain_and_fill(&corpus, &out, 20, text).expect("trained");
    assert_eq!(best.len(), 3);
    let probabilities: Vec<f32> = best.iter().map(|token| token.probability).collect();
    assert!(probabilities.is_sorted_by(|a, b| a >= b), "{best:?}");
    let tokens: BTreeSet<&str> = best.iter().map(|token| token.token.as_str()).collect();
    assert!(tokens.contains("."), "the most frequent token is the first to be learnt: {best:?}");
}

#[test]
fn the_hidden_states_of_a_hub_folder_are_those_of_transformers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/roberta");
    let model = hub::read(&folder).expect("a folder");
    assert_eq!(model.class(), "RobertaForMaskedLM");
    let bytes = std::fs::read(folder.join("expected.safetensors")).expect("a reference");
    let expected = SafeTensors::deserialize(&bytes).expect("safetensors");
    let bytes_of = |name: &str| expected.tensor(name).expect(name).data().to_vec();
    let integers = |name: &str| -> Vec<i64> {
        bytes_of(name).as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect()
    };
    let longest = expected.tensor("input_ids").expect("tokens").shape()[1];
    let length = integers("attention_mask")[..longest].iter().sum::<i64>() as usize;
    let tokens: Vec<u32> = integers("input_ids")[..length].iter().map(|id| *id as u32).collect();

    let hidden = read_hub_folder::hidden_states(&model, &tokens).expect("computed").concat();
    let reference = bytes_of("hidden");
    let reference = reference.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
    assert_eq!(hidden.len(), length * model.config.encoder.hidden);
    for (ours, theirs) in hidden.iter().zip(reference) {
        assert!((ours - theirs).abs() < 2e-5, "{ours} and {theirs}");
    }
}
