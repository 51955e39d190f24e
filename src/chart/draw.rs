//! Draws any [`ChartSpec`] as SVG, laid out by hand so that nothing overlaps: title, panels, a legend to their right.

use super::palette::{BAND, Dash, GRID, Ink, MUTED, PAPER, Rgb, TEXT};
use super::short::shortened;
use super::spec::{Align, Axis, ChartSpec, Entry, Mark, Panel, Shape, Swatch};
use plotters::backend::{DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, FontStyle, FontTransform, IntoFont as _, RGBColor, ShapeStyle, TextStyle};

/// Width of every chart, pixels.
pub const WIDTH: u32 = 960;
/// The backend's coordinates are integers: it is given this many for each pixel, for smooth curves.
const FINE: f64 = 8.0;
/// Width of a character ÷ font size, on the safe side for common sans-serif fonts.
const CHARACTER: f64 = 0.56;
/// Longest label from outside, characters.
pub const LONGEST: usize = 34;

const TITLE: f64 = 19.0;
const SMALL: f64 = 12.5;
const MARGIN: f64 = 16.0;
const LINE: f64 = 20.0;
const SWATCH: f64 = 26.0;

#[derive(Debug, thiserror::Error)]
#[error("cannot draw the chart {title:?}: {problem}")]
pub struct DrawError {
    title: String,
    problem: String,
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

/// The chart as an SVG document; the same spec gives the same bytes.
pub fn draw(spec: &ChartSpec) -> Result<String, DrawError> {
    let mut svg = String::new();
    let height = spec.height + header_height(spec) as u32;
    let size = ((f64::from(WIDTH) * FINE) as u32, (f64::from(height) * FINE) as u32);
    let mut canvas = Canvas { backend: SVGBackend::with_string(&mut svg, size) };
    canvas
        .chart(spec, f64::from(height))
        .map_err(|e| DrawError { title: spec.title.clone(), problem: e.to_string() })?;
    drop(canvas);
    Ok(with_label(&svg, size, (WIDTH, height), &spec.title))
}

/// The backend's root element says the fine size; readers want pixels, and those who can't see want the title.
fn with_label(svg: &str, fine: (u32, u32), size: (u32, u32), title: &str) -> String {
    let plain = format!("<svg width=\"{}\" height=\"{}\"", fine.0, fine.1);
    let label = clean(title).replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    let labelled = format!("<svg role=\"img\" aria-label=\"{label}\" width=\"{}\" height=\"{}\"", size.0, size.1);
    svg.replacen(&plain, &labelled, 1)
}

fn header_height(spec: &ChartSpec) -> f64 {
    let titles = wrap(&spec.title, TITLE, f64::from(WIDTH) - 2.0 * MARGIN).len();
    let subtitles = wrap(&spec.subtitle, SMALL, f64::from(WIDTH) - 2.0 * MARGIN).len();
    MARGIN + titles as f64 * 25.0 + subtitles as f64 * 17.0 + 6.0
}

/// A rectangle in pixels.
#[derive(Clone, Copy)]
struct Frame {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

/// Where words are put relative to their point.
#[derive(Clone, Copy)]
struct Placing(HPos, VPos);

const LEFT: Placing = Placing(HPos::Left, VPos::Center);
const RIGHT: Placing = Placing(HPos::Right, VPos::Center);
const CENTRE: Placing = Placing(HPos::Center, VPos::Center);
const BELOW: Placing = Placing(HPos::Center, VPos::Top);

struct Canvas<'a> {
    backend: SVGBackend<'a>,
}

impl Canvas<'_> {
    fn chart(&mut self, spec: &ChartSpec, height: f64) -> Drawn {
        self.fill(Frame { left: 0.0, top: 0.0, right: f64::from(WIDTH), bottom: height }, PAPER)?;
        let room = f64::from(WIDTH) - 2.0 * MARGIN;
        let mut y = MARGIN + 10.0;
        for line in wrap(&spec.title, TITLE, room) {
            self.text(&line, (MARGIN, y), TITLE, TEXT, LEFT, FontStyle::Bold)?;
            y += 25.0;
        }
        for line in wrap(&spec.subtitle, SMALL, room) {
            self.text(&line, (MARGIN, y - 2.0), SMALL, MUTED, LEFT, FontStyle::Normal)?;
            y += 17.0;
        }
        let top = header_height(spec);
        let longest = spec.legend.iter().map(|e| width(&short(&e.label), SMALL)).fold(0.0, f64::max);
        let legend = if spec.legend.is_empty() { 0.0 } else { longest + SWATCH + 30.0 };
        let right = f64::from(WIDTH) - MARGIN - legend;
        let each = (height - top - 8.0) / spec.panels.len().max(1) as f64;
        // Panels above one another share their left edge.
        let ticks = spec.panels.iter().flat_map(|p| &p.y.ticks).map(|t| width(&short(&t.label), SMALL));
        let names = if spec.panels.iter().any(|p| !p.y.label.is_empty()) { 24.0 } else { 0.0 };
        let left = MARGIN + names + ticks.fold(20.0, f64::max) + 10.0;
        for (n, panel) in spec.panels.iter().enumerate() {
            let names = if panel.bands.is_empty() { 8.0 } else { 20.0 };
            let top = top + n as f64 * each + names;
            self.panel(panel, Frame { left, top, right, bottom: top + each - names - 48.0 })?;
        }
        self.legend(&spec.legend, right + 24.0, top + 18.0)?;
        Ok(self.backend.present()?)
    }

    fn panel(&mut self, panel: &Panel, frame: Frame) -> Drawn {
        let at = |x: f64, y: f64| frame.at(&panel.x, &panel.y, x, y);
        for band in &panel.bands {
            let ((left, _), (right, _)) = (at(band.from, 0.0), at(band.to, 0.0));
            if band.shaded {
                self.fill(Frame { left, right, ..frame }, BAND)?;
            }
            // Above the panel, where no line can run through it.
            if right - left > width(&band.label, SMALL) {
                let middle = ((left + right) / 2.0, frame.top - 9.0);
                self.text(&band.label, middle, SMALL, MUTED, CENTRE, FontStyle::Normal)?;
            }
        }
        self.axes(panel, frame)?;
        for mark in &panel.marks {
            self.mark(mark, &at)?;
        }
        Ok(())
    }

    fn axes(&mut self, panel: &Panel, frame: Frame) -> Drawn {
        let grid = Ink { colour: GRID, dash: Dash::Solid, width: 1.0 };
        for tick in &panel.x.ticks {
            let x = frame.left + panel.x.scale.place(tick.at) * (frame.right - frame.left);
            self.line(&[(x, frame.top), (x, frame.bottom)], grid)?;
            self.text(&tick.label, (x, frame.bottom + 7.0), SMALL, MUTED, BELOW, FontStyle::Normal)?;
        }
        for tick in &panel.y.ticks {
            let y = frame.bottom - panel.y.scale.place(tick.at) * (frame.bottom - frame.top);
            if panel.y.grid {
                self.line(&[(frame.left, y), (frame.right, y)], grid)?;
            }
            self.text(&short(&tick.label), (frame.left - 8.0, y), SMALL, MUTED, RIGHT, FontStyle::Normal)?;
        }
        let ink = Ink { colour: MUTED, ..grid };
        self.line(&[(frame.left, frame.top), (frame.left, frame.bottom), (frame.right, frame.bottom)], ink)?;
        let middle = (frame.left + frame.right) / 2.0;
        self.text(&panel.x.label, (middle, frame.bottom + 27.0), SMALL, TEXT, BELOW, FontStyle::Normal)?;
        self.upright(&panel.y.label, (MARGIN + 6.0, (frame.top + frame.bottom) / 2.0))
    }

    fn mark(&mut self, mark: &Mark, at: &impl Fn(f64, f64) -> (f64, f64)) -> Drawn {
        match mark {
            Mark::Line { points, ink, dots } => {
                let points: Vec<_> = points.iter().map(|&(x, y)| at(x, y)).collect();
                self.line(&points, *ink)?;
                for point in points.iter().filter(|_| *dots) {
                    self.dot(*point, 2.6, ink.colour)?;
                }
                Ok(())
            }
            Mark::Bar { from, to, y, thickness, fill } => {
                let (a, b) = (at(*from, y - thickness / 2.0), at(*to, y + thickness / 2.0));
                let (left, right) = (a.0.min(b.0), a.0.max(b.0));
                self.fill(Frame { left, right, top: a.1.min(b.1), bottom: a.1.max(b.1) }, *fill)
            }
            Mark::Dot { x, y, fill } => {
                self.dot(at(*x, *y), 4.2, PAPER)?;
                self.dot(at(*x, *y), 3.2, *fill)
            }
            Mark::Ring { x, y, ink } => self.ring(at(*x, *y), *ink),
            Mark::Target { x, y, ink } => self.target(at(*x, *y), *ink),
            Mark::Sign { x, y, shape, ink } => self.sign(at(*x, *y), *shape, *ink),
            Mark::Text { x, y, text, align } => {
                let (px, py) = at(*x, *y);
                let (placing, gap) = match align {
                    Align::Left => (LEFT, 7.0),
                    Align::Right => (RIGHT, -7.0),
                };
                self.text(text, (px + gap, py), SMALL, TEXT, placing, FontStyle::Normal)
            }
        }
    }

    fn legend(&mut self, entries: &[Entry], left: f64, top: f64) -> Drawn {
        for (n, entry) in entries.iter().enumerate() {
            let y = top + n as f64 * LINE;
            let right = left + SWATCH;
            match entry.swatch {
                Swatch::Line(ink) => self.line(&[(left, y), (right, y)], ink)?,
                Swatch::Fill(fill) => {
                    self.fill(Frame { left: left + 6.0, right, top: y - 6.0, bottom: y + 6.0 }, fill)?;
                }
                Swatch::Dot(fill) => self.dot((left + SWATCH / 2.0 + 3.0, y), 3.2, fill)?,
                Swatch::Ring(ink) => self.ring((left + SWATCH / 2.0 + 3.0, y), ink)?,
                Swatch::Target(ink) => self.target((left + SWATCH / 2.0 + 3.0, y), ink)?,
                Swatch::Sign(shape, ink) => self.sign((left + SWATCH / 2.0 + 3.0, y), shape, ink)?,
            }
            self.text(&short(&entry.label), (right + 8.0, y), SMALL, TEXT, LEFT, FontStyle::Normal)?;
        }
        Ok(())
    }

    fn line(&mut self, points: &[(f64, f64)], ink: Ink) -> Drawn {
        let style =
            ShapeStyle { color: rgb(ink.colour).to_rgba(), filled: false, stroke_width: (ink.width * FINE) as u32 };
        for stretch in dashed(&thinned(points), ink.dash) {
            self.backend.draw_path(stretch.into_iter().map(fine), &style)?;
        }
        Ok(())
    }

    fn fill(&mut self, frame: Frame, colour: Rgb) -> Drawn {
        let corners = (fine((frame.left, frame.top)), fine((frame.right, frame.bottom)));
        Ok(self.backend.draw_rect(corners.0, corners.1, &rgb(colour).filled(), true)?)
    }

    fn dot(&mut self, at: (f64, f64), radius: f64, colour: Rgb) -> Drawn {
        Ok(self.backend.draw_circle(fine(at), (radius * FINE) as u32, &rgb(colour).filled(), true)?)
    }

    fn ring(&mut self, at: (f64, f64), colour: Rgb) -> Drawn {
        self.dot(at, 3.6, colour)?;
        self.dot(at, 2.4, PAPER)
    }

    fn target(&mut self, at: (f64, f64), colour: Rgb) -> Drawn {
        self.dot(at, 8.0, colour)?;
        self.dot(at, 6.2, PAPER)?;
        self.dot(at, 3.6, colour)
    }

    fn sign(&mut self, (x, y): (f64, f64), shape: Shape, colour: Rgb) -> Drawn {
        let ink = Ink { colour, dash: Dash::Solid, width: 3.0 };
        let corners = match shape {
            Shape::Cross => {
                self.line(&[(x - 5.0, y - 5.0), (x + 5.0, y + 5.0)], ink)?;
                return self.line(&[(x - 5.0, y + 5.0), (x + 5.0, y - 5.0)], ink);
            }
            Shape::Diamond => vec![(x, y - 6.5), (x + 6.5, y), (x, y + 6.5), (x - 6.5, y)],
            Shape::Square => vec![(x - 4.5, y - 4.5), (x + 4.5, y - 4.5), (x + 4.5, y + 4.5), (x - 4.5, y + 4.5)],
            Shape::ArrowLeft => vec![(x, y), (x + 8.0, y - 4.5), (x + 8.0, y + 4.5)],
            Shape::ArrowRight => vec![(x, y), (x - 8.0, y - 4.5), (x - 8.0, y + 4.5)],
        };
        Ok(self.backend.fill_polygon(corners.into_iter().map(fine), &rgb(colour).filled())?)
    }

    fn text(
        &mut self,
        text: &str,
        at: (f64, f64),
        size: f64,
        colour: Rgb,
        placing: Placing,
        style: FontStyle,
    ) -> Drawn {
        let style = font(size, style, colour).pos(Pos::new(placing.0, placing.1));
        Ok(self.backend.draw_text(&clean(text), &style, fine(at))?)
    }

    /// The name of a y axis, read from below.
    fn upright(&mut self, text: &str, at: (f64, f64)) -> Drawn {
        let style = font(SMALL, FontStyle::Normal, TEXT).transform(FontTransform::Rotate270);
        Ok(self.backend.draw_text(&clean(text), &style.pos(Pos::new(HPos::Center, VPos::Center)), fine(at))?)
    }
}

impl Frame {
    fn at(self, x_axis: &Axis, y_axis: &Axis, x: f64, y: f64) -> (f64, f64) {
        (
            self.left + x_axis.scale.place(x) * (self.right - self.left),
            self.bottom - y_axis.scale.place(y) * (self.bottom - self.top),
        )
    }
}

/// The backend divides font sizes by 1.24.
fn font(size: f64, style: FontStyle, colour: Rgb) -> TextStyle<'static> {
    let font = ("system-ui, sans-serif", size * FINE * 1.24).into_font().style(style);
    TextStyle { color: rgb(colour).to_backend_color(), ..TextStyle::from(font) }
}

fn rgb(colour: Rgb) -> RGBColor {
    RGBColor(colour.0, colour.1, colour.2)
}

fn fine((x, y): (f64, f64)) -> (i32, i32) {
    ((x * FINE).round() as i32, (y * FINE).round() as i32)
}

fn width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * CHARACTER * size
}

fn short(label: &str) -> String {
    shortened(label, LONGEST)
}

/// XML has no way to write control characters.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') { ' ' } else { c }).collect()
}

/// Breaks between words so that no line is wider than `room`; at most three lines.
fn wrap(text: &str, size: f64, room: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let word: String = word.chars().take(80).collect();
        match lines.last_mut() {
            Some(line) if width(line, size) + width(&word, size) + size < room => *line += &format!(" {word}"),
            _ => lines.push(word),
        }
    }
    lines.truncate(3);
    lines
}

/// Without the points that a reader couldn't tell from the one before.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut kept: Vec<(f64, f64)> = Vec::new();
    for (n, point) in points.iter().enumerate() {
        let is_end = n + 1 == points.len();
        if is_end || kept.last().is_none_or(|last| (last.0 - point.0).abs().max((last.1 - point.1).abs()) > 0.4) {
            kept.push(*point);
        }
    }
    kept
}

/// Cuts a line into the stretches that are drawn.
fn dashed(points: &[(f64, f64)], dash: Dash) -> Vec<Vec<(f64, f64)>> {
    let (on, off) = match dash {
        Dash::Solid => return vec![points.to_vec()],
        Dash::Long => (9.0, 4.0),
        Dash::Short => (4.0, 3.0),
        Dash::Dots => (2.0, 4.0),
    };
    let mut stretches = Vec::new();
    let mut open = points.first().map(|p| vec![*p]).unwrap_or_default();
    let (mut drawing, mut left) = (true, on);
    for pair in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        let length = (x1 - x0).hypot(y1 - y0);
        let mut done = 0.0;
        while length - done > left {
            done += left;
            let turn = (x0 + (x1 - x0) * done / length, y0 + (y1 - y0) * done / length);
            if drawing {
                open.push(turn);
                stretches.push(std::mem::take(&mut open));
            } else {
                open = vec![turn];
            }
            drawing = !drawing;
            left = if drawing { on } else { off };
        }
        left -= length - done;
        if drawing {
            open.push((x1, y1));
        }
    }
    stretches.extend((open.len() > 1).then_some(open));
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_cover_their_share_of_a_line() {
        let line = [(0.0, 0.0), (50.0, 0.0), (130.0, 0.0)];
        let stretches = dashed(&line, Dash::Long);
        let drawn: f64 = stretches.iter().map(|s| s[s.len() - 1].0 - s[0].0).sum();
        assert_eq!((stretches.len(), drawn), (10, 90.0));
        assert_eq!(dashed(&line, Dash::Solid), [line.to_vec()]);
        assert!(dashed(&[], Dash::Dots).is_empty());
    }

    #[test]
    fn long_words_are_cut_and_long_titles_broken() {
        assert_eq!(short("a-very-long-name-of-an-arm-and-longer"), "a-very-long-name-…n-arm-and-longer");
        assert_eq!(wrap("one two three", 10.0, 60.0), ["one two", "three"]);
        assert_eq!(wrap("", 10.0, 60.0), [""; 0]);
    }
}
