//! Uploads by the command line.

use crate::scene::Scene;

/// More than what the made-up daemon takes before it breaks the connection.
fn large() -> Vec<u8> {
    (0..(1_u32 << 20) + 7).map(|n| n.to_be_bytes()[2]).collect()
}

#[test]
fn an_upload_goes_on_where_the_connection_broke() {
    let scene = Scene::new();
    let file = scene.file("large.pdf", &large());
    let hash = blake3::hash(&large()).to_hex().to_string();
    assert_eq!(scene.good(&["blob", "upload", file.to_str().unwrap()]), format!("{hash}\n"));
    // The second time it is there.
    let again = &scene.json(&["blob", "upload", file.to_str().unwrap()])[0];
    assert_eq!((&again["blob_id"], &again["size_bytes"]), (&hash.as_str().into(), &1_048_583.into()));
    assert_eq!(
        scene.good(&["blob", "get", &hash]),
        format!(
            "blob       {hash}\nsize       1048583 bytes\nforgotten  2023-11-15T22:13:20.000Z, unless a job uses it\n"
        )
    );
    assert_eq!(scene.run(&["blob", "get", "x"]).code, 1);
}

#[test]
fn what_cannot_be_uploaded_is_told() {
    let scene = Scene::new();
    let absent = scene.run(&["blob", "upload", "/nonexistent"]);
    assert_eq!((absent.code, absent.err.starts_with("hikyaku: cannot read /nonexistent: ")), (1, true), "{absent:?}");
    let empty = scene.file("empty", "");
    let refused = scene.run(&["blob", "upload", empty.to_str().unwrap()]);
    assert_eq!((refused.code, refused.err.as_str()), (1, "hikyaku: size_bytes: is 0\n"));
}

#[test]
fn large_attachments_are_uploaded_before_the_job() {
    let scene = Scene::new().with_shop();
    let (large, small) = (scene.file("large.pdf", &large()), scene.file("small.txt", "x"));
    let words = ["job", "submit", "--account", "shop", "--to", "a@example.jp", "--text", "x"];
    let files = ["--attach", large.to_str().unwrap(), "--attach", small.to_str().unwrap()];
    assert_eq!(scene.good(&[&words[..], &files].concat()), "accepted as job-1 (400 bytes)\nwarning: it is late\n");
    let preview = scene.good(&[&["job", "preview"], &words[2..], &files].concat());
    assert!(preview.contains("\r\nFile: large.pdf application/pdf  1048583 64\r\n"), "{preview}");
    assert!(preview.contains("\r\nFile: small.txt text/plain  1 0\r\n"), "{preview}");
}
