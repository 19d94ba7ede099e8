//! What did the SMTP server take, from whom, for whom and when?

use std::{collections::BTreeMap, fs::File, io::Read as _, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use hikyaku_daemon::{
    app::demo::capture::{CaptureServer, Records, Rules},
    platform::clock::SystemClock,
};
use serde::Deserialize;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// How long after its reply an outside recorder may note a message on a busy machine. Seen: 37 ms.
const OUTSIDE_LATE_MILLIS_MAX: u64 = 60;

/// One message that one recipient was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// The Message-ID without angle brackets.
    pub(crate) message_id: String,
    /// The reverse-path.
    pub(crate) sender: String,
    /// The forward-path.
    pub(crate) recipient: String,
    /// Milliseconds since 1970 on the server's clock.
    pub(crate) at_millis: u64,
    /// Whether the server meant to answer that it took it.
    pub(crate) answered: bool,
    /// The message; empty when the recorder does not keep it.
    pub(crate) content: Arc<[u8]>,
}

/// The server that takes the mail.
#[derive(Debug)]
pub(crate) enum Recorder {
    /// In this process.
    Inside { records: Arc<Records>, port: u16, _serving: JoinSet<std::io::Result<()>> },
    /// Another program that appends a line of JSON for each message.
    Outside { host: String, port: u16, file: PathBuf },
}

/// How recipients' addresses tell the server what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Inside,
    Outside,
}

impl Recorder {
    /// A server in this process that begins with nothing.
    pub(crate) async fn inside() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen on loopback")?;
        let port = listener.local_addr().context("the listener has no address")?.port();
        // Slow enough that kills fall between a dot and its reply.
        let rules = Rules { keep_contents: true, answer_after: Duration::from_millis(2), ..Rules::default() };
        let server = CaptureServer::new(rules, Arc::new(SystemClock));
        let records = server.records();
        let mut serving = JoinSet::new();
        serving.spawn(async move { server.listen(listener, CancellationToken::new()).await });
        Ok(Self::Inside { records, port, _serving: serving })
    }

    /// The host and port that accounts send to.
    pub(crate) fn address(&self) -> (String, u16) {
        match self {
            Self::Inside { port, .. } => ("127.0.0.1".to_owned(), *port),
            Self::Outside { host, port, .. } => (host.clone(), *port),
        }
    }

    /// How much later than it took a message it may note the time: an outside one is seen to do so after its reply.
    pub(crate) fn lateness(&self) -> Duration {
        match self {
            Self::Inside { .. } => Duration::ZERO,
            Self::Outside { .. } => Duration::from_millis(OUTSIDE_LATE_MILLIS_MAX),
        }
    }

    /// How its conduct is scripted.
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Inside { .. } => Dialect::Inside,
            Self::Outside { .. } => Dialect::Outside,
        }
    }

    /// All that was taken so far from senders of `domain`, in order, one entry a recipient.
    pub(crate) fn deliveries(&self, domain: &str) -> anyhow::Result<Vec<Delivery>> {
        let all = match self {
            Self::Inside { records, .. } => taken_inside(records),
            Self::Outside { file, .. } => {
                let mut text = String::new();
                let opened = File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
                std::io::BufReader::new(opened).read_to_string(&mut text).context("cannot read the records")?;
                taken_outside(&text)
            }
        };
        Ok(all.into_iter().filter(|one| one.sender.ends_with(domain)).collect())
    }
}

impl Dialect {
    /// An address that is refused for good.
    pub(crate) fn refused(self, name: &str) -> String {
        match self {
            Self::Inside => format!("refused-{name}@rcpt.test"),
            Self::Outside => format!("rcpt-550-5.1.1+{name}@rcpt.test"),
        }
    }

    /// An address that is deferred once.
    pub(crate) fn deferred(self, name: &str) -> String {
        match self {
            Self::Inside => format!("deferred-1.{name}@rcpt.test"),
            Self::Outside => format!("first-1-rcpt-451-4.2.1+{name}@rcpt.test"),
        }
    }

    /// An address whose message is taken, but the connection closes once instead of saying so; nothing special where the
    /// server cannot do it once.
    pub(crate) fn vanishing(self, name: &str) -> String {
        match self {
            Self::Inside => format!("drop-{name}@rcpt.test"),
            Self::Outside => format!("plain-{name}@rcpt.test"),
        }
    }
}

/// The most deliveries of `sender` within any stretch of `window`.
pub(crate) fn most_in_window(deliveries: &[Delivery], sender: &str, window: Duration) -> usize {
    let mut times: Vec<u64> = deliveries.iter().filter(|one| one.sender == sender).map(|one| one.at_millis).collect();
    times.sort_unstable();
    let window = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
    let inside = |end: usize| times[..=end].iter().rev().take_while(|at| times[end] - **at < window).count();
    (0..times.len()).map(inside).max().unwrap_or(0)
}

fn taken_inside(records: &Records) -> Vec<Delivery> {
    let mut all = Vec::new();
    for message in records.accepted() {
        let content: Arc<[u8]> = message.content.into();
        let answered = !message.recipients.iter().any(|recipient| vanishes(recipient));
        all.extend(message.recipients.into_iter().map(|recipient| Delivery {
            message_id: bare(&message.message_id),
            sender: message.sender.clone(),
            recipient,
            at_millis: message.at.as_millis(),
            answered,
            content: Arc::clone(&content),
        }));
    }
    all
}

/// What an outside recorder writes of a message, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Line {
    t: f64,
    kind: String,
    accepted: Option<bool>,
    size: Option<u64>,
    message_id: Option<String>,
    sender: Option<String>,
    #[serde(default)]
    rcpts: Vec<String>,
}

/// Of all servers that share one file: senders tell whose messages they are.
fn taken_outside(text: &str) -> Vec<Delivery> {
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    // An outside server that sends its reply in two parts takes the second one for a refusal. A message of no bytes is the
    // lone dot with which a client answers 354 when all its recipients were refused.
    let is_taken = |line: &Line| {
        line.accepted == Some(true) || line.rcpts.iter().any(|recipient| recipient.starts_with("split-dot"))
    };
    let ours = lines.filter(|line| line.kind == "message" && is_taken(line) && line.size != Some(0));
    let mut all = Vec::new();
    for line in ours {
        let message_id = bare(line.message_id.as_deref().unwrap_or_default());
        // Such times lie far below 2^53 milliseconds.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded before")]
        let at_millis = (line.t * 1_000.0).clamp(0.0, 9e15) as u64;
        all.extend(line.rcpts.iter().map(|recipient| Delivery {
            message_id: message_id.clone(),
            sender: line.sender.clone().unwrap_or_default(),
            recipient: recipient.clone(),
            at_millis,
            answered: !line.rcpts.iter().any(|recipient| vanishes(recipient)),
            content: Arc::default(),
        }));
    }
    all
}

/// Whether a recipient's address makes the server take the message without a word, or with one that is none.
fn vanishes(recipient: &str) -> bool {
    const ODD: [&str; 7] = ["hang-dot", "garbage-dot", "long-dot", "bin-dot", "ctl-dot", "lf-dot", "mixed-dot"];
    recipient.starts_with("drop-") || ODD.iter().any(|odd| recipient.starts_with(odd))
}

/// A Message-ID without its angle brackets.
pub(crate) fn bare(message_id: &str) -> String {
    message_id.trim().trim_start_matches('<').trim_end_matches('>').to_owned()
}

/// How often each recipient got each message, known by Message-ID and address.
pub(crate) fn times(deliveries: &[Delivery]) -> BTreeMap<(&str, &str), usize> {
    let mut times = BTreeMap::new();
    for one in deliveries {
        *times.entry((one.message_id.as_str(), one.recipient.as_str())).or_default() += 1;
    }
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outside_recorder_is_read_line_by_line() {
        let text = concat!(
            r#"{"t": 17.5, "kind": "rcpt", "port": 628}"#,
            "\n",
            r#"{"t": 18.25, "kind": "message", "port": 628, "accepted": true, "message_id": "<a@b>", "sender": "s@c", "rcpts": ["x@y", "z@y"]}"#,
            "\n",
            r#"{"t": 19, "kind": "message", "port": 600, "accepted": false, "message_id": "<b@b>", "rcpts": ["x@y"]}"#,
            "\n",
            r#"{"t": 20, "kind": "message", "port": 628, "accepted": false, "message_id": null, "rcpts": ["x@y"]}"#,
            "\n",
            r#"{"t": 21, "kind": "mess"#,
        );
        let all = taken_outside(text);
        assert_eq!(all.len(), 2);
        assert_eq!((all[1].message_id.as_str(), all[1].recipient.as_str(), all[1].at_millis), ("a@b", "z@y", 18_250));
    }

    #[test]
    fn a_window_does_not_hold_its_own_end() {
        let at = |at_millis| Delivery {
            message_id: String::new(),
            sender: "s@c".to_owned(),
            recipient: String::new(),
            at_millis,
            answered: true,
            content: Arc::default(),
        };
        let all = [at(0), at(500), at(1_000), at(1_400)];
        assert_eq!(most_in_window(&all, "s@c", Duration::from_secs(1)), 3);
        assert_eq!(most_in_window(&all[..3], "s@c", Duration::from_secs(1)), 2);
        assert_eq!(most_in_window(&all, "other@c", Duration::from_secs(1)), 0);
    }
}
