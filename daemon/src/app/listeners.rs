//! Where calls come in: the Unix socket and TCP, and until when they are taken.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::{
        fs::{DirBuilderExt, FileTypeExt, PermissionsExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    net::{TcpListener, UnixListener},
    task::JoinSet,
};
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::{service::Routes, transport::server::TcpIncoming};

use super::{
    config::{TcpListen, Tls, UnixListen},
    connections::{CONNECTIONS_MAX, bounded},
};
use crate::service::{guard::Guard, load::Load, routes::server};

/// The open listeners, each a task that ends some time after the token was cancelled.
#[derive(Debug)]
pub(super) struct Listeners {
    servers: JoinSet<Result<(), tonic::transport::Error>>,
    stop: CancellationToken,
    /// What callers of all of them may have under way.
    load: Load,
}

impl Listeners {
    /// None yet; all end when `stop` is cancelled.
    pub(super) fn new(stop: CancellationToken) -> Self {
        Self { servers: JoinSet::new(), stop, load: Load::default() }
    }

    /// Takes calls on a Unix socket, whose file goes when no more are taken.
    pub(super) fn unix(&mut self, listen: &UnixListen, guard: Guard, routes: Routes) -> anyhow::Result<()> {
        let listener = bind_unix(listen).with_context(|| format!("cannot listen on {}", listen.path.display()))?;
        tracing::info!(path = %listen.path.display(), "listening");
        let stopped = SocketFile { path: listen.path.clone(), stop: self.stop.clone() }.stopped();
        let incoming = bounded(UnixListenerStream::new(listener), CONNECTIONS_MAX);
        let router = server(guard, self.load.clone()).add_routes(routes);
        self.servers.spawn(router.serve_with_incoming_shutdown(incoming, stopped));
        Ok(())
    }

    /// Takes calls over TCP.
    pub(super) async fn tcp(&mut self, listen: &TcpListen, guard: Guard, routes: Routes) -> anyhow::Result<()> {
        let failed = || format!("cannot listen on {}", listen.address);
        let listener = TcpListener::bind(listen.address).await.with_context(failed)?;
        let address = listener.local_addr().with_context(failed)?;
        let mut server = server(guard, self.load.clone());
        if let Some(Tls { server: tls, .. }) = &listen.tls {
            server = server.tls_config(tls.clone()).with_context(failed)?;
        }
        tracing::info!(%address, tls = listen.tls.is_some(), "listening");
        let incoming = bounded(TcpIncoming::from(listener).with_nodelay(Some(true)), CONNECTIONS_MAX);
        let stopped = self.stop.clone().cancelled_owned();
        self.servers.spawn(server.add_routes(routes).serve_with_incoming_shutdown(incoming, stopped));
        Ok(())
    }

    /// Waits until a listener breaks down, which none does by itself.
    pub(super) async fn broken(&mut self) -> anyhow::Error {
        match self.servers.join_next().await {
            Some(Ok(Ok(()))) => anyhow::anyhow!("a listener ended"),
            Some(Ok(Err(error))) => anyhow::Error::from(error).context("a listener failed"),
            Some(Err(error)) => anyhow::Error::from(error).context("a listener broke down"),
            None => std::future::pending().await,
        }
    }

    /// Takes no more calls, and waits up to `limit` for those under way. Returns whether all came to their end.
    pub(super) async fn end(mut self, limit: Duration) -> bool {
        self.stop.cancel();
        let ended = async { while self.servers.join_next().await.is_some() {} };
        tokio::time::timeout(limit, ended).await.is_ok()
    }
}

/// The file of our socket. It goes before the listener does: from then on another daemon may have one in its place.
struct SocketFile {
    path: PathBuf,
    stop: CancellationToken,
}

impl SocketFile {
    async fn stopped(self) {
        self.stop.cancelled().await;
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, path = %self.path.display(), "the socket's file was gone");
        }
    }
}

/// Binds a socket that has its mode from its first moment on. One that a dead daemon left is replaced, one that
/// somebody answers is not.
fn bind_unix(listen: &UnixListen) -> io::Result<UnixListener> {
    if let Some(folder) = listen.path.parent() {
        DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
    }
    check_abandoned(&listen.path)?;
    let mut new = listen.path.clone().into_os_string();
    new.push(".new");
    let new = PathBuf::from(new);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&new)?;
    fs::set_permissions(&new, Permissions::from_mode(listen.mode))?;
    fs::rename(&new, &listen.path)?;
    Ok(listener)
}

/// Whether the path is free, or was a socket whose daemon is gone.
fn check_abandoned(path: &Path) -> io::Result<()> {
    let refuse = |why| Err(io::Error::new(io::ErrorKind::AddrInUse, why));
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(facts) if !facts.file_type().is_socket() => return refuse("there is something that is not a socket"),
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => refuse("another daemon answers there"),
        Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(folder: &Path) -> UnixListen {
        UnixListen { path: folder.join("run/h.sock"), mode: 0o600 }
    }

    #[tokio::test]
    async fn a_socket_has_its_mode_and_its_folder_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let listen = listen(folder.path());
        let _listener = bind_unix(&listen).unwrap();
        assert_eq!(fs::metadata(&listen.path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(UnixStream::connect(&listen.path).is_ok());
    }

    #[tokio::test]
    async fn a_left_socket_is_replaced_and_an_answered_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let listen = listen(folder.path());
        let listener = bind_unix(&listen).unwrap();
        let error = bind_unix(&listen).unwrap_err();
        assert_eq!(error.to_string(), "another daemon answers there");
        drop(listener);
        assert!(listen.path.exists());
        assert!(bind_unix(&listen).is_ok());
    }

    #[tokio::test]
    async fn a_file_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let listen = UnixListen { path: folder.path().join("precious"), mode: 0o600 };
        fs::write(&listen.path, "x").unwrap();
        assert_eq!(bind_unix(&listen).unwrap_err().to_string(), "there is something that is not a socket");
        assert_eq!(fs::read_to_string(&listen.path).unwrap(), "x");
    }

    #[tokio::test(start_paused = true)]
    async fn a_listener_ends_when_told_and_takes_its_file_along() {
        let folder = tempfile::tempdir().unwrap();
        let listen = listen(folder.path());
        let mut listeners = Listeners::new(CancellationToken::new());
        listeners.unix(&listen, Guard::Local, Routes::default()).unwrap();
        assert!(listen.path.exists());
        assert!(listeners.end(Duration::from_secs(5)).await);
        assert!(!listen.path.exists());
    }
}
