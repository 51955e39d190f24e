//! A scenario's text as an error may quote it: secrets are stars of the same length, so that every place in it stays what
//! it is.

use super::redact::{behind_scheme, is_secret, secret_values};
use std::ops::Range;

/// `text` with every secret replaced by as many `*` as it had bytes. The text need not be TOML: it may be shown just
/// because it is none.
pub fn mask_scenario(text: &str) -> String {
    let mut secret = secret_values(text);
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        of_urls(line, start, &mut secret);
        of_names(text, line, start, &mut secret);
        start += line.len();
    }
    let is_secret = |at: usize| secret.iter().any(|range| range.contains(&at));
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        // What holds a value stays, so that one sees which value is meant.
        match c.is_whitespace() || "\"'[]{},".contains(c) || !is_secret(at) {
            true => out.push(c),
            false => out.extend(std::iter::repeat_n('*', c.len_utf8())),
        }
    }
    out
}

/// What stands before the `@` of a URL, and the values of its query.
fn of_urls(line: &str, start: usize, secret: &mut Vec<Range<usize>>) {
    let mut searched = 0;
    while let Some(at) = behind_scheme(&line[searched..]) {
        let from = searched + at;
        searched = from;
        let url = line[from..].split(|c: char| c.is_whitespace() || "\"'<>`".contains(c)).next().unwrap_or("");
        let authority = url.find(['/', '?', '#']).map_or(url, |end| &url[..end]);
        if let Some(at) = authority.rfind('@') {
            secret.push(start + from..start + from + at);
        }
        let mut pair = url.find('?').map_or(url.len(), |at| at + 1);
        while pair < url.len() {
            let end = url[pair..].find('&').map_or(url.len(), |at| pair + at);
            match url[pair..end].split_once('=') {
                // A room or session to be filled in.
                Some((_, value)) if value.starts_with('{') => {}
                Some((name, _)) => secret.push(start + from + pair + name.len() + 1..start + from + end),
                None => {}
            }
            pair = end + 1;
        }
    }
}

/// Everything that follows a name that says that it is secret: to the line's end, or to that of a text of several lines.
fn of_names(text: &str, line: &str, start: usize, secret: &mut Vec<Range<usize>>) {
    for (at, _) in line.match_indices(['=', ':']) {
        let before = line[..at].trim_end();
        let is_name = |c: char| c.is_ascii_alphanumeric() || "_-.\"' ".contains(c);
        let name = before.rfind(|c: char| !is_name(c)).map_or(before, |end| &before[end..]);
        if !is_secret(name) || line[at..].starts_with("://") {
            continue;
        }
        let value = start + at + 1;
        let quotes = ["\"\"\"", "'''"].into_iter().find(|quotes| text[value..].trim_start().starts_with(quotes));
        let several = quotes.map(|quotes| {
            let opened = value + text[value..].find(quotes).unwrap_or(0) + quotes.len();
            text[opened..].find(quotes).map_or(text.len(), |end| opened + end)
        });
        secret.push(value..several.unwrap_or(0).max(start + line.len()));
        return;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn places_stay_and_secrets_go() {
        let text = "a = \"ws://joe:hunter2@h/p?key=hunter2&room={room}\"\nCookie = 'hunter2'\nb = \"kept\"\n";
        let shown = "a = \"ws://***********@h/p?key=*******&room={room}\"\nCookie = '*******'\nb = \"kept\"\n";
        assert_eq!(mask_scenario(text), shown);
        let text = "a = \"unix:/s?k=hunter2\"\nauth = { basic = \"joe:hunter2\" }\nauth.basic = \"hunter2\"\n";
        let shown = "a = \"unix:/s?k=*******\"\nauth = { ***** * \"***********\" }\nauth.basic = \"*******\"\n";
        assert_eq!(mask_scenario(text), shown);
    }

    #[test]
    fn a_text_that_is_no_toml_is_masked_as_well() {
        for text in ["token = \"hunter2", "x = { token = hunter2, \"", "api-key = \"\"\"\nhunter2\n"] {
            let shown = mask_scenario(text);
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn values_of_several_lines_are_masked() {
        let shown = mask_scenario("[token]\nx = 7\nlist = [\n  \"hunter2\",\n  'héctor' ]\n");
        assert!(!shown.contains("hunter2") && !shown.contains("ctor") && !shown.contains('7'), "{shown}");
    }

    proptest! {
        #[test]
        fn no_place_moves(text in "(.|\n|token = |\"\"\"|ws://|\\?a=|@){0,60}") {
            let shown = mask_scenario(&text);
            prop_assert_eq!(shown.len(), text.len());
            for (at, c) in text.char_indices() {
                prop_assert!(shown.is_char_boundary(at));
                prop_assert_eq!(c == '\n', shown[at..].starts_with('\n'));
            }
        }
    }
}
