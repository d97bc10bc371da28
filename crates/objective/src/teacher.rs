//! A trained model that another learns from.

use burn::module::Module;
use trunk::{Encoder, EncoderConfig, MlmHead};

/// An encoder whose weights do not change, on a device without autodiff.
#[derive(Debug)]
pub struct Teacher {
    /// The shape of the encoder.
    pub config: EncoderConfig,
    /// The encoder and its head.
    pub model: TeacherModel,
}

/// The parameters of a [`Teacher`].
#[derive(Module, Debug)]
pub struct TeacherModel {
    /// The encoder.
    pub encoder: Encoder,
    /// The masked-language-model head, where the model has one.
    pub head: Option<MlmHead>,
}
