//! CEL expressions of a mapping: compiled and checked once, evaluated for each row.
//!
//! A name, a function or a column an expression uses is looked up before the first row, so that a slip of the pen does not show
//! up only in the rows that reach it. Types are not checked: CEL finds them at run time, row by row.

use std::sync::Arc;

use cel::common::types::{CelBool, CelInt, CelNull, CelString};
use cel::common::value::CowVal;
use cel::{Context, Env, ExecutionError, Program, Value};

use super::functions;
use super::scope::Scope;
use super::uses::Uses;

/// Where in the mapping something stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Line of the mapping file, from 1.
    pub(super) line: usize,
    /// The key, as in `event[2].data.severity`.
    pub(super) key: String,
}

/// A compiled expression and where it stands.
#[derive(Debug)]
pub(super) struct Expression {
    program: Program,
    place: Arc<Place>,
    /// Columns it names on `row` and `prev`.
    columns: Vec<String>,
}

/// Why an expression has no value for a row. Holds nothing of the row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Failure {
    /// The expression.
    pub(super) place: Arc<Place>,
    /// What went wrong.
    pub(super) reason: String,
}

impl Expression {
    /// Compiles `source`, which may use the names in `known`, and no other.
    ///
    /// # Errors
    ///
    /// A message when it is not CEL, or uses a name or function that does not exist.
    pub(super) fn compile(
        env: &Arc<Env>,
        source: &str,
        place: Place,
        known: &[&str],
    ) -> Result<Self, String> {
        let program = env.compile(source).map_err(|error| parse_message(&error))?;
        let uses = Uses::of(program.expression());
        if let Some(name) = uses.unknown_name(env, known) {
            return Err(unknown("name", name, known));
        }
        if let Some(name) = uses.unknown_function(env) {
            return Err(unknown("function", name, functions::NAMES));
        }
        Ok(Self { program, place: Arc::new(place), columns: uses.columns })
    }

    /// Where it stands.
    pub(super) fn place(&self) -> &Arc<Place> {
        &self.place
    }

    /// The columns it names.
    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Its value in `context`.
    pub(super) fn evaluate<'e, 'v>(
        &'e self,
        context: &'e Context<'_, 'v>,
        scope: &Scope<'_>,
    ) -> Result<CowVal<'e, 'v>, Failure> {
        Value::resolve_val(self.program.expression(), context).map_err(|error| {
            scope.failed_variable(&error).unwrap_or_else(|| self.failure(describe(&error)))
        })
    }

    /// Its value, which must be true or false.
    pub(super) fn is_true(
        &self,
        context: &Context<'_, '_>,
        scope: &Scope<'_>,
    ) -> Result<bool, Failure> {
        let value = self.evaluate(context, scope)?;
        let value = value.downcast_ref::<CelBool>().map(|value| *value.inner());
        value.ok_or_else(|| self.failure("is neither true nor false".to_owned()))
    }

    /// Its value, which must be a text or null.
    pub(super) fn text(
        &self,
        context: &Context<'_, '_>,
        scope: &Scope<'_>,
    ) -> Result<Option<String>, Failure> {
        let value = self.evaluate(context, scope)?;
        if value.downcast_ref::<CelNull>().is_some() {
            return Ok(None);
        }
        let text = value.downcast_ref::<CelString<'_>>().map(|text| text.inner().to_owned());
        text.map(Some).ok_or_else(|| self.failure("is not a text".to_owned()))
    }

    /// Its value, which must be an int.
    pub(super) fn int(&self, context: &Context<'_, '_>, scope: &Scope<'_>) -> Result<i64, Failure> {
        let value = self.evaluate(context, scope)?;
        let value = value.downcast_ref::<CelInt>().map(|value| *value.inner());
        value.ok_or_else(|| self.failure("is not an int".to_owned()))
    }

    /// A failure of this expression.
    pub(super) fn failure(&self, reason: String) -> Failure {
        Failure { place: Arc::clone(&self.place), reason }
    }
}

/// Says that `name` does not exist, and which one may be meant.
pub(super) fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|known| (strsim::normalized_damerau_levenshtein(name, known), known))
        .filter(|(likeness, _)| *likeness > 0.5)
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    match nearest {
        Some((_, nearest)) => format!("no {what} `{name}`; did you mean `{nearest}`?"),
        None => format!("no {what} `{name}`"),
    }
}

fn parse_message(errors: &cel::ParseErrors) -> String {
    let first = errors.errors.first();
    first.map_or_else(
        || "is not CEL".to_owned(),
        |error| format!("is not CEL at character {}: {}", error.pos.1, error.msg),
    )
}

/// An error without the values in it, which may be personal.
fn describe(error: &ExecutionError) -> String {
    let kind = |value: &Value| value.type_of();
    match error {
        ExecutionError::FunctionError { function, message } => format!("{function}: {message}"),
        ExecutionError::NoSuchKey(key) => format!("no key `{key}`"),
        ExecutionError::UndeclaredReference(name) => format!("no name `{name}`"),
        ExecutionError::NoSuchOverload(overload) => overload.to_string(),
        ExecutionError::UnexpectedType { want, .. } => format!("a value is not of type {want}"),
        ExecutionError::UnsupportedBinaryOperator(operator, a, b) => {
            format!("cannot {operator} {} and {}", kind(a), kind(b))
        }
        ExecutionError::ValuesNotComparable(a, b) => {
            format!("cannot compare {} and {}", kind(a), kind(b))
        }
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "division by zero".to_owned()
        }
        ExecutionError::Overflow(..) => "integer overflow".to_owned(),
        ExecutionError::IndexOutOfBounds(_) => "index out of bounds".to_owned(),
        _ => "cannot be evaluated".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::row::{Columns, Record, Row};
    use super::super::scope::Variable;
    use super::*;

    const KNOWN: &[&str] = &["row", "prev", "line", "opened"];

    fn compile(source: &str) -> Result<Expression, String> {
        let env = Arc::new(functions::environment());
        Expression::compile(&env, source, Place { line: 1, key: "key".to_owned() }, KNOWN)
    }

    /// What a row of one JSON object maps to, as text, with the variable `opened`.
    fn value(source: &str, row: &str) -> String {
        let env = Arc::new(functions::environment());
        let place = Place { line: 1, key: "vars.opened".to_owned() };
        let opened = Expression::compile(&env, "row.at + 'Z'", place, KNOWN).unwrap();
        let variables = [Variable { name: "opened".to_owned(), expression: opened }];
        let (columns, record) =
            (Columns::default(), Record::Json(serde_json::from_str(row).unwrap()));
        let row = Row { columns: &columns, record: &record };
        let scope = Scope::new(&env, &variables, 7, row, None);
        match compile(source).unwrap().evaluate(&scope.context(), &scope) {
            Ok(value) => format!("{:?}", Value::try_from(value.as_ref()).unwrap()),
            Err(failure) => format!("{}: {}", failure.place.key, failure.reason),
        }
    }

    #[test]
    fn a_row_is_read_field_by_field_and_what_is_missing_is_null() {
        let row =
            r#"{"a": "x", "n": 2, "f": 1.5, "deep": {"b": [true, null]}, "Customer ID": "c"}"#;
        for (source, expected) in [
            ("row.a", r#"String("x")"#),
            ("row.n + 1", "Int(3)"),
            ("row.f", "Float(1.5)"),
            ("row.deep.b[0]", "Bool(true)"),
            ("row['Customer ID']", r#"String("c")"#),
            ("row.nothing == null && prev == null", "Bool(true)"),
            ("line", "Int(7)"),
            ("[1, 2].map(x, x * row.n)", "List([Int(2), Int(4)])"),
        ] {
            assert_eq!(value(source, row), expected, "{source}");
        }
    }

    #[test]
    fn a_failure_names_the_variable_at_fault_and_no_value() {
        assert_eq!(value("opened", r#"{"at": "12"}"#), r#"String("12Z")"#);
        assert_eq!(value("opened", r#"{"at": 12}"#), "vars.opened: cannot add int and string");
        assert!(!value("row.at > 3", r#"{"at": "secret"}"#).contains("secret"));
        assert!(!value("int(row.at)", r#"{"at": "secret"}"#).contains("secret"));
        assert!(!value("row.at.x", r#"{"at": "secret"}"#).contains("secret"));
    }

    #[test]
    fn what_does_not_exist_is_refused_before_the_first_row() {
        for (source, message) in [
            ("rwo.a", "no name `rwo`; did you mean `row`?"),
            (
                "prase_time(row.a, '%Y', 'UTC')",
                "no function `prase_time`; did you mean `parse_time`?",
            ),
            ("row.a.startWith('x')", "no function `startWith`; did you mean `startsWith`?"),
            ("lists.rnage(3)", "no function `lists.rnage`; did you mean `lists.range`?"),
            ("row.a ==", "is not CEL"),
        ] {
            let error = compile(source).unwrap_err();
            assert!(error.starts_with(message), "{source}: {error}");
        }
        for source in [
            "[1].all(x, x > 0) && has(row.a)",
            "math.greatest(1, 2)",
            "type(row.n) == int",
            "opened.trim()",
        ] {
            assert!(compile(source).is_ok(), "{source}");
        }
    }

    #[test]
    fn the_columns_an_expression_names_are_known() {
        let expression = compile("row.a + prev['b c'] + [row.d].map(x, x)[0]").unwrap();
        let mut columns = expression.columns().to_vec();
        columns.sort();
        assert_eq!(columns, ["a", "b c", "d"]);
    }
}
