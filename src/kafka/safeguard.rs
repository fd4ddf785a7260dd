//! The safeguards that a control run of the fault tests may switch off, to show that the tests notice. Without the cargo feature
//! `faults`, which no release is built with, every safeguard is on and nothing here reads anything.

/// A safeguard against what the client library hides, or cannot know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Safeguard {
    /// Requests that the library repeated by itself are noticed.
    Interceptor,
    /// A producer nobody can vouch for is replaced, and the broker asked what became of its transaction.
    Retirement,
}

impl Safeguard {
    /// Whether it is in force.
    #[cfg(not(feature = "faults"))]
    pub(super) const fn is_on(self) -> bool {
        true
    }

    /// Whether it is in force: unless `GOODFAITH_WITHOUT` names it.
    ///
    /// # Panics
    /// If that names anything else: a control run without a misspelt safeguard would prove nothing.
    #[cfg(feature = "faults")]
    pub(super) fn is_on(self) -> bool {
        use std::sync::OnceLock;
        static OFF: OnceLock<Vec<Safeguard>> = OnceLock::new();
        #[expect(clippy::disallowed_methods, reason = "for control runs only, never in a release")]
        let off = || without(&std::env::var("GOODFAITH_WITHOUT").unwrap_or_default());
        !OFF.get_or_init(off).contains(&self)
    }
}

/// The safeguards named in `list`, separated by commas.
#[cfg(feature = "faults")]
fn without(list: &str) -> Vec<Safeguard> {
    let named = |name: &str| match name.trim() {
        "interceptor" => Safeguard::Interceptor,
        "retirement" => Safeguard::Retirement,
        other => panic!("GOODFAITH_WITHOUT: `{other}` is no safeguard: interceptor, retirement"),
    };
    list.split(',').filter(|name| !name.trim().is_empty()).map(named).collect()
}

#[cfg(all(test, feature = "faults"))]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_is_off() {
        assert_eq!(without(""), []);
        assert_eq!(without("retirement"), [Safeguard::Retirement]);
        assert_eq!(
            without("interceptor, retirement"),
            [Safeguard::Interceptor, Safeguard::Retirement]
        );
    }

    #[test]
    #[should_panic(expected = "`retirment` is no safeguard")]
    fn a_misspelt_safeguard_is_refused() {
        without("retirment");
    }
}
