//! What a fine-tuned teacher says about the rows of a task.

use anyhow::Result;
use objective::Answer;
use tune::{Tune, TuneConfig};

use crate::config::parse;
use crate::eval::loss;
use crate::exit::BadInput;
use crate::finetune::{DataConfig, Encoder, Split, TaskData};
use crate::model::{self, Found, Loaded};
use crate::train::{Labelled, labelled_set};

/// A fine-tuned teacher.
#[derive(Debug)]
pub struct TaskTeacher {
    /// The model.
    pub loaded: Loaded<Tune>,
    /// Its task.
    pub config: TuneConfig,
}

impl TaskTeacher {
    /// The fine-tuned model in `found`.
    ///
    /// # Errors
    /// When it is none, or its task is not about sentences.
    pub fn open(found: &Found, device: &burn::tensor::Device) -> Result<Self> {
        if found.objective()? != "finetune" {
            let message = "the teacher is not fine-tuned; run finetune on the task first, and give its folder";
            return Err(BadInput(format!("--teacher: {message}")).into());
        }
        let loaded: Loaded<Tune> = model::load(found, device)?;
        let config: TuneConfig = parse(loaded.knobs.clone(), "objective.")?;
        if !config.kind.of_sequence() {
            let message = "tasks of classes and scores of sentences and pairs can be distilled, not tags and answers";
            return Err(BadInput(format!("--teacher: {message}")).into());
        }
        Ok(Self { loaded, config })
    }

    /// The rows of `data` for a student with this encoding, and what the teacher says about each of
    /// them.
    ///
    /// # Errors
    /// When a file is at fault, or a signal asks to stop.
    pub fn read(&self, data: &DataConfig, student: Encoder<'_>, batch: usize) -> Result<TaskData> {
        let known = self.config.labels.as_slice();
        let own =
            Encoder::new(&self.loaded.tokenizer, student.max_length.min(self.loaded.positions));
        let theirs = TaskData::read(data, self.config.kind, own, known)?;
        let mut material = TaskData::read(data, self.config.kind, student, known)?;
        self.advise(&theirs.train, &mut material.train, batch)?;
        let splits =
            |data: TaskData| -> Vec<Split> { data.dev.into_iter().chain(data.test).collect() };
        for (theirs, ours) in
            splits(theirs).iter().zip(material.dev.iter_mut().chain(&mut material.test))
        {
            self.advise(&theirs.rows, &mut ours.rows, batch)?;
        }
        Ok(material)
    }

    /// Asks about `theirs` and writes down what is said with `ours`, row by row.
    fn advise(&self, theirs: &[Labelled], ours: &mut [Labelled], batch: usize) -> Result<()> {
        let Loaded { objective, model, device, workers, .. } = &self.loaded;
        let unlabelled = |row: &Labelled| Labelled { answer: None::<Answer>, ..row.clone() };
        let examples = labelled_set(&theirs.iter().map(unlabelled).collect::<Vec<_>>());
        let (_, said) = loss::answer(objective.as_ref(), model, &examples, batch, device, workers)?;
        for (row, said) in ours.iter_mut().zip(said) {
            row.advice = Some(said);
        }
        Ok(())
    }
}
