//! One `[[group]]` of a mapping: an event about many rows, made once the last is read.
//!
//! It counts rows of a key and takes the median of a value. Anything richer is for another tool: its output is rows, too.

use std::collections::BTreeMap;
use std::sync::Arc;

use cel::Context;
use cel::common::types::{CelInt, CelString};

use super::expression::{Expression, Failure};
use super::functions::div_round;
use super::mapping::Mapping;
use super::row::{Columns, Record, Row};
use super::rule::{Made, Template};
use super::scope::Scope;

/// How many values all groups of a mapping hold together, eight bytes each, before the input is refused.
pub(super) const VALUES_MAX: usize = 50_000_000;

/// What is grouped and what is made of it.
#[derive(Debug)]
pub(super) struct Group {
    /// What rows are grouped by; null leaves a row out.
    pub(super) key: Expression,
    /// Rows that count; all without it.
    pub(super) when: Option<Expression>,
    /// What the median is taken of.
    pub(super) value: Option<Expression>,
    /// Groups of fewer rows make no event.
    pub(super) count_min: u64,
    /// The event.
    pub(super) template: Template,
}

/// The rows of one key so far.
#[derive(Debug)]
struct Members {
    count: u64,
    values: Vec<i64>,
    /// The first row: what the event's fields are taken from, and the line it is reported by.
    first: (u64, Record),
}

/// The rows of every key so far, in order of the key.
#[derive(Debug, Default)]
pub(super) struct Collected(BTreeMap<String, Members>);

impl Group {
    /// Every expression of the group.
    pub(super) fn expressions(&self) -> Vec<&Expression> {
        let own = [Some(&self.key), self.when.as_ref(), self.value.as_ref()];
        own.into_iter().flatten().chain(self.template.expressions()).collect()
    }

    /// The key and value of the scope's row; `None` if it does not belong to a group.
    pub(super) fn member(
        &self,
        context: &Context<'_, '_>,
        scope: &Scope<'_>,
    ) -> Result<Option<(String, Option<i64>)>, Failure> {
        if let Some(when) = &self.when
            && !when.is_true(context, scope)?
        {
            return Ok(None);
        }
        let Some(key) = self.key.text(context, scope)? else { return Ok(None) };
        let value = self.value.as_ref().map(|value| value.int(context, scope)).transpose()?;
        Ok(Some((key, value)))
    }

    /// The events of the groups collected, and what failed, with the line of the group's first row.
    pub(super) fn events(
        &self,
        mapping: &Mapping,
        columns: &Columns,
        collected: Collected,
    ) -> (Vec<Made>, Vec<(u64, Failure)>) {
        let (mut events, mut failures) = (Vec::new(), Vec::new());
        for (key, mut members) in collected.0 {
            if members.count < self.count_min {
                continue;
            }
            let (line, record) = &members.first;
            let row = Row { columns, record };
            let scope = Scope::new(&mapping.env, &mapping.variables, *line, row, None);
            let outer = scope.context();
            let mut context = outer.new_inner_scope();
            context.add_variable_as_val("key", Box::new(CelString::from(key)));
            context
                .add_variable_as_val("count", Box::new(CelInt::from(members.count.cast_signed())));
            if let Some(median) = median(&mut members.values) {
                context.add_variable_as_val("median", Box::new(CelInt::from(median)));
            }
            match self.template.event(&context, &scope) {
                Ok(event) => events.push(event),
                Err(failure) => failures.push((*line, failure)),
            }
        }
        (events, failures)
    }
}

impl Collected {
    /// Adds a row to the group of `key`.
    pub(super) fn add(&mut self, key: String, value: Option<i64>, line: u64, record: &Arc<Record>) {
        let members = self.0.entry(key).or_insert_with(|| Members {
            count: 0,
            values: Vec::new(),
            first: (line, Record::clone(record)),
        });
        members.count += 1;
        members.values.extend(value);
    }
}

/// The middle value, or the mean of the two middle ones rounded half to even; `None` without values.
fn median(values: &mut [i64]) -> Option<i64> {
    values.sort_unstable();
    let upper = *values.get(values.len() / 2)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *values.get(values.len() / 2 - 1)?;
    lower.checked_add(upper).and_then(|sum| div_round(sum, 2))
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_of_an_even_number_of_values_is_the_mean_of_the_middle_two() {
        assert_eq!(median(&mut []), None);
        assert_eq!(median(&mut [7]), Some(7));
        assert_eq!(median(&mut [9, 1, 5]), Some(5));
        assert_eq!(median(&mut [10, 1, 4, 7]), Some(6)); // 5.5
        assert_eq!(median(&mut [10, 1, 4, 5]), Some(4)); // 4.5
    }
}
