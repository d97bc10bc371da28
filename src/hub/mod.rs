//! Models in Hugging Face's format: reading and writing folders of `config.json`, weights and
//! tokenizer.

mod config;
mod family;
mod names;
mod native;
mod of_run;
mod tensors;
mod tokenizer;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use corpus::Tokenizer;
use toml::{Table, Value};
use tune::{HeadStyle, Kind, TuneConfig};

use crate::exit::BadInput;
use crate::train::weights::{self, HostTensor, Weights};

pub use config::HubConfig;
pub use family::{Architecture, Family};
pub use native::{is_native, read_native, write_native};
pub use of_run::{Run, of_run};

/// A model of one of transformers' classes, its weights in this program's names and layouts.
#[derive(Clone, Debug, PartialEq)]
pub struct HubModel {
    /// What `config.json` says.
    pub config: HubConfig,
    /// Its heads.
    pub architecture: Architecture,
    /// The weights.
    pub weights: Weights,
    /// Tensors of the file that are not known.
    pub unused: Vec<String>,
}

/// Whether `folder` looks like one that transformers wrote.
pub fn is_hub_folder(folder: &Path) -> bool {
    folder.join("config.json").is_file()
}

/// Reads a model of any of the known families and classes.
///
/// # Errors
/// Names the file, field or tensor that is missing, damaged, or not supported.
pub fn read(folder: &Path) -> Result<HubModel, BadInput> {
    let mut config = config::read(&folder.join("config.json"))?;
    let mut tensors = tensors::read(folder)?;
    let family = config.family;
    let table = "embeddings.word_embeddings.weight";
    let prefixes = [family.prefix(), String::new()];
    let prefix = prefixes
        .iter()
        .find(|prefix| tensors.contains_key(&format!("{prefix}{table}")))
        .ok_or_else(|| {
        let other = tensors
            .keys()
            .find_map(|name| name.strip_suffix(table))
            .map(|prefix| prefix.trim_end_matches('.'));
        let hint = other
            .map_or_else(String::new, |other| format!("; the weights seem to be of `{other}`"));
        let folder = folder.display();
        BadInput(format!(
            "{folder}: config.json says {family}, but there is no tensor `{}{table}`{hint}",
            family.prefix()
        ))
    })?;
    let architecture = match config.architecture {
        // The released BERT says that it is a BertForMaskedLM, and has the heads of both.
        Some(Architecture::MaskedLm) if has_heads(family, Architecture::PreTraining, &tensors) => {
            Architecture::PreTraining
        }
        Some(architecture) => architecture,
        None => detect(family, &tensors),
    };
    let needed =
        [names::encoder(family, &config.encoder, prefix), names::heads(family, architecture)]
            .concat();
    let optional = names::extras(family, architecture, prefix);
    let mut found = Weights::new();
    for (name, required) in
        needed.iter().map(|name| (name, true)).chain(optional.iter().map(|name| (name, false)))
    {
        let bad = |what: &dyn std::fmt::Display| {
            BadInput(format!("{}: tensor `{}` {what}", folder.display(), name.theirs))
        };
        match tensors.remove(&name.theirs) {
            Some(tensor) => {
                let tensor = if name.transposed {
                    tensor.transposed().map_err(|e| bad(&e))?
                } else {
                    tensor
                };
                found.insert(name.ours.clone(), tensor);
            }
            None if required => {
                let class = architecture.class(family);
                return Err(bad(&format!(
                    "is missing; a {class} needs it, and config.json says it is one"
                )));
            }
            None => {}
        }
    }
    if matches!(architecture, Architecture::MaskedLm | Architecture::PreTraining) {
        let table = found.get("encoder.embeddings.tokens");
        let untied =
            tensors.iter().find(|(name, tensor)| names::is_tied(name) && Some(*tensor) != table);
        if let Some((name, _)) = untied {
            return Err(BadInput(format!(
                "{}: tensor `{name}` is another than the token table (tie_word_embeddings = false); heads with a table of \
                 their own are not here",
                folder.display()
            )));
        }
    }
    let classes = found.get("task.output.bias").map_or(0, |bias| bias.values.len());
    if config.labels.is_empty()
        && matches!(architecture, Architecture::Sequence | Architecture::Token)
    {
        // transformers leaves out the names that it would give itself.
        config.labels = (0..classes).map(|class| format!("LABEL_{class}")).collect();
        config.regression = config.regression || classes == 1;
    }
    let unused = tensors.into_keys().filter(|name| !names::is_redundant(name)).collect();
    let model = HubModel { config, architecture, weights: found, unused };
    model.check_head()?;
    Ok(model)
}

/// Which heads a file without `architectures` has.
fn detect(family: Family, tensors: &Weights) -> Architecture {
    let known = [
        Architecture::PreTraining,
        Architecture::MaskedLm,
        Architecture::Sequence,
        Architecture::Question,
        Architecture::Token,
        Architecture::Discriminator,
    ];
    known.into_iter().find(|it| has_heads(family, *it, tensors)).unwrap_or(Architecture::Encoder)
}

/// Whether `family` has the class and a file every head of it.
fn has_heads(family: Family, architecture: Architecture, tensors: &Weights) -> bool {
    architecture.is_of(family)
        && names::heads(family, architecture).iter().all(|name| tensors.contains_key(&name.theirs))
}

/// Writes `config.json`, `model.safetensors` and the tokenizer, as transformers reads them.
///
/// # Errors
/// When the folder is not empty or cannot be written.
pub fn write(folder: &Path, model: &HubModel, tokenizer: &Tokenizer) -> Result<()> {
    let model = &model.clone().numbered_from(tokenizer::ids(tokenizer).pad as usize + 1);
    let family = model.config.family;
    let prefix =
        if model.architecture == Architecture::Encoder { String::new() } else { family.prefix() };
    let all = [
        names::encoder(family, &model.config.encoder, &prefix),
        names::heads(family, model.architecture),
        names::extras(family, model.architecture, &prefix),
    ]
    .concat();
    let mut tensors = Weights::new();
    // A pooler that no part of the class computes with is left out.
    let pooled = matches!(model.architecture, Architecture::Encoder | Architecture::PreTraining);
    for name in all.into_iter().filter(|name| pooled || !name.ours.starts_with("pair.pooler.")) {
        if let Some(tensor) = model.weights.get(&name.ours) {
            let tensor =
                if name.transposed { tensor.transposed()? } else { HostTensor::clone(tensor) };
            tensors.insert(name.theirs, tensor);
        }
    }
    empty_folder(folder)?;
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
    };
    put(
        "config.json",
        config::write(&model.config, model.architecture, tokenizer::ids(tokenizer)).as_bytes(),
    )?;
    put("model.safetensors", &weights::bytes(&tensors)?)?;
    for (name, text) in tokenizer::files(tokenizer, model)? {
        put(&name, text.as_bytes())?;
    }
    Ok(())
}

/// Makes a folder that must not hold anything yet.
fn empty_folder(folder: &Path) -> Result<()> {
    if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(
            BadInput(format!("{} is not empty; give another folder", folder.display())).into()
        );
    }
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))
}

impl HubModel {
    /// The same model with positions that a RoBERTa counts from `offset`: transformers counts them
    /// from the padding id on, so that the rows before have no use, and the table is moved.
    fn numbered_from(mut self, offset: usize) -> Self {
        let before = self.config.encoder.position_offset;
        if before == offset {
            return self;
        }
        let table = self.weights.get_mut("encoder.embeddings.places.positions");
        if let (Family::Roberta, Some(HostTensor { shape, values })) = (self.config.family, table) {
            let used = values.split_off(before * shape[1]);
            *values = vec![0.0; offset * shape[1]];
            values.extend(used);
            shape[0] = shape[0] - before + offset;
            self.config.encoder.position_offset = offset;
        }
        self
    }

    /// The objective whose model this is, and its knobs.
    pub fn objective(&self) -> (&'static str, Table) {
        let table = |entries: &[(&str, &str)]| {
            entries
                .iter()
                .map(|(key, value)| ((*key).to_owned(), Value::from(*value)))
                .collect::<Table>()
        };
        match (self.architecture, self.config.family) {
            (Architecture::PreTraining, Family::Albert) => {
                ("sop", table(&[("labels", "sentence-order")]))
            }
            (Architecture::PreTraining, _) => ("sop", table(&[("labels", "next-sentence")])),
            (Architecture::Discriminator, _) => {
                let mut knobs = Table::new();
                // The generator stands in another folder.
                knobs.insert("generator".to_owned(), table(&[("kind", "unigram")]).into());
                ("rtd", knobs)
            }
            (Architecture::Sequence | Architecture::Token | Architecture::Question, _) => {
                ("finetune", self.task_knobs())
            }
            _ => ("mlm", Table::new()),
        }
    }

    /// The knobs of a fine-tuned class.
    fn task_knobs(&self) -> Table {
        let HubConfig { regression, labels, head_dropout, .. } = &self.config;
        let kind = match self.architecture {
            Architecture::Sequence if *regression => Kind::Regression,
            Architecture::Sequence => Kind::Classification,
            Architecture::Token => Kind::Tagging,
            _ => Kind::Question,
        };
        // transformers drops nothing out before the ends of an answer, but in DistilBERT.
        let kept = kind == Kind::Question && self.config.family != Family::Distilbert;
        let config = TuneConfig {
            kind,
            labels: if matches!(kind, Kind::Classification | Kind::Tagging) {
                labels.clone()
            } else {
                Vec::new()
            },
            head: self.head_style(),
            dropout: if kept { 0.0 } else { *head_dropout },
            ..TuneConfig::default()
        };
        Table::try_from(&config).expect("a configuration is a TOML table")
    }

    /// How the family's head over the first token is built.
    pub fn head_style(&self) -> HeadStyle {
        match self.config.family {
            Family::Bert if self.weights.contains_key("fit.weight") => HeadStyle::Tinybert,
            Family::Bert | Family::Albert => HeadStyle::Bert,
            Family::Roberta => HeadStyle::Roberta,
            Family::Electra => HeadStyle::Electra,
            Family::Distilbert => HeadStyle::Distilbert,
        }
    }

    /// RoBERTa's and ELECTRA's heads use the error function whatever the layers do.
    fn check_head(&self) -> Result<(), BadInput> {
        let fixed = matches!(self.config.family, Family::Roberta | Family::Electra);
        let with_head = self.architecture == Architecture::MaskedLm;
        if fixed && with_head && self.config.encoder.activation != trunk::Activation::Gelu {
            let class = self.architecture.class(self.config.family);
            return Err(BadInput(format!(
                "the head of {class} always computes `gelu`, and the layers have another activation; no model here does both"
            )));
        }
        Ok(())
    }
}
