//! Which rule decides, and why the others do not.

use proptest::prelude::*;

use super::*;

fn rule(name: &str, from: &[&str], recipients: &[&str], account: &str, fallbacks: &[&str]) -> RoutingRule {
    let patterns = |texts: &[&str]| texts.iter().map(|text| text.parse().expect(text)).collect();
    RoutingRule {
        name: name.parse().expect(name),
        from: patterns(from),
        recipients: patterns(recipients),
        account: account.parse().expect(account),
        fallbacks: fallbacks.iter().map(|id| id.parse().expect(id)).collect(),
        forbid_merge: false,
        forbid_dkim: false,
    }
}

fn address(text: &str) -> Address {
    text.parse().expect(text)
}

/// Mail to Rakuten's masked addresses goes by the shop's account there, never as a merge; the shop's other mail by its
/// own, with a spare; orders by anything.
fn shop() -> Routing {
    let masked = ["*.fw.rakuten.ne.jp", "shop@example.jp"];
    let rakuten = RoutingRule {
        forbid_merge: true,
        forbid_dkim: true,
        ..rule("rakuten", &["shop@example.jp"], &masked, "rakuten", &[])
    };
    let rules = vec![
        rakuten,
        rule("shop", &["@example.jp"], &[], "main", &["spare", "main", "spare", "other"]),
        rule("never", &[], &[], "other", &[]),
    ];
    Routing { rules, default_account: Some("main".parse().expect("an id")), ..Routing::default() }
}

fn decide(
    routing: &Routing,
    from: &str,
    recipients: &[&str],
    kind: Kind,
) -> (Result<String, NoRoute>, Vec<RuleVerdict>) {
    let from = address(from);
    let mut matching = Matching::new(routing, &from, kind);
    recipients.iter().for_each(|recipient| matching.see(&address(recipient)));
    let way = matching.decide().map(|way| format!("{} {}", way.rule, way.account));
    (way, matching.verdicts())
}

#[track_caller]
fn check(from: &str, recipients: &[&str], kind: Kind, expected: Result<&str, &str>, reasons: &[&str]) {
    let (way, verdicts) = decide(&shop(), from, recipients, kind);
    let got = way.map_err(|refusal| refusal.to_string());
    assert_eq!(got.as_ref().map(String::as_str).map_err(String::as_str), expected, "{from} {recipients:?}");
    let told: Vec<_> = verdicts.iter().map(|verdict| verdict.reason.as_str()).collect();
    assert_eq!(told, reasons);
}

#[test]
fn the_first_rule_that_matches_all_recipients_decides() {
    let masked = ["a@pc.fw.rakuten.ne.jp", "shop@example.jp"];
    let why = "From matches shop@example.jp, and every recipient matches one of *.fw.rakuten.ne.jp, shop@example.jp";
    check("shop@example.jp", &masked, Kind::Plain, Ok("rakuten rakuten"), &[why]);
    let refused = "the routing rule rakuten matches the job and forbids merge jobs";
    check("SHOP@example.jp", &masked, Kind::Merge, Err(refused), &[&format!("{why}; it forbids merge jobs")]);
    let mixed = ["a@pc.fw.rakuten.ne.jp", "b@example.com", "c@example.com"];
    let not = "the recipient b@example.com matches none of *.fw.rakuten.ne.jp, shop@example.jp";
    let shop = "From matches @example.jp, and any recipients match";
    check("shop@example.jp", &mixed, Kind::Plain, Ok("shop main"), &[not, shop]);
    check("shop@example.jp", &mixed, Kind::Merge, Ok("shop main"), &[not, shop]);
    let not = "From info@example.jp matches none of shop@example.jp";
    check("info@example.jp", &masked, Kind::Merge, Ok("shop main"), &[not, shop]);
}

#[test]
fn without_a_match_the_default_account_sends() {
    let rules = vec![rule("shop", &["@example.jp"], &[], "main", &[])];
    let routing = Routing { rules, default_account: Some("spare".parse().expect("an id")), ..Routing::default() };
    let (way, verdicts) = decide(&routing, "x@example.com", &["y@example.com"], Kind::Plain);
    assert_eq!(way, Ok("default spare".to_owned()));
    assert_eq!(verdicts[1].reason, "no rule matches: spare is the default account");
    let (way, verdicts) =
        decide(&Routing { default_account: None, ..routing }, "x@example.com", &["y@example.com"], Kind::Plain);
    assert_eq!(way, Err(NoRoute::NoMatch));
    assert_eq!((verdicts[1].name.as_str(), verdicts[1].matched), ("default", false));
}

#[test]
fn fallbacks_that_cannot_send_the_job_are_left_out() {
    let routing = shop();
    let from = address("info@example.jp");
    let way = Matching::new(&routing, &from, Kind::Plain).decide().expect("the shop's");
    let but =
        |missing: &'static str| move |id: &AccountId| if id.as_str() == missing { Err(Unfit::From) } else { Ok(()) };
    let ids = |route: Route| route.fallbacks.iter().map(|id| id.as_str().to_owned()).collect::<Vec<_>>();
    assert_eq!(way.route(but("none")).map(ids), Ok(vec!["spare".to_owned(), "other".to_owned()]));
    assert_eq!(way.route(but("spare")).map(ids), Ok(vec!["other".to_owned()]));
    let refusal = way.route(but("main")).expect_err("its own account");
    let said = "the routing rule shop sends the job by the account main, which may not send as this From";
    assert_eq!(refusal.to_string(), said);
}

#[test]
fn a_rule_for_any_recipients_ends_the_list_of_those_that_may_decide() {
    let routing = shop();
    let from = address("shop@example.jp");
    let mut matching = Matching::new(&routing, &from, Kind::Plain);
    let open = |matching: &Matching<'_>| {
        matching.open().into_iter().map(|way| way.expect("a way").rule.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(open(&matching), ["rakuten", "shop"]);
    matching.see(&address("x@example.com"));
    assert_eq!(open(&matching), ["shop"]);
}

fn domain() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a.jp", "b.a.jp", "c.b.a.jp", "ba.jp", "B.A.JP"])
}

fn any_address() -> impl Strategy<Value = String> {
    (prop::sample::select(vec!["x", "y", "X"]), domain()).prop_map(|(local, domain)| format!("{local}@{domain}"))
}

fn any_pattern() -> impl Strategy<Value = String> {
    prop_oneof![any_address(), domain().prop_map(|d| format!("@{d}")), domain().prop_map(|d| format!("*.{d}"))]
}

/// What a pattern means, spelt another way.
fn means(pattern: &str, address: &str) -> bool {
    let (pattern, address) = (pattern.to_lowercase(), address.to_lowercase());
    let domain = address.split_once('@').expect("an address").1;
    match (pattern.strip_prefix('@'), pattern.strip_prefix("*.")) {
        (Some(own), _) => own == domain,
        (_, Some(own)) => format!(".{domain}").ends_with(&format!(".{own}")),
        _ => pattern == address,
    }
}

proptest! {
    #[test]
    fn the_decision_is_that_of_looking_at_each_rule_in_turn(
        conditions in prop::collection::vec(
            (prop::collection::vec(any_pattern(), 0..3), prop::collection::vec(any_pattern(), 0..3)), 0..5),
        from in any_address(),
        recipients in prop::collection::vec(any_address(), 1..4),
    ) {
        let texts = |texts: &[String]| texts.iter().map(|text| text.parse().expect("a pattern")).collect::<Vec<_>>();
        let rules: Vec<_> = conditions.iter().enumerate().map(|(number, (from, recipients))| RoutingRule {
            from: texts(from),
            recipients: texts(recipients),
            ..rule(&format!("r{number}"), &[], &[], &format!("a{number}"), &[])
        }).collect();
        let holds = |patterns: &[String], address: &str| {
            patterns.is_empty() || patterns.iter().any(|pattern| means(pattern, address))
        };
        let expected = conditions.iter().position(|(senders, to)| {
            holds(senders, &from) && recipients.iter().all(|recipient| holds(to, recipient))
        });
        let routing = Routing { rules, ..Routing::default() };
        let told: Vec<_> = recipients.iter().map(String::as_str).collect();
        let (way, verdicts) = decide(&routing, &from, &told, Kind::Plain);
        let expected = expected.map(|number| format!("r{number} a{number}"));
        prop_assert_eq!(way.ok(), expected.clone());
        prop_assert_eq!(verdicts.iter().filter(|verdict| verdict.matched).count(), usize::from(expected.is_some()));
        prop_assert!(verdicts.iter().rev().skip(1).all(|verdict| !verdict.matched), "the last one decided");
    }
}
