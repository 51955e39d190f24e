//! "Did you mean": the known word that is nearest to a misspelt one.

/// The nearest of `known` to `text`, if it is near enough to have been meant.
pub fn nearest<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Comparing takes length × length; nobody mistypes into a word that long.
    if text.len() > 64 {
        return None;
    }
    let typed = text.to_lowercase().replace('_', "-");
    let distance = |word: &str| strsim::damerau_levenshtein(&typed, &word.replace('_', "-"));
    let (away, word) = known.into_iter().map(|word| (distance(word), word)).min_by_key(|(away, _)| *away)?;
    (away <= 1.max((word.len() + 1) / 3)).then_some(word)
}

/// What to do about an unknown word: the nearest known one, or all that are known.
pub fn hint<'a>(text: &str, what: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(word) = nearest(text, known.clone()) {
        return format!("did you mean `{word}`?");
    }
    let list: Vec<String> = known.into_iter().map(|word| format!("`{word}`")).collect();
    if list.is_empty() { format!("there is no {what}") } else { format!("{what}: {}", list.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["sessions", "rate", "connect_rate", "long-polling"];
        assert_eq!(nearest("sesions", known), Some("sessions"));
        assert_eq!(nearest("Rate", known), Some("rate"));
        assert_eq!(nearest("connect-rate", known), Some("connect_rate"));
        assert_eq!(nearest("long_polling", known), Some("long-polling"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest(&"s".repeat(1000), known), None);
        assert_eq!(hint("x", "known arms", ["a-long-name"]), "known arms: `a-long-name`");
    }
}
