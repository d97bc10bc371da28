//! Measures training a tokenizer on a text and tokenising it: `measure TEXT MODEL VOCABULARY CACHE [TRAINING TEXT]`.

use std::path::Path;
use std::time::Instant;

use corpus::{Builder, Quiet, Text, TextConfig, Tokenizer, TokenizerModel, TrainConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, model, vocabulary, cache, rest @ ..] = arguments.as_slice() else {
        return Err("usage: measure TEXT MODEL VOCABULARY CACHE [TRAINING TEXT]".into());
    };
    let open = |path: &String| {
        Text::open(TextConfig {
            paths: vec![path.clone()],
            document: corpus::DocumentBoundary::BlankLine,
            text_field: "text".to_owned(),
        })
    };
    let model: TokenizerModel = serde_json::from_value(model.clone().into())?;
    let config = TrainConfig { model, vocabulary: vocabulary.parse()?, lowercase: true };
    let start = Instant::now();
    let tokenizer = Tokenizer::train(&open(rest.first().unwrap_or(path))?, &config, &Quiet)?;
    println!("trained {} tokens in {:.1} s", tokenizer.vocabulary_size(), start.elapsed().as_secs_f64());
    let start = Instant::now();
    let corpus = Builder::new(&open(path)?, &tokenizer, Path::new(cache), &Quiet).build()?;
    let seconds = start.elapsed().as_secs_f64();
    println!("built {} tokens in {seconds:.1} s: {:.0} tokens/s", corpus.tokens(), corpus.tokens() as f64 / seconds);
    println!("{:#?}", corpus.statistics());
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM unknown"));
    Ok(())
}
