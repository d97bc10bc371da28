//! Affine maps on flat rows, as one matrix product each.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

use crate::composed;
use crate::cpu::matrix::{Matrix, MatrixMut, Output};
use crate::cpu::parts;
use crate::cpu::product::multiply;
use crate::flex::{dims, ordered, runs_fused, tensor, values, vector};
use crate::precision::Precision;
use crate::rule::{Rule, Tensors, record};

/// `x W` for `x: [rows, in]` and `weight: [in, out]`.
pub fn project(x: Tensor<2>, weight: Tensor<2>, precision: Precision) -> Tensor<2> {
    if runs_fused(&x) {
        return Tensor::from_dispatch(Dispatch::project(
            x.into_dispatch(),
            weight.into_dispatch(),
            precision,
        ));
    }
    x.matmul(weight)
}

/// `x W + b` for `x: [rows, in]`, `weight: [in, out]`, `bias: [out]`.
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>, precision: Precision) -> Tensor<2> {
    if runs_fused(&x) {
        let (weight, bias) = (weight.into_dispatch(), bias.into_dispatch());
        return Tensor::from_dispatch(Dispatch::linear(x.into_dispatch(), weight, bias, precision));
    }
    composed::linear(x, weight, bias)
}

/// Two affine maps of the same rows side by side, `[rows, 2 * out]`: keys and values.
pub fn project_pair(
    x: Tensor<2>,
    maps: [(Tensor<2>, Tensor<1>); 2],
    precision: Precision,
) -> Tensor<2> {
    if runs_fused(&x) {
        let [(k, kb), (v, vb)] =
            maps.map(|(weight, bias)| (weight.into_dispatch(), bias.into_dispatch()));
        return Tensor::from_dispatch(Dispatch::project_pair(
            x.into_dispatch(),
            k,
            kb,
            v,
            vb,
            precision,
        ));
    }
    composed::project_pair(x, maps)
}

/// Affine maps of rows `x: [rows, width]`. Weights are `[in, out]`, biases `[out]`.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait LinearOps: Backend {
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
}

impl LinearOps for Flex {
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
}

impl<C: CheckpointStrategy> LinearOps for Autodiff<Flex, C> {
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
        multiply(self, MatrixMut::strided(out, stride), a, b, output);
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
        multiply(self, MatrixMut::new(out, inner), a, b, output);
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
        multiply(self, MatrixMut::new(&mut out, columns), a, b, Output::Replace);
        tensor(out, [inner, columns])
    }
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

#[derive(Clone, Debug)]
struct Project(Precision);

impl Rule<2> for Project {
    const READS: [bool; 2] = [true, true];

    fn backward(self, inputs: Tensors<2>, g: FlexTensor, wanted: [bool; 2]) -> Tensors<2> {
        let [x, weight] = inputs.map(|input| input.expect("read"));
        let ([rows, inner], [_, columns]) = (dims(&x), dims(&weight));
        let dx = wanted[0].then(|| {
            let mut out = parts::unwritten(rows * inner);
            self.0.product_x(&mut out, values(&g), columns, &weight, Output::Replace);
            tensor(out, [rows, inner])
        });
        [dx, wanted[1].then(|| self.0.product_weight(&x, values(&g), columns, columns))]
    }
}

#[derive(Clone, Debug)]
struct Linear(Precision);

impl Rule<3> for Linear {
    const READS: [bool; 3] = [true, true, false];

    fn backward(self, inputs: Tensors<3>, g: FlexTensor, wanted: [bool; 3]) -> Tensors<3> {
        let [x, weight, _] = inputs;
        let [_, columns] = dims(&g);
        let bias = wanted[2].then(|| vector(parts::column_sums(values(&g), columns)));
        let [x, weight] = Project(self.0).backward([x, weight], g, [wanted[0], wanted[1]]);
        [x, weight, bias]
    }
}

#[derive(Clone, Debug)]
struct ProjectPair(Precision);

impl Rule<5> for ProjectPair {
    const READS: [bool; 5] = [true, true, false, true, false];

    fn backward(self, inputs: Tensors<5>, g: FlexTensor, wanted: [bool; 5]) -> Tensors<5> {
        let [x, key, _, value, _] = inputs;
        let (x, weights) = (x.expect("read"), [key, value].map(|weight| weight.expect("read")));
        let ([rows, inner], [_, d]) = (dims(&x), dims(&weights[0]));
        let dx = wanted[0].then(|| {
            let mut out = parts::unwritten(rows * inner);
            for (i, weight) in weights.iter().enumerate() {
                let output = if i == 0 { Output::Replace } else { Output::Add };
                self.0.product_x(&mut out, &values(&g)[i * d..], 2 * d, weight, output);
            }
            tensor(out, [rows, inner])
        });
        let [k, v] = std::array::from_fn(|i| {
            wanted[1 + 2 * i].then(|| self.0.product_weight(&x, &values(&g)[i * d..], 2 * d, d))
        });
        let sums = parts::column_sums(values(&g), 2 * d);
        let [kb, vb] = std::array::from_fn(|i| Some(vector(sums[i * d..(i + 1) * d].to_vec())));
        [dx, k, kb, v, vb]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;

    use crate::testing::{assert_close, host, in_pool, leaf, value_and_gradients, wave};

    const SHAPES: [(usize, usize, usize); 4] = [(1, 1, 1), (3, 5, 7), (65, 33, 17), (40, 64, 128)];

    #[test]
    fn values_and_gradients_are_those_of_the_composed_operation() {
        for (rows, inner, columns) in SHAPES {
            let (x, w, b) = (leaf([rows, inner], 1), leaf([inner, columns], 2), leaf([columns], 3));
            let what = format!("{rows} x {inner} x {columns}");
            let fused = value_and_gradients(
                &linear(x.clone(), w.clone(), b.clone(), Precision::F32),
                &[&b],
                &[&x, &w],
            );
            let plain = value_and_gradients(
                &composed::linear(x.clone(), w.clone(), b.clone()),
                &[&b],
                &[&x, &w],
            );
            assert_close(&fused, &plain, 2e-6, &what);
            let fused =
                value_and_gradients(&project(x.clone(), w.clone(), Precision::F32), &[], &[&x, &w]);
            let plain = value_and_gradients(&x.clone().matmul(w.clone()), &[], &[&x, &w]);
            assert_close(&fused, &plain, 2e-6, &what);
        }
    }

    #[test]
    fn two_maps_side_by_side_are_two_maps() {
        for (rows, inner, columns) in SHAPES {
            let x = leaf([rows, inner], 1);
            let maps =
                [2, 3].map(|seed| (leaf([inner, columns], seed), leaf([columns], 10 + seed)));
            let (weights, biases) = ([&x, &maps[0].0, &maps[1].0], [&maps[0].1, &maps[1].1]);
            let fused = value_and_gradients(
                &project_pair(x.clone(), maps.clone(), Precision::F32),
                &biases,
                &weights,
            );
            let plain = value_and_gradients(
                &composed::project_pair(x.clone(), maps.clone()),
                &biases,
                &weights,
            );
            assert_close(&fused, &plain, 4e-6, &format!("{rows} x {inner} x {columns}"));
        }
    }

    #[test]
    fn factors_are_rounded_in_every_product_and_nothing_else_is() {
        let round = |x: &Tensor<2>| {
            let bf16 = |x: f32| {
                let bits = x.to_bits();
                f32::from_bits((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000)
            };
            let values = host(x).into_iter().map(bf16).collect();
            Tensor::<2>::from_data(TensorData::new::<f32, _>(values, x.dims()), &x.device())
        };

        let (x, w, b) = (leaf([65, 34], 1), leaf([34, 17], 2), leaf([17], 3));
        let found = value_and_gradients(
            &linear(x.clone(), w.clone(), b.clone(), Precision::Bf16),
            &[&b],
            &[&x, &w],
        );
        let upper =
            Tensor::<2>::from_data(TensorData::new(wave(65 * 17, 99), [65, 17]), &x.device());
        let value = composed::linear(round(&x), round(&w), b);
        let (dx, dw) = (
            round(&upper).matmul(round(&w).transpose()),
            round(&x).transpose().matmul(round(&upper)),
        );
        let want = [host(&value), host(&dx), host(&dw), host(&upper.sum_dim(0))];
        assert_close(&found, &want, 2e-6, "bfloat16");

        let pair = project_pair(
            x.clone(),
            [(w.clone(), leaf([17], 3)), (w.clone(), leaf([17], 4))],
            Precision::Bf16,
        );
        assert_close(&[host(&pair.slice([0..65, 0..17]))], &found[..1], 2e-6, "two maps");
        assert_close(
            &[host(&(project(x, w, Precision::Bf16) + leaf([17], 3).unsqueeze()))],
            &found[..1],
            2e-6,
            "no bias",
        );
    }

    #[test]
    fn bits_do_not_depend_on_the_threads() {
        let run = |threads| {
            in_pool(threads, || {
                let (x, w, b) = (leaf([515, 96], 1), leaf([96, 130], 2), leaf([130], 3));
                value_and_gradients(
                    &linear(x.clone(), w.clone(), b.clone(), Precision::F32),
                    &[&b],
                    &[&x, &w],
                )
            })
        };
        let one = run(1);
        for threads in [2, 4] {
            assert!(run(threads) == one, "{threads} threads");
        }
    }
}
