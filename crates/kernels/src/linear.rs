//! Affine maps on flat rows, as one matrix product each.

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use crate::composed;
use crate::fused::{Fused, runs_fused};
use crate::precision::Precision;

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
