//! Distillation of a task: a student learns from labelled sentences and a fine-tuned teacher.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use anyhow::Result;
use augment::Vectors;
use checkpoint::{HostTensor, Weights};
use corpus::{Tokenizer, keyed_rng, uniform};
use distill::{Network, Reads, Simple, SimpleConfig, StudentData, Tinybert, TinybertConfig};
use finetune::{
    Comparison, DataConfig, DistillationConfig, Finetune, FinetuneConfig, HeadStyle, Pooling,
    TaskData, TextEncoder,
};
use objective::Objective;
use serde::Serialize;
use serde_json::{Value, json};
use settings::Layers;
use toml::Table;
use trunk::EncoderConfig;

use super::args::{Args, Method, Stage};
use super::shape;
use super::teacher::TaskTeacher;
use crate::cli::args::{refuse, use_threads};
use crate::cli::finetune::{head_style, print_results};
use crate::cli::pretrain;
use crate::config::RunConfig;
use crate::exit::{BadInput, Usage};
use crate::model::{self, ModelSource};
use crate::run::{Resume, TaskLesson, learn, train_task};

/// Runs a method for tasks.
///
/// # Errors
/// As [`super::run`].
pub fn run(args: &Args, source: &ModelSource) -> Result<()> {
    check(args)?;
    use_threads(args.run.config.threads.unwrap_or(0) as usize)?;
    let device = args.run.backend.backend.unwrap_or_default().open()?;
    let teacher = TaskTeacher::open(source, &device)?;
    let data = args.data.config(teacher.config.kind);
    let student = Student { args, source, teacher, data, taught: OnceCell::new() };

    let first = args.run.config.seed.unwrap_or(1);
    let mut runs = Vec::new();
    for seed in first..first + args.seeds {
        let out = match args.seeds {
            1 => args.run.out.clone(),
            _ => args.run.out.join(format!("seed-{seed}")),
        };
        runs.push(match args.method {
            Method::TinybertTask => student.tinybert(seed, &out)?,
            _ => student.simple(seed, &out)?,
        });
    }
    print_results(&args.run.out, &runs, args.run.json)
}

/// Checks the flags against each other.
fn check(args: &Args) -> Result<(), Usage> {
    args.data.check()?;
    if args.seeds == 0 {
        return Err(Usage("--seeds 0: must be at least 1".to_owned()));
    }
    refuse_text(&args.run)?;
    if args.method == Method::TinybertTask {
        return Ok(());
    }

    if args.stage != Stage::default() {
        return Err(Usage("--stage: only tinybert-task has stages".to_owned()));
    }
    if args.student.is_some() {
        let message = "--student: only a student of tinybert-task continues another run";
        return Err(Usage(message.to_owned()));
    }
    let mut assignments = args.run.config.set.iter();
    match assignments.find(|assignment| assignment.trim_start().starts_with("encoder.")) {
        Some(key) => Err(Usage(format!(
            "--set {key}: a simple network has no encoder; its shape is in objective, such as \
             objective.width"
        ))),
        None => Ok(()),
    }
}

/// What the runs of all seeds share.
struct Student<'a> {
    args: &'a Args,
    source: &'a ModelSource,
    teacher: TaskTeacher,
    data: DataConfig,
    /// The rows with the teacher's logits, which are the same for every seed.
    taught: OnceCell<TaskData>,
}

/// What a student of TinyBERT's starts as.
struct Start {
    encoder: EncoderConfig,
    head: HeadStyle,
    /// The model whose weights are the initial ones; empty: none.
    init: PathBuf,
}

impl Student<'_> {
    /// The stages of TinyBERT's task distillation; the results of the last one.
    fn tinybert(&self, seed: u64, out: &Path) -> Result<Value> {
        let tokenizer = self.source.tokenizer()?;
        let mut start = self.start()?;

        if self.args.stage != Stage::Prediction {
            let out = match self.args.stage {
                Stage::Intermediate => out.to_owned(),
                _ => beside(out),
            };
            self.intermediate(seed, &out, &start, &tokenizer)?;
            if self.args.stage == Stage::Intermediate {
                return Ok(json!({"run": out, "seed": seed}));
            }
            start.init = out;
        }

        let FinetuneConfig { kind, labels, .. } = &self.teacher.config;
        let finetune = FinetuneConfig {
            kind: *kind,
            labels: labels.clone(),
            head: start.head,
            pooling: Pooling::Cls,
            dropout: start.encoder.dropout,
            distillation: DistillationConfig { share: 1.0, ..DistillationConfig::default() },
        };
        let layers = self.layers(seed, &start.encoder, &start.init)?;
        let config = self.flags(layers, Finetune::NAME, &finetune)?.resolve()?;
        let lesson = self.lesson(&config, &tokenizer)?;
        learn::<Finetune>(config, out, lesson)
    }

    /// A general student, or a new one.
    fn start(&self) -> Result<Start> {
        if let Some(folder) = &self.args.student {
            let source = model::find(folder)?;
            let (encoder, head) = (source.encoder()?, head_style(&source)?);
            return Ok(Start { encoder, head, init: folder.clone() });
        }
        let encoder = shape::tinybert(self.teacher.loaded.model.encoder());
        Ok(Start { encoder, head: self.teacher.config.head, init: PathBuf::new() })
    }

    /// The stage that learns what happens inside the teacher.
    fn intermediate(
        &self,
        seed: u64,
        out: &Path,
        start: &Start,
        tokenizer: &Tokenizer,
    ) -> Result<()> {
        let inside = TinybertConfig { source: StudentData::Task, ..TinybertConfig::default() };
        let mut layers = self.layers(seed, &start.encoder, &start.init)?;
        layers.set("teacher", self.args.teacher.display().to_string());
        layers.set("schedule.shape", "constant");
        let mut layers = self.flags(layers, Tinybert::NAME, &inside)?;
        layers.set("budget.epochs", self.args.intermediate_epochs);
        layers.set("optimizer.learning_rate", self.args.intermediate_learning_rate);
        let config: RunConfig = layers.resolve()?;

        let outputs = self.teacher.outputs();
        let encoder = TextEncoder::new(tokenizer, config.corpus.max_length);
        let data = TaskData::read(&self.data, outputs.kind, encoder, &outputs.labels)?;
        let mut lesson = TaskLesson { tokenizer, outputs, data, initial: Weights::new() };
        train_task::<Tinybert>(config, out, &mut lesson)?;
        Ok(())
    }

    /// A simple network.
    fn simple(&self, seed: u64, out: &Path) -> Result<Value> {
        let FinetuneConfig { kind, labels, .. } = &self.teacher.config;
        let network = match self.args.method {
            Method::Textcnn => Network::Textcnn,
            Method::Bag => Network::Bag,
            _ => Network::Bilstm,
        };
        let reads = if self.data.pair.is_empty() && self.data.glue.is_empty() {
            Reads::One
        } else {
            Reads::Two
        };

        let distillation = DistillationConfig {
            share: 1.0,
            comparison: Comparison::Squares,
            ..DistillationConfig::default()
        };
        let mut simple = SimpleConfig {
            kind: *kind,
            labels: labels.clone(),
            distillation,
            network,
            reads,
            ..SimpleConfig::default()
        };
        if self.args.embeddings == "teacher" {
            simple.embedding = self.teacher.loaded.model.encoder().embedding_width();
        }

        let encoder = EncoderConfig { segments: 2, ..EncoderConfig::default() };
        let layers = self.layers(seed, &encoder, Path::new(""))?;
        let config: RunConfig = self.flags(layers, Simple::NAME, &simple)?.resolve()?;

        let tokenizer = self.source.tokenizer()?;
        let mut lesson = self.lesson(&config, &tokenizer)?;
        let simple: SimpleConfig = settings::parse(config.objective_knobs(), "objective.")?;
        lesson.initial = self.embeddings(&simple, seed)?;
        learn::<Simple>(config, out, lesson)
    }

    /// Where the embeddings start.
    fn embeddings(&self, config: &SimpleConfig, seed: u64) -> Result<Weights> {
        match self.args.embeddings.as_str() {
            "random" => Ok(Weights::new()),
            "teacher" => {
                let mut weights = self.source.weights()?;
                let table = weights.remove("encoder.embeddings.tokens");
                let fits = table.filter(|table| table.shape[1] == config.embedding);
                let message = || {
                    BadInput(format!(
                        "objective.embedding = {}: the teacher's are wider or narrower",
                        config.embedding
                    ))
                };
                Ok(Weights::from([("embedding".to_owned(), fits.ok_or_else(message)?)]))
            }
            file => {
                let vectors = Vectors::open(Path::new(file), usize::MAX)?;
                let (ours, theirs) = (config.embedding, vectors.width());
                if ours != theirs {
                    let message = format!(
                        "objective.embedding = {ours}: the vectors of {file} have {theirs} numbers"
                    );
                    return Err(BadInput(message).into());
                }

                Ok(Weights::from([(
                    "embedding".to_owned(),
                    known_words(&self.source.tokenizer()?, &vectors, seed),
                )]))
            }
        }
    }

    /// The rows with the teacher's logits.
    fn lesson<'t>(&self, config: &RunConfig, tokenizer: &'t Tokenizer) -> Result<TaskLesson<'t>> {
        let taught = match self.taught.get() {
            Some(taught) => taught,
            None => {
                let encoder = TextEncoder::new(tokenizer, config.corpus.max_length);
                let taught = self.teacher.read(&self.data, encoder, config.evaluation.batch)?;
                self.taught.get_or_init(|| taught)
            }
        };

        Ok(TaskLesson {
            tokenizer,
            outputs: self.teacher.outputs(),
            data: taught.clone(),
            initial: Weights::new(),
        })
    }

    /// The settings that presets, files and flags are laid over.
    fn layers(&self, seed: u64, encoder: &EncoderConfig, start: &Path) -> Result<Layers> {
        let mut layers = Layers::default();
        layers.set("seed", seed as i64);
        layers.set("init", start.display().to_string());
        layers.set("encoder", Table::try_from(encoder)?);

        let longest = self.teacher.loaded.model.encoder().positions.min(encoder.positions).min(128);
        layers.set("corpus.max_length", longest as i64);
        layers.set("data", Table::try_from(&self.data)?);

        layers.set("budget.epochs", 3.0);
        layers.set("schedule.warmup", 0.1);
        layers.set("evaluation.every", 0);
        layers.set("evaluation.passages", 0);
        layers.set("checkpoint.every", 0);
        layers.set("checkpoint.keep", 1);
        Ok(layers)
    }

    /// Lays preset, file and flags over `layers`, and the objective, which only --set changes: the
    /// keys of it that this objective has, so that both stages of TinyBERT take theirs.
    fn flags<C: Serialize>(&self, layers: Layers, name: &str, objective: &C) -> Result<Layers> {
        let args = &self.args.run;
        let seed = layers.get("seed").cloned();
        let mut layers = args.config.below(layers)?;
        args.flags(&mut layers);

        let mut knobs = Table::try_from(objective)?;
        let known = |key: &str| knobs.contains_key(key);
        let mine = |assignment: &&String| {
            let Some(rest) = assignment.trim_start().strip_prefix("objective.") else {
                return true;
            };
            let key = rest.split(['.', '=', ' ']).next().unwrap_or_default();
            known(key) || self.args.method != Method::TinybertTask
        };
        let assignments: Vec<&String> = args.config.set.iter().filter(mine).collect();

        knobs.insert("name".to_owned(), name.into());
        layers.remove("objective");
        layers.set("objective", knobs);

        if let Some(length) = args.config.max_length {
            layers.set("corpus.max_length", length as i64);
        }
        layers.set("threads", args.config.threads.unwrap_or(0) as i64);

        for assignment in assignments {
            layers.assign(assignment)?;
        }
        if let Some(seed) = seed {
            layers.set("seed", seed);
        }

        Ok(layers)
    }
}

/// Where the intermediate stage of a run goes.
fn beside(out: &Path) -> PathBuf {
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    out.with_file_name(format!("{name}-intermediate"))
}

/// A row for each token: the vector of the word that it is, or small random numbers.
fn known_words(tokenizer: &Tokenizer, vectors: &Vectors, seed: u64) -> HostTensor {
    let (width, mut known) = (vectors.width(), 0);
    let mut values = Vec::with_capacity(tokenizer.vocabulary_size() * width);

    for id in 0..tokenizer.vocabulary_size() as u32 {
        let word = tokenizer.begins_word(id).then(|| tokenizer.decode(&[id]));
        match word.and_then(|word| vectors.get(word.trim())) {
            Some(vector) => {
                known += 1;
                values.extend_from_slice(vector);
            }
            None => {
                let mut rng = keyed_rng("embeddings", seed, u64::from(id), 0);
                values.extend((0..width).map(|_| (uniform(&mut rng) - 0.5) as f32 * 0.2));
            }
        }
    }

    anstream::eprintln!("{known} of {} tokens have a vector", tokenizer.vocabulary_size());
    HostTensor { shape: vec![tokenizer.vocabulary_size(), width], values }
}

/// Checks that flags about text are not given, which would do nothing.
fn refuse_text(args: &pretrain::Args) -> Result<(), Usage> {
    let config = &args.config;
    let given = [
        ("--corpus", !config.corpus.is_empty()),
        ("--document", config.document.is_some()),
        ("--text-field", config.text_field.is_some()),
        ("--tokenizer", config.tokenizer.is_some()),
        ("--add-tokens", config.add_tokens.is_some()),
        ("--cache", config.cache.is_some()),
        ("--init", args.init.is_some()),
        ("--dry-run", args.dry_run),
        ("--resume", args.resume != Resume::Auto),
        ("--extend", args.extend),
    ];
    refuse(&given, "is about learning from text; a task is learnt from --train FILE")
}
