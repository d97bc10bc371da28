//! The files of a task, read one by one.

use std::path::Path;

use ::objective::{Label, LabelledSequence};
use tasks::tagging::{self, TagSource};
use tasks::{
    AnswerContext, Columns, Error, Header, LabelKind, Labels, MissingLabel, Ragged, Result, Squad,
    Table, TableRow, Window, WindowConfig, Windows,
};

use crate::data_config::DataConfig;
use crate::encode::TextEncoder;
use crate::kind::TaskKind;
use crate::split::{Gold, RowText, Split};

/// Reads the files of a task.
pub struct Reader<'a> {
    pub config: &'a DataConfig,
    pub kind: TaskKind,
    pub encoder: TextEncoder<'a>,
    /// The classes or tags, known from the first file on.
    pub labels: Option<Labels>,
    /// What to do without a label.
    pub missing: MissingLabel,
}

impl Reader<'_> {
    /// The training rows.
    pub fn train(&mut self, path: &Path) -> Result<Vec<LabelledSequence>> {
        let Split { mut rows, gold, .. } = self.split("train", path)?;
        if let Gold::Questions(squad, contexts) = &gold {
            rows = learnable(squad, contexts, path)?;
        }
        Ok(rows)
    }

    /// The rows of a file, and their gold standard.
    pub fn split(&mut self, name: &str, path: &Path) -> Result<Split> {
        let name = name.to_owned();
        match self.kind {
            TaskKind::Classification | TaskKind::Regression => self.sentences(name, path),
            TaskKind::Tagging => self.tagged(name, path),
            TaskKind::Question => self.questions(name, path),
        }
    }

    fn sentences(&mut self, name: String, path: &Path) -> Result<Split> {
        let table = Table::open(path, &self.columns())?;
        tell(path, &table.remarks);
        if self.kind == TaskKind::Classification && self.labels.is_none() {
            let names = table.examples.iter().filter_map(|example| match &example.label {
                Some(tasks::Label::Class(name)) => Some(name.as_str()),
                _ => None,
            });
            self.labels = Some(Labels::found(names, path)?);
        }

        let no_class =
            |name: &str| Error::Data(format!("{}: `{name}` is no score", path.display()));
        let index = |name: &str, path: &Path, line: usize| match &self.labels {
            Some(labels) => labels.index(name, path, line),
            None => Err(no_class(name)),
        };
        let Rows { rows, texts } = Rows::of(&table, self.encoder, path, self.missing, &index)?;
        Ok(Split { name, rows, gold: Gold::Rows(texts) })
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
            missing_label: self.missing,
        }
    }

    fn tagged(&mut self, name: String, path: &Path) -> Result<Split> {
        let text = tagging::read(path, &self.tag_source(path)?, self.missing)?;
        tell(path, &text.remarks);
        let mut sentences = text.sentences;
        if self.labels.is_none() {
            let tags =
                sentences.iter().flat_map(|sentence| sentence.tags.iter().map(String::as_str));
            self.labels = Some(Labels::found(tags, path)?);
        }

        let specials = self.encoder.tokenizer.specials();
        let most = self.encoder.max_length.saturating_sub(2);
        let (mut rows, mut firsts) = (Vec::new(), Vec::new());
        let (mut cut, mut lost) = (0, 0);
        for sentence in &mut sentences {
            let aligned = tagging::align(self.encoder.tokenizer, &sentence.words, most);
            let tags = match (self.tags(&sentence.tags, path, sentence.line), self.missing) {
                (Err(_), MissingLabel::Allow) => {
                    sentence.tags.clear();
                    Vec::new()
                }
                (tags, _) => tags?,
            };
            let label = (!tags.is_empty())
                .then(|| Label::Tags([vec![None], aligned.labels(&tags), vec![None]].concat()));

            let beyond = sentence.words.len() - aligned.firsts.len();
            cut += usize::from(beyond > 0);
            lost += beyond;
            firsts.push(aligned.firsts.iter().map(|first| first + 1).collect());
            let tokens = [vec![specials.cls], aligned.tokens, vec![specials.sep]].concat();
            rows.push(LabelledSequence { tokens, second: None, label, teacher_logits: None });
        }

        if cut > 0 {
            let (of, length) = (sentences.len(), self.encoder.max_length);
            tracing::warn!(
                "{}: {cut} of {of} sentences have more than {length} tokens and are cut: {lost} \
                 words have no prediction and are neither learnt nor right; raise --max-length",
                path.display()
            );
        }
        Ok(Split { name, rows, gold: Gold::Tags(sentences, firsts) })
    }

    /// The numbers of the tags on `line`.
    fn tags(&self, tags: &[String], path: &Path, line: usize) -> Result<Vec<u32>> {
        let Some(labels) = &self.labels else { return Ok(Vec::new()) };
        tags.iter().map(|tag| labels.index(tag, path, line)).collect()
    }

    /// The columns or fields of words and tags in the file at `path`.
    fn tag_source(&self, path: &Path) -> Result<TagSource> {
        let DataConfig { text, label, .. } = self.config;
        let of_objects = ["jsonl", "ndjson", "json"];
        if path.extension().is_some_and(|ending| of_objects.iter().any(|known| ending == *known)) {
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
        let tag = match (column("label", label), self.missing) {
            (Err(_), MissingLabel::Allow) => None,
            _ if label.is_empty() => None,
            (tag, _) => Some(tag?),
        };
        Ok(TagSource::Columns { word: column("text", text)?, tag })
    }

    fn questions(&self, name: String, path: &Path) -> Result<Split> {
        let squad = Squad::open(path)?;
        tell(path, &squad.remarks);
        if let Some(first) = squad.misplaced.first() {
            let lost = squad.misplaced.iter().filter(|answer| answer.found.is_none()).count();
            tracing::warn!(
                "{}: {} answers do not stand where the file says, the first of question {}; the \
                 nearest occurrence was taken, {lost} have none",
                path.display(),
                squad.misplaced.len(),
                first.id
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

/// The windows to learn: not those of questions whose answers their contexts do not contain, which
/// would teach that there is none.
fn learnable(
    squad: &Squad,
    contexts: &[(AnswerContext, Vec<Window>)],
    path: &Path,
) -> Result<Vec<LabelledSequence>> {
    if squad.questions().all(|(_, question)| question.target().is_none()) {
        return Err(Error::Data(format!(
            "{}: no question has an answer that its context contains; there is nothing to learn",
            path.display()
        )));
    }

    let pairs = squad.questions().zip(contexts);
    let (known, lost): (Vec<_>, Vec<_>) =
        pairs.partition(|((_, question), _)| question.impossible || question.target().is_some());
    if let Some(((_, question), _)) = lost.first() {
        tracing::warn!(
            "{}: {} questions without an answer in their context are left out of training, the \
             first one {}",
            path.display(),
            lost.len(),
            question.id
        );
    }
    Ok(known.into_iter().flat_map(|(_, (_, windows))| windows.iter().map(row_of)).collect())
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

/// The rows of a table as sequences, and as they are written.
pub struct Rows {
    pub rows: Vec<LabelledSequence>,
    pub texts: Vec<RowText>,
}

impl Rows {
    /// The rows of `table`, which was read from `path`. `index` gives the number of a class on a
    /// line. A class without one is refused or, with [`MissingLabel::Allow`], no label.
    pub fn of(
        table: &Table,
        encoder: TextEncoder<'_>,
        path: &Path,
        missing: MissingLabel,
        index: &dyn Fn(&str, &Path, usize) -> Result<u32>,
    ) -> Result<Self> {
        let (mut rows, mut texts) = (Vec::new(), Vec::new());
        let mut cut = 0;
        for TableRow { line, id, first, second, label } in &table.examples {
            let (gold, label) = match label {
                Some(tasks::Label::Class(name)) => match (index(name, path, *line), missing) {
                    (Err(_), MissingLabel::Allow) => (Some(name.clone()), None),
                    (class, _) => (Some(name.clone()), Some(Label::Class(class?))),
                },
                Some(tasks::Label::Score(score)) => {
                    (Some(score.to_string()), Some(Label::Score(*score as f32)))
                }
                None => (None, None),
            };

            let (row, lost) = encoder.texts(first, second.as_deref(), label);
            cut += usize::from(lost > 0);
            rows.push(row);
            let (id, first, second) = (id.clone(), first.clone(), second.clone());
            texts.push(RowText { id, first, second, gold });
        }

        if cut > 0 {
            let (of, length) = (rows.len(), encoder.max_length);
            tracing::warn!(
                "{}: {cut} of {of} rows have more than {length} tokens and are cut at the end",
                path.display()
            );
        }
        Ok(Self { rows, texts })
    }
}

/// Tells what was read otherwise than it is written.
pub fn tell(path: &Path, remarks: &[String]) {
    remarks.iter().for_each(|remark| tracing::warn!("{}: {remark}", path.display()));
}
