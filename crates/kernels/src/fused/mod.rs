//! The operations of [`crate::cpu`] as an extension of burn's CPU backend, with and without a
//! graph.

pub(crate) mod distillation;
pub(crate) mod recurrent;
mod rules;

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, DispatchDevice, Flex, backend_extension};
use burn::tensor::{Device, Tensor};

use self::rules::{
    Activate, AddNormalise, AddResidual, Attend, DropRows, Embed, Gather, Linear, Normalise,
    Project, ProjectPair, SoftmaxRows, VocabularyLoss,
};
use crate::activation::Activation;
use crate::cpu::attention::Heads;
use crate::cpu::dropout::{Mask, Norm};
use crate::cpu::embedding::Lookup;
use crate::cpu::matmul::{Matrix, MatrixMut, Output, multiply_in};
use crate::cpu::vocabulary::{Layer, Sampling, Targets};
use crate::cpu::{activation, attention, dropout, embedding, norm, parts, softmax, vocabulary};
use crate::flex::{dims, ordered, tensor, values, values_mut};
use crate::precision::Precision;
use crate::rule::{record, record_cheap};

/// Whether tensors on `device` go through the operations of this crate that are written by hand:
/// they take rows of any length, where others need a rectangle.
pub fn is_fused(device: &Device) -> bool {
    matches!(device.clone().without_autodiff().as_dispatch(), DispatchDevice::Flex(_))
}

/// Whether `x` goes through the fused operations.
pub(crate) fn runs_fused<const D: usize>(x: &Tensor<D>) -> bool {
    is_fused(&x.device())
}

/// Operations on rows: `x: [rows, width]`. Weights are `[in, out]`, biases `[out]`.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait Fused: Backend {
    /// `x W`
    fn project(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        precision: Precision,
    ) -> FloatTensor<Self>;
    /// `x W + b`
    fn linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        precision: Precision,
    ) -> FloatTensor<Self>;
    /// `[x K + k, x V + v]`, `[rows, 2 * out]`
    fn project_pair(
        x: FloatTensor<Self>,
        key: FloatTensor<Self>,
        key_bias: FloatTensor<Self>,
        value: FloatTensor<Self>,
        value_bias: FloatTensor<Self>,
        precision: Precision,
    ) -> FloatTensor<Self>;
    /// `f(x + bias)`
    fn activate(
        x: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self>;
    /// Layer norm of each row.
    fn normalise(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self>;
    /// `residual + dropout(x + bias)`
    fn add_residual(
        residual: FloatTensor<Self>,
        x: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        mask: Option<Mask>,
    ) -> FloatTensor<Self>;
    /// Layer norm of `residual + dropout(x + bias)`.
    fn add_normalise(
        residual: FloatTensor<Self>,
        x: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
        mask: Option<Mask>,
    ) -> FloatTensor<Self>;
    /// Dropout of rows.
    fn drop_rows(x: FloatTensor<Self>, mask: Mask) -> FloatTensor<Self>;
    /// Softmax of each row.
    fn softmax_rows(x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// Attention of queries `[queries, d]` to packed keys and values `[keys, 2 * d]`.
    fn attend(
        queries: FloatTensor<Self>,
        packed: FloatTensor<Self>,
        shape: Heads,
    ) -> FloatTensor<Self>;
    /// Some rows.
    fn gather(x: FloatTensor<Self>, indices: Vec<u32>) -> FloatTensor<Self>;
    /// The sum of rows of three tables.
    fn embed(
        tokens: FloatTensor<Self>,
        segments: FloatTensor<Self>,
        positions: FloatTensor<Self>,
        lookup: Lookup,
    ) -> FloatTensor<Self>;
    /// The weighted sum of the losses of rows of hidden states, `[1]`.
    fn vocabulary_loss(
        hidden: FloatTensor<Self>,
        table: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        targets: Targets,
        precision: Precision,
    ) -> FloatTensor<Self>;
}

impl Precision {
    /// `x W`, to rows of `out` that begin `stride` apart.
    fn product(
        self,
        out: &mut [f32],
        stride: usize,
        x: &FlexTensor,
        weight: &FlexTensor,
        output: Output,
    ) {
        let ([rows, inner], [_, columns]) = (dims(x), dims(weight));
        let (a, b) =
            (Matrix::new(values(x), rows, inner), Matrix::new(values(weight), inner, columns));
        multiply_in(self, MatrixMut::strided(out, stride), a, b, output);
    }

    /// The gradient of `x` in `x W`, given that of the product, whose rows begin `stride` apart.
    fn product_x(
        self,
        out: &mut [f32],
        gradient: &[f32],
        stride: usize,
        weight: &FlexTensor,
        output: Output,
    ) {
        let [inner, columns] = dims(weight);
        let a = Matrix::strided(gradient, out.len() / inner, columns, stride);
        let b = Matrix::new(values(weight), inner, columns).transposed();
        multiply_in(self, MatrixMut::new(out, inner), a, b, output);
    }

    /// The gradient of `W` in `x W`.
    fn product_weight(
        self,
        x: &FlexTensor,
        gradient: &[f32],
        stride: usize,
        columns: usize,
    ) -> FlexTensor {
        let [rows, inner] = dims(x);
        let mut out = parts::unwritten(inner * columns);
        let a = Matrix::new(values(x), rows, inner).transposed();
        let b = Matrix::strided(gradient, rows, columns, stride);
        multiply_in(self, MatrixMut::new(&mut out, columns), a, b, Output::Replace);
        tensor(out, [inner, columns])
    }
}

fn vector(values: Vec<f32>) -> FlexTensor {
    let n = values.len();
    tensor(values, [n])
}

/// `rows` copies of the biases, one after another in each row.
fn biases(biases: &[&FlexTensor], rows: usize) -> Vec<f32> {
    let row: Vec<f32> = biases.iter().flat_map(|bias| values(bias).iter().copied()).collect();
    let mut out = parts::unwritten(rows * row.len());
    let task = parts::rows_of_a_task(row.len()) * row.len();
    parts::for_tasks(&mut out, task, |_, part| {
        part.chunks_exact_mut(row.len()).for_each(|out| out.copy_from_slice(&row))
    });
    out
}

fn read<const N: usize>(inputs: [Option<FlexTensor>; N], index: usize) -> FlexTensor {
    inputs.into_iter().nth(index).flatten().map(ordered).expect("the rule reads this input")
}

impl Fused for Flex {
    fn project(x: FlexTensor, weight: FlexTensor, precision: Precision) -> FlexTensor {
        let (x, weight) = (ordered(x), ordered(weight));
        let ([rows, _], [_, columns]) = (dims(&x), dims(&weight));
        let mut out = parts::unwritten(rows * columns);
        precision.product(&mut out, columns, &x, &weight, Output::Replace);
        tensor(out, [rows, columns])
    }

    fn linear(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        precision: Precision,
    ) -> FlexTensor {
        let (x, weight, bias) = (ordered(x), ordered(weight), ordered(bias));
        let ([rows, _], [_, columns]) = (dims(&x), dims(&weight));
        let mut out = biases(&[&bias], rows);
        precision.product(&mut out, columns, &x, &weight, Output::Add);
        tensor(out, [rows, columns])
    }

    fn project_pair(
        x: FlexTensor,
        key: FlexTensor,
        key_bias: FlexTensor,
        value: FlexTensor,
        value_bias: FlexTensor,
        precision: Precision,
    ) -> FlexTensor {
        let x = ordered(x);
        let weights = [key, value].map(ordered);
        let [key_bias, value_bias] = [key_bias, value_bias].map(ordered);
        let ([rows, _], [_, d]) = (dims(&x), dims(&weights[0]));
        let mut out = biases(&[&key_bias, &value_bias], rows);
        for (i, weight) in weights.iter().enumerate() {
            precision.product(&mut out[i * d..], 2 * d, &x, weight, Output::Add);
        }
        tensor(out, [rows, 2 * d])
    }

    fn activate(x: FlexTensor, bias: FlexTensor, activation: Activation) -> FlexTensor {
        let (x, bias) = (ordered(x), ordered(bias));
        tensor(activation::forward(activation, values(&x), values(&bias)), dims::<2>(&x))
    }

    fn normalise(x: FlexTensor, gamma: FlexTensor, beta: FlexTensor, epsilon: f32) -> FlexTensor {
        let (x, gamma, beta) = (ordered(x), ordered(gamma), ordered(beta));
        tensor(norm::forward(values(&x), values(&gamma), values(&beta), epsilon), dims::<2>(&x))
    }

    fn add_residual(
        residual: FlexTensor,
        x: FlexTensor,
        bias: FlexTensor,
        mask: Option<Mask>,
    ) -> FlexTensor {
        let (residual, mut x, bias) = (ordered(residual), ordered(x), ordered(bias));
        dropout::add_residual(
            values_mut(&mut x),
            values(&residual),
            values(&bias),
            mask.as_ref(),
            None,
        );
        x
    }

    fn add_normalise(
        residual: FlexTensor,
        x: FlexTensor,
        bias: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        epsilon: f32,
        mask: Option<Mask>,
    ) -> FlexTensor {
        add_normalise(residual, x, bias, gamma, beta, epsilon, mask.as_ref()).0
    }

    fn drop_rows(x: FlexTensor, mask: Mask) -> FlexTensor {
        let mut x = ordered(x);
        let [_, width] = dims(&x);
        dropout::drop_rows(values_mut(&mut x), width, &mask);
        x
    }

    fn softmax_rows(x: FlexTensor) -> FlexTensor {
        let mut x = ordered(x);
        let [_, width] = dims(&x);
        softmax::forward(values_mut(&mut x), width);
        x
    }

    fn attend(queries: FlexTensor, packed: FlexTensor, shape: Heads) -> FlexTensor {
        let (queries, packed) = (ordered(queries), ordered(packed));
        let [rows, d] = dims(&queries);
        tensor(attention::forward(values(&queries), values(&packed), d, &shape).0, [rows, d])
    }

    fn gather(x: FlexTensor, indices: Vec<u32>) -> FlexTensor {
        let x = ordered(x);
        let [_, width] = dims(&x);
        tensor(embedding::gather(values(&x), &indices, width), [indices.len(), width])
    }

    fn embed(
        tokens: FlexTensor,
        segments: FlexTensor,
        positions: FlexTensor,
        lookup: Lookup,
    ) -> FlexTensor {
        let (tokens, segments, positions) =
            (ordered(tokens), ordered(segments), ordered(positions));
        let [_, width] = dims(&tokens);
        let out = embedding::forward(
            values(&tokens),
            values(&segments),
            values(&positions),
            width,
            &lookup,
        );
        tensor(out, [lookup.tokens.len(), width])
    }

    fn vocabulary_loss(
        hidden: FlexTensor,
        table: FlexTensor,
        bias: FlexTensor,
        targets: Targets,
        precision: Precision,
    ) -> FlexTensor {
        let layer = KnownLayer { hidden, table, bias, precision };
        let [losses, ..] = vocabulary_losses(layer, &targets.labels);
        let weighted =
            losses.iter().enumerate().map(|(i, loss)| f64::from(loss * targets.weight(i)));
        vector(vec![weighted.sum::<f64>() as f32])
    }
}

/// An output layer without a graph.
#[derive(Clone, Debug)]
pub(crate) struct KnownLayer {
    pub hidden: FlexTensor,
    pub table: FlexTensor,
    pub bias: FlexTensor,
    pub precision: Precision,
}

impl KnownLayer {
    /// `f` of its slices.
    fn with<R>(self, f: impl FnOnce(Layer<'_>) -> R) -> R {
        let [hidden, table, bias] = [self.hidden, self.table, self.bias].map(ordered);
        let [_, width] = dims(&table);
        let [hidden, table, bias] = [&hidden, &table, &bias].map(values);
        f(Layer { hidden, table, bias, width, precision: self.precision })
    }
}

/// The loss of each row, and 1 where its most probable class is the right one.
pub(crate) fn vocabulary_losses(layer: KnownLayer, labels: &[u32]) -> [Vec<f32>; 3] {
    layer.with(|layer| vocabulary::losses(layer, labels))
}

/// A token drawn for each row.
pub(crate) fn vocabulary_draws(layer: KnownLayer, sampling: &Sampling) -> Vec<u32> {
    layer.with(|layer| vocabulary::sample(layer, sampling))
}

/// The normalised sum and the sum itself.
fn add_normalise(
    residual: FlexTensor,
    x: FlexTensor,
    bias: FlexTensor,
    gamma: FlexTensor,
    beta: FlexTensor,
    epsilon: f32,
    mask: Option<&Mask>,
) -> (FlexTensor, FlexTensor) {
    let (residual, mut x, bias) = (ordered(residual), ordered(x), ordered(bias));
    let (gamma, beta) = (ordered(gamma), ordered(beta));
    let norm = Norm { gamma: values(&gamma), beta: values(&beta), epsilon };
    let out = dropout::add_residual(
        values_mut(&mut x),
        values(&residual),
        values(&bias),
        mask,
        Some(norm),
    );
    (tensor(out, dims::<2>(&x)), x)
}

impl<C: CheckpointStrategy> Fused for Autodiff<Flex, C> {
    fn project(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        precision: Precision,
    ) -> FloatTensor<Self> {
        record::<_, C, _>([x, weight], |[x, weight]| {
            (Flex::project(x, weight, precision), Project(precision))
        })
    }

    fn linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        precision: Precision,
    ) -> FloatTensor<Self> {
        record::<_, C, _>([x, weight, bias], |[x, weight, bias]| {
            (Flex::linear(x, weight, bias, precision), Linear(precision))
        })
    }

    fn project_pair(
        x: FloatTensor<Self>,
        key: FloatTensor<Self>,
        key_bias: FloatTensor<Self>,
        value: FloatTensor<Self>,
        value_bias: FloatTensor<Self>,
        precision: Precision,
    ) -> FloatTensor<Self> {
        let inputs = [x, key, key_bias, value, value_bias];
        record::<_, C, _>(inputs, |[x, k, kb, v, vb]| {
            (Flex::project_pair(x, k, kb, v, vb, precision), ProjectPair(precision))
        })
    }

    fn activate(
        x: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        // The widest rows of an encoder, from one pass over memory.
        let again = move |[x, bias]: [FlexTensor; 2]| Flex::activate(x, bias, activation);
        record_cheap::<_, C, _>([x, bias], again, Activate(activation))
    }

    fn normalise(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        let forward = |[x, gamma, beta]: [FlexTensor; 3]| {
            (Flex::normalise(x, gamma, beta, epsilon), Normalise(epsilon))
        };
        record::<_, C, _>([x, gamma, beta], forward)
    }

    fn add_residual(
        residual: FloatTensor<Self>,
        x: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        mask: Option<Mask>,
    ) -> FloatTensor<Self> {
        let rule = AddResidual(mask.clone());
        record::<_, C, _>([residual, x, bias], |[residual, x, bias]| {
            (Flex::add_residual(residual, x, bias, mask), rule)
        })
    }

    fn add_normalise(
        residual: FloatTensor<Self>,
        x: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
        mask: Option<Mask>,
    ) -> FloatTensor<Self> {
        record::<_, C, _>([residual, x, bias, gamma, beta], |[residual, x, bias, gamma, beta]| {
            let (out, sum) = add_normalise(residual, x, bias, gamma, beta, epsilon, mask.as_ref());
            (out, AddNormalise { sum, epsilon, mask })
        })
    }

    fn drop_rows(x: FloatTensor<Self>, mask: Mask) -> FloatTensor<Self> {
        let rule = DropRows(mask.clone());
        record::<_, C, _>([x], |[x]| (Flex::drop_rows(x, mask), rule))
    }

    fn softmax_rows(x: FloatTensor<Self>) -> FloatTensor<Self> {
        record::<_, C, _>([x], |[x]| {
            let out = Flex::softmax_rows(x);
            (out.clone(), SoftmaxRows(out))
        })
    }

    fn attend(
        queries: FloatTensor<Self>,
        packed: FloatTensor<Self>,
        shape: Heads,
    ) -> FloatTensor<Self> {
        record::<_, C, _>([queries, packed], |[queries, packed]| {
            let (queries, packed) = (ordered(queries), ordered(packed));
            let [rows, d] = dims(&queries);
            let (out, logs) = attention::forward(values(&queries), values(&packed), d, &shape);
            (tensor(out, [rows, d]), Attend { logs: vector(logs), shape })
        })
    }

    fn gather(x: FloatTensor<Self>, indices: Vec<u32>) -> FloatTensor<Self> {
        record::<_, C, _>([x], |[x]| {
            let [rows, _] = dims(&x);
            (Flex::gather(x, indices.clone()), Gather { rows, indices })
        })
    }

    fn embed(
        tokens: FloatTensor<Self>,
        segments: FloatTensor<Self>,
        positions: FloatTensor<Self>,
        lookup: Lookup,
    ) -> FloatTensor<Self> {
        record::<_, C, _>([tokens, segments, positions], |[tokens, segments, positions]| {
            let rows = [&tokens, &segments, &positions].map(|table| dims::<2>(table)[0]);
            let rule = Embed { rows, lookup: lookup.clone() };
            (Flex::embed(tokens, segments, positions, lookup), rule)
        })
    }

    fn vocabulary_loss(
        hidden: FloatTensor<Self>,
        table: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        targets: Targets,
        precision: Precision,
    ) -> FloatTensor<Self> {
        record::<_, C, _>([hidden, table, bias], |[hidden, table, bias]| {
            let (hidden, table, bias) = (ordered(hidden), ordered(table), ordered(bias));
            let ([n, width], [vocabulary, _]) = (dims(&hidden), dims(&table));
            let layer = Layer {
                hidden: values(&hidden),
                table: values(&table),
                bias: values(&bias),
                width,
                precision,
            };
            let (loss, found) = vocabulary::loss_and_gradients(layer, &targets);
            let hidden = tensor(found.hidden, [n, width]);
            let gradients = [hidden, tensor(found.table, [vocabulary, width]), vector(found.bias)];
            (vector(vec![loss]), VocabularyLoss(gradients))
        })
    }
}
