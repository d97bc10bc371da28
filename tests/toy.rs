//! Another objective takes a module like `examples/custom_objective.rs` and one line of the
//! registry, and nothing else.

mod common;
#[allow(dead_code, reason = "the example's `main` is not called here")]
#[path = "../examples/custom_objective.rs"]
mod custom_objective;

use bert_variants::config::RunConfig;
use bert_variants::model;
use bert_variants::run::{PretrainJob, PretrainOutcome, Resume};
use burn::tensor::Device;
use common::Sandbox;
use custom_objective::PARITY;
use eval::loss;
use hub::{ExportedModel, HubModel, TrainedModel};
use objective::{Context, fixtures};
use settings::Layers;

/// A small run of the toy objective, and its configuration.
fn train(sandbox: &Sandbox) -> RunConfig {
    let mut layers = Layers::default();
    let small = std::fs::read_to_string(sandbox.path("small.toml")).expect("read");
    layers.lay(small.parse().expect("TOML"));
    layers.set("corpus.paths", vec![sandbox.path("train.txt").display().to_string()]);
    layers.set("corpus.valid", vec![sandbox.path("valid.txt").display().to_string()]);
    layers.set("corpus.cache", sandbox.path("cache").display().to_string());
    layers.set("budget.steps", 5);
    let config = custom_objective::resolve(layers).expect("a configuration");
    assert_eq!(config.objective["drop"].as_integer(), Some(4), "the default is filled in");

    let out = sandbox.path("run");
    let job = PretrainJob { config: &config, out: &out, resume: &Resume::Auto, dry_run: false };
    let outcome = (PARITY.pretrain)(&job).expect("trained");
    assert!(matches!(outcome, PretrainOutcome::Trained(summary) if summary.step == 5));
    config
}

#[test]
fn a_new_objective_keeps_the_contract() {
    let (context, encoder) = (fixtures::context(40, 24), fixtures::encoder());
    let context = Context { encoder: encoder.clone(), ..context };
    (PARITY.trials)(&context, &encoder, &fixtures::examples(), &Device::flex());
}

#[test]
fn a_new_objective_is_trained_logged_and_saved_like_the_others() {
    let sandbox = Sandbox::new(20);
    train(&sandbox);
    let metrics = sandbox.records("run", "metrics.jsonl");
    assert_eq!(metrics.len(), 5);
    assert!(metrics[4]["parity/loss"].as_f64().expect("a loss") > 0.0);
    assert!(sandbox.records("run", "evals.jsonl")[0]["parity/accuracy"].is_number());
    assert!(!sandbox.weights("run").is_empty());

    let error =
        (PARITY.resolve)("dorp = 1".parse().expect("TOML")).expect_err("refused").to_string();
    assert!(error.contains("did you mean `drop`?"), "{error}");
}

#[test]
fn a_new_objective_is_evaluated_like_the_others() {
    let sandbox = Sandbox::new(20);
    train(&sandbox);
    let source = model::find(&sandbox.path("run")).expect("a run");
    let loaded = (PARITY.load)(&source, &Device::flex()).expect("a model");
    let means = loss::evaluate(loaded.model.as_ref(), &fixtures::examples(), 2).expect("evaluated");
    let accuracy = means.metric(PARITY.tasks[0].metric).expect("the metric of its task");
    assert!(accuracy.count > 4.0);
    assert!((0.0..=1.0).contains(&accuracy.mean));
}

#[test]
fn a_new_objective_is_exported_like_the_others() {
    let sandbox = Sandbox::new(20);
    let config = train(&sandbox);
    let source = model::find(&sandbox.path("run")).expect("a run");
    let (encoder, weights) = (source.encoder().expect("a shape"), source.weights().expect("read"));
    let trained = TrainedModel { encoder: &encoder, weights: &weights };
    let exported = (PARITY.export)(config.objective_knobs(), trained, None).expect("a class");
    let [ExportedModel { model, .. }] = exported.as_slice() else { panic!("one model") };
    assert_eq!(model.class(), "BertModel");

    let to = sandbox.path("exported");
    hub::write(&to, model, &source.tokenizer().expect("a tokenizer")).expect("written");
    let read: HubModel = hub::read(&to).expect("read");
    let table = "encoder.embeddings.tokens";
    assert_eq!(read.weights[table], weights[table]);
}
