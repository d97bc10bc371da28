//! How an operation with a backward pass of its own joins burn's graph.

use std::fmt::Debug;
use std::marker::PhantomData;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};

/// What an operation with `N` inputs remembers of its forward pass, and how it takes a gradient back.
pub(crate) trait Rule<const N: usize>: Clone + Debug + Send + 'static {
    /// The inputs that the backward pass reads. The graph keeps them, or computes them again.
    const READS: [bool; N];

    /// The gradients of the inputs; those that are not wanted may be left out.
    fn backward(
        self,
        inputs: [Option<FlexTensor>; N],
        gradient: FlexTensor,
        wanted: [bool; N],
    ) -> [Option<FlexTensor>; N];
}

/// Runs `forward` and, where an input needs a gradient, puts its rule into the graph.
pub(crate) fn record<R: Rule<N>, C: CheckpointStrategy, const N: usize>(
    inputs: [FloatTensor<Autodiff<Flex, C>>; N],
    forward: impl FnOnce([FlexTensor; N]) -> (FlexTensor, R),
) -> FloatTensor<Autodiff<Flex, C>> {
    let nodes = inputs.each_ref().map(|input| input.node());
    match Step::<R>(PhantomData).prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(mut prepared) => {
            let kept = std::array::from_fn(|i| R::READS[i].then(|| prepared.checkpoint(&inputs[i])));
            let (output, rule) = forward(inputs.map(|input| input.into_primitive()));
            prepared.finish(State { kept, rule }, output)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(forward(inputs.map(|input| input.into_primitive())).0),
    }
}

#[derive(Debug)]
struct Step<R>(PhantomData<R>);

#[derive(Clone, Debug)]
struct State<R, const N: usize> {
    kept: [Option<NodeId>; N],
    rule: R,
}

impl<R: Rule<N>, const N: usize> Backward<Flex, N> for Step<R> {
    type State = State<R, N>;

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, checkpointer: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node);
        let State { kept, rule } = ops.state;
        let inputs = kept.map(|id| id.map(|id| checkpointer.retrieve_node_output(id)));
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let found = rule.backward(inputs, gradient, wanted);
        for (parent, found) in ops.parents.into_iter().zip(found) {
            if let (Some(parent), Some(found)) = (parent, found) {
                gradients.register::<Flex>(parent.id, found);
            }
        }
    }
}
