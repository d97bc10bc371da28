//! A seed means the same run on every backend: the same losses, and gradients that lead to them,
//! over several steps.

mod common;

use common::Sandbox;

/// Sums in another order, five steps in a row. Losses are of order 6.
const TOLERANCE: f64 = 2e-4;

/// ModernBERT's arrangement, with sequences that are longer than the window and partly causal, and
/// Muon.
const MODERN: &[&str] = &[
    "objective.name=mntp",
    "objective.causal=0.5",
    "encoder.position_embedding=rotary",
    "encoder.rotary_base=160000",
    "encoder.local_attention=8",
    "encoder.feed_forward_gate=true",
    "encoder.segments=0",
    "encoder.norm=pre",
    "encoder.norm_bias=false",
    "encoder.first_norm=false",
    "encoder.bias=false",
    "encoder.output_init=depth-scaled",
    "optimizer.kind=muon",
];

fn losses(sandbox: &Sandbox, backend: &str, settings: &[&str]) -> Vec<(f64, f64)> {
    let out = format!("run-{backend}-{}", settings.len());
    let mut command = sandbox.pretrain(&out, 5);
    command.args(["--backend", backend, "--batch", "4"]);
    for setting in settings {
        command.args(["--set", setting]);
    }
    command.assert().success();
    let pair = |record: &serde_json::Value| {
        (
            record["loss"].as_f64().expect("a loss"),
            record["gradient_norm"].as_f64().expect("a norm"),
        )
    };
    sandbox.records(&out, "metrics.jsonl").iter().map(pair).collect()
}

fn follows_the_cpu(backend: &str) {
    let sandbox = Sandbox::new(8);
    for settings in [&[][..], MODERN] {
        compare(&sandbox, backend, settings);
    }
}

fn compare(sandbox: &Sandbox, backend: &str, settings: &[&str]) {
    let expected = losses(sandbox, "cpu", settings);
    let got = losses(sandbox, backend, settings);
    assert_eq!(got.len(), 5);

    for (step, (got, want)) in got.iter().zip(&expected).enumerate() {
        let ((loss, norm), (want_loss, want_norm)) = (got, want);
        assert!(
            (loss - want_loss).abs() < TOLERANCE,
            "{backend}, step {step}: loss {loss} is not {want_loss}"
        );
        assert!(
            (norm - want_norm).abs() < 2e-3 * want_norm,
            "{backend}, step {step}: norm {norm} is not {want_norm}"
        );
    }
}

#[test]
fn wgpu_follows_the_cpu() {
    if common::open(bert_variants::backend::Backend::Wgpu).is_some() {
        follows_the_cpu("wgpu");
    }
}

#[test]
fn ndarray_follows_the_cpu() {
    if common::open(bert_variants::backend::Backend::Ndarray).is_some() {
        follows_the_cpu("ndarray");
    }
}
