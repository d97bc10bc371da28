//! The comparison of the insides of a student and of its teacher.

use burn::tensor::{Device, Tensor};
use kernels::gather;
use objective::Tally;
use trunk::{EncoderInput, Linear, Trace};

use super::config::TinybertConfig;
use super::loss::Counted;
use super::model::TinybertModel;
use crate::cosine::cosine_distances;
use crate::teaching::known;

/// Hidden states and attention scores of a student and its teacher on one batch.
pub struct Traces<'a> {
    /// The student and its maps.
    pub model: &'a TinybertModel,
    /// The teacher's layer that each of the student's learns, counted from 1.
    pub layers: &'a [usize],
    /// Numbers of attention heads of the student and of the teacher.
    pub heads: [usize; 2],
    /// Which of the numbers of the batch count.
    pub counted: Counted<'a>,
    /// The student's input.
    pub input: EncoderInput,
    /// The student's trace, on `device`.
    pub student: Trace,
    /// The teacher's trace, on the device without autodiff.
    pub teacher: Trace,
    /// The student's device.
    pub device: &'a Device,
}

impl Traces<'_> {
    /// The summed loss of the attention scores, `[1]`.
    pub fn attention(&self) -> Tensor<1> {
        let of_layer = |(student, layer): (&Tensor<1>, &usize)| {
            let teacher = known(self.teacher.scores[layer - 1].clone(), self.device);
            self.counted.scores(student.clone(), teacher, self.heads)
        };
        sum(self.student.scores.iter().zip(self.layers).map(of_layer).collect())
    }

    /// The summed loss of the hidden states after each layer, `[1]`.
    pub fn hidden_states(&self) -> Tensor<1> {
        let of_layer = |(student, layer): (&Tensor<2>, &usize)| {
            let teacher = known(self.teacher.states[*layer].clone(), self.device);
            self.counted.states(self.model.fit.forward(student.clone()), teacher)
        };
        sum(self.student.states[1..].iter().zip(self.layers).map(of_layer).collect())
    }

    /// The summed loss of the embeddings, `[1]`.
    pub fn embeddings(&self) -> Tensor<1> {
        let teacher = known(self.teacher.states[0].clone(), self.device);
        let student = self.embedding_map().forward(self.student.states[0].clone());
        self.counted.states(student, teacher)
    }

    /// `loss`, plus a zero for each parameter that no term depends on under `config`, so that it
    /// has a gradient.
    pub fn with_every_parameter(&self, mut loss: Tensor<1>, config: &TinybertConfig) -> Tensor<1> {
        let zero_of = |map: &Linear| (map.weight.val().sum() + map.bias().sum()) * 0.0;

        if config.hidden == 0.0 {
            let states = self.student.states.last().expect("a student has layers");
            loss = loss + states.clone().sum() * 0.0 + zero_of(&self.model.fit);
        }
        if config.embedding == 0.0 {
            loss = loss + zero_of(self.embedding_map());
        }
        loss
    }

    /// The angle between the last hidden states of the real tokens, a metric.
    pub fn cosine(&self) -> Option<Tally> {
        let (student, layer) = (self.student.states.last()?, self.layers.last()?);
        let positions = self.counted.sequences.real_positions();
        let real: Vec<u32> =
            positions.into_iter().map(|position| self.input.row(position)).collect();
        let count = real.len() as f64;

        let teacher = gather(self.teacher.states[*layer].clone(), real.clone());
        let student = self.model.fit.forward(gather(student.clone(), real));
        let sum = cosine_distances(student, known(teacher, self.device)).sum();
        Some(Tally { name: "tinybert/cosine", sum, count })
    }

    /// The map of the embeddings to the teacher's width.
    fn embedding_map(&self) -> &Linear {
        self.model.fit_embeddings.as_ref().unwrap_or(&self.model.fit)
    }
}

/// The sum over layers.
fn sum(layers: Vec<Tensor<1>>) -> Tensor<1> {
    layers.into_iter().reduce(|a, b| a + b).expect("a student has layers")
}
