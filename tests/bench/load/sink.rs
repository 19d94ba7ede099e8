//! Who takes mail as fast as it comes, and when did it take which?

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::Args;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

use crate::{
    mail,
    result::{say, say_rate},
    smtp_server::{Dialogue, Offers},
};

/// Room for what one read brings, in bytes.
const READ_BYTES: usize = 65_536;

/// How the sink behaves.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Port on 127.0.0.1
    #[arg(long)]
    port: u16,
    /// Ends after so many messages; never when 0
    #[arg(long, default_value_t = 0)]
    stop_after: u64,
    /// Offers CHUNKING
    #[arg(long)]
    chunking: bool,
    /// Prints a line once the first message is whole
    #[arg(long)]
    tell_first: bool,
    /// Does not offer PIPELINING
    #[arg(long)]
    no_pipelining: bool,
}

/// What a sink has taken.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    count: AtomicU64,
    changed: Notify,
    first: Mutex<Option<Instant>>,
    tells_first: bool,
    /// When each marked message was whole; only when marks are looked for.
    marks: Option<Mutex<HashMap<u64, Instant>>>,
}

impl Taken {
    /// Looks for marks in every message.
    pub(crate) fn with_marks() -> Arc<Self> {
        Arc::new(Self { marks: Some(Mutex::default()), ..Self::default() })
    }

    /// When the message with this mark was whole.
    pub(crate) fn at(&self, mark: u64) -> Option<Instant> {
        let marks = self.marks.as_ref()?.lock().expect("nobody panics with the lock");
        marks.get(&mark).copied()
    }

    /// Waits until so many were taken, or the time is over.
    pub(crate) async fn wait_for(&self, count: u64, most: Duration) {
        let reached = async {
            while self.count.load(Ordering::Relaxed) < count {
                self.changed.notified().await;
            }
        };
        // What is missing then is missing in the figures.
        drop(tokio::time::timeout(most, reached).await);
    }

    fn note(&self, message: &[u8]) {
        let now = Instant::now();
        if let Some(marks) = &self.marks
            && let Some(mark) = mail::mark_of(message)
        {
            marks.lock().expect("nobody panics with the lock").entry(mark).or_insert(now);
        }
        if self.count.fetch_add(1, Ordering::Relaxed) == 0 {
            *self.first.lock().expect("nobody panics with the lock") = Some(now);
            if self.tells_first {
                say("first", 1);
            }
        }
    }
}

/// Serves until enough was taken.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let taken = Arc::new(Taken { tells_first: options.tell_first, ..Taken::default() });
    let offers = Offers { pipelining: !options.no_pipelining, chunking: options.chunking };
    let serving = serve(listen(options.port).await?, offers, Arc::clone(&taken));
    let stop = options.stop_after;
    if stop == 0 {
        return serving.await;
    }
    tokio::select! {
        ended = serving => ended?,
        () = taken.wait_for(stop, Duration::MAX) => {}
    }
    let first = taken.first.lock().expect("nobody panics with the lock").unwrap_or_else(Instant::now);
    say_rate(taken.count.load(Ordering::Relaxed), first.elapsed());
    Ok(())
}

/// Listens on 127.0.0.1.
pub(crate) async fn listen(port: u16) -> anyhow::Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", port)).await.with_context(|| format!("cannot listen on port {port}"))
}

/// Takes mail on every connection, without end.
pub(crate) async fn serve(listener: TcpListener, offers: Offers, taken: Arc<Taken>) -> anyhow::Result<()> {
    loop {
        let (stream, _) = listener.accept().await.context("cannot accept")?;
        let taken = Arc::clone(&taken);
        // A connection ends with its client or with this process, and there is nothing to settle then.
        tokio::spawn(async move { drop(converse(stream, offers, &taken).await) });
    }
}

async fn converse(mut stream: TcpStream, offers: Offers, taken: &Taken) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut dialogue = Dialogue::new(offers);
    let mut bytes = vec![0; READ_BYTES];
    loop {
        let answers = dialogue.take_answers();
        if !answers.is_empty() {
            stream.write_all(&answers).await?;
            taken.changed.notify_one();
        }
        if dialogue.has_ended() {
            return Ok(());
        }
        let read = stream.read(&mut bytes).await?;
        if read == 0 {
            return Ok(());
        }
        dialogue.read(&bytes[..read], |message| taken.note(message));
    }
}
