//! One panel of a chart: an area with a time axis below and a value axis at its left, shared by all charts.

use super::{
    figure::{Mark, clock},
    scale::Scale,
    svg::{Anchor, Shape, Svg, WIDTH},
};

/// Where the area begins and ends; the rest is for what is written beside it.
const LEFT: f64 = 64.0;
const RIGHT: f64 = WIDTH - 16.0;
/// So many times are written below a panel.
const TIMES: usize = 5;
/// No more shapes on a line than tell it from others.
const MOST_SHAPES: usize = 20;
/// No more marks than a reader can distinguish.
const MOST_MARKS: usize = 12;

/// A line of a panel: its places in time order, `None` where it is interrupted.
pub(super) struct Line<'a> {
    pub(super) class: &'static str,
    pub(super) shape: Shape,
    pub(super) values: &'a [(i64, Option<f64>)],
}

/// An area between two heights, with a time axis.
pub(super) struct Panel {
    time: Scale,
    pub(super) value: Scale,
    top: f64,
    bottom: f64,
}

impl Panel {
    /// A panel of these times (unix seconds) between two heights.
    pub(super) fn new((from, to): (i64, i64), (top, bottom): (f64, f64), value: impl Fn((f64, f64)) -> Scale) -> Panel {
        let time = Scale::linear((from as f64, to as f64), (LEFT, RIGHT));
        Panel { time, value: value((bottom, top)), top, bottom }
    }

    /// Lines and names of the value axis.
    pub(super) fn grid(&self, svg: &mut Svg, name: impl Fn(f64) -> String) {
        for tick in self.value.ticks() {
            let y = self.value.place(tick);
            svg.line((LEFT, y), (RIGHT, y), "grid");
            svg.text((LEFT - 6.0, y + 4.0), Anchor::End, "dim", &name(tick));
        }
    }

    /// The times below.
    pub(super) fn times(&self, svg: &mut Svg, times: &[i64]) {
        let count = times.len();
        let shown = TIMES.min(count);
        let mut last = f64::NEG_INFINITY;
        for index in 0..shown {
            let at = times.get(index * (count - 1) / (shown - 1).max(1)).copied().unwrap_or_default();
            let x = self.time.place(at as f64);
            if x - last < 60.0 {
                continue;
            }
            last = x;
            let anchor = match x {
                _ if x < LEFT + 30.0 => Anchor::Start,
                _ if x > RIGHT - 30.0 => Anchor::End,
                _ => Anchor::Middle,
            };
            svg.text((x, self.bottom + 16.0), anchor, "dim", &clock(at));
        }
        svg.text((LEFT - 6.0, self.bottom + 16.0), Anchor::End, "dim", "UTC");
    }

    /// Vertical lines with their labels at the top.
    pub(super) fn marks(&self, svg: &mut Svg, marks: &[Mark], is_labeled: bool) {
        for (index, mark) in marks.iter().take(MOST_MARKS).enumerate() {
            let x = self.time.place(mark.at as f64);
            svg.line((x, self.top), (x, self.bottom), "mark");
            if is_labeled {
                let anchor = if x > RIGHT - 80.0 { Anchor::End } else { Anchor::Start };
                let side = if anchor == Anchor::End { -3.0 } else { 3.0 };
                let y = self.top + 12.0 + 12.0 * (index % 3) as f64;
                svg.text((x + side, y), anchor, "dim", &mark.label);
            }
        }
    }

    /// A level through the whole panel, with its name at the right, so far below it (or above).
    pub(super) fn level(&self, svg: &mut Svg, value: f64, class: &str, (name, below): (&str, f64)) {
        let y = self.value.place(value);
        svg.line((LEFT, y), (RIGHT, y), class);
        svg.text((RIGHT - 4.0, y + below), Anchor::End, "dim", name);
    }

    /// A line with its marks.
    pub(super) fn line(&self, svg: &mut Svg, line: &Line<'_>) {
        for part in line.values.split(|(_, value)| value.is_none()) {
            let places: Vec<(f64, f64)> =
                part.iter().filter_map(|(at, value)| Some(self.place(*at, (*value)?))).collect();
            svg.polyline(&places, line.class);
            // The line says where it goes; the shapes say which it is.
            let marked = places.iter().step_by(places.len().div_ceil(MOST_SHAPES).max(1));
            marked.for_each(|place| svg.shape(line.shape, *place, line.class));
        }
    }

    /// Where a value at a time is drawn.
    pub(super) fn place(&self, at: i64, value: f64) -> (f64, f64) {
        (self.time.place(at as f64), self.value.place(value))
    }

    /// What the lines mean, side by side above the panel.
    pub(super) fn legend(&self, svg: &mut Svg, entries: &[(&str, Shape, &str)]) {
        let y = self.top - 10.0;
        let mut x = LEFT;
        for (class, shape, name) in entries {
            svg.line((x, y - 4.0), (x + 28.0, y - 4.0), class);
            svg.shape(*shape, (x + 14.0, y - 4.0), class);
            svg.text((x + 34.0, y), Anchor::Start, "", name);
            x += 60.0 + 7.0 * name.chars().count() as f64;
        }
    }
}

/// The first and the last time.
pub(super) fn span(times: &[i64]) -> (i64, i64) {
    (times.first().copied().unwrap_or_default(), times.last().copied().unwrap_or_default())
}
