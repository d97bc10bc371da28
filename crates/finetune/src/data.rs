//! Labelled files as sequences with classes, scores, tags and answers.

use std::path::Path;

use ::objective::{Label, LabelledSequence};
use tasks::glue::{self, Recipe};
use tasks::tagging::{self, TagSource, TaggedSentence};
use tasks::{
    AnswerContext, Columns, Error, Header, LabelKind, Labels, Ragged, Result, Squad, Table, Window,
    WindowConfig, Windows,
};

use crate::data_config::DataConfig;
use crate::encode::TextEncoder;
use crate::kind::TaskKind;

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

/// Rows and their gold standard.
#[derive(Clone, Debug)]
pub struct Split {
    /// The name of the split in results.
    pub name: String,
    /// The rows.
    pub rows: Vec<LabelledSequence>,
    /// The part of the gold standard that the rows do not hold.
    pub gold: Gold,
}

/// The gold standard besides the labels of the rows.
#[derive(Clone, Debug)]
pub enum Gold {
    /// The labels of the rows are all.
    Rows,
    /// Words and tags, and for each sentence the positions of the words' first tokens in its row.
    Tags(Vec<TaggedSentence>, Vec<Vec<usize>>),
    /// The questions, and the context and windows of each; the rows are the windows, in this order.
    Questions(Box<Squad>, Vec<(AnswerContext, Vec<Window>)>),
}

impl TaskData {
    /// Reads the files that `config` names. `known` are the labels of an already trained model; if
    /// empty, the labels are those of the training data.
    ///
    /// # Errors
    /// When a file is missing or at fault, or a label does not occur in training.
    pub fn read(
        config: &DataConfig,
        kind: TaskKind,
        encoder: TextEncoder<'_>,
        known: &[String],
    ) -> Result<Self> {
        if !config.glue.is_empty() {
            return read_glue(config, kind, encoder);
        }

        let mut reader = Reader { config, kind, encoder, labels: known_labels(known)? };
        let train = reader.split("train", &config.train)?.rows;
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

/// Reads a file for a model whose labels are known.
///
/// # Errors
/// As [`TaskData::read`].
pub fn read_split(
    config: &DataConfig,
    kind: TaskKind,
    encoder: TextEncoder<'_>,
    labels: &[String],
    name: &str,
    path: &Path,
) -> Result<Split> {
    Reader { config, kind, encoder, labels: known_labels(labels)? }.split(name, path)
}

/// Reads a text of one sentence a line.
///
/// # Errors
/// When the file cannot be read, is not UTF-8, is empty, or has an empty line: each prediction
/// stands on the line of its sentence.
pub fn read_lines(path: &Path, encoder: TextEncoder<'_>) -> Result<Split> {
    let of_file = |what: &dyn std::fmt::Display| Error::Data(format!("{}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| of_file(&error))?;
    let row = |(number, line): (usize, &str)| {
        if line.trim().is_empty() {
            return Err(Error::Data(format!(
                "{}, line {}: it is empty, and predictions would no longer stand on the line of \
                 their sentence; take it out",
                path.display(),
                number + 1
            )));
        }
        Ok(encoder.texts(line, None, None))
    };

    let rows: Vec<LabelledSequence> =
        text.trim_end().lines().enumerate().map(row).collect::<Result<_>>()?;
    if rows.is_empty() {
        return Err(of_file(&"it holds no sentence"));
    }
    Ok(Split { name: "input".to_owned(), rows, gold: Gold::Rows })
}

fn known_labels(names: &[String]) -> Result<Option<Labels>> {
    Ok(if names.is_empty() { None } else { Some(Labels::new(names.iter().cloned())?) })
}

/// Reads a task of GLUE.
fn read_glue(config: &DataConfig, kind: TaskKind, encoder: TextEncoder<'_>) -> Result<TaskData> {
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

    let labels = recipe.labels();
    let read = |split| -> Result<Vec<Split>> {
        let parts = recipe.read(&config.folder, split)?;
        let rows_of = |part: glue::Part| {
            warn_of_skipped(&part.name, &part.table);
            let path = config.folder.join(&part.name);
            let rows = rows(&part.table, encoder, labels.as_ref(), &path)?;
            Ok(Split { name: part.name, rows, gold: Gold::Rows })
        };
        parts.into_iter().map(rows_of).collect()
    };

    Ok(TaskData {
        train: read(glue::Split::Train)?.into_iter().flat_map(|split| split.rows).collect(),
        dev: read(glue::Split::Dev)?,
        test: Vec::new(),
        labels: labels.as_ref().map(|labels| labels.names().to_vec()).unwrap_or_default(),
    })
}

/// Reads the files of a task.
struct Reader<'a> {
    config: &'a DataConfig,
    kind: TaskKind,
    encoder: TextEncoder<'a>,
    labels: Option<Labels>,
}

impl Reader<'_> {
    fn split(&mut self, name: &str, path: &Path) -> Result<Split> {
        let name = name.to_owned();
        match self.kind {
            TaskKind::Classification | TaskKind::Regression => self.sentences(name, path),
            TaskKind::Tagging => self.tagged(name, path),
            TaskKind::Question => self.questions(name, path),
        }
    }

    fn sentences(&mut self, name: String, path: &Path) -> Result<Split> {
        let table = Table::open(path, &self.columns())?;
        if self.kind == TaskKind::Classification && self.labels.is_none() {
            let names = table.examples.iter().filter_map(|example| match &example.label {
                Some(tasks::Label::Class(name)) => Some(name.as_str()),
                _ => None,
            });
            self.labels = Some(Labels::found(names, path)?);
        }

        let rows = rows(&table, self.encoder, self.labels.as_ref(), path)?;
        Ok(Split { name, rows, gold: Gold::Rows })
    }

    /// The columns of a table.
    fn columns(&self) -> Columns {
        let DataConfig { text, pair, label, header, .. } = self.config;
        let named = |name: &String| (!name.is_empty()).then(|| name.clone());
        let is_score = self.kind == TaskKind::Regression;
        Columns {
            text: text.clone(),
            pair: named(pair),
            label: named(label),
            kind: if is_score { LabelKind::Score } else { LabelKind::Class },
            header: if *header { Header::Present } else { Header::Absent },
            ragged: Ragged::Refuse,
        }
    }

    fn tagged(&mut self, name: String, path: &Path) -> Result<Split> {
        let sentences = tagging::read(path, &self.tag_source(path)?)?;
        if self.labels.is_none() {
            let tags =
                sentences.iter().flat_map(|sentence| sentence.tags.iter().map(String::as_str));
            self.labels = Some(Labels::found(tags, path)?);
        }

        let specials = self.encoder.tokenizer.specials();
        let most = self.encoder.max_length.saturating_sub(2);
        let (mut rows, mut firsts) = (Vec::new(), Vec::new());
        for sentence in &sentences {
            let aligned = tagging::align(self.encoder.tokenizer, &sentence.words, most);
            let label = match &self.labels {
                Some(labels) if !sentence.tags.is_empty() => {
                    let tag = |tag: &String| labels.index(tag, path, sentence.line);
                    let tags = sentence.tags.iter().map(tag).collect::<Result<Vec<u32>>>()?;
                    Some(Label::Tags([vec![None], aligned.labels(&tags), vec![None]].concat()))
                }
                _ => None,
            };

            firsts.push(aligned.firsts.iter().map(|first| first + 1).collect());
            let tokens = [vec![specials.cls], aligned.tokens, vec![specials.sep]].concat();
            rows.push(LabelledSequence { tokens, second: None, label, teacher_logits: None });
        }
        Ok(Split { name, rows, gold: Gold::Tags(sentences, firsts) })
    }

    /// The columns or fields of words and tags in the file at `path`.
    fn tag_source(&self, path: &Path) -> Result<TagSource> {
        let DataConfig { text, label, .. } = self.config;
        if path.extension().is_some_and(|ending| ending == "jsonl") {
            let tags = (!label.is_empty()).then(|| label.clone());
            return Ok(TagSource::JsonLines { tokens: text.clone(), tags });
        }

        let column = |flag: &str, name: &str| {
            name.parse().map_err(|_| {
                Error::Data(format!(
                    "{}: a file of columns, of which --{flag} gives the number, the first one \
                     being 0; such as --text 0 --label 1",
                    path.display()
                ))
            })
        };
        let tag = if label.is_empty() { None } else { Some(column("label", label)?) };
        Ok(TagSource::Columns { word: column("text", text)?, tag })
    }

    fn questions(&self, name: String, path: &Path) -> Result<Split> {
        let squad = Squad::open(path)?;
        if !squad.misplaced.is_empty() {
            let lost = squad.misplaced.iter().filter(|answer| answer.found.is_none()).count();
            tracing::warn!(
                "{}: {} answers do not stand where the file says; the nearest occurrence was \
                 taken, {lost} have none",
                path.display(),
                squad.misplaced.len()
            );
        }

        let TextEncoder { tokenizer, layout, max_length } = self.encoder;
        let DataConfig { step, max_question, .. } = *self.config;
        let windows =
            Windows::new(tokenizer, layout, WindowConfig { max_length, step, max_question })?;

        let (mut rows, mut contexts) = (Vec::new(), Vec::new());
        for (paragraph, question) in squad.questions() {
            let context = AnswerContext::new(tokenizer, paragraph.context.as_str());
            let cut = windows.cut(&question.text, &context, question.target());
            rows.extend(cut.iter().map(row_of));
            contexts.push((context, cut));
        }
        Ok(Split { name, rows, gold: Gold::Questions(Box::new(squad), contexts) })
    }
}

/// A window as a sequence, labelled with the answer in it.
fn row_of(window: &Window) -> LabelledSequence {
    let (start, end) = window.target;
    LabelledSequence {
        tokens: window.tokens.clone(),
        second: Some(window.first as u32),
        label: Some(Label::Span(start as u32, end as u32)),
        teacher_logits: None,
    }
}

/// The rows of a table.
fn rows(
    table: &Table,
    encoder: TextEncoder<'_>,
    labels: Option<&Labels>,
    path: &Path,
) -> Result<Vec<LabelledSequence>> {
    let row = |example: &tasks::TableRow| -> Result<LabelledSequence> {
        let label = match (&example.label, labels) {
            (Some(tasks::Label::Class(name)), Some(labels)) => {
                Some(Label::Class(labels.index(name, path, example.line)?))
            }
            (Some(tasks::Label::Score(score)), _) => Some(Label::Score(*score as f32)),
            _ => None,
        };

        Ok(encoder.texts(&example.first, example.second.as_deref(), label))
    };
    table.examples.iter().map(row).collect()
}

fn warn_of_skipped(name: &str, table: &Table) {
    if !table.skipped.is_empty() {
        let (count, first) = (table.skipped.len(), table.skipped[0]);
        tracing::warn!(
            "{name}: {count} rows with another number of fields are left out, \
             the first on line {first}"
        );
    }
}
