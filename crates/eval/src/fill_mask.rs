//! The most probable tokens at masks of a text.

use burn::tensor::activation::softmax;

use crate::error::{Error, Result};
use crate::evaluable::Evaluable;
use crate::masked::{MaskedSequence, logits};

/// A token and its probability.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenProbability {
    /// The token.
    pub token: String,
    /// Its probability.
    pub probability: f32,
}

/// The `top` most probable tokens for each mask of `text`, the most probable first. A mask is the
/// model's own mask token or `[MASK]`.
///
/// # Errors
/// When the text has no mask or is too long, or the model predicts no tokens.
pub fn fill_mask(
    model: &dyn Evaluable,
    text: &str,
    top: usize,
) -> Result<Vec<Vec<TokenProbability>>> {
    let (tokens, positions) = encode(model, text)?;
    let masked = MaskedSequence { tokens: &tokens, segments: &[], positions: &positions };
    let logits = logits(model, &[masked])?;
    let [_, vocabulary] = logits.dims();
    let probabilities: Vec<f32> = softmax(logits, 1).into_data().iter::<f32>().collect();

    let best = |row: &[f32]| {
        let mut order: Vec<u32> = (0..row.len() as u32).collect();
        order.sort_by(|a, b| row[*b as usize].total_cmp(&row[*a as usize]).then(a.cmp(b)));

        let named = |id: &u32| {
            // A padded table has rows without a token.
            let token = model.tokenizer().token(*id).filter(|token| !token.is_empty())?;
            Some(TokenProbability { token: token.to_owned(), probability: row[*id as usize] })
        };
        order.iter().filter_map(named).take(top).collect()
    };

    Ok(probabilities.chunks(vocabulary).map(best).collect())
}

/// The tokens of `text` with special tokens around, and the positions of its masks.
fn encode(model: &dyn Evaluable, text: &str) -> Result<(Vec<u32>, Vec<u32>)> {
    let tokenizer = model.tokenizer();
    let specials = tokenizer.specials();
    let own = tokenizer.token(specials.mask).unwrap_or_default();
    let mask = if text.contains(own) { own } else { "[MASK]" };

    let (mut tokens, mut positions) = (vec![specials.cls], Vec::new());
    for (number, part) in text.split(mask).enumerate() {
        if number > 0 {
            positions.push(tokens.len() as u32);
            tokens.push(specials.mask);
        }
        // RoBERTa's mask takes the space before it; the others ignore the space.
        tokens.extend(tokenizer.encode(part.trim_end_matches(' ')).tokens);
    }
    tokens.push(specials.sep);

    let (length, most) = (tokens.len(), model.encoder().positions);
    if positions.is_empty() {
        let message =
            format!("\"{text}\" has no {mask}; write it where a token is to be predicted");
        return Err(Error::Data(message));
    }
    if length > most {
        let message = format!("\"{text}\" has {length} tokens, the model takes {most}");
        return Err(Error::Data(message));
    }
    Ok((tokens, positions))
}
