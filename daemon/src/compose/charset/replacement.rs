//! What stands for characters that a charset does not have.

/// What stands for a character for which nothing better is known (RFC 1468 has no way to say it): the geta of printers.
const UNKNOWN: &str = "〓";
/// Half-width katakana in the order of their code points, from U+FF61.
const FULL_WIDTH: &str = "。「」、・ヲァィゥェォャュョッーアイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン゛゜";
/// Kana that take a voiced mark, each with what it becomes.
const VOICED: &str = "カガキギクグケゲコゴサザシジスズセゼソゾタダチヂツヅテデトドハバヒビフブヘベホボウヴ";
/// Kana that take a half-voiced mark.
const HALF_VOICED: &str = "ハパヒピフプヘペホポ";
/// Signs that are one character for several.
const SPELT: &[(char, &str)] = &[
    ('㈱', "(株)"),
    ('㈲', "(有)"),
    ('㈹', "(代)"),
    ('№', "No."),
    ('℡', "TEL"),
    ('㏍', "K.K."),
    ('㍉', "ミリ"),
    ('㎜', "mm"),
    ('㎝', "cm"),
    ('㎞', "km"),
    ('㎎', "mg"),
    ('㎏', "kg"),
    ('㏄', "cc"),
    ('㎡', "m2"),
    ('㍻', "平成"),
    ('㍼', "昭和"),
    ('㍽', "大正"),
    ('㍾', "明治"),
    ('㋿', "令和"),
    ('髙', "高"),
    ('﨑', "崎"),
    ('…', "…"),
    ('–', "-"),
    ('‐', "-"),
    ('•', "・"),
    ('©', "(c)"),
    ('®', "(R)"),
    ('™', "(TM)"),
    ('€', "EUR"),
];

/// The text with what the charset `has`: characters that are written `alike`, half-width kana in full width, signs spelt
/// out, and 〓 for the rest. Control characters that it does not have are left out.
pub(super) fn replaced(text: &str, alike: impl Fn(char) -> char, has: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let c = alike(c);
        if has(c) {
            out.push(c);
        } else if let Some(kana) = full_width(c) {
            let marked = chars.peek().and_then(|mark| with_mark(kana, *mark));
            if marked.is_some() {
                chars.next();
            }
            out.push(marked.unwrap_or(kana));
        } else if let Some((_, spelt)) = SPELT.iter().find(|(sign, _)| *sign == c) {
            out.push_str(spelt);
        } else if let Some(number) = enclosed(c) {
            out.push_str(&format!("({number})"));
        } else if let Some(roman) = roman(c) {
            out.push_str(roman);
        } else if !c.is_control() && !is_joined(c) {
            out.push_str(UNKNOWN);
        }
    }
    out
}

fn full_width(c: char) -> Option<char> {
    let place = u32::from(c).checked_sub(0xff61)?;
    FULL_WIDTH.chars().nth(usize::try_from(place).ok()?)
}

fn with_mark(kana: char, mark: char) -> Option<char> {
    let pairs = match mark {
        '\u{ff9e}' => VOICED,
        '\u{ff9f}' => HALF_VOICED,
        _ => return None,
    };
    let mut pairs = pairs.chars();
    while let (Some(plain), Some(marked)) = (pairs.next(), pairs.next()) {
        if plain == kana {
            return Some(marked);
        }
    }
    None
}

/// The number in a circle or in brackets.
fn enclosed(c: char) -> Option<u32> {
    match c {
        '①'..='⑳' => Some(u32::from(c) - u32::from('①') + 1),
        '⑴'..='⒇' => Some(u32::from(c) - u32::from('⑴') + 1),
        '㉑'..='㉟' => Some(u32::from(c) - u32::from('㉑') + 21),
        '❶'..='❿' => Some(u32::from(c) - u32::from('❶') + 1),
        _ => None,
    }
}

fn roman(c: char) -> Option<&'static str> {
    const NUMBERS: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];
    const SMALL: [&str; 10] = ["i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x"];
    let place = |first: char| usize::try_from(u32::from(c).checked_sub(u32::from(first))?).ok();
    NUMBERS.get(place('Ⅰ')?).or_else(|| SMALL.get(place('ⅰ')?)).copied()
}

/// Whether a character only changes the one before it, which has been replaced already.
const fn is_joined(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}' | '\u{e0100}'..='\u{e01ef}')
}
