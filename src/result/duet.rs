//! That a run was one side of a duet: two servers in one run, whose results belong together.

use serde::{Deserialize, Serialize};

/// Which duet, and which side of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DuetSide {
    /// Drawn for each duet; the same in the results of both sides.
    pub id: String,
    pub half: Half,
}

/// One of the two servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Half {
    /// The one to judge by.
    Base,
    /// The one that is judged.
    Candidate,
}

impl Half {
    pub const BOTH: [Half; 2] = [Half::Base, Half::Candidate];

    /// As on the command line and in the report's folder.
    pub fn name(self) -> &'static str {
        match self {
            Half::Base => "base",
            Half::Candidate => "candidate",
        }
    }
}
