//! What is an address, strictly and leniently, and in which form is it kept? One row for each text.

use super::BadAddress::{self, Character, Domain, Dots, Idn, LocalPart, NoAt, TooLong};

/// A text, and what is made of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) text: &'static str,
    pub(crate) strict: Result<&'static str, BadAddress>,
    pub(crate) lenient: Result<&'static str, BadAddress>,
}

/// Good, and kept as it is.
const fn good(text: &'static str) -> Row {
    Row { text, strict: Ok(text), lenient: Ok(text) }
}

/// Good, and kept in another form.
const fn form(text: &'static str, form: &'static str) -> Row {
    Row { text, strict: Ok(form), lenient: Ok(form) }
}

/// As carriers issued them.
const fn carrier(text: &'static str, quoted: &'static str) -> Row {
    Row { text, strict: Err(Dots), lenient: Ok(quoted) }
}

/// Bad in any case.
const fn bad(text: &'static str, why: BadAddress) -> Row {
    Row { text, strict: Err(why), lenient: Err(why) }
}

/// Strictly wrong by its dots, and leniently by something else.
const fn worse(text: &'static str, why: BadAddress) -> Row {
    Row { text, strict: Err(Dots), lenient: Err(why) }
}

macro_rules! x64 {
    () => {
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    };
}
macro_rules! x63 {
    () => {
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    };
}

/// 62 characters, with a dot at the end.
const DOTTED_62: &str = "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy.@docomo.ne.jp";
const DOTTED_62_QUOTED: &str = "\"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy.\"@docomo.ne.jp";
/// One more: its quotes would make it too long.
const DOTTED_63: &str = "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy.@docomo.ne.jp";
/// 254 bytes.
const LONGEST: &str =
    concat!(x64!(), "@", x63!(), ".", x63!(), ".xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.jp");

pub(crate) const TABLE: &[Row] = &[
    // Dot-strings.
    good("taro@example.jp"),
    good("Taro@Example.JP"),
    good("a@b"),
    good("root@localhost"),
    good("a.b.c@example.jp"),
    good("taro+tag@example.jp"),
    good("taro-yamada@example.jp"),
    good("-taro-@example.jp"),
    good("_@example.jp"),
    good("o'brien/x@mail.example"),
    good("!#$%&'*+-/=?^_`{|}~@example.jp"),
    good("customer/department=shipping@example.jp"),
    good("$A12345@example.jp"),
    good("!def!xyz%abc@example.jp"),
    good("1234567890@example.jp"),
    good("0@0.example"),
    good("user%example.com@example.jp"),
    bad("mailto:x@example.jp", LocalPart),
    good(concat!(x64!(), "@example.jp")),
    bad(concat!("x", x64!(), "@example.jp"), LocalPart),
    good(LONGEST),
    // Quoted strings: only as many quotes as are needed.
    good("\"a b\"@example.jp"),
    good("\" \"@example.jp"),
    good("\"\"@example.jp"),
    good("\"a@b\"@example.jp"),
    good("\"a>b\"@example.jp"),
    good("\"a<b\"@example.jp"),
    good("\"a,b;c:d\"@example.jp"),
    good("\"(comment)\"@example.jp"),
    good("\"a\\\"b\"@example.jp"),
    good("\"a\\\\b\"@example.jp"),
    good("\"very.(),:;<>[]\\\".VERY.\\\"very@\\\\ \\\"very\\\".unusual\"@strange.example"),
    good("\"a..b\"@docomo.ne.jp"),
    good("\".abc.\"@ezweb.ne.jp"),
    form("\"taro\"@example.jp", "taro@example.jp"),
    form("\"taro.yamada\"@example.jp", "taro.yamada@example.jp"),
    form("\"t\\a\\r\\o\"@example.jp", "taro@example.jp"),
    form("\"a\\ b\"@example.jp", "\"a b\"@example.jp"),
    form("\"a\\.\\.b\"@example.jp", "\"a..b\"@example.jp"),
    form("\"a\\@b\"@example.jp", "\"a@b\"@example.jp"),
    bad("\"a\"b\"@example.jp", LocalPart),
    bad("\"a@example.jp", LocalPart),
    bad("a\"@example.jp", LocalPart),
    bad("\"@example.jp", LocalPart),
    bad("\"a\\\"@example.jp", LocalPart),
    bad("\"a\"b@example.jp", LocalPart),
    bad("a\"b\"@example.jp", LocalPart),
    bad("\"a\".b@example.jp", LocalPart),
    bad("\"a\r\nb\"@example.jp", LocalPart),
    bad("\"a\\\r\nb\"@example.jp", LocalPart),
    bad("\"a\tb\"@example.jp", LocalPart),
    bad("\"a\0b\"@example.jp", LocalPart),
    bad("\"a\\飛\"@example.jp", LocalPart),
    // Address literals.
    good("x@[192.0.2.1]"),
    good("x@[IPv6:2001:db8::1]"),
    good("x@[ipv6:2001:db8::1]"),
    good("x@[IPv6:::ffff:192.0.2.1]"),
    bad("x@[999.0.0.1]", Domain),
    bad("x@[192.0.2]", Domain),
    bad("x@[192.0.2.1", Domain),
    bad("x@192.0.2.1]", Domain),
    bad("x@[]", Domain),
    bad("x@[IPv6:]", Domain),
    bad("x@[2001:db8::1]", Domain),
    bad("x@[IPv6:2001:db8::1%eth0]", Domain),
    bad("x@[IPv6:192.0.2.1]", Domain),
    bad("x@[x400:abc]", Domain),
    bad("x@[192.0.2.1]x", Domain),
    bad("x@[192.0.2.1].jp", Domain),
    // No address at all.
    bad("", NoAt),
    bad("nobody", NoAt),
    bad("taro＠example.jp", NoAt),
    bad("example.jp", NoAt),
    bad("@", LocalPart),
    bad("@example.jp", LocalPart),
    bad("taro@", Domain),
    bad("a@b@example.jp", LocalPart),
    bad("a@@example.jp", LocalPart),
    bad("<taro@example.jp>", LocalPart),
    bad("Taro <taro@example.jp>", LocalPart),
    bad("taro@example.jp, jiro@example.jp", LocalPart),
    bad("taro@example.jp;", Domain),
    bad("taro@example.jp (Taro)", Domain),
    bad("(Taro)taro@example.jp", LocalPart),
    bad("@relay.example:taro@example.jp", LocalPart),
    bad("taro,jiro@example.jp", LocalPart),
    bad("taro:jiro@example.jp", LocalPart),
    bad("taro;@example.jp", LocalPart),
    bad("ta[ro@example.jp", LocalPart),
    bad("ta\\ro@example.jp", LocalPart),
    // What would break out of a command or a header.
    bad("a b@example.jp", LocalPart),
    bad(" a@example.jp", LocalPart),
    bad("a @example.jp", LocalPart),
    bad("a@ example.jp", Domain),
    bad("a@example.jp ", Domain),
    bad("a>b@example.jp", LocalPart),
    bad("a@example.jp>", Domain),
    bad("a@example.jp> SIZE=1", Domain),
    bad("a@example.jp>\r\nRCPT TO:<b@example.jp", LocalPart),
    bad("a\r\nDATA@example.jp", LocalPart),
    bad("a@example.jp\r\n", Domain),
    bad("a@example.jp\n", Domain),
    bad("a@example.jp\r", Domain),
    bad("\na@example.jp", LocalPart),
    bad("a\0@example.jp", LocalPart),
    bad("a@example\0.jp", Domain),
    bad("a\u{7f}@example.jp", LocalPart),
    bad("a\u{1b}@example.jp", LocalPart),
    bad("a\t@example.jp", LocalPart),
    bad("a\u{85}@example.jp", Character),
    bad("a\u{9b}@example.jp", Character),
    bad("a@exam\u{85}ple.jp", Idn),
    // Host names.
    good("a@xn--r8jz45g.jp"),
    good("a@XN--R8JZ45G.jp"),
    good("a@r3---sn-x.example"),
    good("a@1.2.3.4"),
    good("a@a-b.c-d.example"),
    good(concat!("a@", x63!(), ".jp")),
    bad(concat!("a@", x64!(), ".jp"), Domain),
    bad(concat!("a@", x63!(), ".", x63!(), ".", x63!(), ".", x63!()), TooLong),
    bad(concat!(x64!(), "@", x63!(), ".", x63!(), ".", x63!(), ".jp"), TooLong),
    bad("a@-example.jp", Domain),
    bad("a@example-.jp", Domain),
    bad("a@example..jp", Domain),
    bad("a@.example.jp", Domain),
    bad("a@example.jp.", Domain),
    bad("a@.", Domain),
    bad("a@ex_ample.jp", Domain),
    bad("a@ex!ample.jp", Domain),
    bad("a@exam ple.jp", Domain),
    bad("a@example,jp", Domain),
    bad("a@example.jp:25", Domain),
    bad("a@xn--.jp", Idn),
    bad("a@xn--a.jp", Idn),
    bad("a@xn--example-.jp", Idn),
    // Internationalised domains: A-labels where the local part is ASCII.
    form("taro@例え.jp", "taro@xn--r8jz45g.jp"),
    form("taro@日本語.jp", "taro@xn--wgv71a119e.jp"),
    form("taro@メール.例え.テスト", "taro@xn--4dkua4c.xn--r8jz45g.xn--zckzah"),
    form("taro@例え。jp", "taro@xn--r8jz45g.jp"),
    form("taro@ｅｘａｍｐｌｅ．ｊｐ", "taro@example.jp"),
    form("taro@École.fr", "taro@xn--cole-9oa.fr"),
    form("taro@e\u{301}cole.fr", "taro@xn--cole-9oa.fr"),
    form("taro@faß.de", "taro@xn--fa-hia.de"),
    form("taro@bücher.example", "taro@xn--bcher-kva.example"),
    form("taro@пример.рф", "taro@xn--e1afmkfd.xn--p1ai"),
    form("taro@مثال.إختبار", "taro@xn--mgbh0fb.xn--kgbechtv"),
    form("\"a b\"@例え.jp", "\"a b\"@xn--r8jz45g.jp"),
    form("taro@例\u{200b}え.jp", "taro@xn--r8jz45g.jp"),
    bad("taro@例え..jp", Idn),
    bad("taro@例え.jp.", Idn),
    bad("taro@-例え.jp", Idn),
    bad("taro@例え-.jp", Idn),
    bad("taro@例え--x.jp", Idn),
    bad("taro@例 え.jp", Idn),
    bad("taro@例\u{3000}え.jp", Idn),
    bad("taro@例_え.jp", Idn),
    bad("taro@例え>.jp", Idn),
    bad("taro@例え\r\n.jp", Idn),
    bad("taro@例\u{200e}え.jp", Idn),
    bad("taro@例\u{202e}え.jp", Idn),
    bad("taro@例\u{e000}え.jp", Idn),
    bad("taro@例\u{378}え.jp", Idn),
    bad("taro@\u{301}cole.fr", Idn),
    bad("taro@ab\u{5d0}.example", Idn),
    bad("taro@☃\u{fffd}.example", Idn),
    bad("taro@a\u{200d}b.example", Idn),
    // Internationalised local parts: U-labels in NFC.
    good("太郎@example.jp"),
    good("太郎.山田@Example.JP"),
    good("太郎@例え.jp"),
    good("用户@例子.广告"),
    good("Pelé@example.com"),
    good("δοκιμή@παράδειγμα.δοκιμή"),
    good("квіточка@пошта.укр"),
    good("संपर्क@डाटामेल.भारत"),
    good("ｔａｒｏ@example.jp"),
    good("🍣@example.jp"),
    good("\"太 郎\"@例え.jp"),
    form("太郎@xn--r8jz45g.jp", "太郎@例え.jp"),
    form("太郎@ÉCOLE.fr", "太郎@école.fr"),
    form("Pele\u{301}@example.com", "Pelé@example.com"),
    form("か\u{3099}@example.jp", "が@example.jp"),
    form("\"太郎\"@example.jp", "太郎@example.jp"),
    form("\u{212a}elvin@例え.jp", "Kelvin@xn--r8jz45g.jp"),
    bad("太郎@xn--a.jp", Idn),
    bad("太 郎@example.jp", LocalPart),
    bad("太\u{3000}郎@example.jp", Character),
    bad("太\u{a0}郎@example.jp", Character),
    bad("太\u{2028}郎@example.jp", Character),
    bad("太\u{200b}郎@example.jp", Character),
    bad("太\u{200d}郎@example.jp", Character),
    bad("太\u{ad}郎@example.jp", Character),
    bad("太\u{feff}郎@example.jp", Character),
    bad("太\u{202e}郎@example.jp", Character),
    bad("太\u{2066}郎\u{2069}@example.jp", Character),
    bad("太\u{200f}郎@example.jp", Character),
    bad("太\u{e000}郎@example.jp", Character),
    bad("太\u{f8ff}郎@example.jp", Character),
    bad("太\u{fffe}郎@example.jp", Character),
    bad("太\u{378}郎@example.jp", Character),
    bad("太\u{e0041}郎@example.jp", Character),
    bad("太\u{fe0f}郎@example.jp", Character),
    bad("\u{3164}@example.jp", Character),
    bad("\u{301}a@example.jp", Character),
    bad("a.\u{301}b@example.jp", Character),
    bad("\"\u{338}a\"@example.jp", Character),
    bad("a\u{37e}b@example.jp", LocalPart),
    bad("太..郎@example.jp", LocalPart),
    bad("太郎.@docomo.ne.jp", LocalPart),
    bad("\"太\u{200b}郎\"@example.jp", Character),
    // As carriers issued them.
    carrier("a..b@docomo.ne.jp", "\"a..b\"@docomo.ne.jp"),
    carrier(".abc.@ezweb.ne.jp", "\".abc.\"@ezweb.ne.jp"),
    carrier("abc.@softbank.ne.jp", "\"abc.\"@softbank.ne.jp"),
    carrier(".abc@docomo.ne.jp", "\".abc\"@docomo.ne.jp"),
    carrier("a...b....c@docomo.ne.jp", "\"a...b....c\"@docomo.ne.jp"),
    carrier("taro_.@d.vodafone.ne.jp", "\"taro_.\"@d.vodafone.ne.jp"),
    carrier("-a.-.@i.softbank.jp", "\"-a.-.\"@i.softbank.jp"),
    carrier("a/b?c..@t.vodafone.ne.jp", "\"a/b?c..\"@t.vodafone.ne.jp"),
    carrier("..a@pdx.ne.jp", "\"..a\"@pdx.ne.jp"),
    carrier("Love..Taro.@DoCoMo.ne.jp", "\"Love..Taro.\"@DoCoMo.ne.jp"),
    carrier("a..b@例え.jp", "\"a..b\"@xn--r8jz45g.jp"),
    carrier(DOTTED_62, DOTTED_62_QUOTED),
    worse(DOTTED_63, LocalPart),
    worse("a..b@docomo..ne.jp", Domain),
    worse("a..b@", Domain),
    worse("a..b@例\u{202e}え.jp", Idn),
    good("a.b_c-d@docomo.ne.jp"),
    bad(".@docomo.ne.jp", LocalPart),
    bad("..@docomo.ne.jp", LocalPart),
    bad("a..b c@docomo.ne.jp", LocalPart),
    bad("a..\"b@docomo.ne.jp", LocalPart),
    bad("a..<b>@docomo.ne.jp", LocalPart),
    bad("a..b\r\n@docomo.ne.jp", LocalPart),
    bad("a..b@c@docomo.ne.jp", LocalPart),
    worse("a..b@docomo.ne.jp>", Domain),
    bad("\"a..b@docomo.ne.jp", LocalPart),
];
