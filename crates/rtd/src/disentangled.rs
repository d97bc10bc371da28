//! Gradient-disentangled embedding sharing (DeBERTaV3; He et al. 2021, section 3.2).
//!
//! The encoder's tables are `E = sg(G) + D`: the generator's, without a gradient, and a difference
//! that starts at zero. A model holds `E`, so that everything that reads its encoder finds it
//! complete; the optimizer moves `D`. The gradient of `D` is that of `E`.

use burn::module::Param;
use burn::tensor::Tensor;
use trunk::as_parameter;

use crate::model::RtdModel;

type Table = Param<Tensor<2>>;

impl RtdModel {
    /// The model with the encoder's tables equal to the generator's.
    pub fn with_equal_tables(self) -> Self {
        self.map_tables(|_, generator| generator)
    }

    /// The model with the differences from the generator's tables in place of the encoder's tables.
    pub fn with_differences(self) -> Self {
        self.map_tables(|encoder, generator| encoder - generator)
    }

    /// The inverse of [`RtdModel::with_differences`].
    pub fn with_sums(self) -> Self {
        self.map_tables(|difference, generator| difference + generator)
    }

    /// Replaces the encoder's token and position tables, given those of the generator, all without
    /// a graph.
    fn map_tables(mut self, f: impl Fn(Tensor<2>, Tensor<2>) -> Tensor<2>) -> Self {
        let Some(generator) = &self.generator else { return self };
        let replace = |own: Table, other: &Table| own.map(|own| replaced(own, other.val(), &f));

        let embeddings = &mut self.encoder.embeddings;
        if let Some(tokens) = &generator.tokens {
            embeddings.tokens = replace(embeddings.tokens.clone(), tokens);
        }

        let of_generator = generator.places.as_ref().and_then(|places| places.positions.as_ref());
        if let (Some(own), Some(other)) = (embeddings.places.positions.clone(), of_generator) {
            embeddings.places.positions = Some(replace(own, other));
        }
        self
    }
}

/// `f` of two tables, computed beside the graph that they may have.
fn replaced(
    own: Tensor<2>,
    other: Tensor<2>,
    f: impl Fn(Tensor<2>, Tensor<2>) -> Tensor<2>,
) -> Tensor<2> {
    let device = own.device();
    if device.is_autodiff() {
        as_parameter(f(own.inner(), other.inner()), &device)
    } else {
        f(own, other)
    }
}
