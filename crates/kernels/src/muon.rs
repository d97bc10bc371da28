//! Muon (Jordan et al. 2024): matrices move along the nearest orthogonal matrix to their momentum.

use burn::backend::Flex;
use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::composed;
use crate::cpu::muon::{self, MuonStep};
use crate::flex::{runs_fused, values, values_mut};
use crate::optimizer::primitive;

/// A matrix that Muon updates. Its tensors are flat, equally long and without a graph.
#[derive(Clone, Debug)]
pub struct MuonMatrix {
    /// Rows and columns: the widths of what the matrix takes and gives.
    pub shape: [usize; 2],
    /// The matrix.
    pub weight: Tensor<1>,
    /// Its gradient.
    pub gradient: Tensor<1>,
    /// The running mean of its gradients.
    pub momentum: Tensor<1>,
    /// Learning rate.
    pub rate: f64,
}

/// One step of Muon: the new weight and momentum of every matrix. The gradients are multiplied with
/// `scale`, `[1]`, first. On the CPU the matrices are computed side by side, each by one thread.
pub fn muon(
    matrices: Vec<MuonMatrix>,
    scale: &Tensor<1>,
    step: &MuonStep,
) -> Vec<(Tensor<1>, Tensor<1>)> {
    if !runs_fused(scale) {
        let one = |matrix| composed_muon(matrix, scale.clone(), step);
        return matrices.into_iter().map(one).collect();
    }

    let scale = values(&primitive(scale.clone()))[0];
    let work = |matrix: MuonMatrix| {
        let MuonMatrix { shape, weight, gradient, momentum, rate } = matrix;
        let [mut weight, gradient, mut momentum] = [weight, gradient, momentum].map(primitive);
        let parameter = muon::Parameter {
            shape,
            weight: values_mut(&mut weight),
            gradient: values(&gradient),
            momentum: values_mut(&mut momentum),
        };
        muon::update(parameter, scale, rate, step);
        let [weight, momentum] = [weight, momentum].map(Tensor::from_primitive::<Flex>);
        (weight, momentum)
    };
    matrices.into_par_iter().map(work).collect()
}

fn composed_muon(matrix: MuonMatrix, scale: Tensor<1>, step: &MuonStep) -> (Tensor<1>, Tensor<1>) {
    let MuonMatrix { shape, weight, gradient, momentum, rate } = matrix;
    let new = gradient * scale * (1.0 - step.momentum);
    let momentum = momentum * step.momentum + new.clone();
    let ahead = momentum.clone() * step.momentum + new;

    let direction =
        composed::orthogonalise(ahead.reshape(shape), step.iterations).reshape(weight.dims());
    let kept = composed::decayed(weight, &direction, rate * step.decay, step.is_cautious);
    (kept - direction * (rate * muon::shape_factor(shape)), momentum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, host, in_pool, wave};
    use burn::tensor::Device;

    fn flat(values: &[f32]) -> Tensor<1> {
        Tensor::from_data(values, &Device::flex())
    }

    const STEP: MuonStep =
        MuonStep { momentum: 0.95, decay: 0.1, is_cautious: false, iterations: 5 };
    const SHAPES: [[usize; 2]; 4] = [[8, 8], [12, 30], [30, 12], [1, 5]];

    fn matrices() -> Vec<MuonMatrix> {
        let matrix = |(i, shape): (usize, [usize; 2])| {
            let n = shape[0] * shape[1];
            let [weight, gradient, momentum] =
                [0, 10, 20].map(|seed| flat(&wave(n, i as u32 + seed)));
            MuonMatrix { shape, weight, gradient, momentum, rate: 0.02 }
        };
        SHAPES.into_iter().enumerate().map(matrix).collect()
    }

    fn values_of(updated: &[(Tensor<1>, Tensor<1>)]) -> Vec<Vec<f32>> {
        updated.iter().flat_map(|(weight, momentum)| [host(weight), host(momentum)]).collect()
    }

    #[test]
    fn updates_are_those_of_the_composed_operations() {
        for is_cautious in [false, true] {
            let step = MuonStep { is_cautious, ..STEP };
            let fused = muon(matrices(), &flat(&[0.5]), &step);
            let plain: Vec<_> = matrices()
                .into_iter()
                .map(|matrix| composed_muon(matrix, flat(&[0.5]), &step))
                .collect();
            assert_close(&values_of(&fused), &values_of(&plain), 1e-5, "Muon");
        }
    }

    #[test]
    fn a_tall_matrix_moves_as_far_as_its_columns_are_many() {
        // Without decay the update is the rate times a matrix with singular values near 1, times
        // the root of columns by rows where there are more columns.
        let step = MuonStep { decay: 0.0, ..STEP };
        for (before, (after, _)) in matrices().iter().zip(muon(matrices(), &flat(&[1.0]), &step)) {
            let [rows, columns] = before.shape.map(|n| n as f64);
            let moved = host(&(after - before.weight.clone()));
            let norm = moved.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
            let want = 0.02 * rows.min(columns).sqrt() * (columns / rows).max(1.0).sqrt();
            assert!((0.6..1.3).contains(&(norm / want)), "{norm} {want}");
        }
    }

    #[test]
    fn a_matrix_without_a_gradient_only_decays() {
        let n = 12;
        let still = MuonMatrix {
            shape: [3, 4],
            weight: flat(&wave(n, 1)),
            gradient: flat(&vec![0.0; n]),
            momentum: flat(&vec![0.0; n]),
            rate: 0.02,
        };
        let (weight, _) = muon(vec![still], &flat(&[1.0]), &STEP).remove(0);
        let want: Vec<f32> = wave(n, 1).iter().map(|w| w * (1.0 - 0.02 * 0.1)).collect();
        assert_close(&[host(&weight)], &[want], 1e-6, "decay");
    }

    #[test]
    fn bits_do_not_depend_on_the_threads() {
        let run = |threads| in_pool(threads, || values_of(&muon(matrices(), &flat(&[1.0]), &STEP)));
        let one = run(1);
        for threads in [2, 4] {
            assert!(run(threads) == one, "{threads} threads");
        }
    }
}
