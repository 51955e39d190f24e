//! `host`, `origin`, `auth` and `cookies` of an arm resolved, and the credentials of its URL.

use super::marks::{Check, Use, is_header_value};
use crate::catalog::{Auth, DialectKind, Identity, TargetUrl};
use crate::scenario::{self, Arm, At, Place, Problem};

/// `url`: of an arm whose requests have headers.
pub(super) fn build(arm: &Arm, url: Option<&At<TargetUrl>>, check: &mut Check) -> Identity {
    let host = arm.host.as_ref().map(|host| header("host", host, check));
    let origin = arm.origin.as_ref().map(|origin| header("origin", origin, check));
    let own = arm.auth.as_ref().map(|auth| (credentials(&auth.value, check), &auth.place));
    let of_url = url.and_then(|url| Some((Auth::Basic(decoded(url.userinfo.as_deref()?)), url)));
    if let (Some((_, place)), Some(_)) = (&own, &of_url) {
        let problem = Problem::new(place, "credentials stand in the URL as well");
        check.problems.push(problem.hint("keep one of them"));
    }
    if let Some((Auth::Basic(text), url)) = &of_url {
        check.text(text, &url.place, Use::Credentials);
    }
    check_once(arm, own.is_some() || of_url.is_some(), check.problems);
    let auth = own.map(|(auth, _)| auth).or(of_url.map(|(auth, _)| auth));
    Identity { host, origin, auth, cookies: arm.cookies.as_ref().is_none_or(|cookies| cookies.value) }
}

/// The value of a header, which can be sent.
fn header(name: &str, text: &At<String>, check: &mut Check) -> String {
    check.text(text, &text.place, Use::Header);
    if !is_header_value(text) || text.is_empty() || name == "host" && text.contains(char::is_whitespace) {
        let problem = Problem::at(text, format!("the value of `{name}` can't be sent as it is"));
        let example = if name == "host" { "chat.example.org" } else { "https://example.org" };
        check.problems.push(problem.hint(format!("write `{name} = \"{example}\"`")));
    }
    text.value.clone()
}

fn credentials(said: &scenario::Auth, check: &mut Check) -> Auth {
    match said {
        scenario::Auth::Basic(text) => {
            let known = check.with_environment(text, &text.place);
            check.text(&known, &text.place, Use::Credentials);
            // A mark or a variable may bring what is missing.
            if !known.contains(':') && !text.contains('{') {
                let problem = Problem::at(text, "there is no `:` between user and password");
                check.problems.push(problem.hint("write `basic = \"user:password\"`"));
            }
            Auth::Basic(known)
        }
        scenario::Auth::Bearer(text) => {
            let known = check.with_environment(text, &text.place);
            check.text(&known, &text.place, Use::Header);
            if !is_header_value(&known) {
                check.problems.push(Problem::at(text, "the token can't be sent as it is"));
            }
            Auth::Bearer(known)
        }
    }
}

/// What has a setting of its own isn't among the extra headers as well.
fn check_once(arm: &Arm, has_auth: bool, problems: &mut Vec<Problem>) {
    for (name, _) in arm.extra_headers.iter().flat_map(|headers| &headers.0) {
        let twice = match name.to_ascii_lowercase().as_str() {
            "origin" => arm.origin.is_some(),
            "authorization" => has_auth,
            _ => false,
        };
        if twice {
            let problem = Problem::at(name, format!("header `{}` would be sent twice", name.value));
            problems.push(problem.hint("leave it out here: it has a setting of its own"));
        }
    }
}

/// A URL of an arm without headers brings no credentials.
pub(super) fn refuse_userinfo(url: &At<TargetUrl>, arm: &At<String>, problems: &mut Vec<Problem>) {
    if url.userinfo.is_some() {
        let message = format!("arm `{}` has no headers that could carry user and password", arm.value);
        let hint = match (DialectKind::of_scheme(&url.scheme), &url.place) {
            (Some(spoken), _) => format!("`user` and `password` are settings of `[dialect.{spoken}]`"),
            (None, Place::Flag(_)) => "leave them out".to_owned(),
            (None, _) => "leave them out of the URL".to_owned(),
        };
        problems.push(Problem::at(url, message).hint(hint));
    }
}

/// Without its percent-encoding (RFC 3986 §2.1).
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let digits = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn userinfo_is_read_without_its_encoding() {
        assert_eq!(decoded("joe%40x:h%C3%A9%3a%2"), "joe@x:h\u{e9}:%2");
    }
}
