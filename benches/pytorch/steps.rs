//! Training steps on request, for `compare.py`: reads `export DIR` and `run N` from stdin, answers
//! each with a line.
//!
//! A step is what `pretrain` does after a batch is made: micro-batches side by side, one gradient,
//! clipping, AdamW. The batches are synthetic, all of one length, with 15 % of the positions
//! predicted.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use burn::tensor::Device;
use checkpoint::{HostTensor, weights};
use clap::Parser;
use corpus::Specials;
use mlm::{Mlm, MlmBatch, MlmConfig, Replacement};
use objective::{Context, Objective, Workers};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::json;
use train::{GlobalBatch, Micro, Optimizer, OptimizerConfig, Stepper};
use trunk::{EncoderConfig, Precision, Sequences};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Different batches that are gone through in turn.
const BATCHES: usize = 8;

#[derive(Parser)]
struct Args {
    #[arg(long)]
    layers: usize,
    #[arg(long)]
    hidden: usize,
    #[arg(long)]
    heads: usize,
    #[arg(long)]
    vocabulary: usize,
    #[arg(long)]
    batch: usize,
    #[arg(long)]
    length: usize,
    #[arg(long)]
    dropout: f64,
    #[arg(long, default_value_t = 4)]
    parts: usize,
    /// Round the factors of matrix products to bfloat16.
    #[arg(long)]
    bf16: bool,
}

fn main() -> Result<()> {
    bert_variants::keep_memory();
    let args = Args::parse();
    let encoder = EncoderConfig {
        vocabulary: args.vocabulary,
        hidden: args.hidden,
        layers: args.layers,
        heads: args.heads,
        feed_forward: 4 * args.hidden,
        positions: 512,
        dropout: args.dropout,
        attention_dropout: args.dropout,
        precision: if args.bf16 { Precision::Bf16 } else { Precision::F32 },
        ..EncoderConfig::default()
    };
    let context = Context {
        specials: Specials { cls: 0, sep: 1, pad: 2, unk: 3, mask: 4 },
        special_ids: vec![0, 1, 2, 3, 4],
        vocabulary: args.vocabulary,
        token_counts: Vec::new(),
        ngrams: None,
        max_length: args.length,
        encoder: encoder.clone(),
        teacher: None,
    };
    let objective = Arc::new(Mlm::new(MlmConfig::default(), &context)?);
    let device = Device::flex().autodiff();
    let model = objective.init(&encoder, &mut ChaCha8Rng::seed_from_u64(1), &device);
    let optimizer = Optimizer::new(
        OptimizerConfig { clip_norm: 1.0, ..OptimizerConfig::default() },
        args.layers,
    );
    let workers = Arc::new(Workers::new(&device, args.parts)?);
    let mut stepper = Stepper::new(objective, model, optimizer, device, workers);
    let batches: Vec<MlmBatch> = (0..BATCHES as u64).map(|seed| batch(&args, seed)).collect();
    answer(&json!({"ready": true, "threads": rayon::current_num_threads()}))?;
    let mut step = 0;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        match line.split_once(' ') {
            Some(("export", folder)) => {
                export(Path::new(folder), &stepper, &batches)?;
                answer(&json!({"exported": folder}))?;
            }
            Some(("run", count)) => {
                let (mut milliseconds, mut losses) = (Vec::new(), Vec::new());
                for _ in 0..count.parse::<usize>().context("run N")? {
                    let batch = parts(&batches[step % BATCHES], &args, step as u64);
                    let started = Instant::now();
                    let terms = stepper.step(batch, 1e-4)?.terms;
                    let targets = batches[step % BATCHES].labels.len() as f32;
                    losses.push(terms[0].sum.clone().into_scalar::<f32>() / targets);
                    milliseconds.push(started.elapsed().as_secs_f64() * 1e3);
                    step += 1;
                }
                answer(&json!({"ms": milliseconds, "losses": losses, "megabytes": peak()}))?;
            }
            _ => bail!("`{line}` is no request"),
        }
    }
    Ok(())
}

fn answer(value: &serde_json::Value) -> Result<()> {
    println!("{value}");
    Ok(std::io::stdout().flush()?)
}

/// A batch of uniform random tokens with 15 % of the positions of each sequence predicted.
fn batch(args: &Args, seed: u64) -> MlmBatch {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut below = |n: usize| (rng.next_u64() % n as u64) as usize;
    let tokens: Vec<u32> =
        (0..args.batch * args.length).map(|_| below(args.vocabulary) as u32).collect();
    let mut positions = Vec::new();
    for row in 0..args.batch {
        let mut order: Vec<usize> = (0..args.length).collect();
        let count = args.length * 15 / 100;
        for i in 0..count {
            let other = i + below(args.length - i);
            order.swap(i, other);
        }
        order.truncate(count);
        order.sort_unstable();
        positions.extend(order.iter().map(|position| (row * args.length + position) as u32));
    }
    let labels: Vec<u32> = positions.iter().map(|_| below(args.vocabulary) as u32).collect();
    let replacements = vec![Replacement::Mask; positions.len()];
    MlmBatch { sequences: full_sequences(&tokens, args.length), positions, labels, replacements }
}

/// Sequences of `length` tokens without padding.
fn full_sequences(tokens: &[u32], length: usize) -> Sequences {
    Sequences::pad(&tokens.chunks(length).collect::<Vec<_>>(), 2)
}

/// The batch in as many micro-batches as run side by side.
fn parts(batch: &MlmBatch, args: &Args, step: u64) -> GlobalBatch<MlmBatch> {
    let rows = args.batch.div_ceil(args.parts);
    let micro = (0..args.batch).step_by(rows).map(|first| {
        let last = (first + rows).min(args.batch);
        let (from, to) = (first * args.length, last * args.length);
        let inside = |flat: &u32| (from..to).contains(&(*flat as usize));
        let chosen: Vec<usize> =
            (0..batch.positions.len()).filter(|i| inside(&batch.positions[*i])).collect();
        let part = MlmBatch {
            sequences: full_sequences(&batch.sequences.tokens[from..to], args.length),
            positions: chosen.iter().map(|i| batch.positions[*i] - from as u32).collect(),
            labels: chosen.iter().map(|i| batch.labels[*i]).collect(),
            replacements: vec![Replacement::Mask; chosen.len()],
        };
        Micro { batch: part, keys: (first..last).map(|row| step << 32 | row as u64).collect() }
    });
    let tokens = (args.batch * args.length) as u64;
    let (micro, target_counts) = (micro.collect(), vec![batch.labels.len() as f64]);
    GlobalBatch {
        micro,
        target_counts,
        passages: Vec::new(),
        rows: args.batch as u64,
        tokens,
        padded_tokens: tokens,
    }
}

/// Writes the weights and the batches, so that others start from the same.
fn export(folder: &Path, stepper: &Stepper<Mlm>, batches: &[MlmBatch]) -> Result<()> {
    std::fs::write(
        folder.join("weights.safetensors"),
        weights::bytes(&weights::collect(stepper.model()))?,
    )?;
    let numbers = |values: &[u32]| HostTensor {
        shape: vec![values.len()],
        values: values.iter().map(|value| *value as f32).collect(),
    };
    let mut tensors = BTreeMap::new();
    for (i, batch) in batches.iter().enumerate() {
        tensors.insert(format!("{i}.tokens"), numbers(&batch.sequences.tokens));
        tensors.insert(format!("{i}.places"), numbers(&batch.positions));
        tensors.insert(format!("{i}.labels"), numbers(&batch.labels));
    }
    Ok(std::fs::write(folder.join("batches.safetensors"), weights::bytes(&tensors)?)?)
}

/// Peak resident memory in megabytes, where the system tells; else 0.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(0.0)
        / 1024.0
}
