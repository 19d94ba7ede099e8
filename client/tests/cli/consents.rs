//! Consent for OAuth 2 by the command line.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
};

use crate::scene::Scene;

/// Runs the consent in a browser that comes back with this query; gives the exit code, stdout, stderr and the page.
fn browse(scene: &Scene, query: &str) -> (i32, String, String, String) {
    let mut child = scene.command(&["account", "oauth", "shop", "--no-browser"]).spawn().unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap());
    let (mut first, mut url) = (String::new(), String::new());
    told.read_line(&mut first).unwrap();
    told.read_line(&mut url).unwrap();
    assert_eq!(first, "hikyaku: open this address in a browser on this machine:\n");
    let place = url.trim().strip_prefix("http://").unwrap().trim_end_matches('/');
    let mut browser = TcpStream::connect(place).unwrap();
    write!(browser, "GET /?{query} HTTP/1.1\r\nHost: {place}\r\n\r\n").unwrap();
    let (mut page, mut rest) = (String::new(), String::new());
    browser.read_to_string(&mut page).unwrap();
    told.read_to_string(&mut rest).unwrap();
    let ended = child.wait_with_output().unwrap();
    (ended.status.code().unwrap(), String::from_utf8(ended.stdout).unwrap(), rest, page)
}

#[test]
fn a_browser_brings_the_permission() {
    let scene = Scene::new().with_shop();
    let (code, out, _, page) = browse(&scene, "code=good&state=s");
    assert_eq!(code, 0);
    assert!(out.contains("has a refresh token"), "{out}");
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    assert!(!out.contains("good"), "{out}");
}

#[test]
fn a_refusal_is_told_to_terminal_and_browser() {
    let scene = Scene::new().with_shop();
    let (code, _, err, page) = browse(&scene, "error=access_denied&state=s");
    assert_eq!((code, err.as_str()), (1, "hikyaku: the person said no\n"));
    assert!(page.starts_with("HTTP/1.1 400 "), "{page}");
}

#[test]
fn another_device_is_asked_for_until_it_has_answered() {
    let scene = Scene::new().with_shop();
    let ended = scene.run(&["account", "oauth", "shop", "--device"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(
        ended.err.starts_with("hikyaku: open https://issuer.example/device on any device and type the code ABCD\n")
    );
}

#[test]
fn nobody_is_waited_for_for_ever() {
    let scene = Scene::new().with_shop();
    let ended = scene.run(&["account", "oauth", "shop", "--no-browser", "--timeout", "10ms"]);
    assert_eq!(ended.code, 1);
    assert!(
        ended.err.ends_with("nobody consented within 10ms; call it again, with --timeout for longer\n"),
        "{ended:?}"
    );
}

#[test]
fn a_refresh_token_can_be_pasted() {
    let scene = Scene::new().with_shop();
    let file = scene.file("token", "refresh-hunter2\n").display().to_string();
    let ended = scene.run(&["account", "oauth", "shop", "--refresh-token-file", &file]);
    assert_eq!((ended.code, ended.err.as_str()), (2, "hikyaku: account shop does not sign in with OAuth 2\n"));
    let text =
        "[accounts.g]\nfrom = 'g@x'\nserver.host = 'h'\nsign_in.oauth2 = { user = 'g@x', provider.kind = 'google' }\n";
    let accounts = scene.file("g.toml", text).display().to_string();
    scene.good(&["account", "apply", "-f", &accounts]);
    let out = scene.good(&["account", "oauth", "g", "--refresh-token-file", &file]);
    assert!(!out.contains("hunter2"), "{out}");
    let ended = scene.run_with_stdin(&["account", "oauth", "g", "--refresh-token-stdin"], "\n");
    assert_eq!(ended.code, 2, "{ended:?}");
}
