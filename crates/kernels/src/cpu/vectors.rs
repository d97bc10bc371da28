//! Loops that the compiler turns into vector instructions, chosen at run time, and the elementary
//! functions in them.
//!
//! Nothing here contracts a product and a sum into one rounding, and sums go through [`LANES`]
//! accumulators whatever the machine's vectors hold, so the same numbers come out with AVX-512,
//! AVX2, NEON or none.

/// Accumulators of a sum.
pub const LANES: usize = 16;

/// Compiles functions once for each instruction set below and once for none, and calls the widest
/// that the machine has. What they call must be inlined to profit.
macro_rules! vectorised {
    ($($function:item)*) => {$(
        #[multiversion::multiversion(targets(
            "x86_64+avx+avx2+avx512f+avx512bw+avx512cd+avx512dq+avx512vl+bmi1+bmi2+fma",
            "x86_64+avx+avx2+bmi1+bmi2+fma",
            "aarch64+neon",
        ))]
        $function
    )*};
}
pub(crate) use vectorised;

/// The sum of `f` over the columns of `rows`, which are equally long.
#[inline(always)]
pub fn sum_of<const N: usize>(rows: [&[f32]; N], f: impl Fn([f32; N]) -> f32) -> f32 {
    let length = rows[0].len();
    let split = rows.map(|row| row[..length].as_chunks::<LANES>());
    let mut lanes = [0.0f32; LANES];
    for i in 0..length / LANES {
        let block = split.map(|(chunks, _)| &chunks[i]);
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += f(block.map(|chunk| chunk[lane]));
        }
    }
    let left = length % LANES;
    if left > 0 {
        // In a copy: accumulators that an index picks would lie in memory, not in registers.
        let mut more = lanes;
        for i in 0..left {
            more[i] += f(split.map(|(_, rest)| rest[i]));
        }
        lanes = more;
    }
    let [first, second] = fold::<4, 2>(fold::<8, 4>(fold::<LANES, 8>(lanes)));
    first + second
}

/// The second half of `lanes` added to the first; `HALF` is half of `WHOLE`.
#[inline(always)]
fn fold<const WHOLE: usize, const HALF: usize>(lanes: [f32; WHOLE]) -> [f32; HALF] {
    let mut sums = [0.0; HALF];
    for i in 0..HALF {
        sums[i] = lanes[i] + lanes[i + HALF];
    }
    sums
}

/// The largest element; negative infinity if there is none. Unspecified if any element is NaN.
#[inline(always)]
pub fn largest(row: &[f32]) -> f32 {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for (most, x) in lanes.iter_mut().zip(chunk) {
            *most = if *x <= *most { *most } else { *x };
        }
    }
    let over = |most: f32, x: &f32| if *x <= most { most } else { *x };
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, over)
}

/// `target += source`, element by element.
#[inline(always)]
pub fn add(target: &mut [f32], source: &[f32]) {
    for (target, source) in target.iter_mut().zip(source) {
        *target += source;
    }
}

/// `e^x` within 2 units in the last place; 0 below -87.3 and capped above 88.3 (Cephes' `expf`:
/// reduction by powers of two, then a polynomial of degree 5).
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    /// Adding it rounds to an integer, which then stands in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let clamped = x.clamp(-87.3, 88.3);
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (clamped - n * 0.693_359_4) + n * 2.121_944_4e-4;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    let y = (p * r * r + r + 1.0) * power;
    if x < -87.3 { 0.0 } else { y }
}

/// The natural logarithm of a positive normal number within 2 units in the last place (Cephes'
/// `logf`: the exponent apart, then a polynomial of degree 9 around 1).
#[inline(always)]
pub fn ln(x: f32) -> f32 {
    let bits = x.to_bits().wrapping_sub(0x3f35_04f3);
    let exponent = (bits as i32 >> 23) as f32;
    let mantissa = f32::from_bits((bits & 0x007f_ffff).wrapping_add(0x3f35_04f3));
    let r = mantissa - 1.0;
    let square = r * r;
    let p = 7.037_683_6e-2;
    let p = p * r - 1.151_461e-1;
    let p = p * r + 1.167_699_9e-1;
    let p = p * r - 1.242_014_1e-1;
    let p = p * r + 1.424_932_3e-1;
    let p = p * r - 1.666_805_8e-1;
    let p = p * r + 2.000_071_5e-1;
    let p = p * r - 2.499_999_4e-1;
    let p = p * r + 3.333_333e-1;
    let y = p * r * square - 2.121_944_4e-4 * exponent - 0.5 * square;
    r + y + 0.693_359_4 * exponent
}

/// `(erf(x), e^(-x^2))`, the first within 1.5e-7 (Abramowitz and Stegun 7.1.26).
#[inline(always)]
pub fn erf(x: f32) -> (f32, f32) {
    let a = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * a);
    let e = exp(-a * a);
    let p = 1.061_405_4;
    let p = p * t - 1.453_152;
    let p = p * t + 1.421_413_8;
    let p = p * t - 0.284_496_74;
    let p = p * t + 0.254_829_6;
    ((1.0 - p * t * e).copysign(x), e)
}

/// `tanh(x)` within 3e-7.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let e = exp(-2.0 * x.abs());
    ((1.0 - e) / (1.0 + e)).copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    vectorised! {
        fn squares(row: &[f32]) -> f32 {
            sum_of([row], |[x]| x * x)
        }
    }

    fn grid() -> impl Iterator<Item = f32> {
        (-20_000..=20_000).map(|i| i as f32 * 1e-3)
    }

    #[test]
    fn exp_agrees_with_double_precision() {
        for x in grid().map(|x| x * 4.3) {
            let want = f64::from(x).exp();
            let error = (f64::from(exp(x)) - want).abs() / want;
            assert!(error < 2.5e-7, "exp({x}): {error}");
        }
        assert_eq!(exp(-1e9), 0.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert!(exp(f32::NAN).is_nan());
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn ln_agrees_with_double_precision() {
        for x in (1..200_000).map(|i| i as f32 * 1.7e-4).chain([
            f32::MIN_POSITIVE,
            2f32.powi(-25),
            1.0,
            f32::MAX,
        ]) {
            let want = f64::from(x).ln();
            assert!((f64::from(ln(x)) - want).abs() < 2.5e-7 * want.abs().max(0.5), "ln({x})");
        }
    }

    #[test]
    fn tanh_agrees_with_double_precision() {
        for x in grid() {
            assert!((f64::from(tanh(x)) - f64::from(x).tanh()).abs() < 3e-7, "tanh({x})");
        }
    }

    /// Values of the error function from Abramowitz and Stegun's table 7.1.
    #[test]
    fn erf_agrees_with_the_printed_table() {
        for (x, want) in [
            (0.0, 0.0),
            (0.1, 0.112_462_916),
            (0.5, 0.520_499_878),
            (1.0, 0.842_700_793),
            (1.5, 0.966_105_146),
            (2.0, 0.995_322_265),
        ] {
            assert!((f64::from(erf(x).0) - want).abs() < 3e-7, "erf({x})");
            assert!((f64::from(erf(-x).0) + want).abs() < 3e-7, "erf(-{x})");
        }
        assert!((erf(1.0).1 - (-1.0f32).exp()).abs() < 1e-7);
    }

    #[test]
    fn sums_and_maxima_do_not_depend_on_the_instruction_set_or_the_length() {
        for n in [1, 15, 16, 17, 33, 1000] {
            let row: Vec<f32> = (0..n).map(|i| ((i * 37 % 101) as f32 - 50.0) * 0.37).collect();
            let plain = sum_of([&row], |[x]| x * x);
            assert_eq!(plain.to_bits(), squares(&row).to_bits());
            let exact: f64 = row.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
            assert!((f64::from(plain) - exact).abs() <= 1e-6 * exact);
            let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert_eq!(largest(&row), most);
        }
    }
}
