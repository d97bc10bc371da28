//! A fine-tuned teacher and its logits for the rows of a task.

use anyhow::Result;
use burn::tensor::Device;
use eval::{TaskOutputs, loss};
use finetune::{DataConfig, Finetune, FinetuneConfig, TaskData, TextEncoder};
use objective::LabelledSequence;

use crate::exit::BadInput;
use crate::model::{self, Loaded, ModelSource};

/// A fine-tuned teacher.
pub struct TaskTeacher {
    /// The model.
    pub loaded: Loaded,
    /// Its task.
    pub config: FinetuneConfig,
}

impl TaskTeacher {
    /// The fine-tuned model in `source`.
    ///
    /// # Errors
    /// When it is none, or its task is not about sentences.
    pub fn open(source: &ModelSource, device: &Device) -> Result<Self> {
        let refuse = |reason: &str| BadInput(format!("--teacher: {reason}"));
        if source.knobs::<Finetune>().is_none() {
            let reason = "the teacher is not fine-tuned; run finetune on the task first, and give \
                          its folder";
            return Err(refuse(reason).into());
        }

        let loaded = model::load::<Finetune>(source, device)?;
        let config: FinetuneConfig = settings::parse(loaded.knobs.clone(), "objective.")?;
        if !config.kind.of_sequence() {
            let reason = "tasks of classes and scores of sentences and pairs can be distilled, \
                          not tags and answers";
            return Err(refuse(reason).into());
        }
        Ok(Self { loaded, config })
    }

    /// The outputs of the teacher and of its students.
    pub fn outputs(&self) -> TaskOutputs {
        TaskOutputs { kind: self.config.kind, labels: self.config.labels.clone() }
    }

    /// The rows of `data` for a student with this encoding, each with the teacher's logits.
    ///
    /// # Errors
    /// When a file is at fault, or a signal asks to stop.
    pub fn read(
        &self,
        data: &DataConfig,
        student: TextEncoder<'_>,
        batch: usize,
    ) -> Result<TaskData> {
        let (kind, known) = (self.config.kind, self.config.labels.as_slice());
        let model = self.loaded.model.as_ref();
        let max_length = student.max_length.min(model.encoder().positions);
        let own = TextEncoder::new(model.tokenizer(), max_length);
        let theirs = TaskData::read(data, kind, own, known)?;
        let mut ours = TaskData::read(data, kind, student, known)?;

        self.add_logits(&theirs.train, &mut ours.train, batch)?;
        let theirs = theirs.dev.iter().chain(&theirs.test);
        for (theirs, ours) in theirs.zip(ours.dev.iter_mut().chain(&mut ours.test)) {
            self.add_logits(&theirs.rows, &mut ours.rows, batch)?;
        }
        Ok(ours)
    }

    /// Adds the teacher's logits for `theirs` to `ours`, row by row.
    fn add_logits(
        &self,
        theirs: &[LabelledSequence],
        ours: &mut [LabelledSequence],
        batch: usize,
    ) -> Result<()> {
        let unlabelled = |row: &LabelledSequence| LabelledSequence { label: None, ..row.clone() };
        let theirs: Vec<LabelledSequence> = theirs.iter().map(unlabelled).collect();

        let examples = LabelledSequence::evaluation_set(&theirs);
        let model = self.loaded.model.as_ref();
        let (_, outputs) = loss::evaluate_with_outputs(model, &examples, batch)?;

        for (row, logits) in ours.iter_mut().zip(outputs) {
            row.teacher_logits = Some(logits);
        }
        Ok(())
    }
}
