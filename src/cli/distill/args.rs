//! Flags of `distill`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

use crate::cli::data::DataArgs;
use crate::cli::pretrain;

/// How a student learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// The teacher's predictions and last hidden states, from text (Sanh et al. 2019).
    Distilbert,
    /// What happens inside the teacher, from text (Jiao et al. 2020, general distillation).
    TinybertGeneral,
    /// What happens inside a fine-tuned teacher, then its predictions, from the sentences of its
    /// task (Jiao et al. 2020, task distillation).
    TinybertTask,
    /// A fine-tuned teacher's logits, by a BiLSTM (Tang et al. 2019).
    Bilstm,
    /// The same by a TextCNN.
    Textcnn,
    /// The same by a bag of embeddings.
    Bag,
}

/// The stages of TinyBERT's task distillation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Stage {
    /// One after the other.
    #[default]
    Both,
    /// Only what happens inside.
    Intermediate,
    /// Only predictions.
    Prediction,
}

/// Flags of `distill`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// How the student learns.
    #[arg(long, value_enum)]
    pub method: Method,
    /// A run, a checkpoint or a Hugging Face folder; in the methods for tasks it is fine-tuned.
    #[arg(long, value_name = "DIR")]
    pub teacher: PathBuf,
    /// The run that the student continues, in tinybert-task: a general student. Left out: a new
    /// one, of a third of the teacher's layers and two fifths of its width unless a preset or --set
    /// encoder.KEY=VALUE tells.
    #[arg(long, value_name = "DIR")]
    pub student: Option<PathBuf>,
    /// Which stages, in tinybert-task; the first of both goes to a folder called like --out with
    /// -intermediate at its end.
    #[arg(long, value_enum, default_value_t)]
    pub stage: Stage,
    /// Times to go through the data in the intermediate stage; --epochs are those of the prediction
    /// stage.
    #[arg(long, value_name = "N", default_value_t = 10.0)]
    pub intermediate_epochs: f64,
    /// Peak learning rate of the intermediate stage; --learning-rate is that of the prediction
    /// stage.
    #[arg(long, value_name = "X", default_value_t = 5e-5)]
    pub intermediate_learning_rate: f64,
    /// Where the embeddings of a simple network start: random, teacher (its token table), or a file
    /// of word vectors (word2vec's text, GloVe, fastText; also .gz).
    #[arg(long, value_name = "random|teacher|FILE", default_value = "random")]
    pub embeddings: String,
    /// Runs with different seeds, in the methods for tasks.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seeds: u64,
    #[command(flatten)]
    pub data: DataArgs,
    #[command(flatten)]
    pub run: pretrain::Args,
}
