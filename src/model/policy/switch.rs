//! Whether a squeeze type is looked for, and on which products. What it then finds is the type's business.

use std::collections::BTreeSet;

use crate::model::Text;

/// For which plans a squeeze type is looked for. A product is a plan, by its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    /// At all.
    pub is_enabled: bool,
    /// Only for these; for all, where it is empty.
    pub products: BTreeSet<Text>,
    /// Not for these.
    pub except_products: BTreeSet<Text>,
}

impl Default for Switch {
    /// For every plan, and where none is known.
    fn default() -> Self {
        Self { is_enabled: true, products: BTreeSet::new(), except_products: BTreeSet::new() }
    }
}

impl Switch {
    /// Is the type looked for on `plan`? A type limited to some plans is not, where no plan is known.
    pub fn is_on(&self, plan: Option<&str>) -> bool {
        self.is_enabled
            && (self.products.is_empty() || plan.is_some_and(|plan| self.products.contains(plan)))
            && !plan.is_some_and(|plan| self.except_products.contains(plan))
    }

    /// Does the answer depend on the plan?
    pub fn is_by_product(&self) -> bool {
        self.is_enabled && !(self.products.is_empty() && self.except_products.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_looked_for_on_the_plans_named_and_no_others() {
        let some = |names: &[&str]| names.iter().map(|name| Text::from(*name)).collect();
        let only = Switch { products: some(&["old"]), ..Switch::default() };
        let but = Switch { except_products: some(&["old"]), ..Switch::default() };
        let off = Switch { is_enabled: false, ..Switch::default() };
        for (switch, old, new, none) in [
            (Switch::default(), true, true, true),
            (only, true, false, false),
            (but, false, true, true),
            (off, false, false, false),
        ] {
            let answers = [Some("old"), Some("new"), None].map(|plan| switch.is_on(plan));
            assert_eq!(answers, [old, new, none], "{switch:?}");
        }
    }
}
