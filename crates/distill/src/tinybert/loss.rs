//! Squared distances between what happens in a student and in its teacher.

use burn::tensor::{Device, Tensor};
use trunk::Sequences;

use super::config::Behaviour;

/// Which of the numbers of a batch count.
#[derive(Clone, Copy, Debug)]
pub struct Counted<'a> {
    /// The sequences of the batch.
    pub sequences: &'a Sequences,
    /// Whether states and scores are a rectangle with padding.
    pub rectangle: bool,
    /// What padding counts.
    pub behaviour: Behaviour,
}

impl Counted<'_> {
    /// How many tokens count.
    pub fn tokens(&self) -> f64 {
        match self.behaviour {
            Behaviour::Clean => self.sequences.real_tokens() as f64,
            Behaviour::Authors => (self.sequences.batch() * self.sequences.len) as f64,
        }
    }

    /// How many pairs of a query and a key count in each head.
    pub fn pairs(&self) -> f64 {
        let Sequences { len, lengths, .. } = self.sequences;
        match self.behaviour {
            Behaviour::Clean => lengths.iter().map(|length| (length * length) as f64).sum(),
            Behaviour::Authors => (lengths.len() * len * len) as f64,
        }
    }

    /// 1 for every token of a rectangle that counts, else 0; none where all count.
    fn factors(&self) -> Option<Vec<f32>> {
        let Sequences { len, lengths, .. } = self.sequences;
        let padded = self.rectangle && lengths.iter().any(|length| length < len);
        let row = |length: &usize| {
            (0..*len).map(move |i| if i < *length { 1.0 } else { 0.0 }).collect::<Vec<f32>>()
        };
        (padded && self.behaviour == Behaviour::Clean)
            .then(|| lengths.iter().flat_map(row).collect())
    }

    /// The sum of `(student - teacher)^2` over states `[rows, width]`, `[1]`.
    pub fn states(&self, student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
        let squares = (student - teacher).powi_scalar(2);
        match self.factors() {
            Some(factors) => {
                let device = squares.device();
                let n = factors.len();
                (squares * Tensor::<1>::from_data(factors.as_slice(), &device).reshape([n, 1]))
                    .sum()
            }
            None => squares.sum(),
        }
    }

    /// The sum of `(student - teacher)^2` over scores as [`kernels::attention_scores`] has them,
    /// `[1]`, of students and teachers with these numbers of heads. Where they differ, the scores
    /// are a rectangle, and of the larger number the mean is taken of those that stand for one of
    /// the smaller.
    pub fn scores(&self, student: Tensor<1>, teacher: Tensor<1>, heads: [usize; 2]) -> Tensor<1> {
        let visible = |scores: Tensor<1>| match self.behaviour {
            Behaviour::Clean => scores,
            // The authors' bias hides keys by -10,000; what is below -100 is taken for hidden.
            Behaviour::Authors => {
                let hidden = scores.clone().lower_equal_elem(-100.0);
                scores.mask_fill(hidden, 0.0)
            }
        };
        let (student, teacher) = (visible(student), visible(teacher));
        let fewest = heads[0].min(heads[1]);
        let Sequences { len, lengths, .. } = self.sequences;
        let (batch, device) = (lengths.len(), student.device());
        if heads[0] == heads[1] && self.factors().is_none() {
            return (student - teacher).powi_scalar(2).sum();
        }
        let of_group = |scores: Tensor<1>, heads: usize| {
            scores.reshape([batch, fewest, heads / fewest, len * len]).mean_dim(2).reshape([
                batch,
                fewest,
                len * len,
            ])
        };
        let squares = (of_group(student, heads[0]) - of_group(teacher, heads[1])).powi_scalar(2);
        match self.factors() {
            Some(factors) => (squares * pairs(&factors, *len, &device)).sum(),
            None => squares.sum(),
        }
    }
}

/// 1 for each pair of a query and a key that both count, `[batch, 1, len * len]`.
fn pairs(factors: &[f32], len: usize, device: &Device) -> Tensor<3> {
    let batch = factors.len() / len;
    let row = |row: &[f32]| {
        row.iter().flat_map(|query| row.iter().map(move |key| query * key)).collect::<Vec<f32>>()
    };
    let values: Vec<f32> = factors.chunks(len).flat_map(row).collect();
    Tensor::<1>::from_data(values.as_slice(), device).reshape([batch, 1, len * len])
}
