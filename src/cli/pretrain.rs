//! `pretrain`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args as ClapArgs;
use corpus::Tokenizer;
use settings::Layers;
use toml::Value;
use train::{Plan, ShownExample};

use super::args::{BackendArgs, ConfigArgs, use_threads};
use super::output::{OutputFormat, print, report};
use super::paint::{legend, paint};
use crate::config::RunConfig;
use crate::model;
use crate::progress::Progress;
use crate::registry;
use crate::run::{PretrainJob, PretrainOutcome, Resume, open_tokenizer};

/// Flags of `pretrain`.
#[derive(Debug, ClapArgs)]
#[command(allow_negative_numbers = true)]
pub struct Args {
    #[command(flatten)]
    pub config: ConfigArgs,
    #[command(flatten)]
    pub backend: BackendArgs,
    /// The run's folder.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Validation text: files, folders or globs.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    valid: Vec<String>,
    /// Share of the training documents that is held out when there is no --valid.
    #[arg(long, value_name = "F")]
    valid_fraction: Option<f64>,
    #[command(flatten)]
    budget: BudgetArgs,
    /// Sequences per optimizer step.
    #[arg(long, value_name = "N")]
    batch: Option<u64>,
    /// Sequences per forward pass; gradients are accumulated over a step.
    #[arg(long, value_name = "N")]
    micro_batch: Option<u64>,
    /// Peak learning rate.
    #[arg(long, value_name = "X")]
    learning_rate: Option<f64>,
    /// Steps between evaluations; 0: only at the end.
    #[arg(long, value_name = "N")]
    eval_every: Option<u64>,
    /// Score BLiMP (a folder of its JSONL files) at every evaluation.
    #[arg(long, value_name = "DIR")]
    eval_blimp: Option<PathBuf>,
    /// Steps between checkpoints; 0: only at the end and when interrupted.
    #[arg(long, value_name = "N")]
    checkpoint_every: Option<u64>,
    /// Continue the run in --out (auto), refuse a folder that is not empty (never), or start from
    /// the checkpoint of another run (its folder).
    #[arg(long, value_name = "auto|never|DIR", default_value = "auto")]
    pub resume: Resume,
    /// Continue the run in --out, finished or not, with a larger budget. The schedule is that of
    /// the new budget: where the learning rate jumps, it is told.
    #[arg(long, conflicts_with = "resume")]
    pub extend: bool,
    /// Start from the weights of another run, a checkpoint or a Hugging Face folder, as far as they
    /// fit; what they lack is new, and named. Its tokenizer comes along.
    #[arg(long, value_name = "DIR")]
    pub init: Option<PathBuf>,
    /// Check everything, print model, budget, memory, time and three examples; write nothing to
    /// --out.
    #[arg(long)]
    pub dry_run: bool,
    /// Print the summary as one JSON document.
    #[arg(long)]
    pub json: bool,
}

/// How long to train: at most one of these.
#[derive(Debug, ClapArgs)]
#[group(multiple = false)]
struct BudgetArgs {
    /// Train for this many optimizer steps.
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Train on this many tokens, special tokens included, padding not.
    #[arg(long, value_name = "N")]
    tokens: Option<u64>,
    /// Train for this many minutes, evaluation and checkpoints included.
    #[arg(long, value_name = "M")]
    minutes: Option<f64>,
    /// Go through the text this many times.
    #[arg(long, value_name = "N")]
    epochs: Option<f64>,
    /// Train with this many floating-point operations, counted over all networks of the objective.
    #[arg(long, value_name = "N")]
    flops: Option<f64>,
}

/// Runs `pretrain`.
///
/// # Errors
/// Bad configuration or data, a run folder of another configuration, divergence, an interruption.
pub fn run(args: &Args) -> Result<()> {
    args.start(args.config.below(Layers::default())?)
}

impl Args {
    /// Lays the flags over `layers` and runs what they describe.
    ///
    /// # Errors
    /// As [`run`].
    pub fn start(&self, mut layers: Layers) -> Result<()> {
        self.flags(&mut layers);
        self.lay_tokenizer(&mut layers)?;
        let mut config = self.config.resolve(layers)?;
        use_threads(config.threads)?;
        fit_table(&mut config)?;

        let entry = registry::find(config.objective_name()?)?;
        let Self { out, dry_run, .. } = self;
        let resume = if self.extend { &Resume::Extend } else { &self.resume };
        let job = PretrainJob { config: &config, out, resume, dry_run: *dry_run };

        let format = OutputFormat::of_flag(self.json);
        match (entry.pretrain)(&job)? {
            PretrainOutcome::Finished(summary) => {
                anstream::eprintln!("{} is finished; nothing to do", out.display());
                report(format, &summary)
            }
            PretrainOutcome::Trained(summary) => report(format, &serde_json::to_value(summary)?),
            PretrainOutcome::Planned(plan, tokenizer) => print_plan(format, &plan, &tokenizer),
        }
    }

    /// Where a run starts from another model, it takes its tokenizer, unless the command line names
    /// one or the configuration names a file.
    fn lay_tokenizer(&self, layers: &mut Layers) -> Result<()> {
        let init = layers.get("init").and_then(Value::as_str).filter(|init| !init.is_empty());
        let named = layers.get("corpus").and_then(|corpus| corpus.get("tokenizer")?.as_str());
        let trained = named.is_none_or(|named| named.starts_with("train:"));
        if let Some(init) = init
            && trained
            && !self.config.names_tokenizer()
        {
            let tokenizer = model::find(Path::new(init))?.tokenizer_path();
            layers.set("corpus.tokenizer", tokenizer.display().to_string());
        }
        Ok(())
    }

    /// Lays the flags over `layers`.
    pub fn flags(&self, layers: &mut Layers) {
        let whole = [
            ("budget.steps", self.budget.steps),
            ("budget.tokens", self.budget.tokens),
            ("batch.size", self.batch),
            ("batch.micro", self.micro_batch),
            ("evaluation.every", self.eval_every),
            ("checkpoint.every", self.checkpoint_every),
        ];
        for (path, value) in whole {
            if let Some(value) = value {
                layers.set(path, value as i64);
            }
        }

        let real = [
            ("budget.minutes", self.budget.minutes),
            ("budget.epochs", self.budget.epochs),
            ("budget.flops", self.budget.flops),
            ("optimizer.learning_rate", self.learning_rate),
            ("corpus.valid_fraction", self.valid_fraction),
        ];
        for (path, value) in real {
            if let Some(value) = value {
                layers.set(path, value);
            }
        }

        if !self.valid.is_empty() {
            layers.set("corpus.valid", self.valid.clone());
        }
        if let Some(backend) = self.backend.backend {
            layers.set("backend", backend.to_string());
        }
        if let Some(init) = &self.init {
            layers.set("init", init.display().to_string());
        }
        if let Some(blimp) = &self.eval_blimp {
            layers.set("evaluation.blimp", blimp.display().to_string());
        }
    }
}

/// Gives the token table as many rows as that of the model to start from, where this one has more
/// than its tokenizer has tokens: a table that was padded.
fn fit_table(config: &mut RunConfig) -> Result<()> {
    let init = &config.init;
    if init.as_os_str().is_empty() || config.encoder.vocabulary > 0 {
        return Ok(());
    }
    let source = model::find(init)?;
    let (rows, tokens) = (source.encoder()?.vocabulary, source.tokenizer()?.vocabulary_size());
    if rows == tokens {
        return Ok(());
    }

    let corpus = &config.corpus;
    let own = open_tokenizer(corpus, None, &corpus.cache, &Progress::default())?.vocabulary_size();
    config.encoder.vocabulary = rows.max(own);
    tracing::warn!(
        "--init {}: its table has {rows} rows for {tokens} tokens; encoder.vocabulary is {}",
        init.display(),
        config.encoder.vocabulary
    );
    Ok(())
}

/// Prints what a run would take, and for people its first examples.
fn print_plan(format: OutputFormat, plan: &Plan, tokenizer: &Tokenizer) -> Result<()> {
    report(format, &serde_json::to_value(plan)?)?;
    if format == OutputFormat::Json {
        return Ok(());
    }

    print(&format!("\nwhat the model is shown:  {}", legend()))?;
    for ShownExample { tokens, caption } in &plan.shown {
        print(&format!("\n{}", paint(tokens, tokenizer)))?;
        if let Some(caption) = caption {
            print(caption)?;
        }
    }
    Ok(())
}
