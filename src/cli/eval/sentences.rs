//! Tasks about sentences: pseudo-log-likelihood, a discriminator's scores, BLiMP.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use anyhow::{Context, Result};
use objective::Objective;
use serde_json::json;
use trunk::Sequences;

use super::{Args, open_output};
use crate::cli::print;
use crate::cli::report::{report, table};
use crate::eval;
use crate::exit::{BadInput, Usage};
use crate::model::Loaded;

/// Sentences scored together, which bounds memory.
const SENTENCES_AT_ONCE: usize = 256;

/// `--task pll`.
pub fn pll<O: Objective>(args: &Args, loaded: &Loaded<O>) -> Result<()> {
    let input = one_input(args, "pll")?;
    let mut output = open_output(args)?;
    let mut total = json!({"task": "pll", "model": args.model, "input": input});
    let (mut sentences, mut tokens, mut words, mut pll, mut pll_l2r) =
        (0usize, 0usize, 0usize, 0.0, 0.0);
    for part in sentence_parts(Path::new(input), args.limit)? {
        let part = part?;
        let lines: Vec<&str> = part.iter().map(String::as_str).collect();
        let lengths = lines.iter().map(|line| loaded.tokenizer.encode(line).tokens.len());
        check_lengths(input, sentences, lengths, loaded.positions)?;
        for (text, score) in lines.iter().zip(eval::pll::score(loaded, &lines)?) {
            (sentences, tokens, words) =
                (sentences + 1, tokens + score.tokens, words + score.words);
            (pll, pll_l2r) = (pll + score.pll, pll_l2r + score.pll_l2r);
            let record = json!({
                "text": text, "pll": score.pll, "tokens": score.tokens, "pll_l2r": score.pll_l2r, "words": score.words,
            });
            match &mut output {
                Some(file) => writeln!(file, "{record}").context("cannot write the scores")?,
                None if !args.json => print(&record.to_string())?,
                None => {}
            }
        }
    }
    if let Some(mut file) = output {
        file.flush().context("cannot write the scores")?;
    }
    let count = (tokens as f64).max(1.0);
    let summary = json!({
        "sentences": sentences, "tokens": tokens, "words": words, "pll": pll, "pll_l2r": pll_l2r,
        "pppl": (-pll / count).exp(), "pppl_word": (-pll / (words as f64).max(1.0)).exp(),
    });
    for (name, value) in summary.as_object().into_iter().flatten() {
        total[name] = value.clone();
    }
    if args.json || args.output.is_some() { report(args.json, &total) } else { Ok(()) }
}

/// The lines of a file, at most `limit` unless that is 0, a bounded number at a time.
fn sentence_parts(path: &Path, limit: usize) -> Result<impl Iterator<Item = Result<Vec<String>>>> {
    let file = File::open(path)
        .map_err(|error| BadInput(format!("cannot read {}: {error}", path.display())))?;
    let name = path.display().to_string();
    let limit = if limit == 0 { usize::MAX } else { limit };
    let mut lines = BufReader::new(file).lines().take(limit).enumerate();
    Ok(std::iter::from_fn(move || {
        let mut part = Vec::new();
        for (number, line) in lines.by_ref().take(SENTENCES_AT_ONCE) {
            match line {
                Ok(line) => part.push(line.trim_end_matches('\r').to_owned()),
                Err(error) => {
                    return Some(Err(
                        BadInput(format!("{name}, line {}: {error}", number + 1)).into()
                    ));
                }
            }
        }
        (!part.is_empty()).then_some(Ok(part))
    }))
}

/// `--task rtd-scores`: the discriminator's logit of every token of each sentence.
pub fn token_scores<O: Objective>(args: &Args, loaded: &Loaded<O>) -> Result<()> {
    let input = one_input(args, "rtd-scores")?;
    let mut output = open_output(args)?;
    let specials = loaded.tokenizer.specials();
    let (mut sentences, mut tokens) = (0usize, 0usize);
    for part in sentence_parts(Path::new(input), args.limit)? {
        let part = part?;
        let mut rows = Vec::new();
        for text in &part {
            rows.push(
                [vec![specials.cls], loaded.tokenizer.encode(text).tokens, vec![specials.sep]]
                    .concat(),
            );
        }
        check_lengths(input, sentences, rows.iter().map(|row| row.len() - 2), loaded.positions)?;
        let sequences = Sequences::pad(&rows, specials.pad);
        let Some(scores) = loaded.objective.token_scores(&loaded.model, &sequences, &loaded.device)
        else {
            let message =
                "has no discriminator; it takes one of `rtd`, variant electra or electra-15";
            return Err(
                BadInput(format!("this model of the objective `{}` {message}", O::NAME)).into()
            );
        };
        for ((text, row), logits) in part.iter().zip(&rows).zip(scores) {
            (sentences, tokens) = (sentences + 1, tokens + row.len());
            let words: Vec<&str> =
                row.iter().map(|id| loaded.tokenizer.token(*id).unwrap_or_default()).collect();
            let record = json!({"text": text, "tokens": words, "logits": logits});
            match &mut output {
                Some(file) => writeln!(file, "{record}").context("cannot write the scores")?,
                None if !args.json => print(&record.to_string())?,
                None => {}
            }
        }
    }
    if let Some(mut file) = output {
        file.flush().context("cannot write the scores")?;
    } else if !args.json {
        return Ok(());
    }
    let model = &args.model;
    report(
        args.json,
        &json!({"task": "rtd-scores", "model": model, "sentences": sentences, "tokens": tokens}),
    )
}

/// `--task blimp`.
pub fn blimp<O: Objective>(args: &Args, loaded: &Loaded<O>) -> Result<()> {
    let [folder] = args.input.as_slice() else {
        return Err(Usage(
            "--task blimp needs one --input FOLDER with BLiMP's JSONL files".to_owned(),
        )
        .into());
    };
    let said = |uid: &str, accuracy: &eval::blimp::Accuracy| {
        anstream::eprintln!("{uid}: {:.3} of {} pairs", accuracy.accuracy, accuracy.pairs);
    };
    let accuracies = eval::blimp::score(loaded, Path::new(folder), args.limit, said)?;
    if args.json {
        let mut document = json!({"task": "blimp", "model": args.model});
        for (name, value) in serde_json::to_value(&accuracies)?.as_object().into_iter().flatten() {
            document[name] = value.clone();
        }
        return report(true, &document);
    }
    let mut table = table(&["phenomenon", "accuracy"]);
    for (name, accuracy) in &accuracies.phenomena {
        table.add_row([name.clone(), format!("{:.2} %", 100.0 * accuracy)]);
    }
    let count = accuracies.paradigms.len();
    table.add_row([
        format!("mean over {count} paradigms"),
        format!("{:.2} %", 100.0 * accuracies.overall),
    ]);
    table.add_row([
        "within-word left-to-right".to_owned(),
        format!("{:.2} %", 100.0 * accuracies.overall_l2r),
    ]);
    print(&table.to_string())
}

/// Refuses the first line that does not fit the model, `before` lines standing before these.
fn check_lengths(
    input: &str,
    before: usize,
    lengths: impl Iterator<Item = usize>,
    positions: usize,
) -> Result<(), BadInput> {
    match lengths.enumerate().find(|(_, length)| length + 2 > positions) {
        Some((number, length)) => Err(BadInput(format!(
            "{input}, line {}: {length} tokens, which with two special ones do not fit the model's {positions} positions; \
             shorten it",
            before + number + 1
        ))),
        None => Ok(()),
    }
}

fn one_input<'a>(args: &'a Args, task: &str) -> Result<&'a str> {
    match args.input.as_slice() {
        [input] => Ok(input),
        _ => {
            Err(Usage(format!("--task {task} needs one --input FILE with a sentence per line"))
                .into())
        }
    }
}
