//! One self-contained HTML page: a table and plots.

use crate::arms::Arm;
use crate::plot::{COLOURS, Line, Shade, escape, plot};
use crate::run::{Axis, Run, TRADE_OFF, traded};

const STYLE: &str = "\
body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:1200px;padding:0 1em;color:#222}\
table{border-collapse:collapse;margin:1em 0}\
td,th{padding:.3em .8em;border-bottom:1px solid #ddd;text-align:right}\
td:first-child,th:first-child{text-align:left}\
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(480px,1fr));gap:1.5em}\
svg text{font:12px system-ui,sans-serif;fill:#444}\
svg .title{font-weight:600;font-size:14px}\
.mid{text-anchor:middle}\
.end{text-anchor:end}\
.grid{stroke:#e5e5e5}\
.key{display:inline-block;width:1em;height:.7em;margin-right:.4em}\
pre{background:#f6f6f6;padding:1em;overflow:auto}";

/// The page of `arms`: a table of `header` and `rows`, and for each of `metrics` a plot over `axis`
/// with each arm's mean in full and its runs pale.
pub fn page(
    arms: &[Arm],
    header: &[String],
    rows: &[Vec<String>],
    metrics: &[String],
    axis: Axis,
) -> String {
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <title>Comparison</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head>\
         <body><h1>Comparison</h1>\n"
    );
    html += &table(header, rows);

    let plots: String = metrics.iter().filter_map(|metric| curves(arms, metric, axis)).collect();
    html += &format!("<div class=\"plots\">\n{plots}</div>\n");

    let scatter: String = metrics.iter().filter_map(|metric| trade_off(arms, metric)).collect();
    if !scatter.is_empty() {
        html += &format!(
            "<h2>What quality costs (black: the teacher)</h2>\n\
             <div class=\"plots\">\n{scatter}</div>\n"
        );
    }

    let runs: String = arms.iter().flat_map(|arm| &arm.runs).map(details).collect();
    html += &format!("<h2>Runs</h2>\n{runs}");
    html + "</body></html>\n"
}

/// The table of `rows`, one for each arm, with the arm's colour before the first cell.
fn table(header: &[String], rows: &[Vec<String>]) -> String {
    let cell = |tag: &str, text: &String| format!("<{tag}>{}</{tag}>", escape(text));
    let head: String = header.iter().map(|text| cell("th", text)).collect();
    let mut html = format!("<table><thead><tr>{head}</tr></thead><tbody>\n");

    for (i, row) in rows.iter().enumerate() {
        let key = format!(
            "<span class=\"key\" style=\"background:{}\"></span>",
            COLOURS[i % COLOURS.len()]
        );
        let cells = row.iter().enumerate().map(|(column, text)| match column {
            0 => format!("<td>{key}{}</td>", escape(text)),
            _ => cell("td", text),
        });
        html += &format!("<tr>{}</tr>\n", cells.collect::<String>());
    }
    html + "</tbody></table>\n"
}

/// The plot of `metric` over `axis`; none where no curve has two points.
fn curves(arms: &[Arm], metric: &str, axis: Axis) -> Option<String> {
    let mut lines = Vec::new();
    for (i, arm) in arms.iter().enumerate() {
        let colour = Some(i);
        let curves = arm.runs.iter().map(|run| run.curve(axis, metric));
        let curves: Vec<_> = curves.filter(|curve| !curve.is_empty()).collect();
        let mean = mean_curve(&curves);
        if curves.len() > 1 {
            let pale = |points| Line { colour, shade: Shade::Pale, points };
            lines.extend(curves.into_iter().map(pale));
        }
        lines.push(Line { colour, shade: Shade::Full, points: mean });
    }

    let is_curve = lines.iter().any(|line| line.points.len() > 1);
    is_curve.then(|| format!("<div>{}</div>\n", plot(metric, axis.field(), &lines)))
}

/// A run's configuration, folded away under its folder and seed.
fn details(run: &Run) -> String {
    let config = toml::to_string(&run.config).unwrap_or_default();
    let summary = format!("{}, seed {}", run.folder.display(), run.seed);
    format!(
        "<details><summary>{}</summary><pre>{}</pre></details>\n",
        escape(&summary),
        escape(&config)
    )
}

/// What a trade-off is paid in.
const COSTS: [&str; 5] = ["parameters", "megabytes", "flops", "latency_ms", "rows_per_second"];

/// A quality that `eval --task trade-off` measured, plotted over two of its costs: dots for arms,
/// pale ones for their runs, black for the teacher. None when `metric` is no such quality.
fn trade_off(arms: &[Arm], metric: &str) -> Option<String> {
    let quality = traded(metric).filter(|name| !COSTS.contains(name))?;
    Some(["latency_ms", "parameters"].map(|cost| scatter(arms, quality, cost)).concat())
}

/// The plot of `quality` over `cost`.
fn scatter(arms: &[Arm], quality: &str, cost: &str) -> String {
    let student = PointNames::new("", quality, cost);
    let teacher = PointNames::new("teacher/", quality, cost);
    let mut lines = Vec::new();
    let mut teachers = Vec::new();

    for (i, arm) in arms.iter().enumerate() {
        let colour = Some(i);
        let points: Vec<_> = arm.runs.iter().filter_map(|run| student.point(run)).collect();
        teachers.extend(arm.runs.iter().filter_map(|run| teacher.point(run)));
        if points.len() > 1 {
            lines.extend(points.iter().map(|point| dot(colour, Shade::Pale, *point)));
        }
        lines.extend(middle(&points).map(|point| dot(colour, Shade::Full, point)));
    }
    lines.extend(middle(&teachers).map(|point| dot(None, Shade::Full, point)));

    format!("<div>{}</div>\n", plot(quality, cost, &lines))
}

/// The names of the two numbers of a run's results that make a point.
struct PointNames {
    cost: String,
    quality: String,
}

impl PointNames {
    /// The names for a student (`model` is empty) or its teacher (`model` is `teacher/`).
    fn new(model: &str, quality: &str, cost: &str) -> Self {
        let name = |part: &str| format!("{TRADE_OFF}{model}{part}");
        Self { cost: name(cost), quality: name(quality) }
    }

    /// The point of `run`; none where the run lacks one of the two values.
    fn point(&self, run: &Run) -> Option<(f64, f64)> {
        Some((run.value(&self.cost)?, run.value(&self.quality)?))
    }
}

fn dot(colour: Option<usize>, shade: Shade, point: (f64, f64)) -> Line {
    Line { colour, shade, points: vec![point] }
}

/// The mean point.
fn middle(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    let n = points.len() as f64;
    let (x_sum, y_sum) =
        points.iter().fold((0.0, 0.0), |(x_sum, y_sum), (x, y)| (x_sum + x, y_sum + y));
    (n > 0.0).then_some((x_sum / n, y_sum / n))
}

/// The mean of curves point by point, as far as the shortest goes.
fn mean_curve(curves: &[Vec<(f64, f64)>]) -> Vec<(f64, f64)> {
    let shortest = curves.iter().map(Vec::len).min().unwrap_or(0);
    let at = |i: usize| middle(&curves.iter().map(|curve| curve[i]).collect::<Vec<_>>());
    (0..shortest).filter_map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::mean_curve;

    #[test]
    fn the_mean_goes_as_far_as_all_curves() {
        let curves = [vec![(1.0, 2.0), (2.0, 4.0)], vec![(1.0, 4.0)]];
        assert_eq!(mean_curve(&curves), [(1.0, 3.0)]);
        assert!(mean_curve(&[]).is_empty());
    }
}
