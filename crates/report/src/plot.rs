//! Line plots as SVG.

use std::fmt::Write;

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    /// The index of the colour, which the lines of an arm share; none: black.
    pub colour: Option<usize>,
    /// How strongly it is drawn.
    pub shade: Shade,
    /// Points by x; a single one is drawn as a dot.
    pub points: Vec<(f64, f64)>,
}

/// How strongly a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shade {
    /// The mean of an arm.
    Full,
    /// A single run beside its arm's mean.
    Pale,
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
    let axes = Axes {
        x: Scale::over(points().map(|(x, _)| *x)),
        y: Scale::over(points().map(|(_, y)| *y)),
    };

    let title = escape(title);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\
         <text x=\"{LEFT}\" y=\"18\" class=\"title\">{title}</text>"
    );
    svg += &axes.ticks();
    svg += &format!(
        "<text x=\"{}\" y=\"{}\" class=\"mid\">{}</text>",
        LEFT + (WIDTH - LEFT - RIGHT) / 2.0,
        HEIGHT - 8.0,
        escape(x_name)
    );
    for line in lines {
        svg += &axes.draw(line);
    }
    svg + "</svg>"
}

/// The two axes of a plot.
struct Axes {
    x: Scale,
    y: Scale,
}

impl Axes {
    /// The horizontal coordinate of `value` in the picture.
    fn across(&self, value: f64) -> f64 {
        LEFT + self.x.share(value) * (WIDTH - LEFT - RIGHT)
    }

    /// The vertical coordinate of `value` in the picture.
    fn up(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - self.y.share(value) * (HEIGHT - BOTTOM - TOP)
    }

    /// The numbers beside both axes, and the grid's lines.
    fn ticks(&self) -> String {
        let mut svg = String::new();
        for tick in &self.y.ticks {
            let at = self.up(*tick);
            svg += &format!(
                "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\" class=\"grid\"/>",
                WIDTH - RIGHT
            );
            svg += &format!(
                "<text x=\"{}\" y=\"{:.1}\" class=\"end\">{}</text>",
                LEFT - 6.0,
                at + 4.0,
                short(*tick)
            );
        }

        for tick in &self.x.ticks {
            svg += &format!(
                "<text x=\"{:.1}\" y=\"{}\" class=\"mid\">{}</text>",
                self.across(*tick),
                HEIGHT - BOTTOM + 16.0,
                short(*tick)
            );
        }
        svg
    }

    /// `line` as a polyline, or as a dot where it has a single point.
    fn draw(&self, line: &Line) -> String {
        let colour = line.colour.map_or("#000000", |colour| COLOURS[colour % COLOURS.len()]);
        let is_pale = line.shade == Shade::Pale;
        let opacity = if is_pale { 0.3 } else { 1.0 };
        if let [(x, y)] = line.points[..] {
            let radius = if is_pale { 3 } else { 5 };
            return format!(
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius}\" fill=\"{colour}\" \
                 fill-opacity=\"{opacity}\"/>",
                self.across(x),
                self.up(y)
            );
        }

        let mut path = String::new();
        for (x, y) in &line.points {
            let _ = write!(path, "{:.1},{:.1} ", self.across(*x), self.up(*y));
        }
        let width = if is_pale { 1 } else { 2 };
        format!(
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-opacity=\"{opacity}\" \
             stroke-width=\"{width}\" points=\"{}\"/>",
            path.trim_end()
        )
    }
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
        } else if low.is_finite() {
            (low - low.abs().max(1.0), low + low.abs().max(1.0))
        } else {
            (0.0, 1.0)
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
        let line =
            Line { colour: Some(0), shade: Shade::Full, points: vec![(0.0, 1.0), (10.0, 2.0)] };
        let svg = plot("a < b", "x", &[line]);
        assert!(svg.contains("a &lt; b") && !svg.contains("a < b"));
        assert!(svg.contains("points=\"64.0,276.0 548.0,28.0\""), "{svg}");

        let dots = [(0.0, 1.0), (10.0, 2.0)].map(|point| Line {
            colour: None,
            shade: Shade::Full,
            points: vec![point],
        });
        assert!(
            plot("", "", &dots)
                .contains("<circle cx=\"64.0\" cy=\"276.0\" r=\"5\" fill=\"#000000\"")
        );
    }
}
