//! Which names, columns and functions an expression uses, found in its syntax tree.

use std::sync::Arc;

use cel::common::ast::{CallExpr, EntryExpr, Expr, LiteralValue};
use cel::{Context, Env, ExecutionError, IdedExpr};

/// What an expression uses.
#[derive(Default)]
pub(super) struct Uses {
    names: Vec<String>,
    /// Columns named on `row` and `prev`.
    pub(super) columns: Vec<String>,
    functions: Vec<Function>,
    /// Names a comprehension binds, innermost last.
    bound: Vec<String>,
}

struct Function {
    name: String,
    is_member: bool,
}

impl Uses {
    pub(super) fn of(expression: &IdedExpr) -> Self {
        let mut uses = Self::default();
        uses.collect(expression);
        uses
    }

    /// The first name that is neither known nor a type of CEL's.
    pub(super) fn unknown_name(&self, env: &Env, known: &[&str]) -> Option<&str> {
        let mut names = self.names.iter().map(String::as_str);
        names.find(|name| !known.contains(name) && env.types().find_type(name).is_none())
    }

    /// The first function that is not declared.
    pub(super) fn unknown_function(&self, env: &Arc<Env>) -> Option<&str> {
        let unknown = self.functions.iter().find(|function| !is_declared(env, function));
        unknown.map(|function| function.name.as_str())
    }

    fn collect(&mut self, expression: &IdedExpr) {
        match &expression.expr {
            Expr::Unspecified | Expr::Literal(_) => {}
            Expr::Ident(name) if self.bound.contains(name) => {}
            Expr::Ident(name) => self.names.push(name.clone()),
            Expr::Select(select) => {
                if is_row(&select.operand) {
                    self.columns.push(select.field.clone());
                }
                self.collect(&select.operand);
            }
            Expr::Call(call) => self.collect_call(call),
            Expr::List(list) => list.elements.iter().for_each(|element| self.collect(element)),
            Expr::Map(map) => map.entries.iter().for_each(|entry| self.collect_entry(&entry.expr)),
            Expr::Struct(fields) => {
                fields.entries.iter().for_each(|entry| self.collect_entry(&entry.expr));
            }
            Expr::Comprehension(comprehension) => {
                self.collect(&comprehension.iter_range);
                self.collect(&comprehension.accu_init);
                let depth = self.bound.len();
                self.bound.push(comprehension.iter_var.clone());
                self.bound.push(comprehension.accu_var.clone());
                self.bound.extend(comprehension.iter_var2.clone());
                self.collect(&comprehension.loop_cond);
                self.collect(&comprehension.loop_step);
                self.collect(&comprehension.result);
                self.bound.truncate(depth);
            }
        }
    }

    fn collect_entry(&mut self, entry: &EntryExpr) {
        match entry {
            EntryExpr::StructField(field) => self.collect(&field.value),
            EntryExpr::MapEntry(entry) => {
                self.collect(&entry.key);
                self.collect(&entry.value);
            }
        }
    }

    fn collect_call(&mut self, call: &CallExpr) {
        call.args.iter().for_each(|arg| self.collect(arg));
        if let ("_[_]", [operand, index]) = (call.func_name.as_str(), call.args.as_slice())
            && let (true, Expr::Literal(LiteralValue::String(column))) =
                (is_row(operand), &index.expr)
        {
            self.columns.push(column.inner().to_owned());
        }
        // Operators are calls too, of names no function can have.
        if !call.func_name.starts_with(|first: char| first.is_ascii_alphabetic()) {
            call.target.iter().for_each(|target| self.collect(target));
            return;
        }
        match call.target.as_deref().map(|target| &target.expr) {
            None => {
                self.functions.push(Function { name: call.func_name.clone(), is_member: false })
            }
            // `lists.range(3)` and `math.abs(x)` are functions with a dot in the name.
            Some(Expr::Ident(space))
                if space == "lists" || space == "math" || space == "strings" =>
            {
                self.functions.push(Function {
                    name: format!("{space}.{}", call.func_name),
                    is_member: false,
                });
            }
            Some(_) => {
                self.functions.push(Function { name: call.func_name.clone(), is_member: true });
                call.target.iter().for_each(|target| self.collect(target));
            }
        }
    }
}

fn is_row(expression: &IdedExpr) -> bool {
    matches!(&expression.expr, Expr::Ident(name) if name == "row" || name == "prev")
}

/// Asks the interpreter: a call of a declared function without arguments fails, but not for want of a declaration.
fn is_declared(env: &Arc<Env>, function: &Function) -> bool {
    // Macros stand for functions nobody can write.
    if function.name.contains('@') {
        return true;
    }
    let source = if function.is_member {
        format!("null.{}()", function.name)
    } else {
        format!("{}()", function.name)
    };
    let context = Context::with_env(Arc::clone(env));
    env.compile(&source).is_ok_and(|program| {
        !matches!(program.execute(&context), Err(ExecutionError::UndeclaredReference(_)))
    })
}
