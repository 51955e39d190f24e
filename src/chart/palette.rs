//! One colour a transport, everywhere, that people who see few colours can tell apart (Okabe and Ito, 2008); variants of
//! one transport share its hue and differ in lightness and dashes.

use crate::result::Document;

/// A colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rgb(pub u8, pub u8, pub u8);

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ink {
    pub colour: Rgb,
    pub dash: Dash,
    /// Pixels.
    pub width: f64,
}

/// Later ones are drawn over earlier ones, whose colour shows through their gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dash {
    Solid,
    Long,
    Short,
    /// Theory, and nothing else.
    Dots,
}

/// The inks of a document's cells.
pub struct Inks(Vec<Ink>);

// The page's style sheet knows the first four by their values, and turns them dark where the reader's screen is.
pub const PAPER: Rgb = Rgb(0xFF, 0xFF, 0xFF);
pub const TEXT: Rgb = Rgb(0x1B, 0x1F, 0x24);
pub const MUTED: Rgb = Rgb(0x5B, 0x63, 0x6D);
pub const GRID: Rgb = Rgb(0xE1, 0xE4, 0xE8);
pub const BAND: Rgb = Rgb(0xF0, 0xF2, 0xF4);
/// For legends that speak of shades, not of an arm.
pub const NEUTRAL: Rgb = Rgb(0x6E, 0x76, 0x81);

/// Of verdicts, which are no arm's: told apart by people who see no red or no green, and on a dark page.
pub const WORSE: Rgb = Rgb(0xC2, 0x3B, 0x22);
pub const BETTER: Rgb = Rgb(0x3B, 0x6F, 0xC9);

/// Okabe and Ito's yellow and black are left out: one is lost on white, the other on a dark page.
const COLOURS: &[(&str, Rgb)] = &[
    ("websocket", Rgb(0x00, 0x72, 0xB2)),
    ("tcp", Rgb(0xCC, 0x79, 0xA7)),
    ("udp", Rgb(0x8A, 0x8F, 0x98)),
    ("long-polling", Rgb(0xD5, 0x5E, 0x00)),
    ("short-polling", Rgb(0xE6, 0x9F, 0x00)),
    ("sse", Rgb(0x00, 0x9E, 0x73)),
    ("http-streaming", Rgb(0x56, 0xB4, 0xE9)),
    ("http", Rgb(0x8C, 0x51, 0x0A)),
];

/// Dashes of a transport's other arms, in their order, and how much lighter they are than the plain one.
const VARIANTS: [(Dash, f64); 5] =
    [(Dash::Long, 0.35), (Dash::Short, 0.5), (Dash::Solid, 0.6), (Dash::Short, 0.2), (Dash::Long, 0.65)];

impl Inks {
    /// The arm that is named like its transport is the plain one; the others are variants in their order. Cells of one arm
    /// share its ink.
    pub fn of(document: &Document) -> Inks {
        let cells: Vec<(&str, &str)> = document.cells.iter().map(|c| (c.arm.as_str(), c.transport.as_str())).collect();
        Inks::of_arms(&cells)
    }

    /// The same of arms with their transports.
    pub fn of_arms(cells: &[(&str, &str)]) -> Inks {
        let mut inks = Vec::with_capacity(cells.len());
        for (arm, transport) in cells {
            let mut arms: Vec<&str> = Vec::new();
            for (same, _) in cells.iter().filter(|(_, other)| other == transport) {
                if !arms.contains(same) {
                    arms.push(same);
                }
            }
            // A stable sort: the plain arm first, or else the one that stands first.
            arms.sort_by_key(|arm| arm != transport);
            inks.push(Ink::of(transport, arms.iter().position(|other| other == arm).unwrap_or(0)));
        }
        Inks(inks)
    }

    /// The ink of the document's cell number `at`.
    pub fn of_cell(&self, at: usize) -> Ink {
        self.0.get(at).copied().unwrap_or(Ink { colour: NEUTRAL, dash: Dash::Solid, width: 2.0 })
    }
}

impl Ink {
    fn of(transport: &str, variant: usize) -> Ink {
        let colour = COLOURS.iter().find(|(name, _)| *name == transport).map_or(NEUTRAL, |(_, colour)| *colour);
        let (dash, lighter) = match variant {
            0 => (Dash::Solid, 0.0),
            n => VARIANTS[(n - 1) % VARIANTS.len()],
        };
        Ink { colour: colour.lighter(lighter), dash, width: 2.0 }
    }

    /// For what theory says of the same arm.
    pub fn theory(self) -> Ink {
        Ink { dash: Dash::Dots, width: 2.4, ..self }
    }

    pub fn hex(self) -> String {
        self.colour.hex()
    }
}

impl Rgb {
    /// Mixed with white by `share`.
    pub fn lighter(self, share: f64) -> Rgb {
        let mix = |c: u8| (f64::from(c) + (255.0 - f64::from(c)) * share).round() as u8;
        Rgb(mix(self.0), mix(self.1), mix(self.2))
    }

    pub fn hex(self) -> String {
        format!("#{:02X}{:02X}{:02X}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::TransportKind;
    use crate::result::testing;

    #[test]
    fn every_transport_has_a_colour_of_its_own() {
        for kind in TransportKind::ALL {
            assert_eq!(COLOURS.iter().filter(|(name, _)| *name == kind.name()).count(), 1, "{kind}");
        }
        let mut colours: Vec<_> = COLOURS.iter().map(|(_, c)| c.hex()).collect();
        colours.sort();
        colours.dedup();
        assert_eq!(colours.len(), COLOURS.len());
    }

    #[test]
    fn a_variant_keeps_its_transports_hue_wherever_it_stands() {
        let mut document = testing::document();
        let mut variant = document.cells[0].clone();
        variant.arm = "websocket-tungstenite".into();
        document.cells.insert(0, variant);
        let inks = Inks::of(&document);
        assert_eq!((inks.of_cell(1).hex().as_str(), inks.of_cell(1).dash), ("#0072B2", Dash::Solid));
        assert_eq!((inks.of_cell(0).hex().as_str(), inks.of_cell(0).dash), ("#59A3CD", Dash::Long));
    }

    #[test]
    fn six_arms_of_one_transport_are_told_apart() {
        let inks: Vec<Ink> = (0..6).map(|variant| Ink::of("websocket", variant)).collect();
        for (at, ink) in inks.iter().enumerate() {
            assert!(inks[..at].iter().all(|other| other.colour != ink.colour), "{at}");
        }
    }

    #[test]
    fn every_load_of_an_arm_has_the_arms_ink() {
        let document = testing::capacity();
        let inks = Inks::of(&document);
        let of = |arm: &str| -> Vec<Ink> {
            let at = |(at, cell): (usize, &crate::result::Cell)| (cell.arm == arm).then(|| inks.of_cell(at));
            document.cells.iter().enumerate().filter_map(at).collect()
        };
        assert_eq!(of("websocket"), [Ink::of("websocket", 0); 3]);
        assert_eq!(of("tcp"), [Ink::of("tcp", 0); 2]);
    }
}
