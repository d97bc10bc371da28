//! The operations of [`crate::cpu`] as an extension of burn's CPU backend, with and without a graph.

pub(crate) mod distillation;
pub(crate) mod recurrent;

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, DispatchDevice, Flex, backend_extension};
use burn::tensor::{Device, Tensor};

use crate::activation::Activation;
use crate::cpu::attention::Heads;
use crate::cpu::dropout::{Mask, Norm};
use crate::cpu::embedding::Lookup;
use crate::cpu::matmul::{Matrix, MatrixMut, Output, Threads, multiply};
use crate::cpu::vocabulary::{Layer, Sampling, Targets};
use crate::cpu::{activation, attention, dropout, embedding, norm, parts, softmax, vocabulary};
use crate::flex::{dims, ordered, tensor, values, values_mut};
use crate::rule::{Rule, record, record_cheap};

/// Whether tensors on `device` go through the operations of this crate that are written by hand: they take rows of any
/// length, where others need a rectangle.
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
    fn project(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;
    /// `x W + b`
    fn linear(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self>;
    /// `[x K + k, x V + v]`, `[rows, 2 * out]`
    fn project_pair(
        x: FloatTensor<Self>,
        key: FloatTensor<Self>,
        key_bias: FloatTensor<Self>,
        value: FloatTensor<Self>,
        value_bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    /// `f(x + bias)`
    fn activate(x: FloatTensor<Self>, bias: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self>;
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
    fn attend(queries: FloatTensor<Self>, packed: FloatTensor<Self>, shape: Heads) -> FloatTensor<Self>;
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
    ) -> FloatTensor<Self>;
}

fn product(out: &mut [f32], stride: usize, x: &FlexTensor, weight: &FlexTensor, output: Output) {
    let ([rows, inner], [_, columns]) = (dims(x), dims(weight));
    let (a, b) = (Matrix::new(values(x), rows, inner), Matrix::new(values(weight), inner, columns));
    multiply(MatrixMut::strided(out, stride), a, b, 1.0, output, Threads::Pool);
}

/// The gradient of `x` in `x W`, given that of the product, whose rows begin `stride` apart.
fn product_x(out: &mut [f32], gradient: &[f32], stride: usize, weight: &FlexTensor, rows: usize, output: Output) {
    let [inner, columns] = dims(weight);
    let a = Matrix::strided(gradient, rows, columns, stride);
    let b = Matrix::new(values(weight), inner, columns).transposed();
    multiply(MatrixMut::new(out, inner), a, b, 1.0, output, Threads::Pool);
}

/// The gradient of `W` in `x W`.
fn product_weight(x: &FlexTensor, gradient: &[f32], stride: usize, columns: usize) -> FlexTensor {
    let [rows, inner] = dims(x);
    let mut out = parts::unwritten(inner * columns);
    let a = Matrix::new(values(x), rows, inner).transposed();
    let b = Matrix::strided(gradient, rows, columns, stride);
    multiply(MatrixMut::new(&mut out, columns), a, b, 1.0, Output::Replace, Threads::Pool);
    tensor(out, [inner, columns])
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
    fn project(x: FlexTensor, weight: FlexTensor) -> FlexTensor {
        let (x, weight) = (ordered(x), ordered(weight));
        let ([rows, _], [_, columns]) = (dims(&x), dims(&weight));
        let mut out = parts::unwritten(rows * columns);
        product(&mut out, columns, &x, &weight, Output::Replace);
        tensor(out, [rows, columns])
    }

    fn linear(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        let (x, weight, bias) = (ordered(x), ordered(weight), ordered(bias));
        let ([rows, _], [_, columns]) = (dims(&x), dims(&weight));
        let mut out = biases(&[&bias], rows);
        product(&mut out, columns, &x, &weight, Output::Add);
        tensor(out, [rows, columns])
    }

    fn project_pair(
        x: FlexTensor,
        key: FlexTensor,
        key_bias: FlexTensor,
        value: FlexTensor,
        value_bias: FlexTensor,
    ) -> FlexTensor {
        let x = ordered(x);
        let weights = [key, value].map(ordered);
        let [key_bias, value_bias] = [key_bias, value_bias].map(ordered);
        let ([rows, _], [_, d]) = (dims(&x), dims(&weights[0]));
        let mut out = biases(&[&key_bias, &value_bias], rows);
        for (i, weight) in weights.iter().enumerate() {
            product(&mut out[i * d..], 2 * d, &x, weight, Output::Add);
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

    fn add_residual(residual: FlexTensor, x: FlexTensor, bias: FlexTensor, mask: Option<Mask>) -> FlexTensor {
        let (residual, mut x, bias) = (ordered(residual), ordered(x), ordered(bias));
        dropout::add_residual(values_mut(&mut x), values(&residual), values(&bias), mask.as_ref(), None);
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

    fn embed(tokens: FlexTensor, segments: FlexTensor, positions: FlexTensor, lookup: Lookup) -> FlexTensor {
        let (tokens, segments, positions) = (ordered(tokens), ordered(segments), ordered(positions));
        let [_, width] = dims(&tokens);
        let out = embedding::forward(values(&tokens), values(&segments), values(&positions), width, &lookup);
        tensor(out, [lookup.tokens.len(), width])
    }

    fn vocabulary_loss(hidden: FlexTensor, table: FlexTensor, bias: FlexTensor, targets: Targets) -> FlexTensor {
        let (losses, _) = vocabulary_losses(hidden, table, bias, &targets.labels);
        let weighted = losses.iter().enumerate().map(|(i, loss)| f64::from(loss * targets.weight(i)));
        vector(vec![weighted.sum::<f64>() as f32])
    }
}

/// The loss of each row, and 1 where its most probable class is the right one.
pub(crate) fn vocabulary_losses(
    hidden: FlexTensor,
    table: FlexTensor,
    bias: FlexTensor,
    labels: &[u32],
) -> (Vec<f32>, Vec<f32>) {
    let (hidden, table, bias) = (ordered(hidden), ordered(table), ordered(bias));
    let [_, width] = dims(&table);
    let layer = Layer { hidden: values(&hidden), table: values(&table), bias: values(&bias), width };
    vocabulary::losses(layer, labels)
}

/// A token drawn for each row.
pub(crate) fn vocabulary_draws(
    hidden: FlexTensor,
    table: FlexTensor,
    bias: FlexTensor,
    sampling: &Sampling,
) -> Vec<u32> {
    let (hidden, table, bias) = (ordered(hidden), ordered(table), ordered(bias));
    let [_, width] = dims(&table);
    let layer = Layer { hidden: values(&hidden), table: values(&table), bias: values(&bias), width };
    vocabulary::sample(layer, sampling)
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
    let out = dropout::add_residual(values_mut(&mut x), values(&residual), values(&bias), mask, Some(norm));
    (tensor(out, dims::<2>(&x)), x)
}

impl<C: CheckpointStrategy> Fused for Autodiff<Flex, C> {
    fn project(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        record::<_, C, _>([x, weight], |[x, weight]| (Flex::project(x, weight), Project))
    }

    fn linear(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
        record::<_, C, _>([x, weight, bias], |[x, weight, bias]| (Flex::linear(x, weight, bias), Linear))
    }

    fn project_pair(
        x: FloatTensor<Self>,
        key: FloatTensor<Self>,
        key_bias: FloatTensor<Self>,
        value: FloatTensor<Self>,
        value_bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let inputs = [x, key, key_bias, value, value_bias];
        record::<_, C, _>(inputs, |[x, k, kb, v, vb]| (Flex::project_pair(x, k, kb, v, vb), ProjectPair))
    }

    fn activate(x: FloatTensor<Self>, bias: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
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
        let forward =
            |[x, gamma, beta]: [FlexTensor; 3]| (Flex::normalise(x, gamma, beta, epsilon), Normalise(epsilon));
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

    fn attend(queries: FloatTensor<Self>, packed: FloatTensor<Self>, shape: Heads) -> FloatTensor<Self> {
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
    ) -> FloatTensor<Self> {
        record::<_, C, _>([hidden, table, bias], |[hidden, table, bias]| {
            let (hidden, table, bias) = (ordered(hidden), ordered(table), ordered(bias));
            let ([n, width], [vocabulary, _]) = (dims(&hidden), dims(&table));
            let layer = Layer { hidden: values(&hidden), table: values(&table), bias: values(&bias), width };
            let (loss, found) = vocabulary::loss_and_gradients(layer, &targets);
            let hidden = tensor(found.hidden, [n, width]);
            let gradients = [hidden, tensor(found.table, [vocabulary, width]), vector(found.bias)];
            (vector(vec![loss]), VocabularyLoss(gradients))
        })
    }
}

#[derive(Clone, Debug)]
struct Project;

impl Rule<2> for Project {
    const READS: [bool; 2] = [true, true];

    fn backward(self, inputs: [Option<FlexTensor>; 2], g: FlexTensor, wanted: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let [x, weight] = inputs.map(|input| ordered(input.expect("read")));
        let g = ordered(g);
        let ([rows, inner], [_, columns]) = (dims(&x), dims(&weight));
        let dx = wanted[0].then(|| {
            let mut out = parts::unwritten(rows * inner);
            product_x(&mut out, values(&g), columns, &weight, rows, Output::Replace);
            tensor(out, [rows, inner])
        });
        [dx, wanted[1].then(|| product_weight(&x, values(&g), columns, columns))]
    }
}

#[derive(Clone, Debug)]
struct Linear;

impl Rule<3> for Linear {
    const READS: [bool; 3] = [true, true, false];

    fn backward(self, inputs: [Option<FlexTensor>; 3], g: FlexTensor, wanted: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let [x, weight, _] = inputs;
        let g = ordered(g);
        let [_, columns] = dims(&g);
        let bias = wanted[2].then(|| vector(parts::column_sums(values(&g), columns)));
        let [x, weight] = Project.backward([x, weight], g, [wanted[0], wanted[1]]);
        [x, weight, bias]
    }
}

#[derive(Clone, Debug)]
struct ProjectPair;

impl Rule<5> for ProjectPair {
    const READS: [bool; 5] = [true, true, false, true, false];

    fn backward(self, inputs: [Option<FlexTensor>; 5], g: FlexTensor, wanted: [bool; 5]) -> [Option<FlexTensor>; 5] {
        let [x, key, _, value, _] = inputs.map(|input| input.map(ordered));
        let (x, weights) = (x.expect("read"), [key, value].map(|weight| weight.expect("read")));
        let g = ordered(g);
        let ([rows, inner], [_, d]) = (dims(&x), dims(&weights[0]));
        let dx = wanted[0].then(|| {
            let mut out = parts::unwritten(rows * inner);
            for (i, weight) in weights.iter().enumerate() {
                let output = if i == 0 { Output::Replace } else { Output::Add };
                product_x(&mut out, &values(&g)[i * d..], 2 * d, weight, rows, output);
            }
            tensor(out, [rows, inner])
        });
        let [k, v] =
            std::array::from_fn(|i| wanted[1 + 2 * i].then(|| product_weight(&x, &values(&g)[i * d..], 2 * d, d)));
        let sums = parts::column_sums(values(&g), 2 * d);
        let [kb, vb] = std::array::from_fn(|i| Some(vector(sums[i * d..(i + 1) * d].to_vec())));
        [dx, k, kb, v, vb]
    }
}

#[derive(Clone, Debug)]
struct Activate(Activation);

impl Rule<2> for Activate {
    const READS: [bool; 2] = [true, true];

    fn backward(self, inputs: [Option<FlexTensor>; 2], g: FlexTensor, _wanted: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let [x, bias] = inputs.map(|input| ordered(input.expect("read")));
        let mut g = ordered(g);
        let sums = activation::backward(self.0, values(&x), values(&bias), values_mut(&mut g));
        [Some(g), Some(vector(sums))]
    }
}

#[derive(Clone, Debug)]
struct Normalise(f32);

impl Rule<3> for Normalise {
    const READS: [bool; 3] = [true, true, false];

    fn backward(self, inputs: [Option<FlexTensor>; 3], g: FlexTensor, _wanted: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let [x, gamma, _] = inputs.map(|input| input.map(ordered));
        let (x, gamma, mut g) = (x.expect("read"), gamma.expect("read"), ordered(g));
        let [dg, db] = norm::backward(values(&x), values(&gamma), self.0, values_mut(&mut g));
        [Some(g), Some(vector(dg)), Some(vector(db))]
    }
}

#[derive(Clone, Debug)]
struct AddResidual(Option<Mask>);

impl Rule<3> for AddResidual {
    const READS: [bool; 3] = [false, false, false];

    fn backward(self, _inputs: [Option<FlexTensor>; 3], g: FlexTensor, _wanted: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let mut g = ordered(g);
        let shape: [usize; 2] = dims(&g);
        let found = dropout::residual_backward(values_mut(&mut g), shape[1], self.0.as_ref(), None);
        let x = if self.0.is_some() { tensor(found.x, shape) } else { g.clone() };
        [Some(g), Some(x), Some(vector(found.bias))]
    }
}

#[derive(Clone, Debug)]
struct AddNormalise {
    sum: FlexTensor,
    epsilon: f32,
    mask: Option<Mask>,
}

impl Rule<5> for AddNormalise {
    const READS: [bool; 5] = [false, false, false, true, false];

    fn backward(self, inputs: [Option<FlexTensor>; 5], g: FlexTensor, _wanted: [bool; 5]) -> [Option<FlexTensor>; 5] {
        let (gamma, mut g) = (read(inputs, 3), ordered(g));
        let shape: [usize; 2] = dims(&g);
        let norm = Norm { gamma: values(&gamma), beta: &[], epsilon: self.epsilon };
        let sum = Some((values(&self.sum), norm));
        let found = dropout::residual_backward(values_mut(&mut g), shape[1], self.mask.as_ref(), sum);
        let x = if self.mask.is_some() { tensor(found.x, shape) } else { g.clone() };
        let [gamma, beta] = found.norm.expect("there is a norm");
        [Some(g), Some(x), Some(vector(found.bias)), Some(vector(gamma)), Some(vector(beta))]
    }
}

#[derive(Clone, Debug)]
struct DropRows(Mask);

impl Rule<1> for DropRows {
    const READS: [bool; 1] = [false];

    fn backward(self, _inputs: [Option<FlexTensor>; 1], g: FlexTensor, _wanted: [bool; 1]) -> [Option<FlexTensor>; 1] {
        [Some(Flex::drop_rows(g, self.0))]
    }
}

#[derive(Clone, Debug)]
struct SoftmaxRows(FlexTensor);

impl Rule<1> for SoftmaxRows {
    const READS: [bool; 1] = [false];

    fn backward(self, _inputs: [Option<FlexTensor>; 1], g: FlexTensor, _wanted: [bool; 1]) -> [Option<FlexTensor>; 1] {
        let (y, mut g) = (self.0, ordered(g));
        let [_, width] = dims(&g);
        softmax::backward(values(&y), values_mut(&mut g), width);
        [Some(g)]
    }
}

#[derive(Clone, Debug)]
struct Attend {
    logs: FlexTensor,
    shape: Heads,
}

impl Rule<2> for Attend {
    const READS: [bool; 2] = [true, true];

    fn backward(self, inputs: [Option<FlexTensor>; 2], g: FlexTensor, _wanted: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let [queries, packed] = inputs.map(|input| ordered(input.expect("read")));
        let g = ordered(g);
        let ([asked, d], [seen, _]) = (dims(&queries), dims(&packed));
        let (queries, packed) = (values(&queries), values(&packed));
        let (dq, dkv) = attention::backward(queries, packed, values(&self.logs), values(&g), d, &self.shape);
        [Some(tensor(dq, [asked, d])), Some(tensor(dkv, [seen, 2 * d]))]
    }
}

#[derive(Clone, Debug)]
struct Gather {
    rows: usize,
    indices: Vec<u32>,
}

impl Rule<1> for Gather {
    const READS: [bool; 1] = [false];

    fn backward(self, _inputs: [Option<FlexTensor>; 1], g: FlexTensor, _wanted: [bool; 1]) -> [Option<FlexTensor>; 1] {
        let g = ordered(g);
        let [_, width] = dims(&g);
        let indices = self.indices.iter().map(|index| *index as usize);
        [Some(tensor(embedding::scatter(values(&g), indices, self.rows, width), [self.rows, width]))]
    }
}

#[derive(Clone, Debug)]
struct Embed {
    rows: [usize; 3],
    lookup: Lookup,
}

impl Rule<3> for Embed {
    const READS: [bool; 3] = [false, false, false];

    fn backward(self, _inputs: [Option<FlexTensor>; 3], g: FlexTensor, _wanted: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let g = ordered(g);
        let [_, width] = dims(&g);
        let tables = embedding::backward(values(&g), self.rows, width, &self.lookup);
        let mut rows = self.rows.into_iter();
        tables.map(|table| Some(tensor(table, [rows.next().expect("three tables"), width])))
    }
}

#[derive(Clone, Debug)]
struct VocabularyLoss([FlexTensor; 3]);

impl Rule<3> for VocabularyLoss {
    const READS: [bool; 3] = [false, false, false];

    fn backward(self, _inputs: [Option<FlexTensor>; 3], g: FlexTensor, _wanted: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let scale = values(&ordered(g))[0];
        self.0.map(|mut gradient| {
            parts::scale(values_mut(&mut gradient), scale);
            Some(gradient)
        })
    }
}
