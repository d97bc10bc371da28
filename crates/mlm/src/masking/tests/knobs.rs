//! Reading, writing and refusing knobs.

use super::super::config::Masking;
use super::super::knobs::{Cap, Family, RandomTokens, Unit};
use super::super::masker::Masker;
use super::super::vocabulary::Vocabulary;
use super::{FAMILIES, SIZE, masker, vocabulary};

fn read(text: &str) -> Masking {
    toml::from_str(text).expect("knobs that fit")
}

fn refusal(text: &str) -> String {
    toml::from_str::<Masking>(text).expect_err("refused").message().to_owned()
}

#[test]
fn a_family_and_single_knobs_are_read() {
    assert_eq!(read(""), Masking::of(Family::Bert));
    assert_eq!(read("family = \"bert\""), Masking::default());
    assert_eq!(read("family = \"roberta-whole-word\""), Masking::of(Family::RobertaWholeWord));
    let masking = read("family = \"roberta\"\nrate = 0.4\ncap = 20\nrandom_tokens = \"content\"");
    let random_tokens = RandomTokens::Content;
    assert_eq!(
        masking,
        Masking { rate: 0.4, cap: Cap::At(20), random_tokens, ..Masking::of(Family::Roberta) }
    );
    assert_eq!(read("unit = \"span\"\ncap = \"none\"").unit, Unit::Span);
}

#[test]
fn what_is_written_has_every_knob_and_reads_back_equal() {
    for family in FAMILIES {
        for cap in [Masking::of(family).cap, Cap::None] {
            let masking = Masking { cap, span_max: 7, ..Masking::of(family) };
            let text = toml::to_string(&masking).expect("TOML");
            assert_eq!(text.lines().count(), 20, "{text}");
            assert_eq!(read(&text), masking);
            assert_eq!(masker(family, 128).masking(), &Masking::of(family));
        }
    }
    let text = toml::to_string(&Masking::default()).expect("TOML");
    assert!(text.contains("family = \"bert\"") && text.contains("cap = \"advised\""), "{text}");
}

#[test]
fn wrong_knobs_are_named() {
    let cases = [
        ("rat = 0.1", "unknown field `rat`"),
        ("family = \"bart\"", "unknown variant `bart`"),
        ("rate = 1.5", "rate = 1.5: must be above 0 and below 1"),
        ("rate = nan", "rate = NaN: must be above 0 and below 1"),
        ("final_rate = 1.0", "final_rate = 1: must be at least 0 and below 1"),
        ("mask = -0.5", "mask = -0.5: must be between 0 and 1"),
        ("mask = 0.8\nrandom = 0.3", "random = 0.3: with mask it must not exceed 1"),
        ("ngram_max = 0", "ngram_max = 0: must be between 1 and 1000"),
        ("span_max = 100000", "span_max = 100000: must be between 1 and 1000"),
        ("span_p = 1.0", "span_p = 1: must be above 0 and below 1"),
        ("smoothing = -1.0", "smoothing = -1: must be between 0 and 10"),
        ("cap = 0", "cap = 0: must be at least 1, or \"none\""),
        ("cap = -1", "cap: write \"none\", \"advised\", \"slots\" or a number above 0"),
        (
            "cap = \"all\"",
            "unknown variant `all`, expected one of `none`, `advised`, `slots`, \
             `a number of targets`",
        ),
        ("cap = true", "expected \"none\", \"advised\", \"slots\" or a number of targets"),
        ("scope = \"batch\"\nunit = \"span\"", "scope = \"batch\": needs unit = \"token\""),
        ("scope = \"batch\"", "scope = \"batch\": needs budget = \"ceiling\""),
        ("family = \"distilbert\"\ncap = 20", "scope = \"batch\": needs cap = \"none\""),
        ("family = \"albert\"\nsmoothing = 0.7", "smoothing: needs unit = \"token\""),
        (
            "family = \"huggingface\"\nsmoothing = 0.7",
            "smoothing: needs another budget than \"bernoulli\"",
        ),
        (
            "family = \"huggingface\"\nunit = \"ngram\"",
            "budget = \"bernoulli\": needs unit = \"token\" or \"word\"",
        ),
        ("budget_of = \"words\"", "budget_of = \"words\": needs unit = \"word\""),
    ];

    for (text, message) in cases {
        assert!(refusal(text).contains(message), "{text}: {}", refusal(text));
    }
}

#[test]
fn a_vocabulary_that_lacks_something_is_refused() {
    let refusal = |family: Family, vocabulary: Vocabulary| {
        Masker::new(Masking::of(family), vocabulary, 128).expect_err("refused").to_string()
    };
    let uncounted = || Vocabulary { counts: Vec::new(), ..vocabulary() };
    let counts = "needs the token counts of the training text";
    assert!(
        refusal(Family::Spanbert, uncounted())
            .contains(&format!("random_tokens = \"unigram\": {counts}"))
    );
    assert!(
        refusal(Family::Distilbert, uncounted()).contains(&format!("smoothing = 0.7: {counts}"))
    );
    assert!(Masker::new(Masking::default(), uncounted(), 128).is_ok());
    let short = Vocabulary { counts: vec![1; 9], ..vocabulary() };
    assert!(refusal(Family::Bert, short).contains("9 counts for 105 ids"));
    let foreign = Vocabulary { mask: SIZE as u32, ..vocabulary() };
    assert!(
        refusal(Family::Bert, foreign)
            .contains("mask token 105 must be below the number of ids, 105")
    );
    let bare = Vocabulary { specials: (0..SIZE as u32).collect(), ..vocabulary() };
    assert!(refusal(Family::Bert, bare).contains("all ids are special tokens"));
}
