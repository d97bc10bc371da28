//! How an operation with a backward pass of its own joins burn's graph.

use std::fmt::{self, Debug};
use std::marker::PhantomData;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::retro_forward::RetroForward;
use burn::backend::autodiff::checkpoint::state::BackwardStates;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};

use crate::flex::ordered;

/// A tensor for each of `N` inputs, where there is one.
pub(crate) type Tensors<const N: usize> = [Option<FlexTensor>; N];

/// What an operation with `N` inputs remembers of its forward pass, and how it takes a gradient
/// back.
pub(crate) trait Rule<const N: usize>: Clone + Debug + Send + 'static {
    /// The inputs that the backward pass reads. The graph keeps them, or computes them again.
    const READS: [bool; N];

    /// The gradients of the inputs; those that are not wanted may be left out. The inputs that are
    /// read and the gradient come [`ordered`].
    fn backward(self, inputs: Tensors<N>, gradient: FlexTensor, wanted: [bool; N]) -> Tensors<N>;
}

/// Runs `forward` and, where an input needs a gradient, puts its rule into the graph. The output is
/// kept for whoever reads it in the backward pass.
pub(crate) fn record<R: Rule<N>, C: CheckpointStrategy, const N: usize>(
    inputs: [FloatTensor<Autodiff<Flex, C>>; N],
    forward: impl FnOnce([FlexTensor; N]) -> (FlexTensor, R),
) -> FloatTensor<Autodiff<Flex, C>> {
    let nodes = inputs.each_ref().map(|input| input.node());
    finish(Step::<R>(PhantomData).prepare::<C>(nodes).compute_bound().stateful(), inputs, forward)
}

/// Like [`record`], but with gradient checkpointing the output is computed again in the backward
/// pass instead of kept: for what is large and cheap.
pub(crate) fn record_cheap<R: Rule<N>, C: CheckpointStrategy, const N: usize>(
    inputs: [FloatTensor<Autodiff<Flex, C>>; N],
    again: impl Fn([FlexTensor; N]) -> FlexTensor + Copy + Send + 'static,
    rule: R,
) -> FloatTensor<Autodiff<Flex, C>> {
    let nodes = inputs.each_ref().map(|input| input.node());
    let ids = nodes.each_ref().map(|node| node.id());
    let retro = Again { ids, forward: again };
    let prepared = Step::<R>(PhantomData).prepare::<C>(nodes).memory_bound().retro_forward(retro);
    let kind = prepared.parents(&inputs).stateful();
    finish(kind, inputs, |inputs| (again(inputs), rule))
}

fn finish<R: Rule<N>, C: CheckpointStrategy, const N: usize>(
    kind: OpsKind<Step<R>, Flex, State<R, N>, C, N>,
    inputs: [FloatTensor<Autodiff<Flex, C>>; N],
    forward: impl FnOnce([FlexTensor; N]) -> (FlexTensor, R),
) -> FloatTensor<Autodiff<Flex, C>> {
    match kind {
        OpsKind::Tracked(mut prepared) => {
            let kept =
                std::array::from_fn(|i| R::READS[i].then(|| prepared.checkpoint(&inputs[i])));
            let (output, rule) = forward(inputs.map(|input| input.into_primitive()));
            prepared.finish(State { kept, rule }, output)
        }
        OpsKind::UnTracked(prepared) => {
            prepared.finish(forward(inputs.map(|input| input.into_primitive())).0)
        }
    }
}

/// A forward pass that is run again during the backward pass.
struct Again<F, const N: usize> {
    ids: [NodeId; N],
    forward: F,
}

impl<F, const N: usize> Debug for Again<F, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Again").field("ids", &self.ids).finish_non_exhaustive()
    }
}

impl<F: Fn([FlexTensor; N]) -> FlexTensor + Send + 'static, const N: usize> RetroForward
    for Again<F, N>
{
    fn forward(&self, states: &mut BackwardStates, output: NodeId) {
        let inputs = self.ids.map(|id| states.get_state::<FlexTensor>(&id));
        states.save(output, (self.forward)(inputs));
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

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<Flex>(&ops.node);
        let State { kept, rule } = ops.state;
        let inputs = kept.map(|id| Some(ordered(checkpointer.retrieve_node_output(id?))));
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let found = rule.backward(inputs, ordered(gradient), wanted);
        for (parent, found) in ops.parents.into_iter().zip(found) {
            if let (Some(parent), Some(found)) = (parent, found) {
                gradients.register::<Flex>(parent.id, found);
            }
        }
    }
}
