//! The ratios as a chart: a row a cell, a dot a contender, on a logarithmic scale.

use crate::results::Results;
use std::fmt::Write;

const LEFT: f64 = 185.0;
const WIDTH: f64 = 560.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 92.0;
const ROW: f64 = 18.0;
const BOTTOM: f64 = 30.0;
/// Where the scale may have a line.
const TICKS: [f64; 11] = [0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0, 8.0, 16.0, 32.0];
/// Told apart also by those who do not see all colours.
const COLOURS: [&str; 7] =
    ["#000000", "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9"];
const FULL: f64 = 0.85;
const PALE: f64 = 0.3;

/// From the ratio to the place on the paper.
struct Scale {
    least: f64,
    most: f64,
}

impl Scale {
    /// Wide enough for everything, and for the neighbourhood of 1 at least.
    fn for_all(ratios: impl Iterator<Item = f64>) -> Self {
        let (least, most) = ratios
            .fold((0.75_f64, 1.5_f64), |(least, most), ratio| (least.min(ratio), most.max(ratio)));
        Self { least: least / 1.05, most: most * 1.05 }
    }

    fn x(&self, ratio: f64) -> f64 {
        LEFT + WIDTH * (ratio / self.least).ln() / (self.most / self.least).ln()
    }
}

pub fn svg(results: &Results) -> String {
    let contenders = 0..results.contenders.len();
    let cells = 0..results.nr_plain;
    let all = cells.clone().flat_map(|cell| contenders.clone().map(move |who| (cell, who)));
    let scale = Scale::for_all(all.filter_map(|(cell, who)| results.ratio(cell, who)));
    let bottom = TOP + ROW * results.nr_plain as f64;
    let (width, height) = (LEFT + WIDTH + RIGHT, bottom + BOTTOM);

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    let reference = &results.contenders[0].name;
    let title = format!("Server CPU per delivery, as a ratio to that of {reference} (logarithmic)");
    label(&mut svg, 12.0, 22.0, "font-size=\"15\"", &title);
    label(&mut svg, 12.0, 40.0, "fill=\"#555555\"", &results.machine);
    legend(&mut svg, results);
    for tick in TICKS.iter().filter(|tick| (scale.least..=scale.most).contains(*tick)) {
        let x = scale.x(*tick);
        let colour = if *tick == 1.0 { "#000000" } else { "#dddddd" };
        let _ =
            writeln!(svg, "<path d=\"M{x:.1} {TOP}V{bottom}\" stroke=\"{colour}\" fill=\"none\"/>");
        label(&mut svg, x, bottom + 16.0, "text-anchor=\"middle\"", &tick.to_string());
    }
    for cell in cells {
        draw_row(&mut svg, results, &scale, cell);
    }
    svg.push_str("</svg>\n");
    svg
}

fn legend(svg: &mut String, results: &Results) {
    let mut x = LEFT;
    for (who, contender) in results.contenders.iter().enumerate() {
        dot(svg, [x, 62.0], who, FULL, &contender.name);
        label(svg, x + 9.0, 66.0, "", &contender.name);
        x += 30.0 + 7.0 * contender.name.len() as f64;
    }
    label(
        svg,
        LEFT - 12.0,
        TOP - 8.0,
        "text-anchor=\"end\" fill=\"#555555\"",
        "cell (pale: noisy)",
    );
}

fn draw_row(svg: &mut String, results: &Results, scale: &Scale, cell: usize) {
    let y = TOP + ROW * (cell as f64 + 0.5);
    label(svg, LEFT - 12.0, y + 4.0, "text-anchor=\"end\"", &results.cells[cell].to_string());
    for (who, contender) in results.contenders.iter().enumerate() {
        if let Some(ratio) = results.ratio(cell, who) {
            let opacity = if results.is_noisy(cell, who) { PALE } else { FULL };
            dot(svg, [scale.x(ratio), y], who, opacity, &format!("{}: {ratio:.2}", contender.name));
        }
    }
}

fn dot(svg: &mut String, [x, y]: [f64; 2], contender: usize, opacity: f64, title: &str) {
    let colour = COLOURS[contender % COLOURS.len()];
    let _ = writeln!(
        svg,
        "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.5\" fill=\"{colour}\" fill-opacity=\"{opacity}\">\
         <title>{}</title></circle>",
        escaped(title)
    );
}

fn label(svg: &mut String, x: f64, y: f64, style: &str, text: &str) {
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" {style}>{}</text>", escaped(text));
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
