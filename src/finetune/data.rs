//! Labelled files to rows: classes, scores, tags, answers.

use std::path::Path;

use anyhow::Result;
use objective::Answer;
use tasks::glue::{self, Recipe};
use tasks::tagging::{self, Source, TaggedSentence};
use tasks::{
    Columns, Context, Header, Label, LabelKind, Labels, Ragged, Squad, Table, Window, WindowConfig,
    Windows,
};
use tune::Kind;

use super::config::DataConfig;
use super::encode::Encoder;
use crate::exit::BadInput;
use crate::train::Labelled;

/// Everything that is learnt and measured.
#[derive(Clone, Debug)]
pub struct TaskData {
    /// Names of the classes or tags.
    pub labels: Vec<String>,
    /// What is learnt.
    pub train: Vec<Labelled>,
    /// What is chosen by: one part, of MNLI two.
    pub dev: Vec<Split>,
    /// What is only measured.
    pub test: Vec<Split>,
}

/// Rows with what their predictions are compared with.
#[derive(Clone, Debug)]
pub struct Split {
    /// What it is called in results.
    pub name: String,
    /// The rows.
    pub rows: Vec<Labelled>,
    /// What the rows do not say themselves.
    pub gold: Gold,
}

/// What predictions are compared with, besides the labels of the rows.
#[derive(Clone, Debug)]
pub enum Gold {
    /// Nothing else.
    Rows,
    /// Words and tags, and for each sentence the places of the words' first tokens in its row.
    Tags(Vec<TaggedSentence>, Vec<Vec<usize>>),
    /// The questions, and for each its context and windows; the rows are the windows, in this
    /// order.
    Questions(Box<Squad>, Vec<(Context, Vec<Window>)>),
}

impl TaskData {
    /// Reads the files that `config` names. `known` are the labels of a model that was trained
    /// already; where there are none, they are those of the training data.
    ///
    /// # Errors
    /// When a file is missing or at fault, or a label does not occur in training.
    pub fn read(
        config: &DataConfig,
        kind: Kind,
        encoder: Encoder<'_>,
        known: &[String],
    ) -> Result<Self> {
        if !config.glue.is_empty() {
            return glue(config, kind, encoder);
        }
        let labels = known_labels(known)?;
        let mut reader = Reader { config, kind, encoder, labels };
        let train = reader.split("train", &config.train)?.rows;
        let optional = |reader: &mut Reader<'_>, name: &str, path: &Path| -> Result<Vec<Split>> {
            if path.as_os_str().is_empty() {
                Ok(Vec::new())
            } else {
                Ok(vec![reader.split(name, path)?])
            }
        };
        let dev = optional(&mut reader, "dev", &config.dev)?;
        let test = optional(&mut reader, "test", &config.test)?;
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
    kind: Kind,
    encoder: Encoder<'_>,
    labels: &[String],
    name: &str,
    path: &Path,
) -> Result<Split> {
    Reader { config, kind, encoder, labels: known_labels(labels)? }.split(name, path)
}

/// Reads a text of one sentence a line.
///
/// # Errors
/// When the file cannot be read, is not UTF-8 or empty, or has an empty line: predictions stand on
/// the line of their sentence.
pub fn read_lines(path: &Path, encoder: Encoder<'_>) -> Result<Split> {
    let bad = |what: &dyn std::fmt::Display| BadInput(format!("{}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| bad(&error))?;
    let row = |(number, line): (usize, &str)| match line.trim().is_empty() {
        true => Err(BadInput(format!(
            "{}, line {}: it is empty, and predictions would no longer stand on the line of their sentence; take it out",
            path.display(),
            number + 1
        ))),
        false => Ok(encoder.texts(line, None, None)),
    };
    let rows: Vec<Labelled> =
        text.trim_end().lines().enumerate().map(row).collect::<Result<_, _>>()?;
    if rows.is_empty() {
        return Err(bad(&"it holds no sentence").into());
    }
    Ok(Split { name: "input".to_owned(), rows, gold: Gold::Rows })
}

fn known_labels(names: &[String]) -> Result<Option<Labels>> {
    Ok(if names.is_empty() { None } else { Some(Labels::new(names.iter().cloned())?) })
}

fn glue(config: &DataConfig, kind: Kind, encoder: Encoder<'_>) -> Result<TaskData> {
    let recipe = Recipe::find(&config.glue)?;
    let scores = matches!(recipe.target, glue::Target::Score { .. });
    let right = if scores { Kind::Regression } else { Kind::Classification };
    if kind != right {
        let needed = if scores { "regression" } else { "classification" };
        return Err(BadInput(format!(
            "{} is a task of {needed}; write --task {needed}",
            recipe.name
        ))
        .into());
    }
    let labels = recipe.labels();
    let read = |split| -> Result<Vec<Split>> {
        let parts = recipe.read(&config.folder, split)?;
        parts
            .into_iter()
            .map(|part| {
                warn_of_skipped(&part.name, &part.table);
                let rows =
                    rows(&part.table, encoder, labels.as_ref(), &config.folder.join(&part.name))?;
                Ok(Split { name: part.name, rows, gold: Gold::Rows })
            })
            .collect()
    };
    let train = read(glue::Split::Train)?.into_iter().flat_map(|split| split.rows).collect();
    let names = labels.as_ref().map(|labels| labels.names().to_vec()).unwrap_or_default();
    Ok(TaskData { labels: names, train, dev: read(glue::Split::Dev)?, test: Vec::new() })
}

struct Reader<'a> {
    config: &'a DataConfig,
    kind: Kind,
    encoder: Encoder<'a>,
    labels: Option<Labels>,
}

impl Reader<'_> {
    fn split(&mut self, name: &str, path: &Path) -> Result<Split> {
        let name = name.to_owned();
        match self.kind {
            Kind::Classification | Kind::Regression => {
                let table = Table::open(path, &self.columns())?;
                if self.kind == Kind::Classification && self.labels.is_none() {
                    let names = table.examples.iter().filter_map(|example| match &example.label {
                        Some(Label::Class(name)) => Some(name.as_str()),
                        _ => None,
                    });
                    self.labels = Some(Labels::found(names, path)?);
                }
                Ok(Split {
                    name,
                    rows: rows(&table, self.encoder, self.labels.as_ref(), path)?,
                    gold: Gold::Rows,
                })
            }
            Kind::Tagging => self.tagged(name, path),
            Kind::Question => self.questions(name, path),
        }
    }

    fn columns(&self) -> Columns {
        let DataConfig { text, pair, label, header, .. } = self.config;
        let some = |name: &String| (!name.is_empty()).then(|| name.clone());
        Columns {
            text: text.clone(),
            pair: some(pair),
            label: some(label),
            kind: if self.kind == Kind::Regression { LabelKind::Score } else { LabelKind::Class },
            header: if *header { Header::Present } else { Header::Absent },
            ragged: Ragged::Refuse,
        }
    }

    fn tagged(&mut self, name: String, path: &Path) -> Result<Split> {
        let DataConfig { text, label, .. } = self.config;
        let json = path.extension().is_some_and(|ending| ending == "jsonl");
        let column = |flag: &str, name: &str| {
            let message = format!(
                "{}: a file of columns, of which --{flag} gives the number, the first one being 0; such as --text 0 --label 1",
                path.display()
            );
            name.parse().map_err(|_| BadInput(message))
        };
        let source = match json {
            true => Source::JsonLines {
                tokens: text.clone(),
                tags: (!label.is_empty()).then(|| label.clone()),
            },
            false => Source::Columns {
                word: column("text", text)?,
                tag: if label.is_empty() { None } else { Some(column("label", label)?) },
            },
        };
        let sentences = tagging::read(path, &source)?;
        if self.labels.is_none() {
            let tags =
                sentences.iter().flat_map(|sentence| sentence.tags.iter().map(String::as_str));
            self.labels = Some(Labels::found(tags, path)?);
        }
        let specials = self.encoder.tokenizer.specials();
        let (mut rows, mut firsts) = (Vec::new(), Vec::new());
        for sentence in &sentences {
            let room = self.encoder.max_length.saturating_sub(2);
            let aligned = tagging::align(self.encoder.tokenizer, &sentence.words, room);
            let answer = match (&self.labels, sentence.tags.is_empty()) {
                (Some(labels), false) => {
                    let tag = |tag: &String| labels.index(tag, path, sentence.line);
                    let tags = sentence.tags.iter().map(tag).collect::<Result<Vec<u32>, _>>()?;
                    Some(Answer::Tags([vec![None], aligned.labels(&tags), vec![None]].concat()))
                }
                _ => None,
            };
            firsts.push(aligned.firsts.iter().map(|first| first + 1).collect());
            let tokens = [vec![specials.cls], aligned.tokens, vec![specials.sep]].concat();
            rows.push(Labelled { tokens, second: None, answer, advice: None });
        }
        Ok(Split { name, rows, gold: Gold::Tags(sentences, firsts) })
    }

    fn questions(&self, name: String, path: &Path) -> Result<Split> {
        let squad = Squad::open(path)?;
        if !squad.misplaced.is_empty() {
            let lost = squad.misplaced.iter().filter(|answer| answer.found.is_none()).count();
            tracing::warn!(
                "{}: {} answers do not stand where the file says; the nearest place was taken, {lost} have none",
                path.display(),
                squad.misplaced.len()
            );
        }
        let Encoder { tokenizer, layout, max_length } = self.encoder;
        let config = WindowConfig {
            max_length,
            step: self.config.step,
            max_question: self.config.max_question,
        };
        let windows = Windows::new(tokenizer, layout, config)?;
        let (mut rows, mut all) = (Vec::new(), Vec::new());
        for (paragraph, question) in squad.questions() {
            let context = Context::new(tokenizer, paragraph.context.as_str());
            let cut = windows.cut(&question.text, &context, question.target());
            for window in &cut {
                let (start, end) = window.target;
                let answer = Answer::Span(start as u32, end as u32);
                rows.push(Labelled {
                    tokens: window.tokens.clone(),
                    second: Some(window.first as u32),
                    answer: Some(answer),
                    advice: None,
                });
            }
            all.push((context, cut));
        }
        Ok(Split { name, rows, gold: Gold::Questions(Box::new(squad), all) })
    }
}

/// The rows of a table.
fn rows(
    table: &Table,
    encoder: Encoder<'_>,
    labels: Option<&Labels>,
    path: &Path,
) -> Result<Vec<Labelled>> {
    let row = |example: &tasks::Example| -> Result<Labelled> {
        let answer = match (&example.label, labels) {
            (Some(Label::Class(name)), Some(labels)) => {
                Some(Answer::Class(labels.index(name, path, example.line)?))
            }
            (Some(Label::Score(score)), _) => Some(Answer::Score(*score as f32)),
            _ => None,
        };
        Ok(encoder.texts(&example.first, example.second.as_deref(), answer))
    };
    table.examples.iter().map(row).collect()
}

fn warn_of_skipped(name: &str, table: &Table) {
    if !table.skipped.is_empty() {
        let (count, first) = (table.skipped.len(), table.skipped[0]);
        tracing::warn!(
            "{name}: {count} rows with another number of fields are left out, the first on line {first}"
        );
    }
}
