//! How varied rows are written.

use anyhow::Result;
use augment::TextRow;

use super::args::Args;
use crate::exit::Usage;

/// How lines are written.
pub struct Format<'a> {
    args: &'a Args,
    kind: FormatKind,
}

enum FormatKind {
    Tsv,
    Csv,
    JsonLines,
}

impl<'a> Format<'a> {
    /// As the ending of the output tells.
    ///
    /// # Errors
    /// When it tells nothing.
    pub fn of(args: &'a Args) -> Result<Self> {
        let kind = match args.output.extension().and_then(|ending| ending.to_str()) {
            Some("tsv" | "txt") => FormatKind::Tsv,
            Some("csv") => FormatKind::Csv,
            Some("jsonl") => FormatKind::JsonLines,
            _ => {
                return Err(Usage(format!(
                    "--output {}: end it in .tsv, .csv or .jsonl",
                    args.output.display()
                ))
                .into());
            }
        };
        Ok(Self { args, kind })
    }

    /// The line before all others, with its end.
    pub fn header(&self) -> String {
        let Args { text, pair, label, .. } = self.args;
        let label = (!label.is_empty()).then_some(label.as_str());
        match self.kind {
            FormatKind::JsonLines => String::new(),
            _ => self.fields([Some(text.as_str()), pair.as_deref(), label]),
        }
    }

    /// A row as a line with its end.
    pub fn line(&self, row: &TextRow, label: Option<&str>) -> String {
        let Args { text, pair, label: name, .. } = self.args;
        match self.kind {
            FormatKind::JsonLines => {
                let mut object = serde_json::Map::new();
                object.insert(text.clone(), row.first.clone().into());
                if let (Some(pair), Some(second)) = (pair, &row.second) {
                    object.insert(pair.clone(), second.clone().into());
                }
                if let Some(label) = label {
                    object.insert(name.clone(), label.into());
                }
                format!("{}\n", serde_json::Value::Object(object))
            }
            _ => self.fields([Some(&row.first), row.second.as_deref(), label]),
        }
    }

    fn fields(&self, fields: [Option<&str>; 3]) -> String {
        let fields = fields.into_iter().flatten();
        if matches!(self.kind, FormatKind::Csv) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(fields).expect("memory takes it");
            return String::from_utf8(writer.into_inner().expect("memory takes it"))
                .expect("made of text");
        }

        // A tab or a line break would end the field.
        let fields: Vec<String> =
            fields.map(|field| field.replace(['\t', '\n', '\r'], " ")).collect();
        format!("{}\n", fields.join("\t"))
    }
}
