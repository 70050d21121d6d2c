//! "Did you mean": the valid word spelled most like a wrong one.

/// The longest word that is compared, in bytes.
const MAX_WORD: usize = 64;
/// How much of a wrong word is quoted back, in characters.
const MAX_QUOTE: usize = 100;

/// A word to quote in a message: the beginning of it if it is long.
#[must_use]
pub fn quote(word: &str) -> String {
    match word.char_indices().nth(MAX_QUOTE) {
        None => word.to_owned(),
        Some((end, _)) => format!("{}…", word.get(..end).unwrap_or_default()),
    }
}

/// The candidate nearest to `word`, if one is near enough to be worth naming.
///
/// Distance is Damerau–Levenshtein (insertions, deletions, substitutions and transpositions); a candidate is near when
/// the distance is at most a third of the longer word, and always when it is one.
#[must_use]
pub fn nearest<'a, I>(word: &str, candidates: I) -> Option<&'a str>
where
    I: IntoIterator<Item = &'a str>,
{
    if word.len() > MAX_WORD {
        return None;
    }
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| {
            let longer = word.chars().count().max(candidate.chars().count());
            *distance <= (longer / 3).max(1)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The clause that names a suggestion, or nothing: `; did you mean `x`?`.
#[must_use]
pub fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |word| format!("; did you mean `{word}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_slip_is_recognised_and_a_stranger_is_not() {
        let known = ["backup_failed", "security_threat"];
        assert_eq!(nearest("backup_faild", known), Some("backup_failed"));
        assert_eq!(nearest("secruity_threat", known), Some("security_threat"));
        assert_eq!(nearest("coffee", known), None);
        assert_eq!(nearest("", known), None);
    }
}
