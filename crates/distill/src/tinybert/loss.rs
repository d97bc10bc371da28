//! Squared distances between the insides of a student and of its teacher.

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
    /// Whether padding counts: in the authors' code it does.
    pub behaviour: Behaviour,
}

impl Counted<'_> {
    /// The number of tokens that count.
    pub fn tokens(&self) -> f64 {
        match self.behaviour {
            Behaviour::Clean => self.sequences.real_tokens() as f64,
            Behaviour::Authors => (self.sequences.batch() * self.sequences.len) as f64,
        }
    }

    /// The number of pairs of a query and a key that count in each head.
    pub fn pairs(&self) -> f64 {
        let Sequences { len, lengths, .. } = self.sequences;
        match self.behaviour {
            Behaviour::Clean => lengths.iter().map(|length| (length * length) as f64).sum(),
            Behaviour::Authors => (lengths.len() * len * len) as f64,
        }
    }

    /// For each token of a rectangle 1 if it counts, else 0; none where all count.
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
        let Some(factors) = self.factors() else { return squares.sum() };

        let factors = Tensor::<1>::from_data(factors.as_slice(), &squares.device())
            .reshape([factors.len(), 1]);
        (squares * factors).sum()
    }

    /// The sum of `(student - teacher)^2`, `[1]`, over scores laid out as by
    /// [`kernels::attention_scores`]; `heads` are the numbers of heads of student and teacher. If
    /// they differ, the scores are a rectangle, and the larger number is reduced to the smaller by
    /// taking the mean over groups of heads.
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
        let [student_heads, teacher_heads] = heads;
        if student_heads == teacher_heads && self.factors().is_none() {
            return (student - teacher).powi_scalar(2).sum();
        }

        let Sequences { len, lengths, .. } = self.sequences;
        let (batch, device) = (lengths.len(), student.device());
        let groups = student_heads.min(teacher_heads);
        let means = |scores: Tensor<1>, heads: usize| {
            let grouped = scores.reshape([batch, groups, heads / groups, len * len]);
            grouped.mean_dim(2).reshape([batch, groups, len * len])
        };
        let squares =
            (means(student, student_heads) - means(teacher, teacher_heads)).powi_scalar(2);

        match self.factors() {
            Some(factors) => (squares * pairs(&factors, *len, &device)).sum(),
            None => squares.sum(),
        }
    }
}

/// For each pair of a query and a key 1 if both count, else 0, `[batch, 1, len * len]`.
fn pairs(factors: &[f32], len: usize, device: &Device) -> Tensor<3> {
    let batch = factors.len() / len;
    let mut values = Vec::with_capacity(batch * len * len);
    for sequence in factors.chunks(len) {
        for query in sequence {
            values.extend(sequence.iter().map(|key| query * key));
        }
    }

    Tensor::<1>::from_data(values.as_slice(), device).reshape([batch, 1, len * len])
}
