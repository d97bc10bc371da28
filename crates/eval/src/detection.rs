//! Metrics of binary decisions: precision, recall, F1, and the area under the ROC curve.

use objective::Decisions;

/// The metrics by name, without those that would divide by 0. A logit above 0 is a yes.
pub fn detection(decisions: &Decisions) -> Vec<(String, f64)> {
    let count = |predicted: bool, label: bool| {
        let pairs = decisions.scores.iter().zip(&decisions.labels);
        pairs.filter(|(score, is)| (**score > 0.0) == predicted && **is == label).count() as f64
    };
    let (found, wrong, missed) = (count(true, true), count(true, false), count(false, true));

    let ratio = |part: f64, whole: f64| (whole > 0.0).then_some(part / whole);
    let metrics = [
        ("precision", ratio(found, found + wrong)),
        ("recall", ratio(found, found + missed)),
        ("f1", ratio(2.0 * found, 2.0 * found + wrong + missed)),
        ("auc", area_under_curve(decisions)),
    ];

    let named =
        |(name, value): (&str, Option<f64>)| Some((format!("{}/{name}", decisions.name), value?));
    metrics.into_iter().filter_map(named).collect()
}

/// The share of pairs of a yes and a no in which the yes has the higher score, ties counting half:
/// the statistic of Mann and Whitney, by ranks.
fn area_under_curve(decisions: &Decisions) -> Option<f64> {
    let pairs = decisions.scores.iter().copied().zip(decisions.labels.iter().copied());
    let mut sorted: Vec<(f32, bool)> = pairs.collect();
    sorted.sort_by(|(score, _), (other, _)| score.total_cmp(other));

    let (mut ranks, mut yes) = (0.0, 0.0);
    let mut at = 0;
    while at < sorted.len() {
        let (score, _) = sorted[at];
        let ties = sorted[at..].iter().take_while(|(other, _)| *other == score).count();
        let of_yes = sorted[at..at + ties].iter().filter(|(_, label)| *label).count() as f64;
        // Ranks count from 1; ties share the mean of their ranks.
        ranks += of_yes * (at as f64 + (ties as f64 + 1.0) / 2.0);
        yes += of_yes;
        at += ties;
    }

    let no = sorted.len() as f64 - yes;
    (yes > 0.0 && no > 0.0).then(|| (ranks - yes * (yes + 1.0) / 2.0) / (yes * no))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(scores: &[f32], labels: &[bool]) -> Vec<(String, f64)> {
        detection(&Decisions { name: "x", scores: scores.to_vec(), labels: labels.to_vec() })
    }

    fn get(metrics: &[(String, f64)], name: &str) -> f64 {
        let (_, value) = metrics.iter().find(|(other, _)| other == name).expect("there");
        *value
    }

    #[test]
    fn by_hand() {
        // Says yes to 3, two of them right; one yes of three is missed.
        let found = metrics(&[2.0, 1.0, 0.5, -1.0, -2.0], &[true, false, true, true, false]);
        assert!((get(&found, "x/precision") - 2.0 / 3.0).abs() < 1e-12);
        assert!((get(&found, "x/recall") - 2.0 / 3.0).abs() < 1e-12);
        assert!((get(&found, "x/f1") - 2.0 / 3.0).abs() < 1e-12);
        // Pairs: (2 > 1, -2), (0.5 < 1, > -2), (-1 < 1, > -2): four of six.
        assert!((get(&found, "x/auc") - 4.0 / 6.0).abs() < 1e-12);
    }

    #[test]
    fn ties_count_half_and_a_constant_score_is_chance() {
        assert_eq!(
            get(&metrics(&[1.0; 6], &[true, false, false, true, false, false]), "x/auc"),
            0.5
        );
        assert_eq!(get(&metrics(&[0.0, 1.0, 1.0], &[false, true, false]), "x/auc"), 0.75);
    }

    #[test]
    fn what_cannot_be_said_is_left_out() {
        assert!(metrics(&[], &[]).is_empty());
        let found = metrics(&[-1.0, -2.0], &[false, false]);
        assert!(found.is_empty(), "no yes was asked for or said: {found:?}");
    }
}
