//! Where a session stands.

/// What a session joins, and which it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Path and query, such as `/room/7`; of a URL with its marks filled in.
    pub path: String,
    /// Its room or topic.
    pub room: u32,
    /// Its number over all workers.
    pub session: u32,
    /// It only publishes: what comes is nobody's.
    pub is_publisher: bool,
}

impl Place {
    /// `text` with `{room}` and `{session}` filled in.
    pub fn fill(&self, text: &str) -> String {
        text.replace("{room}", &self.room.to_string()).replace("{session}", &self.session.to_string())
    }
}

/// A place that has nothing but a path.
impl From<&str> for Place {
    fn from(path: &str) -> Place {
        Place { path: path.to_owned(), room: 0, session: 0, is_publisher: false }
    }
}
