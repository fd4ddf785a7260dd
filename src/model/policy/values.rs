//! Declared values: which classes of evidence back what a firm says it stands for. Whether it lives up to them is for the
//! roll-ups to say.

use crate::model::Class;
use crate::model::nearest::hint;

/// The classes a pattern names, in order: a class (`COM.TRANSFER`), or all that begin alike (`TRA.*`).
///
/// # Errors
/// If it names none; in words, with the nearest right name.
pub(super) fn classes(pattern: &str) -> Result<Vec<Class>, String> {
    let is_meant = |class: &Class| match pattern.strip_suffix('*') {
        Some(start) => class.as_str().starts_with(start),
        None => class.as_str() == pattern,
    };
    let classes: Vec<Class> = Class::ALL.iter().copied().filter(is_meant).collect();
    if classes.is_empty() {
        let names: Vec<&str> = Class::ALL.iter().map(|class| class.as_str()).collect();
        return Err(format!("`{pattern}` is no class of evidence; {}", hint(pattern, &names)));
    }
    Ok(classes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_names_a_class_or_all_that_begin_alike() {
        assert_eq!(classes("COM.TRANSFER"), Ok(vec![Class::ComTransfer]));
        assert!(classes("TRA.*").unwrap().iter().all(|class| class.as_str().starts_with("TRA.")));
        assert_eq!(classes("*").unwrap(), Class::ALL);
        let wrong = classes("COM.TRANSFERS").unwrap_err();
        assert!(wrong.ends_with("did you mean `COM.TRANSFER`?"), "{wrong}");
    }
}
