//! One self-contained HTML page: a table and plots.

use crate::arms::Arm;
use crate::plot::{COLOURS, Line, escape, plot};
use crate::run::{Axis, Run, TRADE_OFF, traded};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:1200px;padding:0 1em;color:#222}\
table{border-collapse:collapse;margin:1em 0}td,th{padding:.3em .8em;border-bottom:1px solid #ddd;text-align:right}\
td:first-child,th:first-child{text-align:left}.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(480px,1fr));\
gap:1.5em}svg text{font:12px system-ui,sans-serif;fill:#444}svg .title{font-weight:600;font-size:14px}.mid{text-anchor:middle}\
.end{text-anchor:end}.grid{stroke:#e5e5e5}.key{display:inline-block;width:1em;height:.7em;margin-right:.4em}\
pre{background:#f6f6f6;padding:1em;overflow:auto}";

/// The page of `arms`: `header` and `rows` are the table; a plot for each of `metrics` over `axis`,
/// each arm's mean in full and its runs pale.
pub fn page(
    arms: &[Arm],
    header: &[String],
    rows: &[Vec<String>],
    metrics: &[String],
    axis: Axis,
) -> String {
    let cell = |tag: &str, text: &String| format!("<{tag}>{}</{tag}>", escape(text));
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Comparison</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head><body><h1>Comparison</h1>\n"
    );
    html += "<table><thead><tr>";
    html += &header.iter().map(|text| cell("th", text)).collect::<String>();
    html += "</tr></thead><tbody>\n";
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
    html += "</tbody></table>\n<div class=\"plots\">\n";
    for metric in metrics {
        let mut lines = Vec::new();
        for (colour, arm) in arms.iter().enumerate().map(|(i, arm)| (Some(i), arm)) {
            let curves: Vec<_> = arm.runs.iter().map(|run| run.curve(axis, metric)).collect();
            let curves: Vec<_> = curves.into_iter().filter(|curve| !curve.is_empty()).collect();
            let mean = mean_curve(&curves);
            if curves.len() > 1 {
                lines.extend(curves.into_iter().map(|points| Line { colour, pale: true, points }));
            }
            lines.push(Line { colour, pale: false, points: mean });
        }
        if lines.iter().any(|line| line.points.len() > 1) {
            html += &format!("<div>{}</div>\n", plot(metric, axis.field(), &lines));
        }
    }
    html += "</div>\n";
    let scatter: Vec<String> =
        metrics.iter().filter_map(|metric| trade_off(arms, metric)).collect();
    if !scatter.is_empty() {
        html += &format!(
            "<h2>What quality costs (black: the teacher)</h2>\n<div class=\"plots\">\n{}</div>\n",
            scatter.concat()
        );
    }
    html += "<h2>Runs</h2>\n";
    for arm in arms {
        for run in &arm.runs {
            let config = toml::to_string(&run.config).unwrap_or_default();
            let summary = format!("{}, seed {}", run.folder.display(), run.seed);
            html += &format!(
                "<details><summary>{}</summary><pre>{}</pre></details>\n",
                escape(&summary),
                escape(&config)
            );
        }
    }
    html + "</body></html>\n"
}

/// What a trade-off is paid in.
const COSTS: [&str; 5] = ["parameters", "megabytes", "flops", "latency_ms", "rows_per_second"];

/// A quality that `eval --task trade-off` measured over two of its costs: dots for arms, pale ones
/// for their runs, black for the teacher. None when `metric` is no such quality.
fn trade_off(arms: &[Arm], metric: &str) -> Option<String> {
    let quality = traded(metric).filter(|name| !COSTS.contains(name))?;
    let over = |cost: &str| {
        let names = |who: &str| [cost, quality].map(|part| format!("{TRADE_OFF}{who}{part}"));
        let mut lines = Vec::new();
        let (mine, theirs) = (names(""), names("teacher/"));
        let mut teachers = Vec::new();
        for (colour, arm) in arms.iter().enumerate() {
            let both = |run: &Run, [cost, quality]: &[String; 2]| {
                Some((run.value(cost)?, run.value(quality)?))
            };
            let points: Vec<_> = arm.runs.iter().filter_map(|run| both(run, &mine)).collect();
            teachers.extend(arm.runs.iter().filter_map(|run| both(run, &theirs)));
            let dot = |point, pale| Line { colour: Some(colour), pale, points: vec![point] };
            lines.extend(points.iter().filter(|_| points.len() > 1).map(|point| dot(*point, true)));
            lines.extend(middle(&points).map(|point| dot(point, false)));
        }
        lines.extend(middle(&teachers).map(|point| Line {
            colour: None,
            pale: false,
            points: vec![point],
        }));
        format!("<div>{}</div>\n", plot(quality, cost, &lines))
    };
    Some(["latency_ms", "parameters"].map(over).concat())
}

/// The mean point.
fn middle(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    let n = points.len() as f64;
    let sum = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
    (n > 0.0).then_some((sum.0 / n, sum.1 / n))
}

/// The mean of curves point by point, as far as all go.
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
