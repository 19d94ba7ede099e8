//! How is a distant server imitated on this machine?

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::Args;

/// Between whom it stands.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Port on 127.0.0.1 where it listens
    #[arg(long)]
    listen: u16,
    /// Port on 127.0.0.1 to which it connects
    #[arg(long)]
    to: u16,
    /// Milliseconds that everything takes each way
    #[arg(long, default_value_t = 10)]
    millis: u64,
}

const READ_BYTES: usize = 65_536;
/// Reads under way in one direction.
const READS_MAX: usize = 4_096;

/// Something on its way.
struct Parcel {
    due: Instant,
    bytes: Vec<u8>,
}

/// Passes on without end. Threads, because timers of an event loop are a millisecond coarse.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let delay = Duration::from_millis(options.millis);
    let listener = TcpListener::bind(("127.0.0.1", options.listen)).context("cannot listen")?;
    for near in listener.incoming() {
        let near = near.context("cannot accept")?;
        let Ok(far) = TcpStream::connect(("127.0.0.1", options.to)) else { continue };
        for (from, to) in [(near.try_clone()?, far.try_clone()?), (far, near)] {
            to.set_nodelay(true)?;
            let (sender, receiver) = sync_channel(READS_MAX);
            thread::spawn(move || collect(from, delay, &sender));
            thread::spawn(move || deliver(to, &receiver));
        }
    }
    Ok(())
}

fn collect(mut from: TcpStream, delay: Duration, sender: &SyncSender<Parcel>) {
    let mut room = vec![0; READ_BYTES];
    while let Ok(read @ 1..) = from.read(&mut room) {
        let parcel = Parcel { due: Instant::now() + delay, bytes: room[..read].to_vec() };
        if sender.send(parcel).is_err() {
            return;
        }
    }
}

fn deliver(mut to: TcpStream, receiver: &Receiver<Parcel>) {
    for parcel in receiver {
        thread::sleep(parcel.due.saturating_duration_since(Instant::now()));
        if to.write_all(&parcel.bytes).is_err() {
            break;
        }
    }
    // Both ends may be gone already.
    drop(to.shutdown(Shutdown::Both));
}
