//! Lists of merge jobs by the command line: bad rows, columns, encodings, previews.

use std::path::Path;

use crate::scene::{Ended, Scene};

fn merge(scene: &Scene, list: &Path, more: &[&str]) -> Ended {
    let words = ["job", "merge", "--account", "shop", "--subject", "For {{ name }}", "--text", "{{ code }}", "--csv"];
    scene.run(&[&words[..], &[list.to_str().unwrap()], more].concat())
}

#[test]
fn bad_rows_are_reported_or_left_out() {
    let scene = Scene::new().with_shop();
    let bad: String = (0..30).map(|n| format!("bad{n},x,{n}\n")).collect();
    let list = scene.file("list.csv", &format!("address,name,code\na@example.jp,A,1\n{bad}b@example.jp,B,2\n"));
    let report = scene.path("report.csv");
    let refused = merge(&scene, &list, &["--report", &report]);
    assert_eq!((refused.code, refused.out.as_str()), (1, ""));
    assert!(
        refused.err.starts_with(&format!(
            "hikyaku: 30 of 32 rows of {} are bad; nothing was sent\n  line 3: ",
            list.display()
        ))
    );
    assert!(refused.err.ends_with("\n  and 10 more; the report has them all\n"), "{refused:?}");
    let text = std::fs::read_to_string(&report).unwrap();
    assert_eq!(text.lines().count(), 31);
    assert!(text.contains("\n32,address,\"\"\"bad29\"\" has no @\"\n"), "{text}");
    assert_eq!(scene.json(&["job", "list"]).len(), 0);

    let sent = merge(&scene, &list, &["--skip-bad-rows"]);
    assert_eq!(sent.code, 0, "{sent:?}");
    assert!(sent.out.starts_with("accepted as job-1 (2 recipients, "), "{sent:?}");
    assert!(sent.err.contains("are bad, and left out\n  line 3: "), "{sent:?}");
    let all = scene.json(&["job", "recipients", "job-1"]);
    assert_eq!((&all[0]["address"], &all[1]["address"]), (&"a@example.jp".into(), &"b@example.jp".into()));
}

#[test]
fn a_refusal_names_the_line_though_rows_are_left_out() {
    let scene = Scene::new().with_shop();
    let list =
        scene.file("list.csv", "address,name,code\nbad,A,1\nb@example.jp,B,2\nbad,C,3\nunlucky@example.jp,D,4\n");
    let refused = merge(&scene, &list, &["--skip-bad-rows"]);
    assert_eq!(refused.code, 1);
    let expected = format!("recipients[1].address: is unlucky (line 5 of {})\n", list.display());
    assert!(refused.err.ends_with(&expected), "{refused:?}");
}

#[test]
fn lists_of_excel_in_japan_are_read() {
    let scene = Scene::new().with_shop();
    let text = "メール;氏名;code;店舗\ntaro@example.jp;髙橋 太郎;①;x\n";
    let (bytes, _, _) = encoding_rs::SHIFT_JIS.encode(text);
    let list = scene.file("list.csv", &bytes);
    let plain = merge(&scene, &list, &[]);
    assert_eq!(plain.code, 1);
    assert!(
        plain.err.ends_with("line 1: is not UTF-8; Excel in Japan writes Shift_JIS: try --encoding shift_jis\n"),
        "{plain:?}"
    );
    let commas = merge(&scene, &list, &["--encoding", "shift_jis"]);
    assert!(commas.err.contains("--delimiter ';'"), "{commas:?}");
    let columns = [
        "--encoding",
        "cp932",
        "--delimiter",
        ";",
        "--address-column",
        "メール",
        "--name-column",
        "氏名",
        "--subject",
        "x",
    ];
    let words = ["job", "merge", "--account", "shop", "--text", "{{ code }}", "--csv", list.to_str().unwrap()];
    let sent = scene.run(&[&words[..], &columns].concat());
    assert_eq!((sent.code, sent.err.as_str()), (0, "hikyaku: not used: the columns 店舗\n"));
    assert_eq!(
        scene.good(&["job", "recipients", "job-1"]).lines().nth(1).unwrap(),
        "0      taro@example.jp  SUBMITTED         1      250 髙橋 太郎 {\"code\": \"①\"}"
    );
}

#[test]
fn a_row_is_shown_before_anything_is_sent() {
    let scene = Scene::new().with_shop();
    let list =
        scene.file("list.csv", "address,name,code,id\na@example.jp,Taro,7,x1\nnobody,B,8,x2\nc@example.jp,花子,9,x3\n");
    let leave =
        ["--list-unsubscribe-url", "https://example.jp/leave/{{ id }}", "--one-click", "--auto-submitted", "generated"];
    let shown = merge(&scene, &list, &[&["--preview", "3"], &leave[..]].concat());
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(shown.out.starts_with("Subject: For 花子\r\n"), "{shown:?}");
    assert!(shown.out.contains("List-Unsubscribe: https://example.jp/leave/x3  true\r\nKind: 1 2"), "{shown:?}");
    assert!(shown.out.ends_with("\r\n\r\n9\r\n\r\n"), "{shown:?}");
    let bad = merge(&scene, &list, &["--preview", "2"]);
    assert!(bad.err.contains("is bad\n  line 3: \"nobody\" has no @"), "{bad:?}");
    assert!(merge(&scene, &list, &["--preview", "4"]).err.contains("has no row 4"));
    assert_eq!(merge(&scene, &list, &["--preview", "0"]).code, 2);
    assert_eq!(scene.json(&["job", "list"]).len(), 0);
}
