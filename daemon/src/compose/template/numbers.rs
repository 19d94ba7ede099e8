//! Which expressions of a template are numbers, whatever the values are?

use minijinja::machinery::ast::{BinOpKind, Expr, UnaryOpKind};

use super::language::{LOOP_NUMBERS, NUMBER_FILTERS};

/// Whether an expression is a number, whatever the values are.
pub(super) fn is_number(expression: &Expr<'_>) -> bool {
    match expression {
        Expr::Const(constant) => constant.value.is_number(),
        Expr::UnaryOp(operation) => matches!(operation.op, UnaryOpKind::Neg) && is_number(&operation.expr),
        Expr::BinOp(operation) => match operation.op {
            BinOpKind::Add | BinOpKind::Mul => is_number(&operation.left) && is_number(&operation.right),
            BinOpKind::Sub | BinOpKind::Div | BinOpKind::FloorDiv | BinOpKind::Rem | BinOpKind::Pow => true,
            BinOpKind::Eq
            | BinOpKind::Ne
            | BinOpKind::Lt
            | BinOpKind::Lte
            | BinOpKind::Gt
            | BinOpKind::Gte
            | BinOpKind::ScAnd
            | BinOpKind::ScOr
            | BinOpKind::Concat
            | BinOpKind::In => false,
        },
        Expr::IfExpr(choice) => is_number(&choice.true_expr) && choice.false_expr.as_ref().is_some_and(is_number),
        Expr::Filter(filter) => NUMBER_FILTERS.contains(&filter.name),
        Expr::GetAttr(part) => LOOP_NUMBERS.contains(&part.name),
        _ => false,
    }
}
