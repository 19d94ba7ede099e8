//! What of Jinja a template may use: names, and how much of each.

/// Longest name of a variable, in bytes.
pub(super) const NAME_BYTES_MAX: usize = 64;
/// Longest text that a filter or test reads or makes, and most that is spelt out in quotes between one `{{` or `{%` and its
/// end, in bytes. Operators work on such texts without being charged for their length, so steps times this bounds the time.
pub(super) const TEXT_BYTES_MAX: usize = 32 * 1_024;
/// Most bytes that the filters and tests of one message read and make together, the values it reads counted each time.
pub(super) const WORKED_BYTES_MAX: usize = 8 * 1_024 * 1_024;
/// Most entries of a list that a template spells out, or that `split` or `range` makes.
pub(super) const LIST_ENTRIES_MAX: usize = 1_000;
/// Most `~` in one template.
pub(super) const JOINTS_MAX: usize = 32;
/// Most names and operators between one `{{` or `{%` and its end: minijinja reads and runs them by recursion.
pub(super) const TAG_WORDS_MAX: usize = 200;
/// Most values that are spelt out there.
pub(super) const TAG_CONSTANTS_MAX: usize = LIST_ENTRIES_MAX;
/// Most blocks within each other; each `elif` counts as one.
pub(super) const NESTING_MAX: usize = 32;
/// What a template may make beyond its own length, in bytes.
pub(super) const GROWTH_BYTES_MAX: usize = 1_024 * 1_024;

/// Filters that give numbers.
pub(super) const NUMBER_FILTERS: [&str; 6] = ["abs", "count", "float", "int", "length", "round"];
/// All other filters.
pub(super) const FILTERS: [&str; 14] = [
    "capitalize",
    "d",
    "default",
    "first",
    "join",
    "last",
    "lower",
    "replace",
    "reverse",
    "split",
    "string",
    "title",
    "trim",
    "upper",
];
/// Filters that are not known in URLs, where all is encoded.
pub(super) const MARKUP_FILTERS: [&str; 4] = ["e", "escape", "safe", "urlencode"];
/// What can stand behind `is`.
pub(super) const TESTS: [&str; 33] = [
    "!=",
    "<",
    "<=",
    "==",
    ">",
    ">=",
    "boolean",
    "defined",
    "divisibleby",
    "endingwith",
    "eq",
    "equalto",
    "even",
    "false",
    "float",
    "ge",
    "greaterthan",
    "gt",
    "in",
    "integer",
    "le",
    "lessthan",
    "lower",
    "lt",
    "ne",
    "none",
    "number",
    "odd",
    "startingwith",
    "string",
    "true",
    "undefined",
    "upper",
];
/// What is known of a loop.
pub(super) const LOOP_NUMBERS: [&str; 7] = ["index", "index0", "revindex", "revindex0", "length", "depth", "depth0"];
/// What is known of a loop besides numbers.
pub(super) const LOOP_FACTS: [&str; 2] = ["first", "last"];
/// What can be asked of a loop.
pub(super) const LOOP_CALLS: [&str; 2] = ["changed", "cycle"];
/// The names that mean something by themselves.
pub(super) const OWN_NAMES: [&str; 2] = ["loop", "range"];
