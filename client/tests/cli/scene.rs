//! A made-up daemon on a socket of its own, and the program run against it.

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::Arc,
};

use hikyaku_client::proto::{
    account_service_server::AccountServiceServer, blob_service_server::BlobServiceServer,
    classification_service_server::ClassificationServiceServer, dkim_service_server::DkimServiceServer,
    inbound_service_server::InboundServiceServer, job_service_server::JobServiceServer,
    provider_service_server::ProviderServiceServer, route_service_server::RouteServiceServer,
    statistics_service_server::StatisticsServiceServer, store_service_server::StoreServiceServer,
    suppression_service_server::SuppressionServiceServer,
};
use tokio::net::UnixListener;
use tokio_stream::{StreamExt as _, wrappers::UnixListenerStream};

use crate::{brittle::Brittle, fake::Fake};

/// Serves until it is dropped.
pub(crate) struct Scene {
    directory: tempfile::TempDir,
    runtime: Option<tokio::runtime::Runtime>,
}

/// How the program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(async { UnixListener::bind(directory.path().join("h.sock")).unwrap() });
        let fake = Arc::new(Fake::default());
        let breaks = Arc::clone(&fake.breaks);
        let connections =
            UnixListenerStream::new(listener).map(move |stream| std::io::Result::Ok(Brittle::new(stream?, &breaks)));
        runtime.spawn(
            tonic::transport::Server::builder()
                .add_service(JobServiceServer::from_arc(Arc::clone(&fake)))
                .add_service(AccountServiceServer::from_arc(Arc::clone(&fake)))
                .add_service(BlobServiceServer::from_arc(Arc::clone(&fake)))
                .add_service(DkimServiceServer::from_arc(Arc::clone(&fake)))
                .add_service(ClassificationServiceServer::from_arc(Arc::clone(&fake)))
                .add_service(ProviderServiceServer::from_arc(Arc::clone(&fake)))
                .add_service(RouteServiceServer::from_arc(Arc::clone(&fake)))
                .add_service(SuppressionServiceServer::from_arc(Arc::clone(&fake)))
                .add_service(InboundServiceServer::from_arc(Arc::clone(&fake)))
                .add_service(StatisticsServiceServer::from_arc(Arc::clone(&fake)))
                .add_service(StoreServiceServer::from_arc(fake))
                .serve_with_incoming(connections),
        );
        Self { directory, runtime: Some(runtime) }
    }

    /// A file beside the socket.
    pub(crate) fn file(&self, name: &str, content: &(impl AsRef<[u8]> + ?Sized)) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The path of a file beside the socket.
    pub(crate) fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    /// The program with these words, ready to be run.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hikyaku"));
        command
            .args(words)
            .env("HIKYAKU_ENDPOINT", format!("unix:{}/h.sock", self.directory.path().display()))
            .env_remove("HIKYAKU_API_KEY")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Ended {
        self.command(words).output().unwrap().into()
    }

    /// Runs the program to its end with this on stdin.
    pub(crate) fn run_with_stdin(&self, words: &[&str], stdin: &str) -> Ended {
        let mut child: Child = self.command(words).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        child.wait_with_output().unwrap().into()
    }

    /// Runs the program, which must end well, and gives what it wrote.
    #[track_caller]
    pub(crate) fn good(&self, words: &[&str]) -> String {
        let ended = self.run(words);
        assert_eq!(ended.code, 0, "{ended:?}");
        ended.out
    }

    /// Runs the program with `--json` and gives each line it wrote.
    #[track_caller]
    pub(crate) fn json(&self, words: &[&str]) -> Vec<serde_json::Value> {
        let out = self.good(&[&["--json"], words].concat());
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Makes the account `shop`.
    pub(crate) fn with_shop(self) -> Self {
        self.good(&["account", "create", "shop", "--from", "shop@example.jp", "--host", "mx.example.jp"]);
        self
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
