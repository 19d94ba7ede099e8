//! Previews, resending and completions by the command line.

use crate::scene::Scene;

const WORDS: [&str; 10] =
    ["job", "preview", "--account", "shop", "--to", "a@example.jp", "--text", "hello\u{1b}", "--subject", "x"];

#[test]
fn a_preview_is_the_message_byte_by_byte() {
    let scene = Scene::new();
    let shown = scene.run(&WORDS);
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(shown.out.starts_with("To: a@example.jp\r\nSubject: x\r\n"), "{shown:?}");
    assert!(shown.out.ends_with("\r\n\r\nhello\u{1b}\r\n\r\n"), "a pipe gets it as it is: {shown:?}");
    assert!(shown.err.ends_with(" bytes from  to a@example.jp\nwarning: it is late\\u{7}\n"), "{shown:?}");
    let path = scene.path("out.eml");
    let told = scene.good(&[&WORDS[..], &["-o", &path]].concat());
    assert!(told.starts_with(&format!("wrote {path}: ")), "{told}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), shown.out);
    let view = &scene.json(&WORDS)[0];
    assert_eq!((view["message"].as_str(), view["message_base64"].as_str()), (Some(shown.out.as_str()), None));
    assert_eq!(scene.json(&["job", "list"]).len(), 0);
}

#[test]
fn a_stored_job_is_shown_by_its_id() {
    let scene = Scene::new();
    let shown = scene.good(&["job", "preview", "--id", "job-7", "--recipient", "3"]);
    assert_eq!(shown, "X-Hikyaku-Job: job-7\r\n\r\nfor 3\r\n");
    assert_eq!(scene.run(&["job", "preview", "--id", "job-7", "--text", "x"]).code, 2);
}

#[test]
fn a_job_is_sent_again_to_some() {
    let scene = Scene::new().with_shop();
    scene.good(&["job", "submit", "--account", "shop", "--to", "a@example.jp", "--text", "x"]);
    assert_eq!(
        scene.good(&["job", "resend", "job-1", "--state", "failed,expired", "--address", "a@example.jp"]),
        "accepted as job-1-again (400 bytes)\nwarning: [7, 9] [\"a@example.jp\"] \n"
    );
    assert!(scene.good(&["job", "resend", "job-1", "--dry-run"]).starts_with("would be accepted"));
    assert_eq!(scene.run(&["job", "resend", "job-9"]).code, 1);
}

#[test]
fn shells_get_their_completions() {
    let scene = Scene::new();
    for (shell, word) in [("bash", "complete -F"), ("zsh", "#compdef hikyaku"), ("fish", "complete -c hikyaku")] {
        let script = scene.good(&["completions", shell]);
        assert!(script.contains(word), "{shell}");
    }
}
