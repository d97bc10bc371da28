//! The matrices of layers, which Muon moves along their momenta.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::Tensor;
use checkpoint::weights::visit;
use kernels::{MuonMatrix, MuonStep};

use crate::gradients::GradientSum;

/// The momenta of the matrices of layers by their names, flat.
#[derive(Debug, Default)]
pub struct Momenta(pub BTreeMap<String, Tensor<1>>);

impl Momenta {
    /// Takes the gradients of the matrices of layers, multiplied by `scale`, `[1]`, and gives the
    /// matrices' new values by their names, flat. `rate` tells a matrix's learning rate.
    pub fn step<M: Module>(
        &mut self,
        module: &M,
        gradients: &mut GradientSum,
        scale: &Tensor<1>,
        step: &MuonStep,
        rate: impl Fn(&str) -> f64,
    ) -> BTreeMap<String, Tensor<1>> {
        let (mut names, mut matrices) = (Vec::new(), Vec::new());
        visit(module, |name, shape, weight| {
            let &[rows, columns] = shape else { return };
            if !is_layer_matrix(&name, shape) {
                return;
            }
            let Some(gradient) = gradients.take(&name, [rows * columns]) else { return };
            let momentum = self.0.remove(&name).unwrap_or_else(|| weight.zeros_like());
            let (shape, rate) = ([rows, columns], rate(&name));
            matrices.push(MuonMatrix { shape, weight, gradient, momentum, rate });
            names.push(name);
        });

        let mut moved = BTreeMap::new();
        for (name, (weight, momentum)) in
            names.into_iter().zip(kernels::muon(matrices, scale, step))
        {
            self.0.insert(name.clone(), momentum);
            moved.insert(name, weight);
        }
        moved
    }
}

/// Whether a parameter is a matrix of a layer, of an encoder or a generator.
pub fn is_layer_matrix(name: &str, shape: &[usize]) -> bool {
    let part = |part: &str| name.contains(part);
    shape.len() == 2 && (part("stack.attention.") || part("stack.feed_forward."))
}
