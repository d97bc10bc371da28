//! A model of one of transformers' classes.

use checkpoint::{HostTensor, Weights};
use trunk::Activation;

use crate::config::HubConfig;
use crate::error::{Error, Result};
use crate::family::{Architecture, Family};

/// A model of one of transformers' classes, its weights under this project's names and in its
/// layouts.
#[derive(Clone, Debug, PartialEq)]
pub struct HubModel {
    /// The content of `config.json`.
    pub config: HubConfig,
    /// The heads.
    pub architecture: Architecture,
    /// The weights.
    pub weights: Weights,
    /// Names of tensors in the file that are not known.
    pub unused: Vec<String>,
}

impl HubModel {
    /// The name of the class in transformers.
    pub fn class(&self) -> String {
        self.architecture.class(self.config.family)
    }

    /// The same model with the positions of a RoBERTa counted from `offset`. transformers counts
    /// them from the padding id on and never uses the rows before, so the used rows of the table
    /// move.
    pub(crate) fn numbered_from(mut self, offset: usize) -> Self {
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

    /// Refuses a head that computes another activation than the layers: RoBERTa's and ELECTRA's
    /// heads always use the exact GELU.
    pub(crate) fn check_head(&self) -> Result<()> {
        let fixed = matches!(self.config.family, Family::Roberta | Family::Electra);
        let with_head = self.architecture == Architecture::MaskedLm;
        if fixed && with_head && self.config.encoder.activation != Activation::Gelu {
            return Err(Error::Data(format!(
                "the head of {} always computes `gelu`, and the layers have another activation; \
                 no model here does both",
                self.class()
            )));
        }
        Ok(())
    }
}
