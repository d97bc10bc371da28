//! The gradient of a step, summed over its micro-batches, and its clipping.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor};

use super::weights::FieldPath;

/// A gradient of any rank, flattened.
type Flat = Tensor<1>;

/// Gradients by the name of their parameter, without autodiff, summed over micro-batches.
#[derive(Debug, Default)]
pub struct GradientSum {
    sums: BTreeMap<String, Flat>,
}

impl GradientSum {
    /// Adds the gradients of one backward pass.
    ///
    /// # Errors
    /// Names trainable parameters that have no gradient.
    pub fn add<M: Module>(&mut self, module: &M, gradients: Gradients) -> Result<()> {
        let mut taker = Taker { gradients, path: FieldPath::default(), sums: &mut self.sums, missing: Vec::new() };
        module.visit(&mut taker);
        if !taker.missing.is_empty() {
            bail!("these parameters have no gradient: {}", taker.missing.join(", "));
        }
        Ok(())
    }

    /// Scales the whole gradient so that its norm over all parameters is at most `max` (0: no limit), and returns the
    /// norm before, `[1]`. Nothing is read back from the device.
    pub fn clip(&mut self, max: f64) -> Tensor<1> {
        let norm = self.norm();
        if max > 0.0 {
            // min(1, max / (norm + 1e-6)); a norm that is not finite stays visible in the weights and in the log.
            let scale = (norm.clone() + 1e-6).recip() * max;
            let scale = scale.clamp_max(1.0);
            for gradient in self.sums.values_mut() {
                *gradient = gradient.clone() * scale.clone();
            }
        }
        norm
    }

    /// The norm over all parameters, summed in the order of their names, `[1]`.
    pub fn norm(&self) -> Tensor<1> {
        let squares = self.sums.values().map(|gradient| gradient.clone().square().sum());
        squares.reduce(|a, b| a + b).expect("a model has parameters").sqrt()
    }

    /// Takes out the gradient of the parameter `name`.
    pub fn take<const D: usize>(&mut self, name: &str, shape: [usize; D]) -> Option<Tensor<D>> {
        self.sums.remove(name).map(|gradient| gradient.reshape(shape))
    }

    /// A gradient given by hand, for tests of optimizers.
    pub fn insert<const D: usize>(&mut self, name: &str, gradient: Tensor<D>) {
        let n: usize = gradient.dims().iter().product();
        self.sums.insert(name.to_owned(), gradient.reshape([n]));
    }
}

struct Taker<'a> {
    gradients: Gradients,
    path: FieldPath,
    sums: &'a mut BTreeMap<String, Flat>,
    missing: Vec<String>,
}

impl ModuleVisitor for Taker<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() {
            return;
        }
        let name = self.path.name();
        let value = param.val();
        let n = value.dims().iter().product::<usize>();
        let Some(gradient) = value.grad_remove(&mut self.gradients) else {
            self.missing.push(name);
            return;
        };
        let gradient = gradient.reshape([n]);
        let sum = match self.sums.remove(&name) {
            Some(sum) => sum + gradient,
            None => gradient,
        };
        self.sums.insert(name, sum);
    }
}

/// A tensor for tests.
#[cfg(test)]
pub(crate) fn floats(values: &[f32]) -> Tensor<1> {
    Tensor::from_data(burn::tensor::TensorData::new(values.to_vec(), [values.len()]), &burn::tensor::Device::flex())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(gradients: &mut GradientSum, name: &str, n: usize) -> Vec<f32> {
        gradients.take(name, [n]).expect("there").into_data().try_into_vec().expect("f32")
    }

    #[test]
    fn clipping_looks_at_the_norm_over_all_parameters() {
        let mut gradients = GradientSum::default();
        gradients.insert("a", floats(&[3.0]));
        gradients.insert("b", floats(&[0.0, 4.0]));
        assert_eq!(gradients.clip(1.0).into_scalar::<f32>(), 5.0);
        assert!((values(&mut gradients, "a", 1)[0] - 0.6).abs() < 1e-6);
        assert!((values(&mut gradients, "b", 2)[1] - 0.8).abs() < 1e-6);
    }

    #[test]
    fn a_small_gradient_and_a_limit_of_zero_change_nothing() {
        for limit in [10.0, 0.0] {
            let mut gradients = GradientSum::default();
            gradients.insert("a", floats(&[3.0, 4.0]));
            gradients.clip(limit);
            assert_eq!(values(&mut gradients, "a", 2), [3.0, 4.0]);
        }
    }
}
