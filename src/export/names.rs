//! Names that came from outside, made safe as names of files.

/// A file name for each of `arms`, in their order and without extension: letters, digits, `.`, `-` and `_` only, no
/// leading dot, at most 60 characters, no two the same.
pub fn file_names<'a>(arms: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut taken: Vec<String> = Vec::new();
    for arm in arms {
        let plain: String = arm
            .chars()
            .take(60)
            .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' })
            .collect();
        let plain = match plain.trim_start_matches('.') {
            "" => "arm".to_owned(),
            rest => rest.to_owned(),
        };
        // Some file systems don't tell case apart.
        let is_taken = |name: &str| taken.iter().any(|t| t.eq_ignore_ascii_case(name));
        let free = (2u32..).map(|n| format!("{plain}-{n}")).find(|name| !is_taken(name));
        taken.push(if is_taken(&plain) { free.unwrap_or_default() } else { plain });
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_escapes_its_folder() {
        let arms = ["websocket", "../../etc/passwd", "", "..", "WebSocket", "a/b", "a_b", "long polling µ"];
        let names = file_names(arms.into_iter());
        assert_eq!(
            names,
            ["websocket", "_.._etc_passwd", "arm", "arm-2", "WebSocket-2", "a_b", "a_b-2", "long_polling__"]
        );
        assert_eq!(file_names(["é".repeat(500).as_str()].into_iter())[0].len(), 60);
    }
}
