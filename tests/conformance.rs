//! Every objective of the registry passes the trials of the contract, on every backend of this
//! build.

mod common;

use std::sync::Arc;

use bert_variants::backend::Backend;
use bert_variants::registry::OBJECTIVES;
use objective::{Context, fixtures};
use trunk::EncoderConfig;

fn run_on(backend: Backend) {
    let Some(device) = common::open(backend) else { return };
    let encoder = fixtures::encoder();
    let twice = EncoderConfig { layers: 2 * encoder.layers, ..encoder.clone() };
    let context = Context {
        encoder: encoder.clone(),
        teacher: Some(Arc::new(fixtures::teacher(&twice, &device))),
        ..fixtures::context(40, 24)
    };
    for entry in OBJECTIVES {
        (entry.trials)(&context, &encoder, &fixtures::examples(), &device);
    }
}

#[test]
fn every_objective_keeps_the_contract_on_the_cpu() {
    run_on(Backend::Cpu);
}

#[test]
fn every_objective_keeps_the_contract_on_wgpu() {
    run_on(Backend::Wgpu);
}

#[test]
fn every_objective_keeps_the_contract_on_ndarray() {
    run_on(Backend::Ndarray);
}
