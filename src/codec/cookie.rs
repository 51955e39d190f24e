//! `Set-Cookie` as browsers read it: RFC 6265 §5.

use jiff::Timestamp;
use jiff::civil::date;
use jiff::tz::TimeZone;

/// A cookie that a server sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetCookie {
    pub name: String,
    pub value: String,
    /// Below which paths it is sent; `None`: the folder of the path that was asked for.
    pub path: Option<String>,
    /// When it is gone; `None`: with the session.
    pub expires: Option<Expiry>,
}

/// When a cookie is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// So many seconds from now; 0 or less: at once.
    After(i64),
    At(Timestamp),
}

impl SetCookie {
    /// Reads a header's value; `None`: it sets nothing (§5.2).
    pub fn read(text: &str) -> Option<SetCookie> {
        let mut parts = text.split(';');
        let (name, value) = parts.next()?.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        if name.is_empty() || !(name.bytes().chain(value.bytes())).all(|b| (b' '..=b'~').contains(&b)) {
            return None;
        }
        let mut cookie = SetCookie { name: name.to_owned(), value: value.to_owned(), path: None, expires: None };
        for part in parts {
            let (key, said) = part.split_once('=').map_or((part.trim(), ""), |(key, said)| (key.trim(), said.trim()));
            match key.to_ascii_lowercase().as_str() {
                "path" => cookie.path = said.starts_with('/').then(|| said.to_owned()),
                // Max-Age beats Expires, wherever it stands.
                "max-age" => cookie.expires = said.parse().ok().map(Expiry::After).or(cookie.expires),
                "expires" if !matches!(cookie.expires, Some(Expiry::After(_))) => {
                    cookie.expires = instant(said).map(Expiry::At).or(cookie.expires);
                }
                _ => {}
            }
        }
        Some(cookie)
    }

    /// The path below which it is sent, by the path that was asked for (§5.1.4).
    pub fn path_for(&self, asked: &str) -> String {
        let asked = asked.split('?').next().unwrap_or("/");
        self.path.clone().unwrap_or_else(|| match asked.rfind('/') {
            Some(1..) if asked.starts_with('/') => asked[..asked.rfind('/').unwrap_or(0)].to_owned(),
            _ => "/".to_owned(),
        })
    }
}

/// Whether a cookie of `path` is sent with a request for `asked` (§5.1.4).
pub fn is_sent(path: &str, asked: &str) -> bool {
    let asked = asked.split('?').next().unwrap_or("/");
    asked.strip_prefix(path).is_some_and(|rest| rest.is_empty() || path.ends_with('/') || rest.starts_with('/'))
}

/// A date as servers write it, in whatever order (§5.1.1).
fn instant(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for token in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == ':')).filter(|token| !token.is_empty()) {
        let number = || token.parse::<i16>().ok().filter(|_| token.len() <= 4);
        let lower = token.to_ascii_lowercase();
        let of_clock: Vec<i8> = token.split(':').map_while(|part| part.parse().ok()).collect();
        if let (None, [hour, minute, second]) = (time, of_clock.as_slice()) {
            time = Some((*hour, *minute, *second));
        } else if let (None, Some(at)) = (month, MONTHS.iter().position(|name| lower.starts_with(name))) {
            month = Some(at as i8 + 1);
        } else if let (None, Some(number @ 1..=31)) = (day, number().filter(|_| token.len() <= 2)) {
            day = Some(number as i8);
        } else if let (None, Some(number)) = (year, number()) {
            year = Some(match number {
                0..=69 => number + 2000,
                70..=99 => number + 1900,
                year => year,
            });
        }
    }
    let ((hour, minute, second), day, month, year) = (time?, day?, month?, year?);
    let day = jiff::civil::Date::new(year, month, day).ok().filter(|day| *day >= date(1601, 1, 1))?;
    let time = jiff::civil::Time::new(hour, minute, second, 0).ok()?;
    Some(day.to_datetime(time).to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(text: &str) -> SetCookie {
        SetCookie::read(text).unwrap()
    }

    #[test]
    fn a_cookie_is_its_name_its_value_and_where_it_is_sent() {
        let cookie = set("sid = a=b ; Path=/chat; HttpOnly; Secure; SameSite=Lax");
        assert_eq!((cookie.name.as_str(), cookie.value.as_str()), ("sid", "a=b"));
        assert_eq!((cookie.path.as_deref(), cookie.expires), (Some("/chat"), None));
        assert_eq!(set("a=").value, "");
        for none in ["", "a", "=b", "a\u{1}=b", "a=\u{e9}"] {
            assert_eq!(SetCookie::read(none), None, "{none:?}");
        }
    }

    #[test]
    fn a_cookie_without_a_path_is_that_of_the_folder() {
        let path = |asked: &str| set("a=b").path_for(asked);
        assert_eq!([path("/chat/1?x=/y"), path("/chat"), path("/"), path("")], ["/chat", "/", "/", "/"]);
        assert_eq!(set("a=b; path=x").path_for("/chat/1"), "/chat");
        assert_eq!(set("a=b; Path=/").path_for("/chat/1"), "/");
    }

    #[test]
    fn it_is_sent_below_its_path() {
        for (path, asked) in [("/", "/a/b"), ("/a", "/a"), ("/a", "/a/b"), ("/a/", "/a/b"), ("/a", "/a?b")] {
            assert!(is_sent(path, asked), "{path} {asked}");
        }
        for (path, asked) in [("/a", "/ab"), ("/a/", "/a"), ("/b", "/a"), ("/a/b", "/a")] {
            assert!(!is_sent(path, asked), "{path} {asked}");
        }
    }

    #[test]
    fn dates_are_read_as_servers_write_them() {
        let at = |text: &str| set(&format!("a=b; Expires={text}")).expires;
        let want = Some(Expiry::At("2015-10-21T07:28:00Z".parse().unwrap()));
        assert_eq!(at("Wed, 21 Oct 2015 07:28:00 GMT"), want);
        assert_eq!(at("Wednesday, 21-Oct-15 07:28:00 GMT"), want);
        assert_eq!(at("Wed Oct 21 07:28:00 2015"), want);
        assert_eq!(at("Thu, 01 Jan 1970 00:00:00 GMT"), Some(Expiry::At(Timestamp::UNIX_EPOCH)));
        assert_eq!([at("tomorrow"), at("31 Feb 2015 01:02:03"), at("")], [None; 3]);
        assert_eq!(set("a=b; Max-Age=0; Expires=Wed, 21 Oct 2099 07:28:00 GMT").expires, Some(Expiry::After(0)));
        assert_eq!(set("a=b; Max-Age=x").expires, None);
    }

    proptest! {
        #[test]
        fn nothing_panics(text in ".{0,60}", date in "[0-9:, a-zA-Z-]{0,40}") {
            let _ = SetCookie::read(&text);
            let _ = SetCookie::read(&format!("a=b; expires={date}"));
        }
    }
}
