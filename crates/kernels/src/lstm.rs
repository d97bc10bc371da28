//! Long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al.
//! 2000).

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

use crate::composed;
use crate::cpu::lstm::{self, Direction, Trace};
use crate::flex::{dims, ordered, runs_fused, tensor, values};
use crate::rows::Rows;
use crate::rule::{Rule, Tensors, record};

/// The hidden state after each token, `[rows, width]`: with gates `i, f, g, o = s(x_t + h_{t-1} R)`
/// (`g` with tanh for s, the logistic function), `c_t = f c_{t-1} + i g` and `h_t = o tanh(c_t)`,
/// both 0 before the first token. `inputs` is what each token adds to the gates, `[rows, 4 *
/// width]`, and `recurrent` is R, `[width, 4 * width]`, both in the order i, f, g, o, as PyTorch
/// has it. `lengths` are the tokens of each sequence, which `rows` are; on a backend without the
/// fused operation they are a rectangle, whose padding changes nothing.
///
/// # Panics
/// Where the operation is fused and `rows` are others.
pub fn lstm(
    inputs: Tensor<2>,
    recurrent: Tensor<2>,
    rows: &Rows,
    lengths: &[usize],
    direction: Direction,
) -> Tensor<2> {
    if runs_fused(&inputs) {
        assert_eq!(*rows, Rows::of_lengths(lengths), "no padding");
        let (inputs, recurrent) = (inputs.into_dispatch(), recurrent.into_dispatch());
        return Tensor::from_dispatch(Dispatch::lstm(inputs, recurrent, rows.clone(), direction));
    }
    composed::lstm(inputs, recurrent, lengths, direction)
}

/// A long short-term memory over rows.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait LstmOps: Backend {
    /// The hidden states of a long short-term memory, `[rows, width]`.
    fn lstm(
        inputs: FloatTensor<Self>,
        recurrent: FloatTensor<Self>,
        rows: Rows,
        direction: Direction,
    ) -> FloatTensor<Self>;
}

impl LstmOps for Flex {
    fn lstm(
        inputs: FlexTensor,
        recurrent: FlexTensor,
        rows: Rows,
        direction: Direction,
    ) -> FlexTensor {
        let (trace, width) = run(inputs, recurrent, &rows, direction);
        tensor(trace.hidden, [rows.len(), width])
    }
}

impl<C: CheckpointStrategy> LstmOps for Autodiff<Flex, C> {
    fn lstm(
        inputs: FloatTensor<Self>,
        recurrent: FloatTensor<Self>,
        rows: Rows,
        direction: Direction,
    ) -> FloatTensor<Self> {
        record::<_, C, _>([inputs, recurrent], |[inputs, recurrent]| {
            let (trace, width) = run(inputs, recurrent, &rows, direction);
            (tensor(trace.hidden.clone(), [rows.len(), width]), Lstm { trace, rows, direction })
        })
    }
}

fn run(
    inputs: FlexTensor,
    recurrent: FlexTensor,
    rows: &Rows,
    direction: Direction,
) -> (Trace, usize) {
    let (inputs, recurrent) = (ordered(inputs), ordered(recurrent));
    let [width, _] = dims(&recurrent);
    (lstm::forward(values(&inputs), values(&recurrent), width, rows, direction), width)
}

#[derive(Clone, Debug)]
struct Lstm {
    trace: Trace,
    rows: Rows,
    direction: Direction,
}

impl Rule<2> for Lstm {
    const READS: [bool; 2] = [false, true];

    fn backward(self, inputs: Tensors<2>, g: FlexTensor, _wanted: [bool; 2]) -> Tensors<2> {
        let [_, recurrent] = inputs;
        let recurrent = recurrent.expect("read");
        let [width, wide] = dims(&recurrent);
        let (trace, rows) = (&self.trace, &self.rows);
        let (inputs, weights) =
            lstm::backward(trace, values(&recurrent), values(&g), width, rows, self.direction);
        [Some(tensor(inputs, [rows.len(), wide])), Some(tensor(weights, [width, wide]))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, host, in_pool, leaf, value_and_gradients};
    use burn::tensor::{Device, TensorData};

    const DIRECTIONS: [Direction; 2] = [Direction::Forward, Direction::Backward];

    #[test]
    fn two_tokens_by_hand() {
        // Width 1, no recurrent weights. Token 1: all sums 0, so i = f = o = 1/2, g = 0, c = 0.
        // Token 2: i, f, o open wide, g = tanh(1): c = g.
        let values = vec![0.0, 0.0, 0.0, 0.0, 50.0, 50.0, 1.0, 50.0];
        let inputs = Tensor::<2>::from_data(TensorData::new(values, [2, 4]), &Device::flex());
        let recurrent = Tensor::<2>::zeros([1, 4], &Device::flex());
        let run = |direction| {
            host(&lstm(inputs.clone(), recurrent.clone(), &Rows::of_lengths(&[2]), &[2], direction))
        };
        let kept = 1f32.tanh();
        let close =
            |got: &[f32], want: [f32; 2]| got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(close(&run(Direction::Forward), [0.0, kept.tanh()]));
        // Read from the end, the first token forgets half of the cell.
        assert!(close(&run(Direction::Backward), [0.5 * (0.5 * kept).tanh(), kept.tanh()]));
    }

    #[test]
    fn values_and_gradients_are_those_of_the_composed_operation() {
        for direction in DIRECTIONS {
            for (width, len, lengths) in
                [(1, 1, vec![1]), (3, 5, vec![5, 2]), (8, 9, vec![1, 9, 4]), (17, 3, vec![3; 5])]
            {
                let batch = lengths.len();
                let (x, r) = (leaf([batch * len, 4 * width], 1), leaf([width, 4 * width], 2));
                let real: Vec<u32> = (0..batch * len)
                    .filter(|i| i % len < lengths[i / len])
                    .map(|i| i as u32)
                    .collect();
                let ids = composed::ids(&real, &x.device());
                let some = x.clone().select(0, ids.clone());
                let fused = lstm(some, r.clone(), &Rows::of_lengths(&lengths), &lengths, direction);
                let plain =
                    composed::lstm(x.clone(), r.clone(), &lengths, direction).select(0, ids);

                let fused = value_and_gradients(&fused, &[], &[&x, &r]);
                let plain = value_and_gradients(&plain, &[], &[&x, &r]);
                assert_close(
                    &fused,
                    &plain,
                    5e-6,
                    &format!("{direction:?}, {lengths:?}, width {width}"),
                );
            }
        }
    }

    #[test]
    fn bits_do_not_depend_on_the_threads() {
        let lengths = [7, 30, 12, 12, 1, 25];
        let run = |threads| {
            in_pool(threads, || {
                let (x, r) = (leaf([87, 96], 1), leaf([24, 96], 2));
                let out = lstm(
                    x.clone(),
                    r.clone(),
                    &Rows::of_lengths(&lengths),
                    &lengths,
                    Direction::Forward,
                );
                value_and_gradients(&out, &[], &[&x, &r])
            })
        };
        let one = run(1);
        for threads in [2, 4] {
            assert!(run(threads) == one, "{threads} threads");
        }
    }
}
