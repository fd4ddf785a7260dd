//! Two kinds of picture, as SVG: bars and lines. Enough for the documentation, and nothing else.

use std::fmt::Write as _;

use crate::figures::{Spread, number};

const WIDTH: f64 = 760.0;
const COLOURS: [&str; 6] = ["#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#475569"];

/// Horizontal bars with what they spread over, on a scale from 0.
pub(crate) fn bars(title: &str, bars: &[(String, Spread)]) -> String {
    let most = bars.iter().map(|(_, spread)| spread.most).fold(f64::MIN_POSITIVE, f64::max);
    let (left, row) = (230.0, 28.0);
    let scale = (WIDTH - left - 110.0) / most;
    let mut body = String::new();
    for (index, (name, spread)) in bars.iter().enumerate() {
        let y = 44.0 + row * index as f64;
        let (end, middle) = (left + spread.median * scale, y + row / 2.0 - 4.0);
        let (low, high) = (left + spread.least * scale, left + spread.most * scale);
        write!(
            body,
            r#"<text x="{:.0}" y="{:.0}" text-anchor="end">{name}</text><rect x="{left}" y="{y}" width="{:.1}" height="{:.0}" fill="{}"/><line x1="{low:.1}" x2="{high:.1}" y1="{middle}" y2="{middle}" stroke="black"/><text x="{:.0}" y="{:.0}">{}</text>"#,
            left - 8.0,
            middle + 4.0,
            end - left,
            row - 8.0,
            COLOURS[0],
            high + 6.0,
            middle + 4.0,
            number(spread.median),
        ).unwrap();
    }
    page(title, 56.0 + row * bars.len() as f64, &body)
}

/// Lines through points, both axes from 0.
pub(crate) fn lines(
    title: &str,
    x_axis: &str,
    y_axis: &str,
    lines: &[(String, Vec<(f64, f64)>)],
) -> String {
    let points = || lines.iter().flat_map(|(_, points)| points);
    let x_most = points().map(|(x, _)| *x).fold(f64::MIN_POSITIVE, f64::max);
    let y_most = points().map(|(_, y)| *y).fold(f64::MIN_POSITIVE, f64::max);
    let (left, right, top, bottom) = (60.0, WIDTH - 190.0, 44.0, 320.0);
    let place = |(x, y): (f64, f64)| {
        (left + x / x_most * (right - left), bottom - y / y_most * (bottom - top))
    };
    let mut body = format!(
        r#"<path d="M{left} {top}V{bottom}H{right}" fill="none" stroke="black"/><text x="{right}" y="{:.0}" text-anchor="end">{x_axis}: {}</text><text x="{left}" y="{:.0}">{y_axis}: {}</text>"#,
        bottom + 18.0,
        number(x_most),
        top - 6.0,
        number(y_most),
    );
    for (index, (name, points)) in lines.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let path: Vec<String> = points
            .iter()
            .map(|point| place(*point))
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        let y = top + 18.0 * index as f64;
        write!(
            body,
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2"/><text x="{:.0}" y="{y:.0}" fill="{colour}">{name}</text>"#,
            path.join(" "),
            right + 10.0,
        ).unwrap();
    }
    page(title, bottom + 30.0, &body)
}

fn page(title: &str, height: f64, body: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" font-family=\"sans-serif\" font-size=\"13\"><rect width=\"100%\" height=\"100%\" fill=\"white\"/><text x=\"12\" y=\"22\" font-weight=\"bold\">{title}</text>{body}</svg>\n"
    )
}
