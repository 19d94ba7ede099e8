//! What templates become, and what is refused of them.

use proptest::prelude::*;

use super::{language::TEXT_BYTES_MAX, *};
use crate::domain::merge::MERGE_VARIABLES_MAX;

const VALUES: [(&str, Option<&str>); 8] = [
    ("name", Some("Taro")),
    ("名前", Some("太郎 <x>")),
    ("q", Some("a&'\"{{ name }}")),
    ("plan", Some("gold")),
    ("items", Some("tea, rice,salt")),
    ("price", Some("120")),
    ("long", None),
    ("none_given", None),
];

/// What a template makes of the values above; `long` has 16 KiB of `é`.
fn fill(text: &str, syntax: Syntax) -> Result<String, Mistake> {
    let mut variables = Vec::new();
    let template = Template::parse(text, syntax, &mut variables)?;
    let long = "é".repeat(8 * 1_024);
    let value = |name: &String| match name.as_str() {
        "long" => Some(long.clone()),
        name => VALUES.iter().find(|(known, _)| *known == name).and_then(|(_, value)| value.map(str::to_owned)),
    };
    let values: Vec<_> = variables.iter().map(value).collect();
    template.fill(&mut Filling::new(&variables.into(), &values))
}

#[track_caller]
fn check(text: &str, syntax: Syntax, expected: Result<&str, (usize, usize, &str)>) {
    let shown: String = text.chars().take(80).collect();
    match (fill(text, syntax), expected) {
        (Ok(filled), Ok(expected)) => assert_eq!(filled, expected, "{shown:?}"),
        (Err(found), Err((line, column, reason))) => {
            assert!(found.reason.contains(reason), "{shown:?}: {found}");
            assert_eq!(found.place, Place { line, column }, "{shown:?}: {found}");
        }
        (filled, expected) => panic!("{shown:?}: {filled:?}, expected {expected:?}"),
    }
}

#[track_caller]
fn plain(text: &str, expected: &str) {
    check(text, Syntax::Plain, Ok(expected));
}

#[track_caller]
fn refused(text: &str, column: usize, reason: &str) {
    check(text, Syntax::Plain, Err((1, column, reason)));
}

#[test]
fn variables_are_filled_in() {
    plain("", "");
    plain("plain { } {x} text\n", "plain { } {x} text\n");
    plain("{{name}}", "Taro");
    plain("a {{ name }}{{ name }} b\n\n", "a TaroTaro b\n\n");
    plain("{{\n name\t}}!", "Taro!");
    plain("{{ 名前 }}様", "太郎 <x>様");
    plain("{ {{ name }} }", "{ Taro }");
    plain("{{ q }}", "a&'\"{{ name }}");
    plain("a \r\n {{- name -}} \r\n b", "aTarob");
    plain("name }} %}", "name }} %}");
    plain("{# a note #}x{% raw %}{{ name }}{% endraw %}", "x{{ name }}");
}

#[test]
fn what_a_template_decides_is_decided_by_the_values() {
    plain("{% if plan == 'gold' %}Gold{% elif plan == 'silver' %}Silver{% else %}None{% endif %}", "Gold");
    plain("{{ 'yes' if plan in ['gold', 'silver'] else 'no' }}", "yes");
    plain("{% if none_given is defined %}{{ none_given }}{% else %}nobody{% endif %}", "nobody");
    plain("Dear {{ none_given|default('friend') }}", "Dear friend");
    plain("{% set none_given = none_given|default('friend') %}{{ none_given|upper }}", "FRIEND");
    plain("{{ name|upper }} {{ name|lower }} {{ plan|capitalize }} {{ ' x '|trim }}.", "TARO taro Gold x.");
    plain("{{ name[:2] }}{{ name[0] }}{{ name|length }}{{ name|first }}{{ name|reverse }}", "TaT4ToraT");
    plain(
        "{% for item in items|split(',') %}{{ loop.index }}.{{ item|trim }}\n{% endfor %}",
        "1.tea\n2.rice\n3.salt\n",
    );
    plain("{% for i in range(3) %}{{ i }}{{ loop.cycle('a', 'b') }}{% endfor %}", "0a1b2a");
    plain("{{ items|split(',')|join('/') }} {{ items|replace(',', ';') }}", "tea/ rice/salt tea; rice;salt");
    plain("{{ price|int * 2 + 5 }} {{ price|int / 7 // 1 }} {{ (price|float * 1.1)|round(2) }}", "245 17.0 132.0");
    plain("{{ name ~ '様' }}{% set both = name ~ plan %}{{ both }}", "Taro様Tarogold");
    plain("{% with x = name|upper %}{{ x }}{% endwith %}", "TARO");
    plain("https://example.jp/?u={{ 名前|urlencode }}", "https://example.jp/?u=%E5%A4%AA%E9%83%8E%20%3Cx%3E");
}

#[test]
fn values_are_escaped_in_html_only() {
    check("<b>{{ 名前 }}</b>", Syntax::Html, Ok("<b>太郎 &lt;x&gt;</b>"));
    check("<a title=\"{{ q }}\">", Syntax::Html, Ok("<a title=\"a&amp;&#x27;&quot;{{ name }}\">"));
    check("{{ 名前|upper }}{{ 名前|e }}", Syntax::Html, Ok("太郎 &lt;X&gt;太郎 &lt;x&gt;"));
    check("{{ 名前|safe }}", Syntax::Html, Ok("太郎 <x>"));
    check("{{ 名前|safe|replace('x', '/') }}", Syntax::Html, Ok("太郎 &lt;/&gt;"));
    check("{{ '<' ~ 名前 }}{{ ['<'] }}", Syntax::Html, Ok("&lt;太郎 &lt;x&gt;[&#x27;&lt;&#x27;]"));
    check("{{ 名前|e }}", Syntax::Plain, Ok("太郎 &lt;x&gt;"));
}

#[test]
fn values_are_percent_encoded_in_urls() {
    check(
        "https://example.jp/u?a={{ q }}&b=1",
        Syntax::Url,
        Ok("https://example.jp/u?a=a%26%27%22%7B%7B%20name%20%7D%7D&b=1"),
    );
    check("x{{ 名前|upper }}", Syntax::Url, Ok("x%E5%A4%AA%E9%83%8E%20%3CX%3E"));
    check("x{{ 'a-._~/' }}", Syntax::Url, Ok("xa-._~%2F"));
    check("x{{ q|safe }}", Syntax::Url, Err((1, 7, "no filter \"safe\"")));
}

#[test]
fn style_sheets_keep_their_braces() {
    let css = "<style>@media x{a{b:c}}</style>";
    check(&format!("{css}{{{{ name }}}}{css}"), Syntax::Html, Ok(&format!("{css}Taro{css}")));
    check("@media x{a{b:{{ name }}}}", Syntax::Html, Ok("@media x{a{b:Taro}}"));
    check("a{color:red} {% if name %}{b:c}{% endif %}", Syntax::Html, Ok("a{color:red} {b:c}"));
}

#[test]
fn a_missing_value_is_a_mistake_unless_the_template_gives_another() {
    let missing = |text: &str| fill(text, Syntax::Plain).expect_err(text);
    check("a\n{{ none_given }}", Syntax::Plain, Err((2, 4, "a value is missing")));
    check("a\n{{ none_given|upper }}", Syntax::Plain, Err((2, 15, "a value is missing")));
    assert_eq!(missing("{{ none_given }}").missing, Some(0));
    assert_eq!(missing("{{ name }}{% if none_given %}x{% endif %}").missing, Some(1));
    assert_eq!(missing("{{ name|replace('a', none_given) }}").missing, Some(1));
    assert_eq!(missing("{{ name ~ none_given }}").missing, Some(1));
    assert_eq!(missing("{% for x in none_given|split %}{% endfor %}").missing, Some(0));
    assert_eq!(missing("{{ none_given == 'x' }}").missing, Some(0));
    assert_eq!(missing("{{ none_given[:3] }}").missing, Some(0));
    plain("{% if name %}x{% else %}{{ none_given }}{% endif %}", "x");
}

#[test]
fn what_jinja_cannot_read_is_refused_with_its_place() {
    check("a\nb {{ name", Syntax::Plain, Err((2, 6, "unexpected end of input")));
    check("飛脚 {{ 1 + }}", Syntax::Plain, Err((1, 11, "unexpected end of variable block")));
    check("x\n\n  {% if a %}", Syntax::Plain, Err((3, 11, "unexpected end of input")));
    refused("{{}}", 3, "unexpected");
    refused("{{ a b }}", 6, "unexpected identifier");
    refused("{{ name|shout }}", 9, "no filter \"shout\"");
    refused("{{ name is odious }}", 12, "no test \"odious\"");
    refused("{% endif %}", 4, "unknown statement");
    refused("{# never", 9, "unexpected end of comment");
}

#[test]
fn what_reaches_beyond_the_values_is_refused() {
    for tag in ["include 'x'", "extends 'x'", "import 'x' as x", "block x", "macro x()", "break", "call x()"] {
        refused(&format!("{{% {tag} %}}"), 4, "unknown statement");
    }
    refused("{% set x %}a{% endset %}", 4, "set with a block is not supported");
    refused("{% filter upper %}a{% endfilter %}", 4, "not supported");
    refused("{% autoescape false %}a{% endautoescape %}", 4, "not supported");
    refused("{% do range(1) %}", 4, "not supported");
    refused("{% for x in items recursive %}{{ loop(x) }}{% endfor %}", 4, "recursive");
    refused("{{ debug() }}", 4, "can be called");
    refused("{{ name.upper() }}", 8, "can be called");
    refused("{{ loop.index }}", 4, "values have no parts");
    refused("{{ user.name }}", 4, "values have no parts: .name");
    refused("{{ range }}", 4, "is no variable");
    refused("{% set range = 1 %}", 8, "a meaning of its own");
    refused("{{ {'a': name} }}", 4, "maps");
    refused("{{ [name] }}", 5, "texts in quotes and numbers only");
    refused("{{ range(*name) }}", 4, "* and **");
    refused("{{ name|tojson }}{{ name|map('upper') }}", 9, "no filter");
    refused(&format!("{{{{ {} }}}}", "n".repeat(65)), 4, "longer than 64");
}

#[test]
fn nothing_grows_without_bound() {
    refused("{{ 'a' * 100000000 }}", 4, "+ and * are for numbers");
    refused("{{ name + name }}", 4, "+ and * are for numbers");
    refused("{{ name|int('a') * 100000000 }}", 9, "takes numbers only");
    refused("{{ [1] * 100000000 }}", 4, "+ and * are for numbers");
    refused("{% set x = name ~ name %}{% set x = x ~ x %}", 37, "~ joins what recipients bring");
    refused("{% for i in range(9) %}{% set x = x|default('aa') ~ x %}{% endfor %}", 37, "~ joins");
    refused(&format!("{{{{ {}name }}}}", "name ~ ".repeat(33)), 4, "more than 32 ~");
    refused("{{ long|replace('é', long) }}", 9, "more than 32768 bytes");
    refused("{{ long|e|string|upper }}{{ long|replace('', long) }}", 34, "more than 32768 bytes");
    refused("{{ long|urlencode }}", 9, "more than 32768 bytes");
    refused("{{ long|split('') }}", 9, "separator");
    refused("{{ range(1001)|length }}", 4, "more than 1000 entries");
    refused("{{ range(0, 9223372036854775807, 9223372036854775)|length }}", 4, "more than 1000 entries");
    refused("{{ 2 ** 200 }}", 4, "");
    refused("{{ 1 // 0 }}", 4, "");
    refused("{{ '%1000000000d'|format(1) }}", 19, "no filter");
    refused(&format!("{{{{ '{}' }}}}", "x".repeat(TEXT_BYTES_MAX + 1)), 4, "more than 32768 bytes stand in quotes");
    let wide = "y".repeat(40_000);
    let text = format!("{{% for i in range(100) %}}{wide}{{% endfor %}}");
    assert!(fill(&text, Syntax::Plain).expect_err("too long").reason.contains("more than 1048576 bytes"));
    let text = "{% for i in range(1000) %}{% for j in range(1000) %}{% endfor %}{% endfor %}";
    assert!(fill(text, Syntax::Plain).expect_err("too many steps").reason.contains("more than 50000 steps"));
    let text = "{% for i in range(1000) %}{{ long }}{% endfor %}";
    assert!(fill(text, Syntax::Html).expect_err("too long").reason.contains("more than 1048576 bytes"));
}

/// Each loop would double what the one around it made.
#[test]
fn nothing_that_was_made_is_joined_again() {
    let joins = "~ joins what recipients bring, and nothing that set, with or for has made";
    let doubling =
        "{% for b in (name~name)|split('§') %}{% for c in (b~b)|split('§') %}{{ c }}{% endfor %}{% endfor %}";
    refused(doubling, 51, joins);
    refused("{% for b in name|split %}{{ 'x' ~ b }}{% endfor %}", 35, joins);
    refused("{% with a = name %}{{ a|upper ~ 'x' }}{% endwith %}", 25, joins);
    refused("{% for b in [1] %}{% if name ~ loop.cycle(b, b) %}{% endif %}{% endfor %}", 36, joins);
    refused("{% for b in [1] %}{{ name|replace('T', name ~ b) }}{% endfor %}", 47, joins);
    refused("{% set a = a|default('x') %}{{ a[0] ~ '' }}", 32, joins);
    plain("{% for b in range(2) %}{{ b|int ~ '.' ~ loop.index }} {% endfor %}", "0.1 1.2 ");
    plain("{% for b in (name ~ ',' ~ plan)|split(',') %}{{ b }}!{% endfor %}", "Taro!gold!");
}

/// Slices of slices of a list are taken apart by recursion.
#[test]
fn what_was_made_is_not_sliced_again() {
    refused("{% set x = items|split(',') %}{% set x = x[::1] %}", 42, "[:] within set or with");
    refused("{% with x = items|split %}{% with y = x[1:] %}{% endwith %}{% endwith %}", 39, "[:] within set or with");
    plain("{% set x = items|split(',') %}{% for y in x[:2] %}{{ y[:2] }}{% endfor %}", "te r");
    let chain = format!("{{% set x = items|split(',') %}}{}{{{{ x|join }}}}", "{% set x = x|reverse %}".repeat(1_000));
    plain(&chain, "tea ricesalt");
}

#[test]
fn what_works_on_texts_pays_for_their_length() {
    let steps = |text: &str| {
        let found = fill(text, Syntax::Html).expect_err(text);
        assert!(found.reason.contains("more than 50000 steps"), "{text}: {found}");
    };
    for filter in ["title", "upper", "lower", "capitalize", "reverse", "string", "trim", "length", "first", "e", "safe"]
    {
        steps(&format!("{{% for i in range(1000) %}}{{% set x = long|{filter} %}}{{% endfor %}}"));
    }
    for test in ["is lower", "is upper", "is in long", "is startingwith long", "== long", "in long"] {
        steps(&format!("{{% for i in range(1000) %}}{{% if long {test} %}}{{% endif %}}{{% endfor %}}"));
    }
    let short = "{% for i in range(1000) %}{{ name|title|upper|lower|reverse|trim }}{% endfor %}";
    plain(short, &"orat".repeat(1_000));
    refused("{% if (long ~ long ~ long) is lower %}{% endif %}", 31, "more than 32768 bytes");
}

#[test]
fn nothing_is_divided_by_zero() {
    plain("{{ 5 is divisibleby(0) }}{{ 5 is divisibleby(false) }}{{ 6 is divisibleby(3) }}", "FalseFalseTrue");
    plain("{{ 1.5 is divisibleby(0) }}{{ 1.5 is divisibleby(0.5) }}{{ 'x' is divisibleby(2) }}", "FalseTrueFalse");
    refused("{% for i in [1] %}{{ loop.cycle() }}{% endfor %}", 26, "needs a value");
}

#[test]
fn the_steps_of_one_message_are_counted_together() {
    let mut variables = Vec::new();
    let text = "{% for i in range(1000) %}{% for j in range(7) %}{% endfor %}{% endfor %}";
    let template = Template::parse(text, Syntax::Plain, &mut variables).expect("a template");
    let variables = variables.into();
    let mut filling = Filling::new(&variables, &[]);
    assert_eq!(template.fill(&mut filling), Ok(String::new()));
    assert!(template.fill(&mut filling).and_then(|_| template.fill(&mut filling)).is_err());
    let many = "{{ name }}".repeat(25_000);
    assert!(Template::parse(&many, Syntax::Plain, &mut Vec::new()).expect_err("steps").reason.contains("50000 steps"));
    let fewer = "{{ name }}".repeat(24_999);
    assert_eq!(fill(&fewer, Syntax::Plain).map(|text| text.len()), Ok(4 * 24_999));
}

/// Trees that are deep would end the process when they are read, run or dropped.
#[test]
fn what_is_too_deep_is_refused_before_it_is_read() {
    refused(&format!("{{{{ name{} }}}}", "|upper".repeat(100_000)), 603, "more than 200 names and operators");
    refused(&format!("{{{{ {}name }}}}", "not ".repeat(100_000)), 804, "more than 200");
    refused(&format!("{{{{ {}", "(".repeat(100_000)), 204, "more than 200");
    refused(&"{% if name %}".repeat(100_000), 420, "more than 32 blocks");
    let chain = format!("{{% if name %}}{}{{% endif %}}", "{% elif name %}".repeat(100_000));
    refused(&chain, 482, "more than 32 blocks");
    let list = format!("{{{{ 1 in [{}1] }}}}", "1,".repeat(1_001));
    refused(&list, 2_008, "more than 1000 values");
    for deep in [
        format!("{{{{ {}name{} }}}}", "(".repeat(70), ")".repeat(70)),
        format!("{{{{ name{} }}}}", "|upper".repeat(99)),
        format!("{{{{ {}name }}}}", "not ".repeat(198)),
        format!("{}{}", "{% if name %}".repeat(32), "{% endif %}".repeat(32)),
        format!("{{% if name %}}{}{{% endif %}}", "{% elif name %}".repeat(31)),
        format!("{}{}", "{% for x in name %}".repeat(32), "{% endfor %}".repeat(32)),
    ] {
        let shown: String = deep.chars().take(60).collect();
        let filled = fill(&deep, Syntax::Plain);
        assert!(filled.as_ref().map_or_else(|wrong| wrong.reason.contains("steps"), |_| true), "{shown}: {filled:?}");
    }
}

#[test]
fn variables_are_listed_once_in_order_and_bounded() {
    let mut variables = Vec::new();
    let text =
        "{{ b[:1] }}{% set c = c|default(a) %}{{ c }}{% for d in b|split %}{{ d }}{% else %}{{ e }}{% endfor %}{{ d }}";
    Template::parse(text, Syntax::Plain, &mut variables).expect("a template");
    assert_eq!(variables, ["b", "c", "a", "e", "d"]);
    let text: String = (0..MERGE_VARIABLES_MAX).map(|n| format!("{{{{v{n}}}}}{{{{v0}}}}")).collect();
    variables.clear();
    let template = Template::parse(&text, Syntax::Plain, &mut variables).expect("as many as may be");
    assert_eq!((variables.len(), template.uses_of(0), template.uses_of(1)), (64, 65, 1));
    assert!(Template::parse("{{ one_more }}", Syntax::Plain, &mut variables).is_err());
}

/// What minijinja itself makes of a text, and what our pieces do.
fn both(text: &str, syntax: Syntax, value: &str) -> Option<(String, Result<String, Mistake>)> {
    let mut variables = Vec::new();
    let template = Template::parse(text, syntax, &mut variables).ok().filter(Template::is_plain)?;
    let values = vec![Some(value.to_owned()); variables.len()];
    let variables = variables.into();
    let program = Program::new(text, syntax).expect("what was read compiles");
    let (run, steps) = program.run(&mut Filling::new(&variables, &values)).expect("a plain text");
    let Kind::Pieces { steps: told, .. } = template.kind else { return None };
    assert_eq!(steps, told, "{text:?}");
    Some((run, template.fill(&mut Filling::new(&variables, &values))))
}

proptest! {
    #[test]
    fn pieces_are_what_minijinja_makes_of_them(
        parts in proptest::collection::vec("[a-z{}%# 飛\r\n-]{0,6}|\\{\\{-? x \\}\\}|\\{\\{ y -?\\}\\}|\\{# c #\\}|\\{% raw %\\}\\{\\{\\{% endraw %\\}", 0..12),
        value in "(?s).{0,20}",
        syntax in 0..3_usize,
    ) {
        let syntax = [Syntax::Plain, Syntax::Html, Syntax::Url][syntax];
        if let Some((run, pieces)) = both(&parts.concat(), syntax, &value) {
            prop_assert_eq!(Ok(run), pieces);
        }
    }

    #[test]
    fn no_template_panics_or_runs_away(
        parts in proptest::collection::vec(
            "[a-z \n]{0,4}|\\{\\{ ?|\\}\\}|\\{% ?(if|for|set|with|else|elif|end(if|for|set|with)|raw|endraw) |%\\}|x|in |= |\\| ?(upper|default|int|split|join|replace)|\\(|\\)|'[a-c]{0,3}'|[0-9]{1,19}|[-+*/~%<>,.\\[\\]:]|\\*\\*|range\\(|loop\\.index|is defined",
            0..40,
        ),
        value in "(?s).{0,40}",
    ) {
        let mut variables = Vec::new();
        if let Ok(template) = Template::parse(&parts.concat(), Syntax::Html, &mut variables) {
            let values = vec![Some(value); variables.len()];
            let _ = template.fill(&mut Filling::new(&variables.into(), &values));
        }
    }

    #[test]
    fn what_a_value_holds_is_never_read(value in "[a-z{}%#'\"<>\r\n ]{0,40}") {
        let text = "{{ x }}{% if x %}{{ x ~ '' }}{% endif %}";
        let mut variables = Vec::new();
        let template = Template::parse(text, Syntax::Plain, &mut variables).expect("a template");
        let filled = template.fill(&mut Filling::new(&variables.into(), &[Some(value.clone())]));
        prop_assert_eq!(filled, Ok(if value.is_empty() { String::new() } else { format!("{value}{value}") }));
    }
}
