//! Means, spreads, and intervals of differences.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// The mean.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The middle value, sorting `values`; not a number where there is none.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n.is_multiple_of(2) => f64::midpoint(values[n / 2 - 1], values[n / 2]),
        n => values[n / 2],
    }
}

/// The standard deviation of a sample; none of a single value.
pub fn deviation(values: &[f64]) -> Option<f64> {
    Some(variance(values)?.sqrt())
}

fn variance(values: &[f64]) -> Option<f64> {
    let mean = mean(values);
    let sum: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    (values.len() > 1).then(|| sum / (values.len() - 1) as f64)
}

/// Half the width of the interval of 95 % around the mean of differences `values` (Student's t).
pub fn paired_interval(values: &[f64]) -> Option<f64> {
    let n = values.len() as f64;
    Some(t(n - 1.0)? * deviation(values)? / n.sqrt())
}

/// Half the width of the interval of 95 % around the difference of the means of two samples (Welch
/// 1947).
pub fn welch_interval(a: &[f64], b: &[f64]) -> Option<f64> {
    let (a_size, b_size) = (a.len() as f64, b.len() as f64);
    let (a_error, b_error) = (variance(a)? / a_size, variance(b)? / b_size);
    let sum = a_error + b_error;
    if sum == 0.0 {
        return Some(0.0);
    }

    // The degrees of freedom of Welch and Satterthwaite.
    let freedom =
        sum.powi(2) / (a_error.powi(2) / (a_size - 1.0) + b_error.powi(2) / (b_size - 1.0));
    Some(t(freedom)? * sum.sqrt())
}

/// The 97.5th percentile of Student's t.
fn t(freedom: f64) -> Option<f64> {
    StudentsT::new(0.0, 1.0, freedom).ok().map(|t| t.inverse_cdf(0.975))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_values_are_below_the_median() {
        assert_eq!([median(&mut [9.0, 1.0, 2.0]), median(&mut [4.0, 1.0, 2.0, 9.0])], [2.0, 3.0]);
        assert!(median(&mut []).is_nan());
    }

    fn near(a: Option<f64>, b: f64) -> bool {
        a.is_some_and(|a| (a - b).abs() < 1e-3 * b.abs())
    }

    #[test]
    fn intervals_by_hand() {
        // Deviation 1, n = 3: 4.3027 / sqrt(3).
        assert!(near(paired_interval(&[1.0, 2.0, 3.0]), 4.3027 / 3f64.sqrt()));
        // Two variances of 1 over three values: four degrees of freedom, 2.7764 * sqrt(2 / 3).
        assert!(near(
            welch_interval(&[1.0, 2.0, 3.0], &[5.0, 6.0, 7.0]),
            2.7764 * (2f64 / 3.0).sqrt()
        ));
    }

    #[test]
    fn one_run_has_no_spread() {
        assert_eq!(
            (deviation(&[1.0]), paired_interval(&[1.0]), welch_interval(&[1.0], &[2.0, 3.0])),
            (None, None, None)
        );
    }
}
