//! The gradient of a step, summed over its micro-batches, and its clipping.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor};

use checkpoint::FieldPath;

use crate::error::{Error, Result};

/// A gradient of any rank, flattened.
type Flat = Tensor<1>;

/// Gradients by the name of their parameter, flat and without autodiff.
#[derive(Debug, Default)]
pub struct GradientSum {
    sums: BTreeMap<String, Flat>,
}

impl GradientSum {
    /// The gradients of one backward pass.
    ///
    /// # Errors
    /// Names trainable parameters that have no gradient.
    pub fn of<M: Module>(module: &M, gradients: Gradients) -> Result<Self> {
        let (sums, missing) = (BTreeMap::new(), Vec::new());
        let mut taker = Taker { gradients, path: FieldPath::default(), sums, missing };
        module.visit(&mut taker);

        if !taker.missing.is_empty() {
            let message =
                format!("these parameters have no gradient: {}", taker.missing.join(", "));
            return Err(Error::Internal(message));
        }
        Ok(Self { sums: taker.sums })
    }

    /// The sum of the gradients of the micro-batches of a step, added in their order.
    pub fn total(parts: Vec<Self>) -> Self {
        let mut columns: BTreeMap<String, Vec<Flat>> = BTreeMap::new();
        for (name, gradient) in parts.into_iter().flat_map(|part| part.sums) {
            columns.entry(name).or_default().push(gradient);
        }
        Self {
            sums: columns.into_iter().map(|(name, parts)| (name, kernels::sum(parts))).collect(),
        }
    }

    /// The norm over all parameters, summed in the order of their names, `[1]`.
    pub fn norm(&self) -> Tensor<1> {
        let squares = self.sums.values().map(kernels::square_sum);
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

struct Taker {
    gradients: Gradients,
    path: FieldPath,
    sums: BTreeMap<String, Flat>,
    missing: Vec<String>,
}

impl ModuleVisitor for Taker {
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
        self.sums.insert(name, gradient.reshape([n]));
    }
}

/// What a gradient of norm `norm` is multiplied with so that its norm is at most `max` (0: no
/// limit), `[1]`. Nothing is read back from the device; a norm that is not finite stays visible in
/// the weights and in the log.
pub fn clip_factor(norm: &Tensor<1>, max: f64) -> Tensor<1> {
    if max > 0.0 { ((norm.clone() + 1e-6).recip() * max).clamp_max(1.0) } else { norm.ones_like() }
}

/// A tensor for tests.
#[cfg(test)]
pub(crate) fn floats(values: &[f32]) -> Tensor<1> {
    Tensor::from_data(
        burn::tensor::TensorData::new(values.to_vec(), [values.len()]),
        &burn::tensor::Device::flex(),
    )
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

        let norm = gradients.norm();
        assert_eq!(norm.clone().into_scalar::<f32>(), 5.0);
        assert!((clip_factor(&norm, 1.0).into_scalar::<f32>() - 0.2).abs() < 1e-6);
        for limit in [10.0, 0.0] {
            assert_eq!(clip_factor(&norm, limit).into_scalar::<f32>(), 1.0);
        }
    }

    #[test]
    fn parts_are_added_by_name() {
        let part = |a: f32, b: [f32; 2]| {
            let mut part = GradientSum::default();
            part.insert("a", floats(&[a]));
            part.insert("b", floats(&b));
            part
        };

        let mut total = GradientSum::total(vec![
            part(1.0, [2.0, 3.0]),
            part(10.0, [20.0, 30.0]),
            part(0.5, [0.0, 0.0]),
        ]);

        assert_eq!(values(&mut total, "a", 1), [11.5]);
        assert_eq!(values(&mut total, "b", 2), [22.0, 33.0]);
    }
}
