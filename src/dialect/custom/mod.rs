//! A protocol that the scenario describes (`docs/targets/custom.md`).
//!
//! | file | what it does |
//! |---|---|
//! | `template.rs` | what is said: text or bytes with marks |
//! | `correlate.rs` | what came: payloads and numbers in it, and which message a reply is for |
//! | `talk.rs` | one session's conversation |
//! | `http.rs` | its requests |
//! | `rules.rs` | the settings, read once for all sessions |
//! | `check.rs` | what makes no sense in them |

use super::{Dialect, Form, HttpFace, Place, Receive, Talk};
use crate::catalog::{self, HeaderProfile, TransportKind};
use crate::values::Values;
use rules::Rules;
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

mod check;
mod correlate;
mod http;
mod rules;
mod talk;
mod template;

pub use check::{Asked, flaws};

/// Something in the settings that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// Where: `publish`, `answers.0.when`, `http.poll.path`.
    pub path: String,
    /// Bytes of the text that stands there; `None`: all of it.
    pub part: Option<Range<usize>>,
    pub message: String,
    pub hint: String,
}

/// Collects flaws, and knows where it is.
#[derive(Debug, Default)]
struct Flaws {
    path: Vec<String>,
    found: Vec<Flaw>,
    /// The scenario's values. `None`: what is named is one of them, since the plan has let it pass.
    values: Option<Values>,
}

impl Flaws {
    /// Of settings that are held against the scenario's values.
    fn against(values: &Values) -> Flaws {
        Flaws { values: Some(values.clone()), ..Flaws::default() }
    }

    /// Whether a session has a value of this name, or its own number.
    fn knows(&self, name: &str) -> bool {
        self.values.as_ref().is_none_or(|values| values.knows(name))
    }

    fn add(&mut self, part: Option<Range<usize>>, message: impl Into<String>, hint: impl Into<String>) {
        self.found.push(Flaw { path: self.path.join("."), part, message: message.into(), hint: hint.into() });
    }

    fn within<T>(&mut self, key: impl ToString, read: impl FnOnce(&mut Flaws) -> T) -> T {
        self.path.push(key.to_string());
        let read = read(self);
        self.path.pop();
        read
    }

    fn found(self) -> Vec<Flaw> {
        self.found
    }
}

thread_local! {
    /// The rules read last: a worker has one cell, and all of its sessions share them.
    static READ: RefCell<Option<(catalog::Custom, Rc<Rules>)>> = const { RefCell::new(None) };
}

pub(super) struct Custom {
    rules: Rc<Rules>,
}

impl Custom {
    pub(super) fn new(settings: &catalog::Custom) -> Custom {
        READ.with_borrow_mut(|read| match read {
            Some((known, rules)) if known == settings => Custom { rules: rules.clone() },
            _ => {
                // What makes no sense in them the plan has refused.
                let rules = Rc::new(Rules::read(settings, &mut Flaws::default()));
                *read = Some((settings.clone(), rules.clone()));
                Custom { rules }
            }
        })
    }
}

impl Dialect for Custom {
    fn talk(&self, place: &Place, transport: TransportKind) -> Option<Box<dyn Talk>> {
        Some(Box::new(talk::CustomTalk::new(self.rules.clone(), place, transport)))
    }

    fn request(&self, place: &Place, _: HeaderProfile) -> Form {
        let rules = self.rules.http.request.as_ref();
        let usual = Form { method: None, path: place.path.clone(), headers: Vec::new() };
        rules.map_or(usual, |request| request.form(place))
    }

    fn http(&self, place: &Place, sid: u64, receive: Receive) -> Box<dyn HttpFace> {
        Box::new(http::CustomHttp::new(self.rules.clone(), place, sid, receive))
    }
}
