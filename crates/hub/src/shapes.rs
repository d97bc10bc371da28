//! The shapes that a configuration gives to the parameters.

use checkpoint::HostTensor;
use trunk::EncoderConfig;

use crate::error::{Error, Result};
use crate::family::Architecture;
use crate::model::HubModel;
use crate::names::Name;

/// Refuses weights of other shapes than the configuration says. `names` are the names of the
/// parameters in the file, from which the message takes those that it has.
///
/// # Errors
/// Names the first tensor at fault, its shape and that of the configuration.
pub fn check(model: &HubModel, names: &[Name], source: &str) -> Result<()> {
    let shapes = Shapes::of(model);
    for (ours, HostTensor { shape, .. }) in &model.weights {
        let Some(expected) = shapes.expected(ours).filter(|expected| expected != shape) else {
            continue;
        };

        let name = names.iter().find(|name| name.ours == *ours);
        let theirs = name.map_or(ours, |name| &name.theirs);
        let in_file = |shape: &[usize]| match name {
            Some(name) => name.shape_in_file(shape),
            None => shape.to_vec(),
        };
        return Err(Error::Data(format!(
            "{source}: tensor `{theirs}` has the shape {:?}, and by the configuration it is {:?} \
             ({}); correct the one that is wrong",
            in_file(shape),
            in_file(&expected),
            shapes.reason(ours)
        )));
    }
    Ok(())
}

/// What determines the shapes.
struct Shapes<'a> {
    encoder: &'a EncoderConfig,
    /// Number of outputs of a task's head, where it is known.
    outputs: Option<usize>,
}

impl<'a> Shapes<'a> {
    fn of(model: &'a HubModel) -> Self {
        let outputs = match model.architecture {
            Architecture::Question => Some(2),
            _ if model.config.labels.is_empty() => None,
            _ => Some(model.config.labels.len()),
        };
        Self { encoder: &model.config.encoder, outputs }
    }

    /// The shape of a parameter; none where it depends on more than the configuration.
    fn expected(&self, ours: &str) -> Option<Vec<usize>> {
        let encoder = self.encoder;
        let embedding = encoder.embedding_width();
        match ours {
            "encoder.embeddings.tokens" => return Some(vec![encoder.vocabulary, embedding]),
            "encoder.embeddings.places.positions" => {
                return Some(vec![encoder.positions + encoder.position_offset, embedding]);
            }
            "encoder.embeddings.places.segments" => return Some(vec![encoder.segments, embedding]),
            "head.bias" => return Some(vec![encoder.vocabulary]),
            _ => {}
        }

        let (part, kind) = ours.rsplit_once('.')?;
        match kind {
            "weight" => self.linear(part).map(|(input, output)| vec![input, output]),
            "bias" => self.linear(part).map(|(_, output)| vec![output]),
            "gamma" | "beta" => Some(vec![self.norm(part)]),
            _ => None,
        }
    }

    /// Numbers of inputs and outputs of a linear map.
    fn linear(&self, part: &str) -> Option<(usize, usize)> {
        let EncoderConfig { hidden, feed_forward, .. } = *self.encoder;
        let embedding = self.encoder.embedding_width();
        let map = part.rsplit('.').next().unwrap_or_default();
        match part {
            "encoder.stack.projection" => Some((embedding, hidden)),
            "head.transform" => Some((hidden, embedding)),
            "pair.pooler" | "task.dense" | "discriminator.dense" => Some((hidden, hidden)),
            "pair.classifier" => Some((hidden, 2)),
            "discriminator.output" => Some((hidden, 1)),
            "task.output" => Some((hidden, self.outputs?)),
            _ if part.starts_with("encoder.stack.attention.") => Some((hidden, hidden)),
            _ if part.starts_with("encoder.stack.feed_forward.") => match map {
                "outer" => Some((feed_forward, hidden)),
                _ => Some((hidden, feed_forward)),
            },
            _ => None,
        }
    }

    /// The width of a norm.
    fn norm(&self, part: &str) -> usize {
        match part {
            "encoder.embeddings.places.norm" | "head.norm" => self.encoder.embedding_width(),
            _ => self.encoder.hidden,
        }
    }

    /// The part of the configuration that determines the shape of a parameter.
    fn reason(&self, ours: &str) -> String {
        let EncoderConfig { vocabulary, hidden, feed_forward, positions, segments, .. } =
            *self.encoder;
        let embedding = self.encoder.embedding_width();
        if ours.starts_with("task.output.") {
            return format!("{} outputs, hidden size {hidden}", self.outputs.unwrap_or_default());
        }
        match ours {
            "encoder.embeddings.tokens" | "head.bias" => {
                format!("vocabulary {vocabulary}, embeddings of {embedding}")
            }
            "encoder.embeddings.places.positions" => {
                format!("{positions} positions, embeddings of {embedding}")
            }
            "encoder.embeddings.places.segments" => {
                format!("{segments} segments, embeddings of {embedding}")
            }
            _ => format!(
                "hidden size {hidden}, feed-forward {feed_forward}, embeddings of {embedding}"
            ),
        }
    }
}
