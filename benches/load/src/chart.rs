//! The ratios as a chart: a row for each cell, a dot for each contender, on a logarithmic scale.

use crate::results::Results;
use plotters::coord::combinators::{BindKeyPoints, IntoLogRange};
use plotters::prelude::*;
use std::error::Error;

const WIDTH: u32 = 830;
const ROW: u32 = 18;
/// Title, legend and scale.
const AROUND_ROWS: u32 = 130;
/// The legend stands on the right, beyond the largest ratio.
const ROOM_FOR_LEGEND: f64 = 1.55;
const TICKS: [f64; 11] = [0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0, 8.0, 16.0, 32.0];
/// Colours that are told apart in all common kinds of colour blindness.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 0, 0),
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(213, 94, 0),
    RGBColor(86, 180, 233),
];
const FULL: f64 = 0.85;
const PALE: f64 = 0.3;

pub fn svg(results: &Results) -> Result<String, Box<dyn Error>> {
    let mut svg = String::new();
    draw(results, &mut svg).map_err(|error| error.to_string())?;
    Ok(svg)
}

fn draw<'a>(results: &'a Results, svg: &'a mut String) -> Result<(), Box<dyn Error + 'a>> {
    let (cells, contenders) = (results.plain_cells().len(), 0..results.contenders.len());
    let paper = SVGBackend::with_string(svg, (WIDTH, ROW * cells as u32 + AROUND_ROWS));
    let paper = paper.into_drawing_area();
    paper.fill(&WHITE)?;
    let title = format!("Server CPU per delivery, as a ratio to that of {}", results.contenders[0]);
    let paper = paper.titled(&title, ("sans-serif", 20))?;
    let paper = paper.titled(&results.notes[0], ("sans-serif", 14))?;

    let all = results.plain_cells().flat_map(|cell| contenders.clone().map(move |who| (cell, who)));
    let (least, most) = all
        .filter_map(|(cell, who)| results.ratio(cell, who))
        .fold((0.75_f64, 1.5_f64), |(least, most), ratio| (least.min(ratio), most.max(ratio)));
    let (least, most) = (least / 1.05, most * ROOM_FOR_LEGEND);
    let ticks = TICKS.into_iter().filter(|tick| (least..most).contains(tick)).collect();
    let scale = (least..most).log_scale().with_key_points(ticks);
    // The axis goes upwards, and the first cell belongs at the top.
    let mut chart = ChartBuilder::on(&paper)
        .margin(10)
        .x_label_area_size(45)
        .y_label_area_size(150)
        .build_cartesian_2d(scale, (0..cells - 1).into_segmented())?;
    let name = |row: &SegmentValue<usize>| match row {
        SegmentValue::CenterOf(row) => results.cells[cells - 1 - row].to_string(),
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .x_desc("ratio (logarithmic; pale: noisy)")
        .x_label_formatter(&f64::to_string)
        .y_labels(cells)
        .y_label_formatter(&name)
        .draw()?;
    for (who, contender) in results.contenders.iter().enumerate() {
        let colour = COLOURS[who % COLOURS.len()];
        let dots = results.plain_cells().filter_map(|cell| {
            let opacity = if results.is_noisy(cell, who) { PALE } else { FULL };
            let at = (results.ratio(cell, who)?, SegmentValue::CenterOf(cells - 1 - cell));
            Some(Circle::new(at, 4.5, colour.mix(opacity).filled()))
        });
        chart
            .draw_series(dots)?
            .label(contender)
            .legend(move |(x, y)| Circle::new((x + 10, y), 4.5, colour.mix(FULL).filled()));
    }
    chart
        .configure_series_labels()
        .background_style(WHITE)
        .border_style(BLACK.mix(0.3))
        .position(SeriesLabelPosition::UpperRight)
        .draw()?;
    paper.present()?;
    drop(chart);
    Ok(())
}
