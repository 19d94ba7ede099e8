//! Whether a secret ever comes out again.

use crate::scene::Scene;

const SECRET: &str = "hunter2-unseen";

#[test]
fn no_secret_appears_in_any_output() {
    let scene = Scene::new();
    scene.file("secret", &format!("{SECRET}\n"));
    let text = "[accounts.a]\nfrom = 'a@b'\nserver = { host = 'h', proxy = { kind = 'socks5', host = 'p', user = 'u', \
                password = 'file:secret' } }\nsign_in.password = { user = 'u', password = 'file:secret' }\n";
    let good = scene.file("good.toml", text).display().to_string();
    let plain = text.replace("file:secret", SECRET);
    let plain = scene.file("plain.toml", &plain).display().to_string();
    let misplaced = text.replace("user = 'u'", &format!("usre = '{SECRET}'"));
    let misplaced = scene.file("misplaced.toml", &misplaced).display().to_string();
    let unquoted = scene.file("unquoted.toml", &format!("[accounts.a]\npassword = {SECRET}\n")).display().to_string();
    let prefixed = text.replace("file:secret", &format!("file:{}", "nowhere"));
    let prefixed = scene.file("prefixed.toml", &prefixed).display().to_string();
    let commands: [&[&str]; 13] = [
        &["account", "apply", "-f", &good, "--dry-run"],
        &["account", "apply", "-f", &good],
        &["account", "apply", "-f", &good, "--rotate-secrets"],
        &["account", "apply", "-f", &plain],
        &["account", "apply", "-f", &misplaced],
        &["account", "apply", "-f", &unquoted],
        &["account", "apply", "-f", &prefixed, "--rotate-secrets"],
        &["account", "export", "a"],
        &["account", "get", "a"],
        &["account", "list"],
        &["account", "test", "a"],
        &["account", "test", "-f", &good],
        &["account", "update", "a", "--proxy", "socks5://u:hunter2-unseen@p"],
    ];
    for words in commands {
        for json in [&[][..], &["--json"]] {
            let ended = scene.run(&[json, words].concat());
            // What stands on the command line itself is repeated by whoever parses it.
            let own = words.iter().any(|word| word.contains(SECRET));
            assert!(own || !format!("{ended:?}").contains(SECRET), "{words:?}: {ended:?}");
        }
    }
}
