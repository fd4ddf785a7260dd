//! The right name that a misspelt one was most likely meant to be.

/// Names less alike than this (Jaro-Winkler, 0 to 1) are no misspelling of each other.
const ALIKE: f64 = 0.75;

/// The one of `names` most like `wrong`, if any is like it at all.
pub fn nearest<'a>(wrong: &str, names: &[&'a str]) -> Option<&'a str> {
    let likeness = |name: &&str| strsim::jaro_winkler(wrong, name);
    let best = names.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(&best) >= ALIKE).then_some(best)
}

/// What to write instead of `wrong`: the nearest of `names`, or where none is near, all of them.
pub fn hint(wrong: &str, names: &[&str]) -> String {
    match nearest(wrong, names) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("known here: {}", names.join(", ")),
    }
}
