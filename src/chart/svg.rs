//! Writing SVG: elements with places of one decimal, and text that is never markup.

use std::fmt::Write as _;

/// The width of every chart, in user units; it scales to its page.
pub(super) const WIDTH: f64 = 720.0;

/// Colors for light and dark. Lines differ by dash and marks by shape as well.
const STYLE: &str = ".gp{font:12px system-ui,sans-serif;fill:#1f2328}.gp line,.gp polyline{fill:none;stroke:#1f2328}\
.gp .grid{stroke:#d1d9e0}.gp .mark{stroke:#59636e;stroke-dasharray:1 3}.gp .limit{stroke:#9a6700;stroke-dasharray:8 4}\
.gp .canary{stroke:#b35900;stroke-width:2}.gp .stable{stroke:#0550ae;stroke-width:2;stroke-dasharray:5 3}\
.gp .fail{stroke:#cf222e;stroke-width:2}.gp .pass{stroke:#1a7f37;stroke-width:2;stroke-dasharray:5 3}\
.gp .band{fill:#b35900;fill-opacity:.18;stroke:none}.gp .dot{fill:#fff;stroke-dasharray:none}.gp .dim{fill:#59636e}\
@media(prefers-color-scheme:dark){.gp{fill:#e6edf3}.gp line,.gp polyline{stroke:#e6edf3}.gp .grid{stroke:#3d444d}\
.gp .mark{stroke:#9198a1}.gp .limit{stroke:#d29922}.gp .canary{stroke:#f0883e}.gp .stable{stroke:#58a6ff}\
.gp .fail{stroke:#f85149}.gp .pass{stroke:#3fb950}.gp .band{fill:#f0883e;fill-opacity:.25}.gp .dot{fill:#0d1117}\
.gp .dim{fill:#9198a1}}";

/// A mark on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A ring.
    Circle,
    /// A box.
    Square,
    /// A point up.
    Triangle,
}

/// Where a text stands at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// An `svg` element that is being written.
pub(super) struct Svg(String);

impl Svg {
    /// Begins a drawing of this height.
    pub(super) fn new(title: &str, description: &str, height: f64) -> Svg {
        let (title, description) = (escaped(title), escaped(description));
        Svg(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"gp\" role=\"img\" viewBox=\"0 0 {WIDTH} {height}\" \
             aria-label=\"{title}\"><title>{title}</title><desc>{description}</desc><style>{STYLE}</style>\n"
        ))
    }

    pub(super) fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), class: &str) {
        let _ =
            writeln!(self.0, "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>");
    }

    pub(super) fn polyline(&mut self, places: &[(f64, f64)], class: &str) {
        if places.len() > 1 {
            let _ = writeln!(self.0, "<polyline class=\"{class}\" points=\"{}\"/>", joined(places));
        }
    }

    pub(super) fn polygon(&mut self, places: &[(f64, f64)], class: &str) {
        if places.len() > 2 {
            let _ = writeln!(self.0, "<polygon class=\"{class}\" points=\"{}\"/>", joined(places));
        }
    }

    pub(super) fn shape(&mut self, shape: Shape, (x, y): (f64, f64), class: &str) {
        let _ = match shape {
            Shape::Circle => writeln!(self.0, "<circle class=\"{class} dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>"),
            Shape::Square => {
                let (x, y) = (x - 3.0, y - 3.0);
                writeln!(self.0, "<rect class=\"{class} dot\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"6\" height=\"6\"/>")
            }
            Shape::Triangle => {
                let corners = [(x, y - 4.0), (x + 4.0, y + 3.0), (x - 4.0, y + 3.0)];
                writeln!(self.0, "<polygon class=\"{class} dot\" points=\"{}\"/>", joined(&corners))
            }
        };
    }

    pub(super) fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escaped(text);
        let _ = writeln!(
            self.0,
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
        );
    }

    pub(super) fn finish(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }
}

fn joined(places: &[(f64, f64)]) -> String {
    places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ")
}

/// The text as XML shows it. Control characters, which XML may not hold, are left out.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_never_markup() {
        let mut svg = Svg::new("<img src=x onerror=alert(1)>", "\"'&\u{1b}[2J", 10.0);
        svg.text((0.0, 0.0), Anchor::Start, "dim", "</text><script>");
        let text = svg.finish();
        assert!(!text.contains("<img") && !text.contains("<script") && !text.contains('\u{1b}'), "{text}");
        assert!(text.contains("&quot;&#39;&amp;[2J"), "{text}");
    }
}
