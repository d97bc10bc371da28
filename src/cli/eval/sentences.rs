//! Tasks about sentences: pseudo-log-likelihood, a discriminator's scores, BLiMP.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use eval::{Evaluable, blimp as blimp_pairs, pll as likelihood};
use serde_json::{Value, json};
use trunk::Sequences;

use super::args::Args;
use crate::cli::output::{print, print_json, report, table};
use crate::exit::{BadInput, Usage};

/// Sentences scored together, which bounds memory.
const SENTENCES_AT_ONCE: usize = 256;

/// Where the scores of sentences go: to a file, to stdout, or nowhere.
struct ScoreOutput {
    file: Option<BufWriter<File>>,
    prints: bool,
}

impl ScoreOutput {
    fn open(args: &Args) -> Result<Self> {
        let file = args.open_output()?;
        let prints = file.is_none() && !args.json;
        Ok(Self { file, prints })
    }

    fn write(&mut self, record: &Value) -> Result<()> {
        match &mut self.file {
            Some(file) => writeln!(file, "{record}").context("cannot write the scores"),
            None if self.prints => print(&record.to_string()),
            None => Ok(()),
        }
    }

    /// Ends the file, and prints the summary unless the scores were printed.
    fn finish(mut self, args: &Args, summary: &Value) -> Result<()> {
        if let Some(file) = &mut self.file {
            file.flush().context("cannot write the scores")?;
        }
        if self.prints { Ok(()) } else { report(args.format(), summary) }
    }
}

/// Sums over sentences.
#[derive(Default)]
struct PllSums {
    sentences: usize,
    tokens: usize,
    words: usize,
    pll: f64,
    pll_l2r: f64,
}

impl PllSums {
    fn add(&mut self, score: &likelihood::SentenceScore) {
        self.sentences += 1;
        self.tokens += score.tokens;
        self.words += score.words;
        self.pll += score.pll;
        self.pll_l2r += score.pll_l2r;
    }
}

/// `--task pll`.
///
/// # Errors
/// When the input cannot be read, a line does not fit the model, or a signal asks to stop.
pub fn pll(args: &Args, model: &dyn Evaluable) -> Result<()> {
    let input = one_input(args)?;
    let mut output = ScoreOutput::open(args)?;
    let mut sums = PllSums::default();

    for part in sentence_parts(Path::new(input), args.limit)? {
        let part = part?;
        let lines: Vec<&str> = part.iter().map(String::as_str).collect();
        let lengths = lines.iter().map(|line| model.tokenizer().encode(line).tokens.len());
        check_lengths(input, sums.sentences, lengths, model.encoder().positions)?;

        for (text, score) in lines.iter().zip(likelihood::score(model, &lines)?) {
            sums.add(&score);
            output.write(&json!({
                "text": text,
                "pll": score.pll,
                "tokens": score.tokens,
                "pll_l2r": score.pll_l2r,
                "words": score.words,
            }))?;
        }
    }

    let PllSums { sentences, tokens, words, pll, pll_l2r } = sums;
    let summary = json!({
        "task": "pll",
        "model": args.model,
        "input": input,
        "sentences": sentences,
        "tokens": tokens,
        "words": words,
        "pll": pll,
        "pll_l2r": pll_l2r,
        "pppl": (-pll / (tokens as f64).max(1.0)).exp(),
        "pppl_word": (-pll / (words as f64).max(1.0)).exp(),
    });
    output.finish(args, &summary)
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
///
/// # Errors
/// As [`pll`], and when the model has no discriminator.
pub fn token_scores(args: &Args, model: &dyn Evaluable) -> Result<()> {
    let input = one_input(args)?;
    let mut output = ScoreOutput::open(args)?;
    let (tokenizer, specials) = (model.tokenizer(), model.tokenizer().specials());

    let (mut sentences, mut tokens) = (0usize, 0usize);
    for part in sentence_parts(Path::new(input), args.limit)? {
        let part = part?;
        let row = |text: &String| {
            [vec![specials.cls], tokenizer.encode(text).tokens, vec![specials.sep]].concat()
        };
        let rows: Vec<Vec<u32>> = part.iter().map(row).collect();
        let lengths = rows.iter().map(|row| row.len() - 2);
        check_lengths(input, sentences, lengths, model.encoder().positions)?;

        let sequences = Sequences::pad(&rows, specials.pad);
        let scores = model.token_scores(&sequences).ok_or_else(|| {
            BadInput(format!(
                "this model of the objective `{}` has no discriminator; it takes one of `rtd`, \
                 variant electra or electra-15",
                model.objective_name()
            ))
        })?;

        for ((text, row), logits) in part.iter().zip(&rows).zip(scores) {
            (sentences, tokens) = (sentences + 1, tokens + row.len());
            let names: Vec<&str> =
                row.iter().map(|id| tokenizer.token(*id).unwrap_or_default()).collect();
            output.write(&json!({"text": text, "tokens": names, "logits": logits}))?;
        }
    }

    let model = &args.model;
    let summary =
        json!({"task": "rtd-scores", "model": model, "sentences": sentences, "tokens": tokens});
    output.finish(args, &summary)
}

/// `--task blimp`.
///
/// # Errors
/// When the folder cannot be read, or a signal asks to stop.
pub fn blimp(args: &Args, model: &dyn Evaluable) -> Result<()> {
    let [folder] = args.input.as_slice() else {
        let message = "--task blimp needs one --input FOLDER with BLiMP's JSONL files";
        return Err(Usage(message.to_owned()).into());
    };

    let tell = |uid: &str, accuracy: &blimp_pairs::Accuracy| {
        anstream::eprintln!("{uid}: {:.3} of {} pairs", accuracy.accuracy, accuracy.pairs);
    };
    let accuracies = blimp_pairs::score(model, Path::new(folder), args.limit, tell)?;
    if args.json {
        let mut document = serde_json::to_value(&accuracies)?;
        document["task"] = "blimp".into();
        document["model"] = json!(args.model);
        return print_json(&document);
    }

    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    let mut table = table(&["phenomenon", "accuracy"]);
    for (name, accuracy) in &accuracies.phenomena {
        table.add_row([name.clone(), percent(*accuracy)]);
    }
    let count = accuracies.paradigms.len();
    table.add_row([format!("mean over {count} paradigms"), percent(accuracies.overall)]);
    table.add_row(["within-word left-to-right".to_owned(), percent(accuracies.overall_l2r)]);
    table.add_row(["ties, which count as wrong".to_owned(), percent(accuracies.ties)]);
    print(&table.to_string())
}

/// Refuses the first line that does not fit the model; `before` lines precede these in the file.
fn check_lengths(
    input: &str,
    before: usize,
    lengths: impl Iterator<Item = usize>,
    positions: usize,
) -> Result<(), BadInput> {
    match lengths.enumerate().find(|(_, length)| length + 2 > positions) {
        Some((number, length)) => Err(BadInput(format!(
            "{input}, line {}: {length} tokens, which with two special ones do not fit the model's \
             {positions} positions; shorten it",
            before + number + 1
        ))),
        None => Ok(()),
    }
}

/// The only file of --input.
fn one_input(args: &Args) -> Result<&str> {
    match args.input.as_slice() {
        [input] => Ok(input),
        _ => {
            let task = args.task.name();
            let message = format!("--task {task} needs one --input FILE with a sentence per line");
            Err(Usage(message).into())
        }
    }
}
