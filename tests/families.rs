//! Every family and every head of Hugging Face transformers: equal hidden states, outputs, losses
//! and gradients, from the folders that `tests/fixtures/make_heads.py` and `make_old.py` wrote, and
//! the same tensors after reading and writing.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bert_variants::model::{self, Loaded};
use burn::tensor::{Device, Tensor};
use checkpoint::{HostTensor, Weights, weights};
use corpus::Tokenizer;
use eval::pll;
use finetune::{Finetune, TaskBatch, TaskLabels};
use hub::{Architecture, HubModel};
use mlm::{Mlm, MlmBatch, Replacement};
use objective::{Context, Objective};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rtd::{Rtd, RtdModel};
use safetensors::SafeTensors;
use sop::{Sop, SopBatch};
use train::GradientSum;
use trunk::{Encoder, Sequences};

/// Both programs compute in single precision; outputs are of order 1 to 10.
const TOLERANCE: f32 = 1e-4;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// What transformers computed.
struct Expected {
    integers: BTreeMap<String, Vec<i64>>,
    floats: BTreeMap<String, Vec<f32>>,
    sequences: Sequences,
}

impl Expected {
    fn read(name: &str) -> Self {
        let bytes = fs::read(folder(name).join("expected.safetensors")).expect("expected");
        let file = SafeTensors::deserialize(&bytes).expect("safetensors");
        let (mut integers, mut floats) = (BTreeMap::<String, Vec<i64>>::new(), BTreeMap::new());
        for (name, view) in file.tensors() {
            match view.dtype() {
                safetensors::Dtype::I64 => {
                    let number =
                        |bytes: &[u8]| i64::from_le_bytes(bytes.try_into().expect("eight bytes"));
                    integers.insert(name, view.data().chunks_exact(8).map(number).collect());
                }
                _ => {
                    floats.insert(name, HostTensor::read(&view).expect("floats").values);
                }
            }
        }

        let len = file.tensor("input_ids").expect("ids").shape()[1];
        let ids = |name: &str| -> Vec<u32> {
            integers
                .get(name)
                .map(|ids| ids.iter().map(|id| *id as u32).collect())
                .unwrap_or_default()
        };

        let lengths =
            ids("attention_mask").chunks(len).map(|row| row.iter().sum::<u32>() as usize).collect();
        let (tokens, segments) = (ids("input_ids"), ids("token_type_ids"));
        let sequences =
            Sequences { len, tokens, segments, lengths, causal: Vec::new(), documents: Vec::new() };
        Self { integers, floats, sequences }
    }

    /// The values of `name` at the positions that are no padding.
    fn at_real(&self, name: &str) -> Vec<f32> {
        let values = &self.floats[name];
        let width = values.len() / self.sequences.tokens.len();
        self.sequences
            .real_positions()
            .iter()
            .flat_map(|flat| &values[*flat as usize * width..][..width])
            .copied()
            .collect()
    }

    fn labels(&self, name: &str) -> Vec<u32> {
        self.integers[name].iter().map(|label| *label as u32).collect()
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn assert_equal(what: &str, got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len(), "{what}: as many numbers");
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((got - want).abs() < TOLERANCE, "{what}, number {i}: {got} is not {want}");
    }
}

/// A model under test, on a device that differentiates.
struct Case<O: Objective> {
    name: &'static str,
    hub: HubModel,
    objective: O,
    model: O::Model,
    expected: Expected,
    device: Device,
}

impl<O: Objective> Case<O> {
    fn open(name: &'static str) -> Self {
        let hub = hub::read(&folder(name)).expect("read");
        assert_eq!(hub.unused, Vec::<String>::new(), "{name}: every tensor is known");

        let tokenizer = Tokenizer::open(&folder(name)).expect("a tokenizer");
        let config = O::import(&hub).expect("a model of the objective");
        let (encoder, counts) = (&hub.config.encoder, vec![1; tokenizer.vocabulary_size()]);
        let context = Context::new(&tokenizer, counts, encoder.positions, encoder);

        let objective = O::new(config, &context).expect("an objective");
        let device = Device::flex().autodiff();
        let model = objective.init(&hub.config.encoder, &mut ChaCha8Rng::seed_from_u64(0), &device);

        let mut weights = hub.weights.clone();
        let wanted = weights::collect(&model);
        weights.retain(|name, _| wanted.contains_key(name));
        let model = weights::load(model, &weights).expect("loaded");
        Self { name, hub, objective, model, expected: Expected::read(name), device }
    }

    fn what(&self, quantity: &str) -> String {
        format!("{}: {quantity}", self.name)
    }

    fn hidden_states_are_equal(&self, encoder: &Encoder) {
        hidden_states_are_equal(self.name, encoder, &self.expected, &self.device);
    }

    /// Compares the loss of `batch` and its gradients, which are written under the names of the
    /// file.
    fn loss_and_gradients_are_equal(&self, batch: &O::Batch) {
        let step = self.objective.forward(&self.model, batch, None, &self.device);
        self.loss_is_equal(step.loss(&self.objective.target_counts(batch)));
    }

    fn loss_is_equal(&self, loss: Tensor<1>) {
        assert_equal(&self.what("loss"), &values(loss.clone()), &self.expected.floats["loss"]);
        let mut found = GradientSum::of(&self.model, loss.backward()).expect("gradients");
        let mut gradients = Weights::new();
        for (name, weight) in weights::collect(&self.model) {
            if let Some(gradient) = found.take::<1>(&name, [weight.values.len()]) {
                gradients
                    .insert(name, HostTensor { shape: weight.shape, values: values(gradient) });
            }
        }

        let there = tempfile::tempdir().expect("a folder");
        let written = HubModel { weights: gradients, ..self.hub.clone() };
        let tokenizer = Tokenizer::open(&folder(self.name)).expect("a tokenizer");
        hub::write(there.path(), &written, &tokenizer).expect("written");
        let written = weights::read(&there.path().join("model.safetensors")).expect("read");

        let expected = self
            .expected
            .floats
            .iter()
            .filter_map(|(name, want)| Some((name.strip_prefix("grad.")?, want)));

        let mut count = 0;
        for (name, want) in expected {
            let largest = want.iter().fold(0f32, |a, b| a.max(b.abs()));
            for (got, want) in written[name].values.iter().zip(want) {
                let close = (got - want).abs() < 1e-3 * largest.max(1e-2);
                assert!(close, "{}: {got} is not {want}", self.what(name));
            }
            count += 1;
        }
        assert!(count >= 4, "{}: {count} gradients", self.name);
    }
}

fn hidden_states_are_equal(name: &str, encoder: &Encoder, expected: &Expected, device: &Device) {
    let states = encoder.trace(&expected.sequences.input(device), None).states;
    let there = expected.floats.keys().filter(|name| name.starts_with("hidden_")).count();
    assert_eq!(states.len(), there, "{name}: hidden states");
    for (i, state) in states.into_iter().enumerate() {
        let what = format!("{name}: hidden state {i}");
        assert_equal(&what, &values(state), &expected.at_real(&format!("hidden_{i}")));
    }
}

/// The targets of masked language modelling as a batch.
fn masked(expected: &Expected) -> MlmBatch {
    let labels = &expected.integers["labels"];
    let positions: Vec<u32> =
        (0..labels.len()).filter(|flat| labels[*flat] >= 0).map(|flat| flat as u32).collect();
    let labels: Vec<u32> = positions.iter().map(|flat| labels[*flat as usize] as u32).collect();
    let replacements = vec![Replacement::Mask; labels.len()];
    MlmBatch { sequences: expected.sequences.clone(), positions, labels, replacements }
}

fn logits_are_equal<O: Objective>(case: &Case<O>) {
    let positions = case.expected.sequences.real_positions();
    let predicted =
        case.objective.predict(&case.model, &case.expected.sequences, &positions, &case.device);
    let logits = predicted.expect("a masked language model").logits();
    assert_equal(&case.what("logits"), &values(logits), &case.expected.at_real("logits"));
}

#[test]
fn masked_language_models_are_equal() {
    for name in
        ["albert-masked", "electra-generator", "distilbert-masked", "modernbert-masked", "sharded"]
    {
        let case: Case<Mlm> = Case::open(name);
        case.hidden_states_are_equal(&case.model.encoder);
        logits_are_equal(&case);
        case.loss_and_gradients_are_equal(&masked(&case.expected));
    }
}

#[test]
fn models_of_pairs_are_equal() {
    for (name, labels) in [
        ("bert-pretraining", "next_sentence_label"),
        ("albert-pretraining", "sentence_order_label"),
    ] {
        let case: Case<Sop> = Case::open(name);
        case.hidden_states_are_equal(&case.model.encoder);
        logits_are_equal(&case);

        let input = case.expected.sequences.input(&case.device);
        let firsts: Vec<u32> = (0..3).map(|row| row * case.expected.sequences.len as u32).collect();
        let pairs = case.model.pair.forward(case.model.encoder.forward_at(&input, &firsts, None));
        assert_equal(&case.what("pairs"), &values(pairs), &case.expected.floats["pair_logits"]);

        let pair_labels = case.expected.labels(labels);
        let batch = SopBatch { mlm: masked(&case.expected), rows: vec![0, 1, 2], pair_labels };
        case.loss_and_gradients_are_equal(&batch);
    }
}

#[test]
fn the_discriminator_is_equal() {
    let case: Case<Rtd> = Case::open("electra-discriminator");
    case.hidden_states_are_equal(&case.model.encoder);
    let Expected { sequences, .. } = &case.expected;
    let scores =
        case.objective.token_scores(&case.model, sequences, &case.device).expect("a discriminator");
    assert_equal(&case.what("logits"), &scores.concat(), &case.expected.at_real("logits"));

    let RtdModel { encoder, discriminator, .. } = &case.model;
    let logits = discriminator
        .as_ref()
        .expect("a head")
        .forward(encoder.forward(&sequences.input(&case.device), None));

    let labels = &case.expected.integers["labels"];
    let replaced: Vec<bool> = case
        .expected
        .sequences
        .real_positions()
        .iter()
        .map(|flat| labels[*flat as usize] == 1)
        .collect();
    case.loss_is_equal(rtd::binary_cross_entropy(logits, &replaced).mean());
}

#[test]
fn fine_tuned_models_are_equal() {
    let families = ["bert", "roberta", "albert", "electra", "distilbert", "modernbert"];
    let names = |kind: &str| families.map(|family| format!("{family}-{kind}"));
    let all =
        [names("sequence").to_vec(), names("token").to_vec(), names("question").to_vec()].concat();

    for name in all.into_iter().chain(["bert-regression", "modernbert-mean"].map(str::to_owned)) {
        let case: Case<Finetune> = Case::open(name.leak());
        case.hidden_states_are_equal(&case.model.encoder);

        let Expected { integers, floats, sequences, .. } = &case.expected;
        let (outputs, _) = case.objective.outputs(&case.model, sequences, None, &case.device);
        let outputs = values(outputs);

        let labels = match case.hub.architecture {
            Architecture::Question => {
                let expected = |name: &str| case.expected.at_real(name);
                let both = expected("start_logits").into_iter().zip(expected("end_logits"));
                let both: Vec<f32> = both.flat_map(|(start, end)| [start, end]).collect();
                assert_equal(&case.what("ends"), &outputs, &both);
                TaskLabels::Spans(
                    case.expected.labels("start_positions"),
                    case.expected.labels("end_positions"),
                )
            }
            Architecture::Token => {
                assert_equal(&case.what("logits"), &outputs, &case.expected.at_real("logits"));
                let MlmBatch { positions, labels, .. } = masked(&case.expected);
                TaskLabels::Tags(positions, labels)
            }
            _ => {
                assert_equal(&case.what("logits"), &outputs, &floats["logits"]);
                match integers.get("labels") {
                    Some(_) => TaskLabels::Classes(case.expected.labels("labels")),
                    None => TaskLabels::Scores(floats["labels"].clone()),
                }
            }
        };

        case.loss_and_gradients_are_equal(&TaskBatch {
            sequences: sequences.clone(),
            labels,
            teacher_logits: Vec::new(),
        });
    }
}

#[test]
fn encoders_without_heads_are_equal_from_new_files_and_from_old_pickles() {
    for name in ["bert-encoder", "spanbert-encoder", "modernbert-encoder"] {
        let hub = hub::read(&folder(name)).expect("read");
        assert_eq!(hub.architecture, Architecture::Encoder, "{name}");

        let device = Device::flex();
        let fresh = Encoder::init(&hub.config.encoder, &mut ChaCha8Rng::seed_from_u64(0), &device);
        let own: Weights = hub
            .weights
            .iter()
            .filter_map(|(name, weight)| {
                Some((name.strip_prefix("encoder.")?.to_owned(), weight.clone()))
            })
            .collect();

        let encoder = weights::load(fresh, &own).expect("loaded");
        hidden_states_are_equal(name, &encoder, &Expected::read(name), &device);
    }
}

#[test]
fn tensors_are_the_same_after_import_and_export() {
    let names =
        fs::read_dir(folder("")).expect("fixtures").map(|entry| entry.expect("an entry").path());

    let mut count = 0;
    for from in names.filter(|path| path.join("config.json").is_file()) {
        let hub = hub::read(&from).expect("read");
        let tokenizer = Tokenizer::open(&from).expect("a tokenizer");
        let there = tempfile::tempdir().expect("a folder");
        let (native, back) = (there.path().join("native"), there.path().join("back"));

        hub::write_native(&native, &hub, &tokenizer).expect("imported");
        let imported = hub::read_native(&native).expect("read");
        assert!(imported.weights == hub.weights, "{}", from.display());

        hub::write(&back, &imported, &Tokenizer::open(&native).expect("a tokenizer"))
            .expect("exported");
        let again = hub::read(&back).expect("read");
        assert!(again.weights == hub.weights, "{}", from.display());
        assert_eq!(again.config.encoder, hub.config.encoder, "{}", from.display());

        if let (Ok(mut there), Ok(back)) = (
            weights::read(&from.join("model.safetensors")),
            weights::read(&back.join("model.safetensors")),
        ) {
            // Old files repeat the tied output layer.
            there.retain(|name, _| !name.contains(".decoder."));
            assert!(there == back, "{}: the file itself", from.display());
        }
        count += 1;
    }
    assert!(count >= 25, "{count} folders");
}

/// The released BERT says that it is a BertForMaskedLM, and its file has the pooler and the head of
/// pairs too.
#[test]
fn heads_that_a_file_has_are_read_whatever_its_class() {
    let there = tempfile::tempdir().expect("a folder");
    for name in ["config.json", "model.safetensors", "vocab.txt"] {
        fs::copy(folder("bert-pretraining").join(name), there.path().join(name)).expect("copied");
    }

    let config = fs::read_to_string(there.path().join("config.json")).expect("read");
    let config = config.replace("BertForPreTraining", "BertForMaskedLM");
    fs::write(there.path().join("config.json"), config).expect("written");

    let hub = hub::read(there.path()).expect("read");
    assert_eq!((hub.architecture, hub.unused.len()), (Architecture::PreTraining, 0));
    assert!(hub.weights == hub::read(&folder("bert-pretraining")).expect("read").weights);
}

#[test]
fn alberts_sentencepiece_model_is_read_as_transformers_converts_it() {
    let folder = folder("albert-masked");
    let ours = Tokenizer::open(&folder.join("spiece.model")).expect("read");
    let theirs = Tokenizer::open(&folder.join("tokenizer.json")).expect("read");
    assert_eq!(ours.specials(), theirs.specials());

    let sentences =
        fs::read_to_string(self::folder("bert").join("sentences.txt")).expect("sentences");
    let odd = [
        "",
        "  Two  blanks, ``quotes'' and \u{e9}t\u{e9} \u{fb01}ne",
        "9, 10,000 and A",
        "\u{4e2d}\u{6587}",
    ];

    for text in sentences.lines().chain(odd) {
        assert_eq!(ours.encode(text), theirs.encode(text), "{text:?}");
    }
}

fn load<O: Objective>(name: &str) -> Loaded {
    let source = model::find(&folder(name)).expect("found");
    model::load::<O>(&source, &Device::flex()).expect("loaded")
}

fn lines(path: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(path).expect("scores");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn pseudo_log_likelihoods_are_equal_for_every_family() {
    for name in ["albert-masked", "electra-generator", "distilbert-masked", "modernbert-masked"] {
        let loaded = load::<Mlm>(name);
        let records = lines(&folder(name).join("pll.jsonl"));
        let texts: Vec<&str> =
            records.iter().map(|record| record["text"].as_str().expect("a text")).collect();

        for (record, score) in
            records.iter().zip(pll::score(loaded.model.as_ref(), &texts).expect("scored"))
        {
            for (got, want) in [(score.pll, "pll"), (score.pll_l2r, "pll_l2r")] {
                let want = record[want].as_f64().expect("a number");
                assert!(
                    (got - want).abs() < 1e-3,
                    "{name}: {}: {got} is not {want}",
                    record["text"]
                );
            }
        }
    }
}

#[test]
fn the_discriminators_scores_are_equal() {
    let model = load::<Rtd>("electra-discriminator").model;
    let specials = model.tokenizer().specials();
    for record in lines(&folder("electra-discriminator").join("rtd-scores.jsonl")) {
        let tokens = model.tokenizer().encode(record["text"].as_str().expect("a text")).tokens;
        let row = [vec![specials.cls], tokens, vec![specials.sep]].concat();
        let sequences = Sequences::pad(&[row], specials.pad);
        let scores = model.token_scores(&sequences).expect("scores");
        let want: Vec<f32> = serde_json::from_value(record["logits"].clone()).expect("numbers");
        assert_equal("scores", &scores[0], &want);
    }
}

#[test]
fn tinyberts_head_has_its_own_activation() {
    let case: Case<Finetune> = Case::open("tinybert-task");
    let (outputs, _) =
        case.objective.outputs(&case.model, &case.expected.sequences, None, &case.device);
    assert_equal("tinybert-task", &values(outputs), &case.expected.floats["logits"]);
    let general = hub::read(&folder("tinybert-general")).expect("read");
    assert!(general.weights.contains_key("fit.weight"));
}

#[test]
fn what_is_wrong_with_a_folder_is_said_and_what_to_do() {
    let refuse = |change: &dyn Fn(&Path)| {
        let there = tempfile::tempdir().expect("a folder");
        for entry in fs::read_dir(folder("bert-sequence")).expect("entries") {
            let path = entry.expect("an entry").path();
            fs::copy(&path, there.path().join(path.file_name().expect("a name"))).expect("copied");
        }
        change(there.path());
        match model::find(there.path()) {
            Err(error) => format!("{error:#}"),
            Ok(found) => match model::load::<Finetune>(&found, &Device::flex()) {
                Err(error) => format!("{error:#}"),
                Ok(_) => panic!("it is accepted"),
            },
        }
    };

    let config = |from: &'static str, to: &'static str| {
        move |folder: &Path| {
            let path = folder.join("config.json");
            let text = fs::read_to_string(&path).expect("read");
            assert!(text.contains(from), "{from} is in {text}");
            fs::write(&path, text.replace(from, to)).expect("written");
        }
    };

    let message = refuse(&|folder: &Path| {
        fs::remove_file(folder.join("model.safetensors")).expect("removed")
    });
    assert!(message.contains("has no weights: expected model.safetensors"), "{message}");

    let message = refuse(&config("\"model_type\": \"bert\"", "\"model_type\": \"roberta\""));
    assert!(
        message.contains("architectures") || message.contains("seem to be of `bert`"),
        "{message}"
    );

    let message = refuse(&config("\"model_type\": \"bert\"", "\"model_type\": \"gpt2\""));
    assert!(message.contains("known: bert, roberta"), "{message}");

    let message = refuse(&config("\"hidden_act\": \"gelu\"", "\"hidden_act\": \"tanh\""));
    assert!(message.contains("\"tanh\"; known: gelu"), "{message}");

    let message = refuse(&config("\"intermediate_size\": ", "\"intermediate_size\": 1"));
    assert!(message.contains("has the shape"), "{message}");

    let message = refuse(&config("\"vocab_size\": ", "\"vocab\": "));
    assert!(message.contains("`vocab_size` is missing"), "{message}");

    let message =
        refuse(&|folder: &Path| fs::remove_file(folder.join("vocab.txt")).expect("removed"));
    assert!(message.contains("tokenizer.json, vocab.txt"), "{message}");

    let message = refuse(&|folder: &Path| {
        let path = folder.join("vocab.txt");
        let more: String = (0..100).map(|i| format!("more{i}\n")).collect();
        fs::write(&path, fs::read_to_string(&path).expect("read") + &more).expect("written");
    });
    assert!(message.contains("use the tokenizer that belongs to the model"), "{message}");

    let message = refuse(&|folder: &Path| {
        let path = folder.join("model.safetensors");
        let mut tensors = weights::read(&path).expect("read");
        tensors.remove("classifier.weight");
        fs::write(&path, weights::bytes(&tensors).expect("bytes")).expect("written");
    });
    assert!(message.contains("`classifier.weight` is missing"), "{message}");
}

#[test]
fn a_header_that_lies_is_refused() {
    let bytes = fs::read(folder("bert-sequence").join("model.safetensors")).expect("read");
    let length = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
    let header = String::from_utf8(bytes[8..8 + length].to_vec()).expect("text");

    let with = |header: &str, length: u64| {
        [
            &length.to_le_bytes()[..],
            header.as_bytes(),
            &bytes[8 + header.len().min(length as usize)..],
        ]
        .concat()
    };

    let larger = header.replacen("\"shape\":[", "\"shape\":[9", 1);
    let other = header.replacen("\"F32\"", "\"F64\"", 1);
    let lies = [
        ("a length beyond the file", with(&header, u64::MAX / 2)),
        ("a shape that does not fit", with(&larger, larger.len() as u64)),
        ("a type of another size", with(&other, other.len() as u64)),
        ("a file that ends early", bytes[..bytes.len() - 10].to_vec()),
    ];

    for (what, bytes) in lies {
        let there = tempfile::tempdir().expect("a folder");
        fs::copy(folder("bert-sequence").join("config.json"), there.path().join("config.json"))
            .expect("copied");
        fs::write(there.path().join("model.safetensors"), bytes).expect("written");
        let error = hub::read(there.path()).expect_err(what).to_string();
        assert!(error.contains("is damaged"), "{what}: {error}");
    }
}
