//! Distillation of a task: a student learns from labelled sentences and a fine-tuned teacher.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use anyhow::Result;
use augment::Vectors;
use corpus::{Tokenizer, keyed_rng, uniform};
use distill::{Network, Reads, Simple, SimpleConfig, Source, Tinybert, TinybertConfig};
use objective::Objective;
use serde::Serialize;
use serde_json::{Value, json};
use toml::Table;
use trunk::EncoderConfig;
use tune::{AdviceConfig, Measure, Tune, TuneConfig};

use super::advice::TaskTeacher;
use super::{Args, Method, Stage, shape};
use crate::cli::args::{refuse, use_threads};
use crate::cli::finetune::{style_of, tell};
use crate::cli::pretrain;
use crate::config::{Layers, RunConfig, parse};
use crate::exit::{BadInput, Usage};
use crate::finetune::{DataConfig, Encoder, Lesson, TaskData, learn, train};
use crate::model::{self, Found};
use crate::train::Resume;
use crate::train::weights::{HostTensor, Weights};

/// Runs a method for tasks.
///
/// # Errors
/// As [`super::run`].
pub fn run(args: &Args, found: &Found) -> Result<()> {
    args.data.check()?;
    if args.seeds == 0 {
        return Err(Usage("--seeds 0: must be at least 1".to_owned()).into());
    }
    refuse_text(&args.run)?;
    if args.method != Method::TinybertTask && args.stage != Stage::default() {
        return Err(Usage("--stage: only tinybert-task has stages".to_owned()).into());
    }
    if args.method != Method::TinybertTask && args.student.is_some() {
        return Err(Usage(
            "--student: only a student of tinybert-task continues another run".to_owned(),
        )
        .into());
    }
    if args.method != Method::TinybertTask
        && let Some(key) = args
            .run
            .config
            .set
            .iter()
            .find(|assignment| assignment.trim_start().starts_with("encoder."))
    {
        let message =
            "a simple network has no encoder; its shape is in objective, such as objective.width";
        return Err(Usage(format!("--set {key}: {message}")).into());
    }
    use_threads(args.run.config.threads.unwrap_or(0) as usize)?;
    let device = args.run.backend.backend.unwrap_or_default().open()?;
    let teacher = TaskTeacher::open(found, &device)?;
    let data = args.data.config(teacher.config.kind);
    let student = Student { args, found, teacher, data, advised: OnceCell::new() };
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
    tell(&args.run.out, &runs, args.run.json)
}

/// What the runs of all seeds share.
struct Student<'a> {
    args: &'a Args,
    found: &'a Found,
    teacher: TaskTeacher,
    data: DataConfig,
    /// The rows with the teacher's advice, which are the same for every seed.
    advised: OnceCell<TaskData>,
}

impl Student<'_> {
    /// The stages of TinyBERT's task distillation; the results of the last one.
    fn tinybert(&self, seed: u64, out: &Path) -> Result<Value> {
        let tokenizer = self.found.tokenizer()?;
        let (encoder, head, mut start) = match &self.args.student {
            Some(folder) => {
                let found = model::find(folder)?;
                (found.encoder()?, style_of(&found), folder.clone())
            }
            None => (
                shape::tinybert(&self.teacher.loaded.encoder),
                self.teacher.config.head,
                PathBuf::new(),
            ),
        };
        if self.args.stage != Stage::Prediction {
            let out = match self.args.stage {
                Stage::Intermediate => out.to_owned(),
                _ => beside(out),
            };
            let inside = TinybertConfig { source: Source::Task, ..TinybertConfig::default() };
            let mut layers = self.layers(seed, &encoder, &start)?;
            layers.set("teacher", self.args.teacher.display().to_string());
            layers.set("schedule.shape", "constant");
            let mut layers = self.flags(layers, Tinybert::NAME, &inside)?;
            layers.set("budget.epochs", self.args.intermediate_epochs);
            layers.set("optimizer.learning_rate", self.args.intermediate_learning_rate);
            let config: RunConfig = layers.resolve()?;
            let (kind, labels) = (self.teacher.config.kind, &self.teacher.config.labels);
            let encoder = Encoder::new(&tokenizer, config.corpus.max_length);
            let material = TaskData::read(&self.data, kind, encoder, labels)?;
            let mut lesson =
                Lesson { tokenizer: &tokenizer, kind, material, start: Weights::new() };
            train::<Tinybert>(config, &out, &mut lesson)?;
            if self.args.stage == Stage::Intermediate {
                return Ok(json!({"run": out, "seed": seed}));
            }
            start = out;
        }
        let TuneConfig { kind, labels, .. } = &self.teacher.config;
        let advice = AdviceConfig { share: 1.0, ..AdviceConfig::default() };
        let tune = TuneConfig {
            kind: *kind,
            labels: labels.clone(),
            head,
            dropout: encoder.dropout,
            advice,
        };
        let layers = self.layers(seed, &encoder, &start)?;
        let config = self.flags(layers, Tune::NAME, &tune)?.resolve()?;
        let lesson = self.lesson(&config, &tokenizer)?;
        learn::<Tune>(config, out, lesson)
    }

    /// A simple network.
    fn simple(&self, seed: u64, out: &Path) -> Result<Value> {
        let TuneConfig { kind, labels, .. } = &self.teacher.config;
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
        let advice =
            AdviceConfig { share: 1.0, measure: Measure::Squares, ..AdviceConfig::default() };
        let mut simple = SimpleConfig {
            kind: *kind,
            labels: labels.clone(),
            advice,
            network,
            reads,
            ..SimpleConfig::default()
        };
        if self.args.embeddings == "teacher" {
            simple.embedding = self.teacher.loaded.encoder.embedding_width();
        }
        let encoder = EncoderConfig { segments: 2, ..EncoderConfig::default() };
        let layers = self.layers(seed, &encoder, Path::new(""))?;
        let config: RunConfig = self.flags(layers, Simple::NAME, &simple)?.resolve()?;
        let tokenizer = self.found.tokenizer()?;
        let mut lesson = self.lesson(&config, &tokenizer)?;
        let simple: SimpleConfig = parse(config.objective_knobs(), "objective.")?;
        lesson.start = self.embeddings(&simple, seed)?;
        learn::<Simple>(config, out, lesson)
    }

    /// Where the embeddings start.
    fn embeddings(&self, config: &SimpleConfig, seed: u64) -> Result<Weights> {
        match self.args.embeddings.as_str() {
            "random" => Ok(Weights::new()),
            "teacher" => {
                let mut weights = self.found.weights()?;
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
                    known_words(&self.found.tokenizer()?, &vectors, seed),
                )]))
            }
        }
    }

    /// What the rows say and what the teacher says about them.
    fn lesson<'t>(&self, config: &RunConfig, tokenizer: &'t Tokenizer) -> Result<Lesson<'t>> {
        let advised = match self.advised.get() {
            Some(advised) => advised,
            None => {
                let encoder = Encoder::new(tokenizer, config.corpus.max_length);
                let advised = self.teacher.read(&self.data, encoder, config.evaluation.batch)?;
                self.advised.get_or_init(|| advised)
            }
        };
        Ok(Lesson {
            tokenizer,
            kind: self.teacher.config.kind,
            material: advised.clone(),
            start: Weights::new(),
        })
    }

    /// What is so unless a preset, a file or a flag says otherwise.
    fn layers(&self, seed: u64, encoder: &EncoderConfig, start: &Path) -> Result<Layers> {
        let mut layers = Layers::default();
        layers.set("seed", seed as i64);
        layers.set("init", start.display().to_string());
        layers.set("encoder", Table::try_from(encoder)?);
        let longest = self.teacher.loaded.positions.min(encoder.positions).min(128);
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
        ("--cache", config.cache.is_some()),
        ("--init", args.init.is_some()),
        ("--dry-run", args.dry_run),
        ("--resume", args.resume != Resume::Auto),
    ];
    refuse(&given, "is about learning from text; a task is learnt from --train FILE")
}
