//! What the names in expressions stand for while one row is mapped.

use std::sync::{Arc, OnceLock};

use cel::common::types::{CelInt, CelNull};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use cel::{Context, Env, ExecutionError, Value};

use super::expression::{Expression, Failure};
use super::row::Row;

/// A named expression, evaluated at most once a row.
#[derive(Debug)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) expression: Expression,
}

/// One row, the one before it, and the variables used so far.
pub(super) struct Scope<'a> {
    env: &'a Arc<Env>,
    row: Row<'a>,
    prev: Option<Row<'a>>,
    line: CelInt,
    variables: &'a [Variable],
    values: Vec<OnceLock<Result<Box<dyn Val>, Failure>>>,
}

static NULL: CelNull = CelNull;

impl<'a> Scope<'a> {
    /// The scope of the row on `line`, with the one before it of the same key.
    pub(super) fn new(
        env: &'a Arc<Env>,
        variables: &'a [Variable],
        line: u64,
        row: Row<'a>,
        prev: Option<Row<'a>>,
    ) -> Self {
        let values = variables.iter().map(|_| OnceLock::new()).collect();
        let line = CelInt::from(i64::try_from(line).unwrap_or(i64::MAX));
        Self { env, row, prev, line, variables, values }
    }

    /// A context whose names this scope resolves.
    pub(super) fn context(&self) -> Context<'_, '_> {
        let mut context = Context::with_env(Arc::clone(self.env));
        context.set_variable_resolver(self);
        context
    }

    fn variable(&self, index: usize) -> Option<CowVal<'_, '_>> {
        let value = self.values.get(index)?.get_or_init(|| {
            let expression = &self.variables.get(index).expect("one value a variable").expression;
            let context = self.context();
            let value = expression.evaluate(&context, self)?;
            // Copied: it must not borrow from the scope it is kept in.
            let value = Value::try_from(value.as_ref()).and_then(Box::<dyn Val>::try_from);
            value.map_err(|_| expression.failure("a variable cannot hold a row".to_owned()))
        });
        value.as_ref().ok().map(|value| CowVal::Borrowed(value.as_ref()))
    }

    /// The failure behind a name that could not be resolved because it is a variable without a value.
    pub(super) fn failed_variable(&self, error: &ExecutionError) -> Option<Failure> {
        let ExecutionError::UndeclaredReference(name) = error else { return None };
        let index = self.variables.iter().position(|variable| variable.name == **name)?;
        self.values.get(index)?.get()?.as_ref().err().cloned()
    }
}

impl VariableResolver for Scope<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        match name {
            "row" => Some(CowVal::Borrowed(&self.row)),
            "prev" => Some(
                self.prev.as_ref().map_or(CowVal::Borrowed(&NULL), |prev| CowVal::Borrowed(prev)),
            ),
            "line" => Some(CowVal::Borrowed(&self.line)),
            _ => self.variable(self.variables.iter().position(|variable| variable.name == name)?),
        }
    }
}
