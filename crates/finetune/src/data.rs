//! Labelled files as sequences with classes, scores, tags and answers.

use std::path::Path;

use ::objective::LabelledSequence;
use tasks::glue::{self, Recipe};
use tasks::{Error, Labels, MissingLabel, Result, read_text};

use crate::data_config::DataConfig;
use crate::encode::TextEncoder;
use crate::kind::TaskKind;
use crate::reader::{Reader, Rows, tell};
use crate::split::{Gold, RowText, Split};

/// The data of a task.
#[derive(Clone, Debug)]
pub struct TaskData {
    /// Names of the classes or tags.
    pub labels: Vec<String>,
    /// Training rows.
    pub train: Vec<LabelledSequence>,
    /// The splits that the best checkpoint is chosen by: one, or the two of MNLI.
    pub dev: Vec<Split>,
    /// The splits that are only evaluated.
    pub test: Vec<Split>,
}

impl TaskData {
    /// Reads the files that `config` names. `known` are the labels of an already trained model; if
    /// empty, the labels are those of the training data, or of the GLUE task.
    ///
    /// # Errors
    /// When a file is missing or at fault, a label does not occur in training, or the classes of a
    /// GLUE task are not among those of the model.
    pub fn read(
        config: &DataConfig,
        kind: TaskKind,
        encoder: TextEncoder<'_>,
        known: &[String],
    ) -> Result<Self> {
        if !config.glue.is_empty() {
            return read_glue(config, kind, encoder, known);
        }

        let labels = known_labels(known)?;
        let mut reader = Reader { config, kind, encoder, labels, missing: MissingLabel::Refuse };
        let train = reader.train(&config.train)?;
        let mut optional = |name: &str, path: &Path| -> Result<Vec<Split>> {
            let is_named = !path.as_os_str().is_empty();
            Ok(if is_named { vec![reader.split(name, path)?] } else { Vec::new() })
        };

        let dev = optional("dev", &config.dev)?;
        let test = optional("test", &config.test)?;
        let labels = reader.labels.map(|labels| labels.names().to_vec()).unwrap_or_default();
        Ok(Self { labels, train, dev, test })
    }
}

/// Reads a file for a model whose labels are known. With [`MissingLabel::Allow`], rows without a
/// label, or with one that the model does not know, are data to predict.
///
/// # Errors
/// As [`TaskData::read`].
pub fn read_split(
    config: &DataConfig,
    kind: TaskKind,
    encoder: TextEncoder<'_>,
    labels: &[String],
    path: &Path,
    (name, missing): (&str, MissingLabel),
) -> Result<Split> {
    Reader { config, kind, encoder, labels: known_labels(labels)?, missing }.split(name, path)
}

/// Reads a text of one sentence a line.
///
/// # Errors
/// When the file cannot be read, is not UTF-8, is empty, or has an empty line: each prediction
/// stands on the line of its sentence.
pub fn read_lines(path: &Path, encoder: TextEncoder<'_>) -> Result<Split> {
    let text = read_text(path)?;
    let (mut rows, mut texts) = (Vec::new(), Vec::new());
    for (number, line) in text.trim_end().lines().enumerate() {
        if line.trim().is_empty() {
            return Err(Error::Data(format!(
                "{}, line {}: it is empty, and predictions would no longer stand on the line of \
                 their sentence; take it out",
                path.display(),
                number + 1
            )));
        }
        rows.push(encoder.texts(line, None, None).0);
        texts.push(RowText { id: None, first: line.to_owned(), second: None, gold: None });
    }

    if rows.is_empty() {
        return Err(Error::Data(format!("{}: it holds no sentence", path.display())));
    }
    Ok(Split { name: "input".to_owned(), rows, gold: Gold::Rows(texts) })
}

fn known_labels(names: &[String]) -> Result<Option<Labels>> {
    Ok(if names.is_empty() { None } else { Some(Labels::new(names.iter().cloned())?) })
}

/// Reads a task of GLUE, whose classes are numbered as those of a model where `known` names them.
fn read_glue(
    config: &DataConfig,
    kind: TaskKind,
    encoder: TextEncoder<'_>,
    known: &[String],
) -> Result<TaskData> {
    let recipe = Recipe::find(&config.glue)?;
    let has_scores = matches!(recipe.target, glue::Target::Score { .. });
    let (needed_kind, needed) = if has_scores {
        (TaskKind::Regression, "regression")
    } else {
        (TaskKind::Classification, "classification")
    };
    if kind != needed_kind {
        let name = recipe.name;
        return Err(Error::Data(format!("{name} is a task of {needed}; write --task {needed}")));
    }

    let own = recipe.labels();
    let model = known_labels(known)?.filter(|_| !has_scores);
    let joined = model.as_ref().map(|model| recipe.join(model)).transpose()?;
    let index = |name: &str, path: &Path, line: usize| -> Result<u32> {
        let labels = own.as_ref().ok_or_else(|| Error::Data(format!("{name} is no score")))?;
        let number = labels.index(name, path, line)?;
        Ok(joined.as_ref().map_or(number, |joined| joined[number as usize]))
    };

    let read = |split| -> Result<Vec<Split>> {
        let parts = recipe.read(&config.folder, split)?;
        let rows_of = |part: glue::Part| {
            let path = config.folder.join(&part.name);
            tell(&path, &part.table.remarks);
            let Rows { rows, texts } =
                Rows::of(&part.table, encoder, &path, MissingLabel::Refuse, &index)?;
            Ok(Split { name: part.name, rows, gold: Gold::Rows(texts) })
        };
        parts.into_iter().map(rows_of).collect()
    };

    let labels = model.as_ref().or(own.as_ref());
    Ok(TaskData {
        train: read(glue::Split::Train)?.into_iter().flat_map(|split| split.rows).collect(),
        dev: read(glue::Split::Dev)?,
        test: Vec::new(),
        labels: labels.map(|labels| labels.names().to_vec()).unwrap_or_default(),
    })
}
