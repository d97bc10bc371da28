//! Batches, made ahead of time on other threads, in order.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use corpus::Permutation;
use objective::{Example, Objective, Purpose};

use crate::error::{Error, Result};
use crate::examples::Examples;
use crate::groups::Groups;
use crate::settings::StepSize;

/// Batches that a worker keeps ready.
const AHEAD: usize = 2;
/// Threads that make batches.
const WORKERS: u64 = 2;

/// Everything one optimizer step works on.
#[derive(Debug)]
pub struct GlobalBatch<B> {
    /// The parts that are computed one after another.
    pub micro: Vec<Micro<B>>,
    /// The number of targets of each loss term over all parts.
    pub target_counts: Vec<f64>,
    /// Numbers of the passages.
    pub passages: Vec<u64>,
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

/// What determines the batch of a step: nothing but this and the number of its first row.
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
    /// The batch that begins with row `first`. Rows follow one another through the epochs without a
    /// break: row r is example number order(epoch, position) with epoch = r / n and position = r %
    /// n for n examples. [`Groups`] may deal out the rows of some steps anew.
    pub fn batch(&self, first: u64) -> GlobalBatch<O::Batch> {
        let n = self.examples.len();
        let permutation = Permutation::new(n, self.seed);
        let number = |row: u64| permutation.at(row / n, row % n);
        let length = |row: u64| self.examples.length(number(row));
        let example = |row: u64| {
            let epoch = row / n;
            let partner_epoch = self.objective.partner_epoch(epoch);
            self.examples.get(number(row), self.seed, epoch, partner_epoch)
        };

        let rows = self.groups.rows(first, self.step.size as u64, self.seed, length);
        let examples: Vec<Example> = rows.into_iter().map(example).collect();

        let mut made = GlobalBatch {
            micro: Vec::new(),
            target_counts: Vec::new(),
            passages: examples.iter().map(|example| example.passage.number).collect(),
            tokens: 0,
            padded_tokens: 0,
        };

        for part in examples.chunks(self.step.micro) {
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
}

/// Makes the batches of one step after another, ahead of time.
///
/// Worker w of W makes steps w, w + W, ... and the consumer takes from the workers in turn, so
/// batches come in order without a buffer to sort them.
#[derive(Debug)]
pub struct Feed<B> {
    queues: Vec<Receiver<GlobalBatch<B>>>,
    next: usize,
}

impl<B: Send + 'static> Feed<B> {
    /// Starts to make batches, the first one beginning with row `first`. The workers end when the
    /// feed is dropped.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn start<O: Objective<Batch = B>>(recipe: Arc<Recipe<O>>, first: u64) -> Result<Self> {
        let mut queues = Vec::new();
        for worker in 0..WORKERS {
            let (sender, receiver) = sync_channel(AHEAD);
            let recipe = recipe.clone();
            let work = move || {
                let steps = (worker..).step_by(WORKERS as usize);
                let batches =
                    steps.map(|step| recipe.batch(first + step * recipe.step.size as u64));
                // The channel closes when the feed is dropped.
                batches.map(|batch| sender.send(batch)).find_map(|sent| sent.err());
            };

            let thread = thread::Builder::new().name(format!("feed-{worker}")).spawn(work);
            thread.map_err(checkpoint::Error::io("cannot start a thread that makes batches"))?;
            queues.push(receiver);
        }

        Ok(Self { queues, next: 0 })
    }

    /// The next batch.
    ///
    /// # Errors
    /// When the worker that should make it has stopped.
    pub fn next(&mut self) -> Result<GlobalBatch<B>> {
        let batch = self.queues[self.next]
            .recv()
            .map_err(|_| Error::Internal("a thread that makes batches has stopped".to_owned()))?;
        self.next = (self.next + 1) % self.queues.len();
        Ok(batch)
    }
}
