//! What the tests of this crate share: numbers, thread pools, and the comparison of the two ways to
//! compute.

use burn::tensor::{Device, Tensor, TensorData};

/// `n` numbers between -1 and 1 without a pattern that an error could hide in.
pub fn wave(n: usize, seed: u32) -> Vec<f32> {
    (0..n as u32)
        .map(|i| {
            crate::noise::draw(u64::from(seed) << 32 | 77, i) as f32 / (1u32 << 31) as f32 - 1.0
        })
        .collect()
}

/// Runs `work` in a pool of `threads` threads.
pub fn in_pool<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool").install(work)
}

/// A tensor that wants a gradient.
pub fn leaf<const D: usize>(shape: [usize; D], seed: u32) -> Tensor<D> {
    scaled_leaf(shape, seed, 1.0)
}

/// A tensor of numbers between `-scale` and `scale` that wants a gradient.
pub fn scaled_leaf<const D: usize>(shape: [usize; D], seed: u32, scale: f32) -> Tensor<D> {
    let values = wave(shape.iter().product(), seed).into_iter().map(|x| x * scale).collect();
    let data = TensorData::new::<f32, _>(values, shape);
    Tensor::from_data(data, &Device::flex().autodiff()).require_grad()
}

/// The elements.
pub fn host<const D: usize>(x: &Tensor<D>) -> Vec<f32> {
    x.clone().into_data().try_into_vec().expect("f32")
}

/// The value of `output` and the gradients of `inputs` when its elements are weighted with a fixed
/// wave and summed.
pub fn value_and_gradients<const D: usize>(
    output: &Tensor<D>,
    one: &[&Tensor<1>],
    two: &[&Tensor<2>],
) -> Vec<Vec<f32>> {
    let shape = output.dims();
    let upper = TensorData::new(wave(shape.iter().product(), 99), shape);
    let gradients = (output.clone() * Tensor::from_data(upper, &output.device())).sum().backward();
    let mut found = vec![host(output)];
    found.extend(two.iter().map(|x| host(&x.grad(&gradients).expect("a gradient"))));
    found.extend(one.iter().map(|x| host(&x.grad(&gradients).expect("a gradient"))));
    found
}

/// Asserts that every number of `got` is within `tolerance` of `want`, relative to the largest
/// number of its tensor or 1, whichever is more.
pub fn assert_close(got: &[Vec<f32>], want: &[Vec<f32>], tolerance: f32, what: &str) {
    assert_eq!(got.len(), want.len());
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert_eq!(got.len(), want.len(), "{what}: tensor {i}");
        let scale = want.iter().fold(1.0f32, |most, x| most.max(x.abs()));
        for (j, (got, want)) in got.iter().zip(want).enumerate() {
            let near = (got - want).abs() <= tolerance * scale;
            assert!(near, "{what}: tensor {i}, element {j}: {got} is not {want}");
        }
    }
}
