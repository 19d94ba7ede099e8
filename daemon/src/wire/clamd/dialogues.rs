//! What is made of what scanners say, and of those that say nothing.

use tokio::{
    io::{DuplexStream, duplex},
    net::UnixListener,
};

use super::*;

/// Reads a whole `INSTREAM` and gives the file that was in it.
async fn receive(stream: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Vec<u8>> {
    let mut command = [0; 10];
    stream.read_exact(&mut command).await?;
    assert_eq!(&command, b"zINSTREAM\0");
    let mut file = Vec::new();
    loop {
        let length = stream.read_u32().await? as usize;
        if length == 0 {
            return Ok(file);
        }
        assert!(length <= CHUNK_BYTES_MAX);
        let start = file.len();
        file.resize(start + length, 0);
        stream.read_exact(&mut file[start..]).await?;
    }
}

fn connected() -> (Box<dyn Stream>, DuplexStream) {
    let (ours, theirs) = duplex(4_096);
    (Box::new(ours), theirs)
}

/// What is made of a reply to a file, which the scanner reads whole before.
async fn scanned(file: &[u8], reply: &[u8]) -> Result<ScanVerdict, ScanError> {
    let (ours, mut theirs) = connected();
    let (verdict, ()) = tokio::join!(instream(ours, file), async move {
        assert_eq!(receive(&mut theirs).await.expect("a file"), file);
        theirs.write_all(reply).await.expect("somebody listens");
    });
    verdict
}

#[track_caller]
fn check(verdict: Result<ScanVerdict, ScanError>, expected: &str) {
    let shown = match verdict {
        Ok(ScanVerdict::Clean) => "clean".to_owned(),
        Ok(ScanVerdict::Infected(name)) => name,
        Err(error) => error.to_string(),
    };
    assert_eq!(shown, expected);
}

#[tokio::test(start_paused = true)]
async fn each_reply_has_its_meaning() {
    let dropped = "the virus scanner closed the connection without an answer";
    for (reply, expected) in [
        (&b"stream: OK\0"[..], "clean"),
        (b"stream: Win.Test.EICAR_HDB-1 FOUND\0", "Win.Test.EICAR_HDB-1"),
        (b"stream: A name (with) FOUND in it.UNOFFICIAL FOUND\0", "A name (with) FOUND in it.UNOFFICIAL"),
        (b"INSTREAM size limit exceeded. ERROR\0", "the file is larger than the virus scanner takes"),
        (b"stream: Can't allocate memory ERROR\0", "the virus scanner said \"stream: Can't allocate memory ERROR\""),
        (b"UNKNOWN COMMAND\0", "the virus scanner said \"UNKNOWN COMMAND\""),
        (b"OK\0", "the virus scanner said \"OK\""),
        (b"\0", "the virus scanner said \"\""),
        (b"a\r\nb\xff\0", "the virus scanner said \"a\u{fffd}\u{fffd}b\u{fffd}\""),
        (b"stream: OK", dropped),
        (b"", dropped),
    ] {
        check(scanned(b"a file", reply).await, expected);
    }
    let endless = scanned(b"a file", &b"x".repeat(2_000)).await.expect_err("too much");
    assert_eq!(endless.to_string().len(), "the virus scanner said \"\"".len() + REPLY_BYTES_MAX);
}

#[tokio::test(start_paused = true)]
async fn files_of_all_sizes_come_as_they_are() {
    for size in [0, 1, CHUNK_BYTES_MAX - 1, CHUNK_BYTES_MAX, CHUNK_BYTES_MAX + 1, 3 * CHUNK_BYTES_MAX] {
        let file: Vec<u8> = (0..size).map(|index| index as u8).collect();
        check(scanned(&file, b"stream: OK\0").await, "clean");
    }
}

#[tokio::test(start_paused = true)]
async fn a_scanner_that_has_seen_enough_is_heard() {
    let (ours, mut theirs) = connected();
    let file = vec![0; 10 * CHUNK_BYTES_MAX];
    let (verdict, ()) = tokio::join!(instream(ours, &file), async move {
        theirs.read_exact(&mut [0; 1_000]).await.expect("the beginning");
        theirs.write_all(b"INSTREAM size limit exceeded. ERROR\0").await.expect("somebody listens");
    });
    check(verdict, "the file is larger than the virus scanner takes");
    let (ours, theirs) = connected();
    drop(theirs);
    check(instream(ours, &file).await, "the virus scanner closed the connection without an answer");
}

#[tokio::test(start_paused = true)]
async fn questions_are_answered_or_not() {
    let (ours, mut theirs) = connected();
    let (answer, ()) = tokio::join!(ask(ours, "VERSION"), async move {
        let mut command = [0; 9];
        theirs.read_exact(&mut command).await.expect("a command");
        assert_eq!(&command, b"zVERSION\0");
        theirs.write_all(b"ClamAV 1.4.6/27000\0").await.expect("somebody listens");
    });
    assert_eq!(answer.expect("an answer"), "ClamAV 1.4.6/27000");
}

/// A scanner at a socket that does to each connection what `serve` does.
fn scanner<F>(limit: Duration, scans_max: usize, mut serve: impl FnMut(UnixStream) -> F + Send + 'static) -> Served
where
    F: Future<Output = ()> + Send + 'static,
{
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("clamd.ctl");
    let listener = UnixListener::bind(&path).expect("a socket");
    let task = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            tokio::spawn(serve(stream));
        }
    });
    Served { clamd: Clamd::new(ScannerPlace::Unix(path), limit, scans_max), _folder: folder, task }
}

struct Served {
    clamd: Clamd,
    _folder: tempfile::TempDir,
    task: tokio::task::JoinHandle<()>,
}

#[tokio::test]
async fn a_scanner_is_reached_by_its_socket() {
    let served = scanner(Duration::from_secs(60), 2, |mut stream| async move {
        let mut command = [0; 6];
        stream.read_exact(&mut command).await.expect("a command");
        assert_eq!(&command, b"zPING\0");
        stream.write_all(b"PONG\0").await.expect("somebody listens");
    });
    served.clamd.ping().await.expect("it answers");
    served.task.abort();
    let nobody = Clamd::new(ScannerPlace::Unix("/nowhere/clamd.ctl".into()), Duration::from_secs(60), 1);
    let error = nobody.scan(b"x").await.expect_err("nobody is there").to_string();
    assert!(error.starts_with("the virus scanner cannot be reached: "), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_scanner_is_given_up() {
    let served = scanner(Duration::from_secs(30), 1, |mut stream| async move {
        let _ = receive(&mut stream).await;
        std::future::pending::<()>().await;
    });
    check(served.clamd.scan(b"x").await, "the virus scanner did not answer within 30 s");
    let error = served.clamd.ping().await.expect_err("it is silent");
    assert!(matches!(error, ScanError::TimedOut(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_file_whose_turn_does_not_come_says_nothing_of_the_scanner() {
    let served = scanner(Duration::from_secs(20), 1, |mut stream| async move {
        let _ = receive(&mut stream).await;
        std::future::pending::<()>().await;
    });
    let (first, second, third) =
        tokio::join!(served.clamd.scan(b"x"), served.clamd.scan(b"y"), served.clamd.scan(b"z"));
    check(first, "the virus scanner did not answer within 20 s");
    // Its own 20 s began when it had its turn.
    check(second, "the virus scanner did not answer within 20 s");
    check(third, "too many files wait for the virus scanner: try again later");
}

#[track_caller]
fn check_place(text: &str, shown: Option<&str>) {
    assert_eq!(text.parse::<ScannerPlace>().ok().map(|place| place.to_string()).as_deref(), shown, "{text}");
}

#[test]
fn places_of_scanners_are_read() {
    for place in ["unix:/run/clamav/clamd.ctl", "tcp:127.0.0.1:3310", "tcp:clamd.mail.svc:3310", "tcp:[::1]:3310"] {
        check_place(place, Some(place));
    }
    check_place("tcp:::1:3310", Some("tcp:[::1]:3310"));
    for wrong in
        ["", "unix:", "unix:clamd.ctl", "tcp:127.0.0.1", "tcp::3310", "tcp:h:0", "tcp:h:99999", "tcp:a b:1", "/run/x"]
    {
        check_place(wrong, None);
    }
}
