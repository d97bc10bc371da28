//! Reference values for tests: `tests/losses.json`, written by `tests/make_losses.py`.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};
use trunk::Sequences;

/// PyTorch's results by name; tensors are flat.
pub struct Reference(BTreeMap<String, serde_json::Value>);

impl Reference {
    pub fn open() -> Self {
        Self(serde_json::from_str(include_str!("../tests/losses.json")).expect("JSON"))
    }

    pub fn number(&self, name: &str) -> f64 {
        self.0[name].as_f64().unwrap_or_else(|| panic!("{name} is no number"))
    }

    pub fn values(&self, name: &str) -> Vec<f32> {
        let numbers = self.0[name].as_array().unwrap_or_else(|| panic!("{name} is no tensor"));
        numbers.iter().map(|number| number.as_f64().expect("a number") as f32).collect()
    }

    /// A tensor as rows of `width`.
    pub fn matrix(&self, name: &str, width: usize) -> Tensor<2> {
        let values = self.values(name);
        Tensor::<1>::from_data(values.as_slice(), &Device::flex())
            .reshape([values.len() / width, width])
    }

    /// The sequences of the reference, each token 0.
    pub fn sequences(&self) -> Sequences {
        let rows: Vec<Vec<u32>> =
            self.values("lengths").iter().map(|length| vec![0; *length as usize]).collect();
        Sequences::pad(&rows, 0)
    }
}

/// Asserts that a loss is the reference's within 1e-5.
pub fn assert_loss(name: &str, got: f64, want: f64) {
    assert!((got - want).abs() < 1e-5 * want.abs().max(1.0), "{name}: {got} is not {want}");
}

/// The only element of a tensor.
pub fn scalar(tensor: Tensor<1>) -> f64 {
    f64::from(tensor.into_scalar::<f32>())
}
