//! Names that are too long for a picture, cut so that a reader can still tell them apart.

/// At most `most` characters of `name`: both its ends, since names of a kind differ at either.
pub fn shortened(name: &str, most: usize) -> String {
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= most {
        return name.to_owned();
    }
    let kept = most.saturating_sub(1);
    let (head, tail) = (kept.div_ceil(2), kept / 2);
    letters[..head].iter().chain(['…'].iter()).chain(&letters[letters.len() - tail..]).collect()
}

/// The same of two names that stand beside one another: where both ends are alike, what they differ in is what is kept.
pub fn told_apart(names: [&str; 2], most: usize) -> [String; 2] {
    let cut = names.map(|name| shortened(name, most));
    if cut[0] != cut[1] || names[0] == names[1] {
        return cut;
    }
    let alike = names[0].chars().zip(names[1].chars()).take_while(|(one, other)| one == other).count();
    let before = alike.saturating_sub(most / 4);
    names.map(|name| shortened(&std::iter::once('…').chain(name.chars().skip(before)).collect::<String>(), most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_of_a_long_name_are_kept() {
        assert_eq!(shortened("websocket", 9), "websocket");
        assert_eq!(shortened("a-very-long-name-of-an-arm", 11), "a-ver…n-arm");
        assert_eq!(shortened("ééééé", 4).chars().count(), 4);
    }

    #[test]
    fn names_that_differ_are_never_cut_to_the_same() {
        let long = "x".repeat(60);
        for (one, other) in [
            (format!("./server --old {long}"), format!("./server --new {long}")),
            (format!("{long} a {long}"), format!("{long} b {long}")),
            (format!("{long}a"), format!("{long}b")),
            (format!("a{long}"), format!("b{long}")),
            (format!("{long}{long}"), format!("{long}{long}x")),
            ("short".to_owned(), long.clone()),
        ] {
            let [a, b] = told_apart([&one, &other], 23);
            assert_ne!(a, b);
            assert!(a.chars().count() <= 23 && b.chars().count() <= 23, "{a} {b}");
        }
        let [a, b] = told_apart([&long, &long], 23);
        assert_eq!(a, b, "they are the same");
    }
}
