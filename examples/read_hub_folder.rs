//! Reads a folder that transformers wrote, and computes the hidden states of a sequence.
//!
//! `cargo run --release --example read_hub_folder -- FOLDER 101 7592 2088 102`

use std::path::Path;

use anyhow::Result;
use burn::tensor::Device;
use checkpoint::weights;
use hub::HubModel;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use trunk::{Encoder, Sequences};

/// The last hidden states of the token ids `tokens`, a row for each token.
pub fn hidden_states(model: &HubModel, tokens: &[u32]) -> Result<Vec<Vec<f32>>> {
    let device = Device::flex();
    let (config, mut weights) = (&model.config.encoder, model.weights.clone());
    // Random at first; the folder's weights replace every parameter.
    let encoder = Encoder::init(config, &mut ChaCha8Rng::seed_from_u64(0), &device);
    weights.retain(|name, _| name.starts_with("encoder."));
    let weights =
        weights.into_iter().map(|(name, tensor)| (name["encoder.".len()..].into(), tensor));
    let encoder = weights::load(encoder, &weights.collect())?;

    let sequences = Sequences::pad(&[tokens], 0);
    let hidden = encoder.forward(&sequences.input(&device), None);
    let values: Vec<f32> = hidden.into_data().iter::<f32>().collect();
    Ok(values.chunks(config.hidden).map(<[f32]>::to_vec).collect())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((folder, tokens)) = arguments.split_first() else {
        anyhow::bail!("usage: read_hub_folder FOLDER TOKEN...");
    };
    let tokens: Vec<u32> = tokens.iter().map(|token| token.parse()).collect::<Result<_, _>>()?;
    let model = hub::read(Path::new(folder))?;
    println!("{} of {} layers", model.class(), model.config.encoder.layers);
    for (token, hidden) in tokens.iter().zip(hidden_states(&model, &tokens)?) {
        println!("{token:6} {:?}", &hidden[..hidden.len().min(4)]);
    }
    Ok(())
}
