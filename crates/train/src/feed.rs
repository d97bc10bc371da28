//! Batches, made ahead of time on other threads, in order.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use corpus::Permutation;
use objective::{Example, Objective, Purpose};
use trunk::EncoderConfig;

use crate::budget::BudgetProgress;
use crate::course::{Course, Standing, StepRows};
use crate::error::{Error, Result};
use crate::examples::Examples;
use crate::groups::Groups;
use crate::settings::StepSize;
use crate::token_weights::TokenWeights;

/// Batches that a worker keeps ready.
const AHEAD: usize = 2;
/// Threads that make batches.
const WORKERS: usize = 2;

/// Everything one optimizer step works on.
#[derive(Debug)]
pub struct GlobalBatch<B> {
    /// The parts that are computed one after another.
    pub micro: Vec<Micro<B>>,
    /// The number of targets of each loss term over all parts.
    pub target_counts: Vec<f64>,
    /// Numbers of the passages.
    pub passages: Vec<u64>,
    /// Rows of the data order.
    pub rows: u64,
    /// Tokens, special tokens included, padding not.
    pub tokens: u64,
    /// Tokens with padding.
    pub padded_tokens: u64,
}

/// One forward pass.
#[derive(Debug)]
pub struct Micro<B> {
    /// The batch.
    pub batch: B,
    /// The dropout key of each sequence.
    pub keys: Vec<u64>,
}

/// What determines the batch of a step: nothing but this and its rows.
#[derive(Debug)]
pub struct Recipe<O> {
    /// Makes batches.
    pub objective: Arc<O>,
    /// The examples.
    pub examples: Examples,
    /// Seed of the run.
    pub seed: u64,
    /// Sequences of a step.
    pub step: StepSize,
    /// Steps of sequences of like length.
    pub groups: Groups,
}

impl<O: Objective> Recipe<O> {
    /// The batch of a step. Rows follow one another through the epochs without a break: row r is
    /// example number order(epoch, position) with epoch = r / n and position = r % n for n
    /// examples. [`Groups`] may deal out the rows of some steps anew.
    pub fn batch(&self, rows: StepRows) -> GlobalBatch<O::Batch> {
        let size = rows.size;
        let examples = self.examples(rows);
        let mut made = GlobalBatch {
            micro: Vec::new(),
            target_counts: Vec::new(),
            passages: examples.iter().map(|example| example.passage.number).collect(),
            rows: size as u64,
            tokens: 0,
            padded_tokens: 0,
        };

        for part in examples.chunks(examples.len().div_ceil(self.step.passes())) {
            let batch = self.objective.collate(part, Purpose::Training);
            let sequences = self.objective.sequences(&batch);
            made.tokens += sequences.real_tokens() as u64;
            made.padded_tokens += sequences.tokens.len() as u64;

            let counts = self.objective.target_counts(&batch);
            made.target_counts.resize(counts.len(), 0.0);
            made.target_counts.iter_mut().zip(counts).for_each(|(total, count)| *total += count);

            made.micro.push(Micro { batch, keys: part.iter().map(Example::noise_key).collect() });
        }
        made
    }

    /// What a step of full size and length comes to, in no time.
    pub fn whole_step(&self, encoder: &EncoderConfig) -> BudgetProgress {
        let batch = self.batch(Course::whole(self.step, 0));
        BudgetProgress {
            step: 1,
            tokens: batch.tokens,
            epochs: self.step.size as f64 / self.examples.len() as f64,
            flops: self.flops(encoder, &batch),
            seconds: 0.0,
        }
    }

    /// The floating-point operations of a step: three forward passes.
    pub fn flops(&self, encoder: &EncoderConfig, batch: &GlobalBatch<O::Batch>) -> f64 {
        let flops = |micro: &Micro<O::Batch>| 3.0 * self.objective.flops(encoder, &micro.batch);
        batch.micro.iter().map(flops).sum()
    }

    /// The examples of a step, cut to its length.
    fn examples(&self, rows: StepRows) -> Vec<Example> {
        let StepRows { first, size, length, progress, token_weights } = rows;
        let n = self.examples.len();
        let permutation = Permutation::new(n, self.seed);
        let number = |row: u64| permutation.at(row / n, row % n);
        let length_of = |row: u64| self.examples.length(number(row));
        let example = |row: u64| {
            let epoch = row / n;
            let partner_epoch = self.objective.partner_epoch(epoch);
            let example = self.examples.get(number(row), self.seed, epoch, partner_epoch);
            Example { progress, token_weights: token_weights.clone(), ..example }
        };

        let rows = self.groups.rows(first, size as u64, self.seed, length_of);
        let examples = rows.into_iter().map(example);
        match length {
            Some(length) => {
                let content = length - self.objective.packing().special_tokens;
                examples.flat_map(|example| example.pieces(content)).collect()
            }
            None => examples.collect(),
        }
    }
}

/// Makes the batches of one step after another, ahead of time.
///
/// Workers are told in turn what to make, and the consumer takes from them in turn, so batches come
/// in order without a buffer to sort them.
#[derive(Debug)]
pub struct Feed<B> {
    course: Course,
    /// The run when the step that is told next begins, as expected.
    standing: Standing,
    workers: Vec<Worker<B>>,
    told: usize,
    taken: usize,
}

/// A thread that makes batches; it ends when it is no longer told.
#[derive(Debug)]
struct Worker<B> {
    tell: Sender<StepRows>,
    made: Receiver<GlobalBatch<B>>,
}

impl<B: Send + 'static> Feed<B> {
    /// Starts to make the batches of the steps after `standing`. The workers end when the feed is
    /// dropped.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn start<O: Objective<Batch = B>>(
        recipe: &Arc<Recipe<O>>,
        course: Course,
        standing: Standing,
        weights: Option<&TokenWeights>,
    ) -> Result<Self> {
        let mut workers = Vec::new();
        for worker in 0..WORKERS {
            let ((tell, told), (make, made)) = (channel::<StepRows>(), channel());
            let recipe = recipe.clone();
            // The channel closes when the feed is dropped.
            let work = move || {
                told.into_iter()
                    .map(|rows| make.send(recipe.batch(rows)))
                    .find_map(|sent| sent.err())
            };

            let thread = thread::Builder::new().name(format!("feed-{worker}")).spawn(work);
            thread.map_err(checkpoint::Error::io("cannot start a thread that makes batches"))?;
            workers.push(Worker { tell, made });
        }

        let mut feed = Self { course, standing, workers, told: 0, taken: 0 };
        for _ in 0..AHEAD * WORKERS {
            feed.tell(standing.fraction, weights)?;
        }
        Ok(feed)
    }

    /// The next batch, when the share `fraction` of the budget is spent and `weights` stand so.
    ///
    /// # Errors
    /// When the worker that should make it has stopped.
    pub fn next(
        &mut self,
        fraction: f64,
        weights: Option<&TokenWeights>,
    ) -> Result<GlobalBatch<B>> {
        let worker = &self.workers[self.taken % WORKERS];
        let batch = worker.made.recv().map_err(|_| stopped())?;
        self.taken += 1;
        self.tell(fraction, weights)?;
        Ok(batch)
    }

    /// Tells the next worker what to make.
    fn tell(&mut self, fraction: f64, weights: Option<&TokenWeights>) -> Result<()> {
        self.standing.fraction = fraction;
        let mut rows = self.course.rows(&self.standing);
        rows.token_weights = weights.map(|weights| weights.of_step(self.standing.step));

        let size = rows.size as u64;
        self.workers[self.told % WORKERS].tell.send(rows).map_err(|_| stopped())?;
        self.told += 1;
        self.standing.step += 1;
        self.standing.rows += size;
        Ok(())
    }
}

fn stopped() -> Error {
    Error::Internal("a thread that makes batches has stopped".to_owned())
}
