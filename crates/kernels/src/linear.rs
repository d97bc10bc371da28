//! Affine maps on flat rows, as one matrix product each.

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use crate::composed;
use crate::fused::{Fused, runs_fused};

/// `x W` for `x: [rows, in]` and `weight: [in, out]`.
pub fn project(x: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    if runs_fused(&x) {
        return Tensor::from_dispatch(Dispatch::project(x.into_dispatch(), weight.into_dispatch()));
    }
    x.matmul(weight)
}

/// `x W + b` for `x: [rows, in]`, `weight: [in, out]`, `bias: [out]`.
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    if runs_fused(&x) {
        let (weight, bias) = (weight.into_dispatch(), bias.into_dispatch());
        return Tensor::from_dispatch(Dispatch::linear(x.into_dispatch(), weight, bias));
    }
    composed::linear(x, weight, bias)
}

/// Two affine maps of the same rows side by side, `[rows, 2 * out]`: keys and values.
pub fn project_pair(x: Tensor<2>, maps: [(Tensor<2>, Tensor<1>); 2]) -> Tensor<2> {
    if runs_fused(&x) {
        let [(k, kb), (v, vb)] = maps.map(|(weight, bias)| (weight.into_dispatch(), bias.into_dispatch()));
        return Tensor::from_dispatch(Dispatch::project_pair(x.into_dispatch(), k, kb, v, vb));
    }
    composed::project_pair(x, maps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, in_pool, leaf, value_and_gradients};

    const SHAPES: [(usize, usize, usize); 4] = [(1, 1, 1), (3, 5, 7), (65, 33, 17), (40, 64, 128)];

    #[test]
    fn values_and_gradients_are_those_of_the_composed_operation() {
        for (rows, inner, columns) in SHAPES {
            let (x, w, b) = (leaf([rows, inner], 1), leaf([inner, columns], 2), leaf([columns], 3));
            let what = format!("{rows} x {inner} x {columns}");
            let fused = value_and_gradients(&linear(x.clone(), w.clone(), b.clone()), &[&b], &[&x, &w]);
            let plain = value_and_gradients(&composed::linear(x.clone(), w.clone(), b.clone()), &[&b], &[&x, &w]);
            assert_close(&fused, &plain, 2e-6, &what);
            let fused = value_and_gradients(&project(x.clone(), w.clone()), &[], &[&x, &w]);
            let plain = value_and_gradients(&x.clone().matmul(w.clone()), &[], &[&x, &w]);
            assert_close(&fused, &plain, 2e-6, &what);
        }
    }

    #[test]
    fn two_maps_side_by_side_are_two_maps() {
        for (rows, inner, columns) in SHAPES {
            let x = leaf([rows, inner], 1);
            let maps = [2, 3].map(|seed| (leaf([inner, columns], seed), leaf([columns], 10 + seed)));
            let (weights, biases) = ([&x, &maps[0].0, &maps[1].0], [&maps[0].1, &maps[1].1]);
            let fused = value_and_gradients(&project_pair(x.clone(), maps.clone()), &biases, &weights);
            let plain = value_and_gradients(&composed::project_pair(x.clone(), maps.clone()), &biases, &weights);
            assert_close(&fused, &plain, 4e-6, &format!("{rows} x {inner} x {columns}"));
        }
    }

    #[test]
    fn bits_do_not_depend_on_the_threads() {
        let run = |threads| {
            in_pool(threads, || {
                let (x, w, b) = (leaf([515, 96], 1), leaf([96, 130], 2), leaf([130], 3));
                value_and_gradients(&linear(x.clone(), w.clone(), b.clone()), &[&b], &[&x, &w])
            })
        };
        let one = run(1);
        for threads in [2, 4] {
            assert!(run(threads) == one, "{threads} threads");
        }
    }
}
