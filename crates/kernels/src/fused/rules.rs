//! The backward passes of the operations.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;

use super::{Fused, read, vector};
use crate::activation::Activation;
use crate::cpu::attention::Heads;
use crate::cpu::dropout::{Mask, Norm};
use crate::cpu::embedding::Lookup;
use crate::cpu::matmul::Output;
use crate::cpu::{activation, attention, dropout, embedding, norm, parts, softmax};
use crate::flex::{dims, ordered, tensor, values, values_mut};
use crate::precision::Precision;
use crate::rule::Rule;

#[derive(Clone, Debug)]
pub(super) struct Project(pub(super) Precision);

impl Rule<2> for Project {
    const READS: [bool; 2] = [true, true];

    fn backward(
        self,
        inputs: [Option<FlexTensor>; 2],
        g: FlexTensor,
        wanted: [bool; 2],
    ) -> [Option<FlexTensor>; 2] {
        let [x, weight] = inputs.map(|input| ordered(input.expect("read")));
        let g = ordered(g);
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
pub(super) struct Linear(pub(super) Precision);

impl Rule<3> for Linear {
    const READS: [bool; 3] = [true, true, false];

    fn backward(
        self,
        inputs: [Option<FlexTensor>; 3],
        g: FlexTensor,
        wanted: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        let [x, weight, _] = inputs;
        let g = ordered(g);
        let [_, columns] = dims(&g);
        let bias = wanted[2].then(|| vector(parts::column_sums(values(&g), columns)));
        let [x, weight] = Project(self.0).backward([x, weight], g, [wanted[0], wanted[1]]);
        [x, weight, bias]
    }
}

#[derive(Clone, Debug)]
pub(super) struct ProjectPair(pub(super) Precision);

impl Rule<5> for ProjectPair {
    const READS: [bool; 5] = [true, true, false, true, false];

    fn backward(
        self,
        inputs: [Option<FlexTensor>; 5],
        g: FlexTensor,
        wanted: [bool; 5],
    ) -> [Option<FlexTensor>; 5] {
        let [x, key, _, value, _] = inputs.map(|input| input.map(ordered));
        let (x, weights) = (x.expect("read"), [key, value].map(|weight| weight.expect("read")));
        let g = ordered(g);
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

#[derive(Clone, Debug)]
pub(super) struct Activate(pub(super) Activation);

impl Rule<2> for Activate {
    const READS: [bool; 2] = [true, true];

    fn backward(
        self,
        inputs: [Option<FlexTensor>; 2],
        g: FlexTensor,
        _wanted: [bool; 2],
    ) -> [Option<FlexTensor>; 2] {
        let [x, bias] = inputs.map(|input| ordered(input.expect("read")));
        let mut g = ordered(g);
        let sums = activation::backward(self.0, values(&x), values(&bias), values_mut(&mut g));
        [Some(g), Some(vector(sums))]
    }
}

#[derive(Clone, Debug)]
pub(super) struct Normalise(pub(super) f32);

impl Rule<3> for Normalise {
    const READS: [bool; 3] = [true, true, false];

    fn backward(
        self,
        inputs: [Option<FlexTensor>; 3],
        g: FlexTensor,
        _wanted: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        let [x, gamma, _] = inputs.map(|input| input.map(ordered));
        let (x, gamma, mut g) = (x.expect("read"), gamma.expect("read"), ordered(g));
        let [dg, db] = norm::backward(values(&x), values(&gamma), self.0, values_mut(&mut g));
        [Some(g), Some(vector(dg)), Some(vector(db))]
    }
}

#[derive(Clone, Debug)]
pub(super) struct AddResidual(pub(super) Option<Mask>);

impl Rule<3> for AddResidual {
    const READS: [bool; 3] = [false, false, false];

    fn backward(
        self,
        _inputs: [Option<FlexTensor>; 3],
        g: FlexTensor,
        _wanted: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        let mut g = ordered(g);
        let shape: [usize; 2] = dims(&g);
        let found = dropout::residual_backward(values_mut(&mut g), shape[1], self.0.as_ref(), None);
        let x = if self.0.is_some() { tensor(found.x, shape) } else { g.clone() };
        [Some(g), Some(x), Some(vector(found.bias))]
    }
}

#[derive(Clone, Debug)]
pub(super) struct AddNormalise {
    pub(super) sum: FlexTensor,
    pub(super) epsilon: f32,
    pub(super) mask: Option<Mask>,
}

impl Rule<5> for AddNormalise {
    const READS: [bool; 5] = [false, false, false, true, false];

    fn backward(
        self,
        inputs: [Option<FlexTensor>; 5],
        g: FlexTensor,
        _wanted: [bool; 5],
    ) -> [Option<FlexTensor>; 5] {
        let (gamma, mut g) = (read(inputs, 3), ordered(g));
        let shape: [usize; 2] = dims(&g);
        let norm = Norm { gamma: values(&gamma), beta: &[], epsilon: self.epsilon };
        let sum = Some((values(&self.sum), norm));
        let found =
            dropout::residual_backward(values_mut(&mut g), shape[1], self.mask.as_ref(), sum);
        let x = if self.mask.is_some() { tensor(found.x, shape) } else { g.clone() };
        let [gamma, beta] = found.norm.expect("there is a norm");
        [Some(g), Some(x), Some(vector(found.bias)), Some(vector(gamma)), Some(vector(beta))]
    }
}

#[derive(Clone, Debug)]
pub(super) struct DropRows(pub(super) Mask);

impl Rule<1> for DropRows {
    const READS: [bool; 1] = [false];

    fn backward(
        self,
        _inputs: [Option<FlexTensor>; 1],
        g: FlexTensor,
        _wanted: [bool; 1],
    ) -> [Option<FlexTensor>; 1] {
        [Some(Flex::drop_rows(g, self.0))]
    }
}

#[derive(Clone, Debug)]
pub(super) struct SoftmaxRows(pub(super) FlexTensor);

impl Rule<1> for SoftmaxRows {
    const READS: [bool; 1] = [false];

    fn backward(
        self,
        _inputs: [Option<FlexTensor>; 1],
        g: FlexTensor,
        _wanted: [bool; 1],
    ) -> [Option<FlexTensor>; 1] {
        let (y, mut g) = (self.0, ordered(g));
        let [_, width] = dims(&g);
        softmax::backward(values(&y), values_mut(&mut g), width);
        [Some(g)]
    }
}

#[derive(Clone, Debug)]
pub(super) struct Attend {
    pub(super) logs: FlexTensor,
    pub(super) shape: Heads,
}

impl Rule<2> for Attend {
    const READS: [bool; 2] = [true, true];

    fn backward(
        self,
        inputs: [Option<FlexTensor>; 2],
        g: FlexTensor,
        _wanted: [bool; 2],
    ) -> [Option<FlexTensor>; 2] {
        let [queries, packed] = inputs.map(|input| ordered(input.expect("read")));
        let g = ordered(g);
        let ([asked, d], [seen, _]) = (dims(&queries), dims(&packed));
        let (queries, packed) = (values(&queries), values(&packed));
        let (dq, dkv) =
            attention::backward(queries, packed, values(&self.logs), values(&g), d, &self.shape);
        [Some(tensor(dq, [asked, d])), Some(tensor(dkv, [seen, 2 * d]))]
    }
}

#[derive(Clone, Debug)]
pub(super) struct Gather {
    pub(super) rows: usize,
    pub(super) indices: Vec<u32>,
}

impl Rule<1> for Gather {
    const READS: [bool; 1] = [false];

    fn backward(
        self,
        _inputs: [Option<FlexTensor>; 1],
        g: FlexTensor,
        _wanted: [bool; 1],
    ) -> [Option<FlexTensor>; 1] {
        let g = ordered(g);
        let [_, width] = dims(&g);
        let indices = self.indices.iter().map(|index| *index as usize);
        [Some(tensor(
            embedding::scatter(values(&g), indices, self.rows, width),
            [self.rows, width],
        ))]
    }
}

#[derive(Clone, Debug)]
pub(super) struct Embed {
    pub(super) rows: [usize; 3],
    pub(super) lookup: Lookup,
}

impl Rule<3> for Embed {
    const READS: [bool; 3] = [false, false, false];

    fn backward(
        self,
        _inputs: [Option<FlexTensor>; 3],
        g: FlexTensor,
        _wanted: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        let g = ordered(g);
        let [_, width] = dims(&g);
        let tables = embedding::backward(values(&g), self.rows, width, &self.lookup);
        let mut rows = self.rows.into_iter();
        tables.map(|table| Some(tensor(table, [rows.next().expect("three tables"), width])))
    }
}

#[derive(Clone, Debug)]
pub(super) struct VocabularyLoss(pub(super) [FlexTensor; 3]);

impl Rule<3> for VocabularyLoss {
    const READS: [bool; 3] = [false, false, false];

    fn backward(
        self,
        _inputs: [Option<FlexTensor>; 3],
        g: FlexTensor,
        _wanted: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        let scale = values(&ordered(g))[0];
        self.0.map(|mut gradient| {
            parts::scale(values_mut(&mut gradient), scale);
            Some(gradient)
        })
    }
}
