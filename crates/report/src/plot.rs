//! Line plots as SVG.

use std::fmt::Write;

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    /// Which colour: lines of an arm share one; none: black.
    pub colour: Option<usize>,
    /// Drawn pale: a single run beside its arm's mean.
    pub pale: bool,
    /// Points by x; a single one is drawn as a dot.
    pub points: Vec<(f64, f64)>,
}

/// Okabe and Ito's colours, which colour-blind people can tell apart.
pub const COLOURS: [&str; 8] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999"];

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 64.0;
const BOTTOM: f64 = 44.0;
const TOP: f64 = 28.0;
const RIGHT: f64 = 12.0;

/// A plot of `lines` with a title and a name for the horizontal axis.
pub fn plot(title: &str, x_name: &str, lines: &[Line]) -> String {
    let points = || lines.iter().flat_map(|line| &line.points);
    let (x, y) = (Scale::over(points().map(|p| p.0)), Scale::over(points().map(|p| p.1)));
    let across = |value: f64| LEFT + x.share(value) * (WIDTH - LEFT - RIGHT);
    let up = |value: f64| HEIGHT - BOTTOM - y.share(value) * (HEIGHT - BOTTOM - TOP);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
        escape(title)
    );
    let mut add = |text: String| svg.push_str(&text);
    add(format!("<text x=\"{LEFT}\" y=\"18\" class=\"title\">{}</text>", escape(title)));
    for tick in &y.ticks {
        let at = up(*tick);
        add(format!(
            "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\" class=\"grid\"/>",
            WIDTH - RIGHT
        ));
        add(format!(
            "<text x=\"{}\" y=\"{:.1}\" class=\"end\">{}</text>",
            LEFT - 6.0,
            at + 4.0,
            short(*tick)
        ));
    }
    for tick in &x.ticks {
        let at = across(*tick);
        add(format!(
            "<text x=\"{at:.1}\" y=\"{}\" class=\"mid\">{}</text>",
            HEIGHT - BOTTOM + 16.0,
            short(*tick)
        ));
    }
    let middle = LEFT + (WIDTH - LEFT - RIGHT) / 2.0;
    add(format!(
        "<text x=\"{middle}\" y=\"{}\" class=\"mid\">{}</text>",
        HEIGHT - 8.0,
        escape(x_name)
    ));
    for line in lines {
        let colour = line.colour.map_or("#000000", |colour| COLOURS[colour % COLOURS.len()]);
        let opacity = if line.pale { 0.3 } else { 1.0 };
        if let [(x, y)] = line.points[..] {
            let radius = if line.pale { 3 } else { 5 };
            let (x, y) = (across(x), up(y));
            add(format!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{colour}\" fill-opacity=\"{opacity}\"/>"
            ));
            continue;
        }
        let mut path = String::new();
        for (x, y) in &line.points {
            let _ = write!(path, "{:.1},{:.1} ", across(*x), up(*y));
        }
        let width = if line.pale { 1 } else { 2 };
        add(format!(
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-opacity=\"{opacity}\" stroke-width=\"{width}\" \
             points=\"{}\"/>",
            path.trim_end()
        ));
    }
    svg + "</svg>"
}

/// An axis with about five round numbers.
struct Scale {
    low: f64,
    high: f64,
    ticks: Vec<f64>,
}

impl Scale {
    fn over(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        let (low, high) = if low < high {
            (low, high)
        } else {
            if low.is_finite() {
                (low - low.abs().max(1.0), low + low.abs().max(1.0))
            } else {
                (0.0, 1.0)
            }
        };
        let (low, high) =
            if low.is_finite() && high.is_finite() { (low, high) } else { (0.0, 1.0) };
        let rough = (high - low) / 5.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .iter()
            .map(|m| m * power)
            .find(|step| *step >= rough)
            .unwrap_or(10.0 * power);
        let first = (low / step).ceil() as i64;
        let last = (high / step).floor() as i64;
        Self { low, high, ticks: (first..=last).map(|i| i as f64 * step).collect() }
    }

    fn share(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }
}

/// A tick's number: 20M, 1.5k, 0.25.
fn short(value: f64) -> String {
    let round = |value: f64| {
        let text = format!("{value:.3}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match value.abs() {
        size if size >= 1e15 => format!("{value:.1e}"),
        size if size >= 1e12 => round(value / 1e12) + "T",
        size if size >= 1e9 => round(value / 1e9) + "G",
        size if size >= 1e6 => round(value / 1e6) + "M",
        size if size >= 1e3 => round(value / 1e3) + "k",
        _ => round(value),
    }
}

/// Text for HTML.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let scale = Scale::over([0.3, 9.7].into_iter());
        assert_eq!(scale.ticks, [2.0, 4.0, 6.0, 8.0]);
        assert_eq!(
            Scale::over([5.0].into_iter()).share(5.0),
            0.5,
            "a single value is in the middle"
        );
        assert!(!Scale::over(std::iter::empty()).ticks.is_empty(), "an empty plot has axes");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([2e7, 1500.0, 0.25, 0.0, -3.0].map(short), ["20M", "1.5k", "0.25", "0", "-3"]);
    }

    #[test]
    fn a_plot_has_its_lines_and_no_markup_from_names() {
        let line = Line { colour: Some(0), pale: false, points: vec![(0.0, 1.0), (10.0, 2.0)] };
        let svg = plot("a < b", "x", &[line]);
        assert!(svg.contains("a &lt; b") && !svg.contains("a < b"));
        assert!(svg.contains("points=\"64.0,276.0 548.0,28.0\""), "{svg}");
        let dots = [(0.0, 1.0), (10.0, 2.0)].map(|point| Line {
            colour: None,
            pale: false,
            points: vec![point],
        });
        assert!(
            plot("", "", &dots)
                .contains("<circle cx=\"64.0\" cy=\"276.0\" r=\"5\" fill=\"#000000\"")
        );
    }
}
