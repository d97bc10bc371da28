//! Flags that name labelled data.

use std::path::PathBuf;

use clap::Args;
use finetune::{DataConfig, TaskKind};

use crate::exit::Usage;

/// Where labelled data lie and how they are read.
#[derive(Debug, Args)]
pub struct DataArgs {
    /// Training data: TSV, CSV or JSON lines; columns of words and tags; SQuAD's JSON.
    #[arg(long, value_name = "FILE")]
    pub train: Option<PathBuf>,
    /// Data to choose the best checkpoint by.
    #[arg(long, value_name = "FILE")]
    pub dev: Option<PathBuf>,
    /// Data that the best checkpoint is measured on.
    #[arg(long, value_name = "FILE")]
    pub test: Option<PathBuf>,
    /// A task of GLUE instead of --train and --dev: CoLA, SST-2, MRPC, STS-B, QQP, MNLI, QNLI, RTE.
    #[arg(long, value_name = "TASK", requires = "data", conflicts_with = "train")]
    pub glue: Option<String>,
    /// The folder with the files of the GLUE task as downloaded.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The column or field of the sentence (classification, regression: `sentence`) or of the words
    /// (tagging: `tokens` in JSON lines; of a file of columns the number, the first one being 0).
    #[arg(long, value_name = "COLUMN")]
    pub text: Option<String>,
    /// The column of the second sentence.
    #[arg(long, value_name = "COLUMN")]
    pub pair: Option<String>,
    /// The column of the label, score or tags.
    #[arg(long, value_name = "COLUMN")]
    pub label: Option<String>,
    /// The file has no line that names the columns; they are called 0, 1, 2 and so on.
    #[arg(long)]
    pub no_header: bool,
}

impl DataArgs {
    /// Checks that there is something to learn.
    ///
    /// # Errors
    /// When there is no training data.
    pub fn check(&self) -> Result<(), Usage> {
        if self.train.is_none() && self.glue.is_none() {
            let message = "no training data: give --train FILE, or --glue TASK --data DIR";
            return Err(Usage(message.to_owned()));
        }
        Ok(())
    }

    /// The `[data]` table.
    pub fn config(&self, kind: TaskKind) -> DataConfig {
        let path = |path: &Option<PathBuf>| path.clone().unwrap_or_default();
        let (text, label) = match kind {
            TaskKind::Tagging => ("tokens", "tags"),
            TaskKind::Regression => ("sentence", "score"),
            _ => ("sentence", "label"),
        };
        let named =
            |given: &Option<String>, usual: &str| given.clone().unwrap_or_else(|| usual.to_owned());

        DataConfig {
            glue: self.glue.clone().unwrap_or_default(),
            folder: path(&self.data),
            train: path(&self.train),
            dev: path(&self.dev),
            test: path(&self.test),
            text: named(&self.text, text),
            pair: self.pair.clone().unwrap_or_default(),
            label: named(&self.label, label),
            header: !self.no_header,
            ..DataConfig::default()
        }
    }
}
