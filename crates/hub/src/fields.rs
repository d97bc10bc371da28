//! The fields of `config.json`.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use trunk::Activation;

use crate::error::{Error, Result};

/// The object in the file. Fields that decide what is computed have no default, because the
/// defaults of the classes differ from the released files. Exceptions are the epsilon of the norms,
/// which the first BERT files lack, and fields that only old or unusual models have.
pub struct Fields<'a> {
    path: &'a Path,
    map: Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// The fields of the object in the file at `path`.
    pub fn new(path: &'a Path, map: Map<String, Value>) -> Self {
        Self { path, map }
    }

    /// What is wrong with the file.
    pub fn bad(&self, message: &str) -> Error {
        Error::of_file(self.path, message)
    }

    /// The value of a field that must be present.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        self.find(name)?.ok_or_else(|| {
            self.bad(&format!("the field `{name}` is missing; add it as the model was trained"))
        })
    }

    /// The value of a field, if it is present and not null.
    pub fn find<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        match self.map.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => serde_json::from_value(value.clone())
                .map(Some)
                .map_err(|error| self.bad(&format!("the field `{name}` is {value}: {error}"))),
        }
    }

    /// Refuses a value of a field that this program does not support.
    pub fn expect(&self, name: &str, known: &[Value]) -> Result<()> {
        match self.map.get(name) {
            None | Some(Value::Null) => Ok(()),
            Some(value) if known.contains(value) => Ok(()),
            Some(value) => {
                let known: Vec<String> = known.iter().map(Value::to_string).collect();
                Err(self.bad(&format!("`{name}` is {value}; known: {}", known.join(", "))))
            }
        }
    }

    /// The activation that a field names.
    pub fn activation(&self, name: &str) -> Result<Activation> {
        match self.get::<String>(name)?.as_str() {
            "gelu" => Ok(Activation::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Ok(Activation::GeluTanh),
            "relu" => Ok(Activation::Relu),
            "relu2" => Ok(Activation::ReluSquared),
            "silu" | "swish" => Ok(Activation::Silu),
            other => Err(self.bad(&format!(
                "`{name}` is \"{other}\"; known: gelu, gelu_new, relu, relu2, silu"
            ))),
        }
    }
}

/// The name of an activation in transformers.
pub fn activation_name(activation: Activation) -> &'static str {
    match activation {
        Activation::Gelu => "gelu",
        Activation::GeluTanh => "gelu_new",
        Activation::Relu => "relu",
        Activation::ReluSquared => "relu2",
        Activation::Silu => "silu",
    }
}

/// Ids of special tokens, for the fields that hold them.
#[derive(Clone, Copy, Debug)]
pub struct SpecialIds {
    /// `pad_token_id`
    pub pad: u32,
    /// `bos_token_id`
    pub begin: u32,
    /// `eos_token_id`
    pub end: u32,
}
