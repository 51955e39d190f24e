//! The cookies of one session: kept and sent by both of its connections, as a browser's tabs share theirs. What a cookie
//! says of hosts and of TLS is passed over: a session speaks to one target.

use crate::clock;
use crate::codec::cookie::{Expiry, SetCookie, is_sent};
use std::cell::RefCell;

/// What a target may have a session keep: so many cookies, each of so many bytes (RFC 6265 §6.1).
const MOST: usize = 50;
const LARGEST: usize = 4096;

/// Nothing is allocated until a cookie is set.
#[derive(Debug, Default)]
pub(super) struct Jar(RefCell<Vec<Cookie>>);

#[derive(Debug)]
struct Cookie {
    name: String,
    value: String,
    path: String,
}

impl Jar {
    /// Takes what a `Set-Cookie` of an answer to a request for `asked` says; whether that changed anything.
    pub fn take(&self, header: &[u8], asked: &str) -> bool {
        let Some(set) = std::str::from_utf8(header).ok().and_then(SetCookie::read) else { return false };
        let path = set.path_for(asked);
        let mut kept = self.0.borrow_mut();
        let before = kept.iter().position(|cookie| cookie.name == set.name && cookie.path == path);
        if is_gone(set.expires) {
            before.map(|at| kept.remove(at));
            return before.is_some();
        }
        if set.name.len() + set.value.len() + path.len() > LARGEST {
            return false;
        }
        match before {
            Some(at) => std::mem::replace(&mut kept[at].value, set.value.clone()) != set.value,
            None if kept.len() == MOST => false,
            None => {
                kept.push(Cookie { name: set.name, value: set.value, path });
                true
            }
        }
    }

    /// What a request for `asked` has as its `Cookie`, behind what it has anyway; `None`: nothing.
    pub fn header(&self, asked: &str, own: Option<&str>) -> Option<String> {
        let kept = self.0.borrow();
        let mut sent: Vec<&Cookie> = kept.iter().filter(|cookie| is_sent(&cookie.path, asked)).collect();
        // Those of longer paths first (§5.4).
        sent.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let pairs = sent.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value));
        let all: Vec<String> = own.map(str::to_owned).into_iter().chain(pairs).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

fn is_gone(expires: Option<Expiry>) -> bool {
    match expires {
        Some(Expiry::After(seconds)) => seconds <= 0,
        Some(Expiry::At(instant)) => instant <= clock::today().timestamp(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_is_sent_until_it_is_changed_or_deleted() {
        let jar = Jar::default();
        assert_eq!(jar.header("/", None), None);
        assert!(jar.take(b"node=3; Path=/", "/poll/1"));
        assert!(jar.take(b"sid=x; HttpOnly", "/poll/1?a=b"));
        assert_eq!(jar.header("/poll/2", None).as_deref(), Some("sid=x; node=3"));
        assert_eq!(jar.header("/other", Some("own=1")).as_deref(), Some("own=1; node=3"));
        assert!(!jar.take(b"node=3; Path=/", "/"), "nothing new");
        assert!(jar.take(b"node=4; Path=/; Max-Age=60", "/"));
        assert_eq!(jar.header("/", None).as_deref(), Some("node=4"));
        assert!(jar.take(b"node=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "/"));
        assert!(!jar.take(b"node=; Path=/; Max-Age=0", "/"), "it is gone already");
        assert_eq!(jar.header("/", None), None);
        assert!(!jar.take(b"\xff=1", "/"));
    }

    #[test]
    fn a_target_can_not_fill_the_memory() {
        let jar = Jar::default();
        for n in 0..1000 {
            jar.take(format!("c{n}=1").as_bytes(), "/");
        }
        assert_eq!(jar.0.borrow().len(), MOST);
        assert!(!jar.take(format!("c1={}", "x".repeat(LARGEST)).as_bytes(), "/"));
        assert!(jar.take(b"c1=2", "/"), "those that are kept can change");
    }
}
