//! Metrics and windows equal those that `make_reference.py` computes from their definitions.

use std::collections::BTreeMap;

use corpus::Tokenizer;
use serde::Deserialize;
use tasks::metrics::{self, Best, Rules};
use tasks::tagging::{self, Scheme};
use tasks::{Answer, AnswerContext, Layout, Question, WindowConfig, Windows};

#[derive(Deserialize)]
struct Reference {
    classes: Vec<Classes>,
    scores: Vec<Scores>,
    answers: Vec<Answers>,
    thresholds: Vec<Thresholds>,
    entities: Vec<Entities>,
    windows: Vec<Spans>,
}

#[derive(Deserialize)]
struct Classes {
    predicted: Vec<u32>,
    gold: Vec<u32>,
    accuracy: f64,
    f1: f64,
    macro_f1: f64,
    matthews: f64,
}

#[derive(Deserialize)]
struct Scores {
    predicted: Vec<f64>,
    gold: Vec<f64>,
    pearson: Option<f64>,
    spearman: Option<f64>,
}

#[derive(Deserialize)]
struct Answers {
    predicted: String,
    golds: Vec<String>,
    normal: String,
    one: Option<(f64, f64)>,
    two: (f64, f64),
}

#[derive(Deserialize)]
struct Thresholds {
    questions: Vec<ScoredQuestion>,
    exact: Expected,
    f1: Expected,
}

#[derive(Deserialize)]
struct ScoredQuestion {
    id: String,
    predicted: String,
    golds: Vec<String>,
    odds: f64,
}

#[derive(Deserialize)]
struct Expected {
    score: f64,
    threshold: Option<f64>,
}

#[derive(Deserialize)]
struct Entities {
    sentences: Vec<(Vec<String>, Vec<String>)>,
    right: usize,
    predicted: usize,
    gold: usize,
}

#[derive(Deserialize)]
struct Spans {
    tokens: usize,
    max_length: usize,
    step: usize,
    spans: Vec<(usize, usize)>,
    widest: Vec<Vec<bool>>,
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("reference.json")).expect("what make_reference.py wrote")
}

/// Asserts that sums of some tens of numbers differ by rounding only.
fn assert_close(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-12, "{a} is not {b}");
}

fn question(id: &str, golds: &[String]) -> Question {
    let answers: Vec<Answer> =
        golds.iter().map(|text| Answer { text: text.clone(), range: None }).collect();
    Question { id: id.to_owned(), text: String::new(), impossible: answers.is_empty(), answers }
}

#[test]
fn class_metrics_are_those_of_the_definitions() {
    for Classes { predicted, gold, accuracy, f1, macro_f1, matthews } in reference().classes {
        assert_close(metrics::accuracy(&predicted, &gold), accuracy);
        assert_close(metrics::f1(&predicted, &gold, 1), f1);
        assert_close(metrics::macro_f1(&predicted, &gold), macro_f1);
        assert_close(metrics::matthews(&predicted, &gold), matthews);
    }
}

#[test]
fn correlations_are_those_of_exact_fractions() {
    for Scores { predicted, gold, pearson, spearman } in reference().scores {
        for (found, expected) in [
            (metrics::pearson(&predicted, &gold), pearson),
            (metrics::spearman(&predicted, &gold), spearman),
        ] {
            assert_eq!(found.is_some(), expected.is_some(), "{predicted:?} {gold:?}");
            assert_close(found.unwrap_or_default(), expected.unwrap_or_default());
        }
    }
}

#[test]
fn answers_are_compared_as_the_official_scripts_do() {
    for Answers { predicted, golds, normal, one, two } in reference().answers {
        assert_eq!(metrics::normalize(&predicted), normal);
        let question = question("q", &golds);
        let given = BTreeMap::from([("q".to_owned(), predicted.clone())]);
        for (rules, expected) in [(Rules::One, one), (Rules::Two, Some(two))] {
            let Some((exact, f1)) = expected else { continue };
            let scores = metrics::squad(&[&question], &given, rules).all;
            assert_eq!(scores.exact, 100.0 * exact, "{predicted:?} {golds:?}");
            assert_close(scores.f1, 100.0 * f1);
        }
    }
}

#[test]
fn the_best_threshold_is_the_best_of_all() {
    for Thresholds { questions, exact, f1 } in reference().thresholds {
        let forced = questions.iter().map(|one| (one.id.clone(), one.predicted.clone())).collect();
        let odds = questions.iter().map(|one| (one.id.clone(), one.odds)).collect();
        let questions: Vec<Question> =
            questions.iter().map(|one| question(&one.id, &one.golds)).collect();
        let questions: Vec<&Question> = questions.iter().collect();

        let best = metrics::best_thresholds(&questions, &forced, &odds);
        for (Best { score, threshold }, expected) in [(best.exact, exact), (best.f1, f1)] {
            assert_close(score, expected.score);
            assert_eq!(threshold, expected.threshold);
        }
    }
}

fn strs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

#[test]
fn entities_are_counted_as_conlleval_does() {
    for Entities { sentences, right, predicted, gold } in reference().entities {
        let sentences: Vec<_> = sentences.iter().map(|(a, b)| (strs(a), strs(b))).collect();
        let pairs = sentences.iter().map(|(a, b)| (a.as_slice(), b.as_slice()));
        let scores = tagging::score(Scheme::Bio, pairs).entities.expect("entities");
        assert_eq!((scores.right, scores.predicted, scores.gold), (right, predicted, gold));
    }
}

#[test]
fn windows_are_those_of_run_squad() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nwho\n")
        .expect("a vocabulary");
    let tokenizer = Tokenizer::open(folder.path()).expect("a tokenizer");

    for Spans { tokens, max_length, step, spans, widest } in reference().windows {
        let config = WindowConfig { max_length, step, max_question: 1 };
        let context = AnswerContext::new(&tokenizer, "a ".repeat(tokens));
        let cut = Windows::new(&tokenizer, Layout::Bert, config)
            .expect("room")
            .cut("who", &context, None);

        let found: Vec<_> =
            cut.iter().map(|window| (window.part.start, window.part.len())).collect();
        assert_eq!(found, spans);
        assert_eq!(cut.into_iter().map(|window| window.widest).collect::<Vec<_>>(), widest);
    }
}
