//! The rows of a vocabulary that has grown.

use std::collections::BTreeSet;

use checkpoint::{HostTensor, Weights};
use corpus::Tokenizer;

/// Tokens listed by name in a message.
const LISTED: usize = 20;

/// The tokens that a vocabulary has beyond that of the model to start from.
pub struct NewTokens {
    tokens: Vec<NewToken>,
}

/// A token, and the old tokens that its text was before; none where they were all unknown.
struct NewToken {
    id: usize,
    text: String,
    pieces: Vec<usize>,
}

impl NewTokens {
    /// The tokens `ids` of `tokenizer`, which are not in `old`.
    pub fn new(tokenizer: &Tokenizer, old: &Tokenizer, ids: Vec<u32>) -> Self {
        let unknown = old.specials().unk;
        let token = |id: u32| {
            let pieces = old.encode(&tokenizer.decode(&[id])).tokens;
            let known = pieces.into_iter().filter(|piece| *piece != unknown);
            NewToken {
                id: id as usize,
                text: tokenizer.token(id).unwrap_or_default().to_owned(),
                pieces: known.map(|piece| piece as usize).collect(),
            }
        };
        Self { tokens: ids.into_iter().map(token).collect() }
    }

    /// Takes the old rows of a tensor over the vocabulary from `found` into `weight`, and gives the
    /// row of each new token the mean of its pieces' old rows. A token without known pieces keeps
    /// the row in `weight`, and so do rows without a token. Returns false, and changes nothing, if
    /// the rows are of another width or `weight` has fewer.
    pub fn take_over(&self, weight: &mut HostTensor, found: &HostTensor) -> bool {
        let fits = weight.shape.len() == found.shape.len()
            && weight.shape[1..] == found.shape[1..]
            && weight.shape[0] >= found.shape[0];
        if !fits {
            return false;
        }

        let width: usize = found.shape[1..].iter().product();
        weight.values[..found.values.len()].copy_from_slice(&found.values);
        for NewToken { id, pieces, .. } in self.tokens.iter().filter(|it| !it.pieces.is_empty()) {
            let mean = |column: usize| {
                let sum: f32 =
                    pieces.iter().map(|piece| found.values[piece * width + column]).sum();
                sum / pieces.len() as f32
            };
            let row: Vec<f32> = (0..width).map(mean).collect();
            weight.values[id * width..(id + 1) * width].copy_from_slice(&row);
        }
        true
    }

    /// What is told of the new tokens; none if there are none.
    pub fn told(&self) -> Option<String> {
        let names = |has_pieces: bool| -> Vec<&str> {
            let tokens = self.tokens.iter().filter(|token| token.pieces.is_empty() != has_pieces);
            tokens.map(|token| token.text.as_str()).collect()
        };
        let part = |what: &str, names: Vec<&str>| {
            (!names.is_empty()).then(|| format!("{} {what}: {}", names.len(), listed(&names)))
        };

        let parts = [
            part("new tokens start as the mean of their pieces", names(true)),
            part("new tokens have no known piece and start at random", names(false)),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

/// The names of the tensors with a row for each token: tables of embeddings, and biases over the
/// vocabulary, which stand alone while those of linear maps stand beside a `weight`.
pub fn tables(weights: &Weights) -> BTreeSet<&String> {
    let rows = weights.get("encoder.embeddings.tokens").map_or(0, |table| table.shape[0]);
    let is_table = |(name, tensor): &(&String, &HostTensor)| {
        let alone = name
            .strip_suffix("bias")
            .is_some_and(|head| !weights.contains_key(&format!("{head}weight")));
        tensor.shape[0] == rows && (alone || name.ends_with(".tokens"))
    };
    weights.iter().filter(is_table).map(|(name, _)| name).collect()
}

/// The first names of a list, and how many follow.
fn listed(names: &[&str]) -> String {
    let shown = names[..names.len().min(LISTED)].join(", ");
    match names.len().checked_sub(LISTED) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(shape: &[usize], values: &[f32]) -> HostTensor {
        HostTensor { shape: shape.to_vec(), values: values.to_vec() }
    }

    fn grown(tokens: &[(usize, &[usize])]) -> NewTokens {
        let token = |(id, pieces): &(usize, &[usize])| NewToken {
            id: *id,
            text: format!("token{id}"),
            pieces: pieces.to_vec(),
        };
        NewTokens { tokens: tokens.iter().map(token).collect() }
    }

    #[test]
    fn old_rows_are_kept_and_new_ones_are_the_mean_of_their_pieces() {
        let found = tensor(&[2, 2], &[1.0, 2.0, 3.0, 6.0]);
        let mut weight = tensor(&[5, 2], &[9.0; 10]);
        // Token 2 was pieces 0 and 1, token 3 was unknown, and row 4 has no token.
        let new = grown(&[(2, &[0, 1]), (3, &[])]);
        assert!(new.take_over(&mut weight, &found));
        assert_eq!(weight.values, [1.0, 2.0, 3.0, 6.0, 2.0, 4.0, 9.0, 9.0, 9.0, 9.0]);
        assert_eq!(
            new.told().expect("two"),
            "1 new tokens start as the mean of their pieces: token2; 1 new tokens have no known \
             piece and start at random: token3"
        );
    }

    #[test]
    fn rows_beyond_the_old_vocabulary_are_given_to_new_tokens() {
        let found = tensor(&[3], &[1.0, 3.0, 7.0]);
        let mut weight = tensor(&[3], &[0.0; 3]);
        assert!(grown(&[(2, &[0, 1])]).take_over(&mut weight, &found));
        assert_eq!(weight.values, [1.0, 3.0, 2.0]);
        assert_eq!(grown(&[]).told(), None);
    }

    #[test]
    fn rows_of_another_width_are_not_taken() {
        let mut weight = tensor(&[3, 2], &[0.0; 6]);
        assert!(!grown(&[]).take_over(&mut weight, &tensor(&[2, 3], &[0.0; 6])));
        assert!(!grown(&[]).take_over(&mut weight, &tensor(&[4, 2], &[0.0; 8])));
    }

    #[test]
    fn tensors_over_the_vocabulary_are_told_from_others_of_as_many_rows() {
        let weights = Weights::from([
            ("encoder.embeddings.tokens".to_owned(), tensor(&[2, 1], &[0.0; 2])),
            ("head.bias".to_owned(), tensor(&[2], &[0.0; 2])),
            ("head.transform.bias".to_owned(), tensor(&[2], &[0.0; 2])),
            ("head.transform.weight".to_owned(), tensor(&[2, 2], &[0.0; 4])),
            ("head.norm.gamma".to_owned(), tensor(&[2], &[0.0; 2])),
        ]);
        let names: Vec<&str> = tables(&weights).into_iter().map(String::as_str).collect();
        assert_eq!(names, ["encoder.embeddings.tokens", "head.bias"]);
    }
}
