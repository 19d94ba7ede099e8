//! `hikyaku account oauth`: a person permits an account to send, in a browser or on another device, or pastes a token.

use std::{
    env,
    io::{self, BufRead as _, IsTerminal as _, Write},
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use clap::Args;
use hikyaku_client::{
    Client,
    proto::{
        Account, BeginConsentResponse, BrowserConsent, DeviceConsent, begin_consent_request::Way, sign_in::Method,
    },
};

use super::{
    account_view::AccountView,
    duration_text::{parse_duration, show_duration},
    escape::escape,
    failure::{Failure, usage},
    loopback::{Loopback, respond},
    output::Output,
    progress::Progress,
    run::read_text,
};

/// How to get the permission; in a browser on this machine when not said.
#[derive(Args, Debug)]
pub(crate) struct OauthArgs {
    /// The account
    id: String,
    /// Show a code to type on any other device
    #[arg(long, group = "way")]
    device: bool,
    /// File whose first line is a refresh token that was got elsewhere
    #[arg(long, value_name = "FILE", group = "way")]
    refresh_token_file: Option<PathBuf>,
    /// Environment variable that holds such a refresh token
    #[arg(long, value_name = "VARIABLE", group = "way")]
    refresh_token_env: Option<String>,
    /// Read such a refresh token from the first line of stdin
    #[arg(long, group = "way")]
    refresh_token_stdin: bool,
    /// Only print the address, and open no browser
    #[arg(long)]
    no_browser: bool,
    /// Give up after this time
    #[arg(long, value_name = "LENGTH", value_parser = parse_duration, default_value = "10m")]
    timeout: Duration,
}

/// How often progress is shown.
const TICK: Duration = Duration::from_secs(1);
/// Pause between two questions when the daemon names none (RFC 8628 3.2).
const POLL: Duration = Duration::from_secs(5);

pub(crate) async fn oauth<W: Write>(
    client: &Client,
    args: OauthArgs,
    output: &mut Output<W>,
) -> Result<ExitCode, Failure> {
    let account = match pasted(&args)? {
        Some(token) => Box::pin(paste(client, &args.id, token)).await?,
        None => {
            let timeout = args.timeout;
            let consent =
                async { if args.device { by_device(client, &args).await } else { by_browser(client, &args).await } };
            with_progress(consent, timeout).await?
        }
    };
    output.show(&AccountView::from(account))?;
    Ok(ExitCode::SUCCESS)
}

/// Waits with a sign of life, and not for ever.
async fn with_progress(
    consent: impl Future<Output = Result<Account, Failure>>,
    timeout: Duration,
) -> Result<Account, Failure> {
    let mut consent = std::pin::pin!(consent);
    let mut progress = Progress::new("waiting", 0);
    let deadline = tokio::time::Instant::now() + timeout;
    loop {
        if let Ok(ended) = tokio::time::timeout(TICK, &mut consent).await {
            return ended;
        }
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        if left.is_zero() {
            let limit = show_duration(timeout);
            return Err(anyhow!("nobody consented within {limit}; call it again, with --timeout for longer").into());
        }
        progress.at(0, "for the person's consent");
    }
}

async fn by_browser(client: &Client, args: &OauthArgs) -> Result<Account, Failure> {
    let loopback = Loopback::open().await.context("cannot listen on 127.0.0.1 for the browser")?;
    let way = Way::Browser(BrowserConsent { redirect_uri: loopback.redirect_uri() });
    let consent = client.begin_consent(&args.id, way).await?;
    tell(&format!("open this address in a browser on this machine:\n{}", escape(&consent.url)))?;
    if !args.no_browser {
        open_browser(&consent.url);
    }
    let (query, browser) = loopback.answer().await.context("cannot hear the browser")?;
    let finished = client.finish_consent(&consent.consent_id, &query).await;
    match &finished {
        Ok(_) => respond(browser, "200 OK", "Done: the account may send. You can close this page.").await,
        Err(_) => respond(browser, "400 Bad Request", "That did not work. The terminal says why.").await,
    }
    Ok(finished?.account.unwrap_or_default())
}

async fn by_device(client: &Client, args: &OauthArgs) -> Result<Account, Failure> {
    let consent = client.begin_consent(&args.id, Way::Device(DeviceConsent {})).await?;
    let BeginConsentResponse { consent_id, url, user_code, poll_interval, .. } = consent;
    tell(&format!("open {} on any device and type the code {}", escape(&url), escape(&user_code)))?;
    let mut interval = pause(poll_interval);
    loop {
        tokio::time::sleep(interval).await;
        let answer = client.finish_consent(&consent_id, "").await?;
        if !answer.pending {
            return Ok(answer.account.unwrap_or_default());
        }
        interval = answer.poll_interval.map_or(interval, |given| pause(Some(given)));
    }
}

async fn paste(client: &Client, id: &str, token: String) -> Result<Account, Failure> {
    let account = client.get_account(id).await?;
    let mut settings = account.settings.unwrap_or_default();
    let method = settings.sign_in.as_mut().and_then(|sign_in| sign_in.method.as_mut());
    let Some(Method::Oauth2(method)) = method else {
        return Err(usage(format!("account {id} does not sign in with OAuth 2")));
    };
    method.refresh_token = token;
    Ok(client.update_account(id, settings, &account.etag).await?)
}

/// The refresh token that the options name.
fn pasted(args: &OauthArgs) -> Result<Option<String>, Failure> {
    let (text, source) = if let Some(path) = &args.refresh_token_file {
        (read_text(path)?, path.display().to_string())
    } else if let Some(name) = &args.refresh_token_env {
        let unset = || usage(format!("the environment variable {name} of --refresh-token-env is not set"));
        (env::var(name).map_err(|_| unset())?, format!("the environment variable {name}"))
    } else if args.refresh_token_stdin {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).context("cannot read the refresh token from stdin")?;
        (line, "stdin".to_owned())
    } else {
        return Ok(None);
    };
    let token = text.lines().next().unwrap_or_default().trim().to_owned();
    if token.is_empty() {
        return Err(usage(format!("the first line of {source} is empty, so there is no refresh token")));
    }
    Ok(Some(token))
}

/// What a person must do, on stderr: stdout is for the outcome.
fn tell(words: &str) -> Result<(), Failure> {
    Ok(writeln!(io::stderr().lock(), "hikyaku: {words}")?)
}

/// Tries to open a browser where there is one; the address was printed, so that nothing is lost without.
fn open_browser(url: &str) {
    let web = url.starts_with("https://") || url.starts_with("http://");
    if !web || !io::stderr().is_terminal() {
        return;
    }
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let _ = Command::new(opener).arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
}

fn pause(given: Option<prost_types::Duration>) -> Duration {
    let given = given.and_then(|given| Duration::try_from(given).ok());
    given.filter(|pause| !pause.is_zero()).unwrap_or(POLL)
}
