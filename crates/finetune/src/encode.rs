//! Texts as sequences with special tokens.

use corpus::Tokenizer;
use objective::{Label, LabelledSequence};
use tasks::Layout;

/// Lays texts out as a family does.
#[derive(Clone, Copy, Debug)]
pub struct TextEncoder<'a> {
    /// Splits texts into tokens.
    pub tokenizer: &'a Tokenizer,
    /// How two texts are joined.
    pub layout: Layout,
    /// Longest sequence, special tokens included.
    pub max_length: usize,
}

impl<'a> TextEncoder<'a> {
    /// The layout of the tokenizer's family: RoBERTa's where sequences begin with `<s>`.
    pub fn new(tokenizer: &'a Tokenizer, max_length: usize) -> Self {
        let roberta = tokenizer.token(tokenizer.specials().cls) == Some("<s>");
        Self { tokenizer, layout: if roberta { Layout::Roberta } else { Layout::Bert }, max_length }
    }

    /// `[CLS] first [SEP]`, or both texts joined, and the number of tokens that were cut off. A
    /// sequence that is too long is cut at the end; of two texts, tokens are taken from the longer
    /// one (`_truncate_seq_pair` in the authors' BERT).
    pub fn texts(
        &self,
        first: &str,
        second: Option<&str>,
        label: Option<Label>,
    ) -> (LabelledSequence, usize) {
        let specials = self.tokenizer.specials();
        let mut first = self.encode(first);
        let Some(second) = second else {
            let whole = first.len();
            first.truncate(self.max_length.saturating_sub(2));
            let cut = whole - first.len();
            let tokens = [vec![specials.cls], first, vec![specials.sep]].concat();
            return (LabelledSequence { tokens, second: None, label, teacher_logits: None }, cut);
        };

        let mut second = self.encode(second);
        let whole = first.len() + second.len();
        let most = self.max_length.saturating_sub(self.layout.specials());
        while first.len() + second.len() > most {
            if first.len() > second.len() {
                first.pop()
            } else {
                second.pop()
            };
        }

        let cut = whole - first.len() - second.len();
        let joined = self.layout.join(&specials, &first, &second);
        let second = Some(joined.second as u32);
        (LabelledSequence { tokens: joined.tokens, second, label, teacher_logits: None }, cut)
    }

    /// The tokens of a text. The text of the mask token, which augmented sentences contain, is one
    /// token.
    fn encode(&self, text: &str) -> Vec<u32> {
        let mask = self.tokenizer.specials().mask;
        let parts = text.split(self.tokenizer.token(mask).unwrap_or("[MASK]"));
        let parts: Vec<Vec<u32>> = parts.map(|part| self.tokenizer.encode(part).tokens).collect();
        parts.join(&mask)
    }
}
