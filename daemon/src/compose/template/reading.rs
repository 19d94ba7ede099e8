//! What of a template is allowed, which variables it uses, and whether it is only pieces of text around them.
//!
//! The tree that is looked at is the one that minijinja compiles. Each kind of node is named here, so one that a later
//! version adds is noticed. Three things are kept out besides what reaches for other templates: what makes a text longer
//! without saying so to anybody (`*` repeats, `~` doubles what was made before, blocks are captured), values within values,
//! and what minijinja keeps as a chain and takes apart by recursion (a slice of a slice).

use std::collections::HashSet;

use minijinja::machinery::{
    self, Span,
    ast::{BinOpKind, Call, CallArg, Expr, ForLoop, IfCond, Spanned, Stmt},
};

use super::{
    Mistake, Piece, Place, Syntax,
    depth::check_depth,
    language::{
        FILTERS, JOINTS_MAX, LIST_ENTRIES_MAX, LOOP_CALLS, LOOP_FACTS, LOOP_NUMBERS, MARKUP_FILTERS, NAME_BYTES_MAX,
        NUMBER_FILTERS, OWN_NAMES, TESTS,
    },
    numbers::is_number,
    whitespace,
};
use crate::domain::merge::MERGE_VARIABLES_MAX;

/// What a template turned out to be.
pub(super) enum Read {
    /// Text with values in between, and the steps that minijinja would take for it.
    Pieces { pieces: Vec<Piece>, steps: u64 },
    /// More than that.
    Program,
}

/// Reads a template, and adds the variables it uses to `variables` unless they are there.
pub(super) fn read(text: &str, syntax: Syntax, variables: &mut Vec<String>) -> Result<Read, Mistake> {
    check_depth(text)?;
    let tree = machinery::parse(text, "template", whitespace()).map_err(|error| Mistake::of(text, &error))?;
    let mut reader = Reader {
        text,
        syntax,
        variables,
        made: HashSet::new(),
        scopes: vec![HashSet::new()],
        loops: 0,
        joints: 0,
        slices: 0,
        made_uses: 0,
    };
    let Stmt::Template(template) = &tree else { return Err(Mistake::at(text, 0, "this is no template")) };
    reader.note_made(&template.children);
    reader.statements(&template.children)?;
    Ok(reader.pieces(&template.children).unwrap_or(Read::Program))
}

struct Reader<'t, 'v> {
    text: &'t str,
    syntax: Syntax,
    variables: &'v mut Vec<String>,
    /// All names that the template gives values of its own.
    made: HashSet<&'t str>,
    /// The names that have such a value here.
    scopes: Vec<HashSet<&'t str>>,
    /// How many loops this is within.
    loops: usize,
    /// How many `~` were met.
    joints: usize,
    /// How many slices were met.
    slices: usize,
    /// How often a name was met that the template gives a value of its own somewhere.
    made_uses: usize,
}

type Checked = Result<(), Mistake>;

impl<'t> Reader<'t, '_> {
    fn wrong(&self, span: Span, reason: impl Into<String>) -> Mistake {
        Mistake::at(self.text, span.start_offset as usize, reason)
    }

    /// Takes note of the names that `set`, `with` and `for` give, wherever they do.
    fn note_made(&mut self, statements: &[Stmt<'t>]) {
        for statement in statements {
            match statement {
                Stmt::Set(set) => self.note_target(&set.target),
                Stmt::WithBlock(with) => {
                    with.assignments.iter().for_each(|(target, _)| self.note_target(target));
                    self.note_made(&with.body);
                }
                Stmt::ForLoop(each) => {
                    self.note_target(&each.target);
                    self.note_made(&each.body);
                    self.note_made(&each.else_body);
                }
                Stmt::IfCond(condition) => {
                    self.note_made(&condition.true_body);
                    self.note_made(&condition.false_body);
                }
                _ => {}
            }
        }
    }

    fn note_target(&mut self, target: &Expr<'t>) {
        if let Expr::Var(name) = target {
            self.made.insert(name.id);
        }
    }

    fn statements(&mut self, statements: &[Stmt<'t>]) -> Checked {
        statements.iter().try_for_each(|statement| self.statement(statement))
    }

    /// Statements that keep the names to themselves which they give.
    fn block(&mut self, statements: &[Stmt<'t>]) -> Checked {
        self.scopes.push(HashSet::new());
        self.statements(statements)?;
        self.scopes.pop();
        Ok(())
    }

    fn statement(&mut self, statement: &Stmt<'t>) -> Checked {
        match statement {
            Stmt::EmitRaw(_) => Ok(()),
            Stmt::EmitExpr(emit) => self.expression(&emit.expr),
            Stmt::IfCond(condition) => self.condition(condition),
            Stmt::ForLoop(each) => self.each(each),
            Stmt::WithBlock(with) => {
                self.scopes.push(HashSet::new());
                for (target, value) in &with.assignments {
                    self.make(target, value)?;
                }
                self.statements(&with.body)?;
                self.scopes.pop();
                Ok(())
            }
            Stmt::Set(set) => self.make(&set.target, &set.expr),
            Stmt::Template(inner) => Err(self.unknown(inner.span(), "a template within one")),
            Stmt::SetBlock(inner) => Err(self.unknown(inner.span(), "set with a block")),
            Stmt::FilterBlock(inner) => Err(self.unknown(inner.span(), "filter with a block")),
            Stmt::AutoEscape(inner) => Err(self.unknown(inner.span(), "autoescape")),
            Stmt::Do(inner) => Err(self.unknown(inner.span(), "do")),
        }
    }

    fn unknown(&self, span: Span, what: &str) -> Mistake {
        self.wrong(span, format!("{what} is not supported: if, for, set, with and raw are"))
    }

    fn condition(&mut self, condition: &IfCond<'t>) -> Checked {
        self.expression(&condition.expr)?;
        self.block(&condition.true_body)?;
        self.block(&condition.false_body)
    }

    fn each(&mut self, each: &Spanned<ForLoop<'t>>) -> Checked {
        if each.recursive {
            return Err(self.wrong(each.span(), "recursive loops are not supported"));
        }
        self.expression(&each.iter)?;
        self.scopes.push(HashSet::new());
        self.give(&each.target)?;
        self.loops += 1;
        each.filter_expr.iter().try_for_each(|filter| self.expression(filter))?;
        self.statements(&each.body)?;
        self.loops -= 1;
        self.scopes.pop();
        self.block(&each.else_body)
    }

    /// A value that gets a name.
    fn make(&mut self, target: &Expr<'t>, value: &Expr<'t>) -> Checked {
        let before = (self.slices, self.made_uses);
        self.expression(value)?;
        // A slice holds on to its list: slices of slices would be a chain as long as the template is.
        if self.slices > before.0 && self.made_uses > before.1 {
            let reason =
                "[:] within set or with takes parts of what recipients bring, and of nothing that has been made";
            return Err(self.wrong(value.span(), reason));
        }
        self.give(target)
    }

    fn give(&mut self, target: &Expr<'t>) -> Checked {
        let Expr::Var(name) = target else { return Err(self.wrong(target.span(), "only one name can stand here")) };
        if OWN_NAMES.contains(&name.id) {
            return Err(self.wrong(name.span(), format!("{} has a meaning of its own", name.id)));
        }
        self.scopes.last_mut().expect("the whole template is a scope").insert(name.id);
        Ok(())
    }

    fn expression(&mut self, expression: &Expr<'t>) -> Checked {
        match expression {
            Expr::Var(name) => self.variable(name.id, name.span()),
            Expr::Const(_) => Ok(()),
            Expr::Slice(slice) => {
                self.slices += 1;
                self.expression(&slice.expr)?;
                let ends = [&slice.start, &slice.stop, &slice.step];
                ends.into_iter().flatten().try_for_each(|end| self.expression(end))
            }
            Expr::UnaryOp(operation) => self.expression(&operation.expr),
            Expr::BinOp(operation) if matches!(operation.op, BinOpKind::Concat) => {
                self.joint([&operation.left, &operation.right], operation.span())
            }
            Expr::BinOp(operation) => {
                let (left, right) = (&operation.left, &operation.right);
                self.operator(operation.op, [left, right], operation.span())?;
                self.expression(left)?;
                self.expression(right)
            }
            Expr::Compare(comparison) => {
                self.expression(&comparison.expr)?;
                comparison.ops.iter().try_for_each(|next| self.expression(&next.expr))
            }
            Expr::IfExpr(choice) => {
                self.expression(&choice.test_expr)?;
                self.expression(&choice.true_expr)?;
                choice.false_expr.iter().try_for_each(|other| self.expression(other))
            }
            Expr::Filter(filter) => self.filter(filter.name, filter.expr.as_ref(), &filter.args, filter.span()),
            Expr::Test(test) => {
                if !TESTS.contains(&test.name) {
                    return Err(self.wrong(test.span(), format!("there is no test {:?}", shown(test.name))));
                }
                self.expression(&test.expr)?;
                self.arguments(&test.args, test.span())
            }
            Expr::GetAttr(part) if self.is_of_loop(&part.expr, part.name, &[&LOOP_NUMBERS, &LOOP_FACTS]) => Ok(()),
            Expr::GetAttr(part) => {
                let reason = format!("values have no parts: .{} is not known", shown(part.name));
                Err(self.wrong(part.span(), reason))
            }
            Expr::GetItem(item) => {
                self.expression(&item.expr)?;
                self.expression(&item.subscript_expr)
            }
            Expr::Call(call) => self.call(call),
            Expr::List(list) => self.entries(&list.items, list.span()),
            Expr::Tuple(list) => self.entries(&list.items, list.span()),
            Expr::Map(map) => Err(self.wrong(map.span(), "maps are not supported")),
        }
    }

    /// Takes note of a variable, unless it is the template's own.
    fn variable(&mut self, name: &'t str, span: Span) -> Checked {
        self.made_uses += usize::from(self.made.contains(name));
        if self.scopes.iter().any(|scope| scope.contains(name)) {
            return Ok(());
        }
        if OWN_NAMES.contains(&name) {
            let reason = format!("{name} is no variable: loop.index and range(3) are known");
            return Err(self.wrong(span, reason));
        }
        if name.len() > NAME_BYTES_MAX {
            return Err(self.wrong(span, format!("the name {}… is longer than {NAME_BYTES_MAX} bytes", shown(name))));
        }
        if self.variables.iter().any(|variable| variable == name) {
            return Ok(());
        }
        if self.variables.len() == MERGE_VARIABLES_MAX {
            return Err(self.wrong(span, format!("more than {MERGE_VARIABLES_MAX} variables are used")));
        }
        self.variables.push(name.to_owned());
        Ok(())
    }

    fn operator(&mut self, operator: BinOpKind, operands: [&Expr<'t>; 2], span: Span) -> Checked {
        match operator {
            BinOpKind::Add | BinOpKind::Mul if !operands.into_iter().all(is_number) => {
                let reason = "+ and * are for numbers, such as price|int * 2; ~ joins texts";
                Err(self.wrong(span, reason))
            }
            BinOpKind::Eq
            | BinOpKind::Ne
            | BinOpKind::Lt
            | BinOpKind::Lte
            | BinOpKind::Gt
            | BinOpKind::Gte
            | BinOpKind::ScAnd
            | BinOpKind::ScOr
            | BinOpKind::Add
            | BinOpKind::Sub
            | BinOpKind::Mul
            | BinOpKind::Div
            | BinOpKind::FloorDiv
            | BinOpKind::Rem
            | BinOpKind::Pow
            | BinOpKind::Concat
            | BinOpKind::In => Ok(()),
        }
    }

    /// A `~` joins what recipients bring: of what the template made, each loop or `set` would double the one before.
    fn joint(&mut self, operands: [&Expr<'t>; 2], span: Span) -> Checked {
        self.joints += 1;
        if self.joints > JOINTS_MAX {
            return Err(self.wrong(span, format!("more than {JOINTS_MAX} ~ are used")));
        }
        for operand in operands {
            let made_uses = self.made_uses;
            self.expression(operand)?;
            if is_number(operand) {
                self.made_uses = made_uses;
            } else if self.made_uses > made_uses {
                let reason = "~ joins what recipients bring, and nothing that set, with or for has made";
                return Err(self.wrong(operand.span(), reason));
            }
        }
        Ok(())
    }

    fn filter(&mut self, name: &str, value: Option<&Expr<'t>>, arguments: &[CallArg<'t>], span: Span) -> Checked {
        let is_number_filter = NUMBER_FILTERS.contains(&name);
        let is_markup = MARKUP_FILTERS.contains(&name);
        let is_known = is_number_filter || FILTERS.contains(&name) || (is_markup && self.syntax != Syntax::Url);
        if !is_known {
            return Err(self.wrong(span, format!("there is no filter {:?} here", shown(name))));
        }
        let is_number_argument = |argument: &CallArg<'t>| match argument {
            CallArg::Pos(value) | CallArg::Kwarg(_, value) => is_number(value),
            CallArg::PosSplat(_) | CallArg::KwargSplat(_) => false,
        };
        // What `int` gives for a text that is no number could be another text.
        if is_number_filter && !arguments.iter().all(is_number_argument) {
            return Err(self.wrong(span, format!("{name} takes numbers only")));
        }
        value.into_iter().try_for_each(|value| self.expression(value))?;
        self.arguments(arguments, span)
    }

    fn arguments(&mut self, arguments: &[CallArg<'t>], span: Span) -> Checked {
        arguments.iter().try_for_each(|argument| match argument {
            CallArg::Pos(value) | CallArg::Kwarg(_, value) => self.expression(value),
            CallArg::PosSplat(_) | CallArg::KwargSplat(_) => Err(self.wrong(span, "* and ** are not supported here")),
        })
    }

    fn call(&mut self, call: &Spanned<Call<'t>>) -> Checked {
        let is_known = match &call.expr {
            Expr::Var(name) => name.id == "range",
            Expr::GetAttr(part) => self.is_of_loop(&part.expr, part.name, &[&LOOP_CALLS]),
            _ => false,
        };
        if call.args.is_empty() && matches!(&call.expr, Expr::GetAttr(part) if part.name == "cycle") {
            return Err(self.wrong(call.span(), "loop.cycle() needs a value or more"));
        }
        if !is_known {
            return Err(self.wrong(call.span(), "only range(), loop.cycle() and loop.changed() can be called"));
        }
        self.arguments(&call.args, call.span())
    }

    fn is_of_loop(&self, whole: &Expr<'t>, part: &str, known: &[&[&str]]) -> bool {
        let is_loop = matches!(whole, Expr::Var(name) if name.id == "loop");
        is_loop && self.loops > 0 && known.iter().any(|known| known.contains(&part))
    }

    /// Lists hold what is spelt out, so that none holds another one.
    fn entries(&mut self, entries: &[Expr<'t>], span: Span) -> Checked {
        if entries.len() > LIST_ENTRIES_MAX {
            return Err(self.wrong(span, format!("a list has more than {LIST_ENTRIES_MAX} entries")));
        }
        match entries.iter().find(|entry| !matches!(entry, Expr::Const(_))) {
            Some(other) => Err(self.wrong(other.span(), "a list has texts in quotes and numbers only")),
            None => entries.iter().try_for_each(|entry| self.expression(entry)),
        }
    }

    /// The pieces of a template that has nothing but variables in its text.
    fn pieces(&self, statements: &[Stmt<'t>]) -> Option<Read> {
        let mut steps = 0;
        let piece = |statement: &Stmt<'t>| match statement {
            Stmt::EmitRaw(text) => {
                steps += 1;
                Some(Piece::Text(text.raw.into()))
            }
            Stmt::EmitExpr(emit) => match &emit.expr {
                Expr::Var(name) => {
                    steps += 2;
                    // Of a text of more than 65,535 lines, or with such a line, the place is the last that can be told.
                    let Span { start_line, start_col, .. } = name.span();
                    let place = Place { line: start_line.into(), column: usize::from(start_col) + 1 };
                    let variable = self.variables.iter().position(|variable| variable == name.id)?;
                    Some(Piece::Value { variable, place })
                }
                _ => None,
            },
            _ => None,
        };
        let pieces = statements.iter().map(piece).collect::<Option<_>>()?;
        Some(Read::Pieces { pieces, steps })
    }
}

/// The beginning of a name.
fn shown(name: &str) -> &str {
    &name[..name.floor_char_boundary(40)]
}
