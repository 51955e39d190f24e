//! What to draw, in the figures' own units.

use super::palette::{Ink, Rgb};

/// One picture: panels above one another that share a title and a legend.
#[derive(Debug, Clone, PartialEq)]
pub struct ChartSpec {
    /// States what is seen.
    pub title: String,
    /// What is drawn, and the conditions.
    pub subtitle: String,
    pub panels: Vec<Panel>,
    pub legend: Vec<Entry>,
    /// Pixels, of all panels together.
    pub height: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    pub x: Axis,
    pub y: Axis,
    /// Named ranges of x, behind everything.
    pub bands: Vec<Band>,
    /// In drawing order.
    pub marks: Vec<Mark>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// With the unit.
    pub label: String,
    pub scale: Scale,
    pub ticks: Vec<Tick>,
    /// Whether a line crosses the panel at each tick.
    pub grid: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Tick {
    pub at: f64,
    pub label: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale {
    /// Also downwards, `from` > `to`.
    Linear { from: f64, to: f64 },
    /// Both ends over 0.
    Log { from: f64, to: f64 },
    /// Quantiles from 0 to `to` < 1, each nine as wide as the one before.
    Nines { to: f64 },
}

#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    pub from: f64,
    pub to: f64,
    pub label: String,
    pub shaded: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Mark {
    Line {
        points: Vec<(f64, f64)>,
        ink: Ink,
        /// Whether each point is marked.
        dots: bool,
    },
    /// A bar along x, centred on `y` and as high as `thickness`.
    Bar {
        from: f64,
        to: f64,
        y: f64,
        thickness: f64,
        fill: Rgb,
    },
    Dot {
        x: f64,
        y: f64,
        fill: Rgb,
    },
    /// A circle with nothing in it.
    Ring {
        x: f64,
        y: f64,
        ink: Rgb,
    },
    /// A larger ring around a dot: where it is that a line is about.
    Target {
        x: f64,
        y: f64,
        ink: Rgb,
    },
    /// A shape that can be told from the others without its colour.
    Sign {
        x: f64,
        y: f64,
        shape: Shape,
        ink: Rgb,
    },
    /// Words beside a point.
    Text {
        x: f64,
        y: f64,
        text: String,
        align: Align,
    },
}

/// All about as large as a dot, but drawn heavier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Cross,
    Diamond,
    Square,
    /// Points on in a line's direction: the line goes on outside the picture.
    ArrowLeft,
    ArrowRight,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// A line of the legend.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub label: String,
    pub swatch: Swatch,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Swatch {
    Line(Ink),
    Fill(Rgb),
    Dot(Rgb),
    Ring(Rgb),
    Target(Rgb),
    Sign(Shape, Rgb),
}

impl Scale {
    /// Where `value` lies, 0 at the start and 1 at the end; outside values at the nearer end.
    pub fn place(self, value: f64) -> f64 {
        let share = match self {
            Scale::Linear { from, to } => (value - from) / (to - from),
            Scale::Log { from, to } => (value.max(f64::MIN_POSITIVE) / from).ln() / (to / from).ln(),
            Scale::Nines { to } => nines(value.min(to)) / nines(to),
        };
        if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// How many nines `q` has: 0.9 → 1, 0.99 → 2.
fn nines(q: f64) -> f64 {
    -(1.0 - q).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_place_their_ends_and_what_is_between() {
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} ≠ {b}");
        close(Scale::Linear { from: 10.0, to: 0.0 }.place(2.5), 0.75);
        close(Scale::Log { from: 1.0, to: 100.0 }.place(10.0), 0.5);
        close(Scale::Nines { to: 0.999 }.place(0.9), 1.0 / 3.0);
        close(Scale::Nines { to: 0.999 }.place(1.0), 1.0);
        close(Scale::Log { from: 1.0, to: 100.0 }.place(0.0), 0.0);
        close(Scale::Linear { from: 1.0, to: 1.0 }.place(1.0), 0.0);
        close(Scale::Linear { from: 0.0, to: 1.0 }.place(f64::NAN), 0.0);
    }
}
