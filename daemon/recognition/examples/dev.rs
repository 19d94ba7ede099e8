use hikyaku_recognition::{
    bounce,
    classify::{evidence::Evidence, rules::Rules},
};
fn q(s: &str) -> String {
    let mut o = String::from("\"");
    for c in s.chars() {
        match c {
            '"' => o.push_str("\\\""),
            '\\' => o.push_str("\\\\"),
            c if (c as u32) < 32 => o.push_str(&format!("\\u{:04x}", c as u32)),
            c => o.push(c),
        }
    }
    o.push('"');
    o
}
fn main() {
    let rules = Rules::built_in();
    let args: Vec<String> = std::env::args().collect();
    if args[1] == "words" {
        for line in std::io::stdin().lines() {
            let line = line.unwrap();
            let (s, w) = line.split_once('|').unwrap_or(("", &line));
            let j = rules.judge(&Evidence { status: s.parse().ok(), words: w });
            println!(
                "{} {} {} {:?} {}",
                if j.is_hard() { "hard" } else { "soft" },
                j.reason.as_str(),
                j.ruling.rule,
                j.status,
                w
            );
        }
        return;
    }
    for f in &args[2..] {
        let b = std::fs::read(f).unwrap();
        let found = bounce::recognise(&rules, &b);
        let name = format!("messages/{}", f.rsplit('/').next().unwrap());
        let rs: Vec<String> = found.recipients.iter().filter(|r| args[1] == "all" || matches!(r.kind, bounce::Kind::Hard | bounce::Kind::Soft | bounce::Kind::Complaint)).map(|r| format!("{{\"recipient\":{},\"status\":{},\"kind\":{},\"action\":{},\"reason\":{},\"rule\":{},\"said\":{}}}", r.recipient.as_deref().map_or("null".into(), q), r.status.map_or("null".into(), |s| q(&s.to_string())), q(r.kind.as_str()), r.action.map_or("null".into(), |a| q(a.as_str())), r.reason.map_or("null".into(), |a| q(a.as_str())), q(&r.rule), q(&r.diagnostic))).collect();
        println!("{{\"file\":{},\"nature\":{},\"results\":[{}]}}", q(&name), q(found.nature.as_str()), rs.join(","));
    }
}
