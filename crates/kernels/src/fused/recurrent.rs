//! The long short-term memory of [`crate::cpu`] as an extension of burn's CPU backend.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};

use crate::cpu::lstm::{self, Direction, Trace};
use crate::flex::{dims, ordered, tensor, values};
use crate::rows::Rows;
use crate::rule::{Rule, record};

/// Recurrent networks over rows.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait Recurrent: Backend {
    /// The hidden states of a long short-term memory, `[rows, width]`.
    fn lstm(
        inputs: FloatTensor<Self>,
        recurrent: FloatTensor<Self>,
        rows: Rows,
        direction: Direction,
    ) -> FloatTensor<Self>;
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

impl Recurrent for Flex {
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

impl<C: CheckpointStrategy> Recurrent for Autodiff<Flex, C> {
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

#[derive(Clone, Debug)]
struct Lstm {
    trace: Trace,
    rows: Rows,
    direction: Direction,
}

impl Rule<2> for Lstm {
    const READS: [bool; 2] = [false, true];

    fn backward(
        self,
        inputs: [Option<FlexTensor>; 2],
        g: FlexTensor,
        _wanted: [bool; 2],
    ) -> [Option<FlexTensor>; 2] {
        let [_, recurrent] = inputs;
        let (recurrent, g) = (ordered(recurrent.expect("read")), ordered(g));
        let [width, wide] = dims(&recurrent);
        let (trace, rows) = (&self.trace, &self.rows);
        let (inputs, weights) =
            lstm::backward(trace, values(&recurrent), values(&g), width, rows, self.direction);
        [Some(tensor(inputs, [rows.len(), wide])), Some(tensor(weights, [width, wide]))]
    }
}
