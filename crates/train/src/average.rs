//! The moving average of the weights, which is what a run is judged by where it keeps one.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor};
use checkpoint::weights::visit;
use checkpoint::{FieldPath, Weights};

/// The exponential moving average of a model's parameters (Polyak and Juditsky 1992), flat and
/// without a graph.
#[derive(Clone, Debug)]
pub struct Average {
    decay: f64,
    weights: BTreeMap<String, Tensor<1>>,
}

impl Average {
    /// An average that has not seen a model.
    pub fn new(decay: f64) -> Self {
        Self { decay, weights: BTreeMap::new() }
    }

    /// Follows the model after step number `step`, counted from 1. The first steps are followed
    /// faster, with the decay (1 + step) / (10 + step), as in TensorFlow's moving averages.
    pub fn follow<M: Module>(&mut self, model: &M, step: u64) {
        let step = step as f64;
        let decay = self.decay.min((1.0 + step) / (10.0 + step));
        visit(model, |name, _, weight| {
            let followed = match self.weights.remove(&name) {
                Some(average) => kernels::interpolate(average, weight, 1.0 - decay),
                None => weight,
            };
            self.weights.insert(name, followed);
        });
    }

    /// The model with the average in place of its parameters.
    pub fn of<M: Module>(&self, model: M) -> M {
        model.map(&mut Place { weights: &self.weights, path: FieldPath::default() })
    }

    /// Takes over an average that was saved.
    pub fn restore(&mut self, weights: &Weights, device: &Device) {
        let tensor = |(name, weight): (&String, &checkpoint::HostTensor)| {
            (name.clone(), Tensor::from_data(weight.values.as_slice(), device))
        };
        self.weights = weights.iter().map(tensor).collect();
    }
}

struct Place<'a> {
    weights: &'a BTreeMap<String, Tensor<1>>,
    path: FieldPath,
}

impl ModuleMapper for Place<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(average) = self.weights.get(&self.path.name()) else { return param };
        let (shape, average) = (param.dims(), average.clone());
        param.map(|value| {
            let average = average.reshape(shape);
            if value.device().is_autodiff() { Tensor::from_inner(average) } else { average }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use checkpoint::weights::collect;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;
    use trunk::Linear;

    fn layer(seed: u64) -> Linear {
        Linear::init(2, 2, 0.5, &mut ChaCha8Rng::seed_from_u64(seed), &Device::flex().autodiff())
    }

    fn weight(layer: &Linear) -> Vec<f32> {
        collect(layer)["weight"].values.clone()
    }

    #[test]
    fn the_average_follows_its_models() {
        let mut average = Average::new(0.5);
        average.follow(&layer(1), 1);
        assert_eq!(weight(&average.of(layer(9))), weight(&layer(1)));

        // After step 2 the decay is 3 / 12, after step 100 the one that was asked for.
        average.follow(&layer(2), 2);
        average.follow(&layer(3), 100);
        let [a, b, c] = [1, 2, 3].map(|seed| weight(&layer(seed)));
        for (i, got) in weight(&average.of(layer(9))).iter().enumerate() {
            let want = 0.5 * (0.25 * a[i] + 0.75 * b[i]) + 0.5 * c[i];
            assert!((got - want).abs() < 1e-6, "{got} is not {want}");
        }
    }

    #[test]
    fn a_restored_average_is_the_same() {
        let mut average = Average::new(0.9);
        (1..5).for_each(|step| average.follow(&layer(step), step));
        let mut again = Average::new(0.9);
        again.restore(&collect(&average.of(layer(9))), &Device::flex());
        average.follow(&layer(7), 5);
        again.follow(&layer(7), 5);
        assert_eq!(weight(&average.of(layer(9))), weight(&again.of(layer(9))));
    }
}
