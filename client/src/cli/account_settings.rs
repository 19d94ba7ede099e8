//! From options to an account's settings: what is named changes, the rest stays.

use std::{env, io::BufRead, path::Path, time::Duration};

use anyhow::Context as _;
use hikyaku_client::{
    parse_mailbox,
    proto::{
        AccountSettings, BatchPause, ClientCertificate, Encryption, InDoubtPolicy, Limits, Mailbox, OverQuota, Pace,
        PasswordMechanism, PasswordSignIn, Proxy, Retry, Server, SignIn, TlsVersion, sign_in::Method,
    },
};

use super::{
    failure::{Failure, usage},
    pair_text::Phase,
    run::read_text,
    settings_args::{
        Clear, EncryptionName, InDoubtName, LimitArgs, MechanismName, OverQuotaName, RetryArgs, ServerArgs,
        SettingsArgs, SignInArgs, TlsVersionName,
    },
};

impl SettingsArgs {
    /// Changes `settings` as the options say.
    ///
    /// # Errors
    /// When a file or the password cannot be read, or an option lacks its companion.
    pub(crate) fn apply(self, settings: &mut AccountSettings) -> Result<(), Failure> {
        set(&mut settings.display_name, self.display_name);
        if let Some(from) = self.from {
            settings.from = Some(parse_mailbox(&from));
        }
        if let Some(name) = self.from_name {
            settings.from.get_or_insert_with(Mailbox::default).name = name;
        }
        if !self.may_send_as.is_empty() {
            settings.may_send_as = self.may_send_as;
        }
        if let Some(reply_to) = self.reply_to {
            settings.reply_to = Some(parse_mailbox(&reply_to));
        }
        set_list(&mut settings.labels, self.label);
        set(&mut settings.owner, self.owner);
        set(&mut settings.unlisted, self.unlisted);
        set_list(&mut settings.default_cc, self.default_cc.iter().map(|mailbox| parse_mailbox(mailbox)).collect());
        set_list(&mut settings.default_bcc, self.default_bcc.iter().map(|mailbox| parse_mailbox(mailbox)).collect());
        set_list(&mut settings.quiet_windows, self.quiet);
        if let Some(path) = &self.signature_file {
            settings.signature.get_or_insert_default().text = read_text(path)?;
        }
        if let Some(path) = &self.signature_html_file {
            settings.signature.get_or_insert_default().html = read_text(path)?;
        }
        self.server.apply(settings.server.get_or_insert_with(Server::default))?;
        self.sign_in.apply(&mut settings.sign_in)?;
        self.limits.apply(settings.limits.get_or_insert_with(Limits::default));
        if let Some(policy) = self.retry.in_doubt {
            settings.in_doubt = match policy {
                InDoubtName::Resend => InDoubtPolicy::Resend.into(),
                InDoubtName::Hold => InDoubtPolicy::Hold.into(),
                InDoubtName::Reconcile => InDoubtPolicy::Reconcile.into(),
            };
        }
        self.retry.apply(settings.retry.get_or_insert_with(Retry::default));
        Ok(())
    }
}

impl ServerArgs {
    fn apply(self, server: &mut Server) -> Result<(), Failure> {
        set(&mut server.host, self.host);
        set(&mut server.port, self.port.map(u32::from));
        set(&mut server.ehlo_name, self.ehlo_name);
        set(&mut server.provider, self.provider);
        if let Some(encryption) = self.encryption {
            server.encryption = match encryption {
                EncryptionName::None => Encryption::None.into(),
                EncryptionName::Starttls => Encryption::Starttls.into(),
                EncryptionName::Tls => Encryption::Tls.into(),
            };
        }
        if let Some(path) = &self.custom_ca {
            server.custom_ca_pem = read_text(path)?;
        }
        if let Some(version) = self.tls_min {
            server.tls.get_or_insert_default().version_min = match version {
                TlsVersionName::V1_2 => TlsVersion::TlsVersion12.into(),
                TlsVersionName::V1_3 => TlsVersion::TlsVersion13.into(),
            };
        }
        if let Some(name) = self.tls_name {
            server.tls.get_or_insert_default().server_name = name;
        }
        if let (Some(chain), Some(key)) = (&self.client_cert, &self.client_key) {
            let certificate = ClientCertificate { chain_pem: read_text(chain)?, key_pem: read_text(key)? };
            server.tls.get_or_insert_default().client_certificate = Some(certificate);
        }
        if let Some(proxy) = self.proxy {
            let password = self.proxy_password_file.as_deref().map(read_text).transpose()?;
            let password = password.map(|text| first_line(&text)).unwrap_or_default();
            server.proxy = Some(Proxy { password, ..proxy });
        }
        for (phase, length) in self.timeout {
            let timeouts = server.timeouts.get_or_insert_default();
            let field = match phase {
                Phase::Connect => &mut timeouts.connect,
                Phase::Greeting => &mut timeouts.greeting,
                Phase::Command => &mut timeouts.command,
                Phase::Data => &mut timeouts.data,
                Phase::EndOfData => &mut timeouts.end_of_data,
            };
            *field = Some(proto_duration(length));
        }
        Ok(())
    }
}

impl SignInArgs {
    fn apply(self, sign_in: &mut Option<SignIn>) -> Result<(), Failure> {
        let password = self.password()?;
        let named = [self.user.is_some(), password.is_some(), self.mechanism.is_some(), self.allow_plaintext.is_some()];
        if !named.contains(&true) {
            return Ok(());
        }
        let known = sign_in.take().and_then(|sign_in| sign_in.method);
        let mut method = match known {
            Some(Method::Password(method)) => method,
            None if self.user.is_none() => return Err(usage("the account does not sign in yet: name a --user too")),
            None if password.is_none() => {
                return Err(usage("--user needs a password: give --password-file, --password-env or --password-stdin"));
            }
            None => PasswordSignIn::default(),
            Some(_) => return Err(usage("the account does not sign in with a password")),
        };
        set(&mut method.user, self.user);
        set(&mut method.password, password);
        set(&mut method.allow_plaintext, self.allow_plaintext);
        if let Some(mechanism) = self.mechanism {
            method.mechanism = match mechanism {
                MechanismName::Auto => PasswordMechanism::Unspecified.into(),
                MechanismName::Plain => PasswordMechanism::Plain.into(),
                MechanismName::Login => PasswordMechanism::Login.into(),
                MechanismName::CramMd5 => PasswordMechanism::CramMd5.into(),
            };
        }
        *sign_in = Some(SignIn { method: Some(Method::Password(method)) });
        Ok(())
    }

    fn password(&self) -> Result<Option<String>, Failure> {
        let (password, source) = if let Some(path) = &self.password_file {
            (first_line(&read_text(path)?), format!("the first line of {}", Path::display(path)))
        } else if let Some(variable) = &self.password_env {
            let password = env::var(variable)
                .map_err(|_| usage(format!("the environment variable {variable} of --password-env is not set")))?;
            (password, format!("the environment variable {variable}"))
        } else if self.password_stdin {
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line).context("cannot read the password from stdin")?;
            (first_line(&line), "the first line of stdin".to_owned())
        } else {
            return Ok(None);
        };
        if password.is_empty() {
            return Err(usage(format!("{source} is empty, so there is no password")));
        }
        Ok(Some(password))
    }
}

impl LimitArgs {
    fn apply(self, limits: &mut Limits) {
        if !self.quota.is_empty() {
            limits.quotas = self.quota;
        }
        if !self.reserve.is_empty() {
            limits.reserves = self.reserve;
        }
        set(&mut limits.reserve_for_humans, self.reserve_for_humans);
        set_some(&mut limits.interval, self.interval.map(proto_duration));
        if let Some(messages_per_minute) = self.pace {
            limits.pace = Some(Pace { messages_per_minute, burst: self.pace_burst.unwrap_or_default() });
        }
        if let Some((messages, pause)) = self.batch {
            limits.batch = Some(BatchPause { messages, pause: Some(proto_duration(pause)) });
        }
        set(&mut limits.connections_max, self.connections);
        set(&mut limits.messages_per_connection_max, self.messages_per_connection);
        set(&mut limits.message_bytes_max, self.message_bytes_max);
        set(&mut limits.recipients_per_job_max, self.recipients_max);
        if let Some(policy) = self.over_quota {
            limits.over_quota = match policy {
                OverQuotaName::Queue => OverQuota::Queue.into(),
                OverQuotaName::Reject => OverQuota::Reject.into(),
            };
        }
    }
}

impl RetryArgs {
    fn apply(self, retry: &mut Retry) {
        set_some(&mut retry.first_delay, self.retry_first.map(proto_duration));
        set(&mut retry.multiplier, self.retry_multiplier);
        set_some(&mut retry.delay_max, self.retry_max.map(proto_duration));
        set_some(&mut retry.jitter, self.retry_jitter);
        set_some(&mut retry.give_up_after, self.retry_give_up.map(proto_duration));
    }
}

impl Clear {
    /// Puts one setting back to its default.
    pub(crate) fn apply(self, settings: &mut AccountSettings) {
        let server = settings.server.get_or_insert_default();
        let limits = settings.limits.get_or_insert_default();
        match self {
            Self::MaySendAs => settings.may_send_as.clear(),
            Self::ReplyTo => settings.reply_to = None,
            Self::DefaultCc => settings.default_cc.clear(),
            Self::DefaultBcc => settings.default_bcc.clear(),
            Self::Labels => settings.labels.clear(),
            Self::Owner => settings.owner.clear(),
            Self::Signature => settings.signature = None,
            Self::QuietWindows => settings.quiet_windows.clear(),
            Self::Content => settings.content = None,
            Self::Results => settings.results = None,
            Self::Mailbox => settings.mailbox = None,
            Self::Tls => server.tls = None,
            Self::Proxy => server.proxy = None,
            Self::SignIn => settings.sign_in = None,
            Self::CustomCa => server.custom_ca_pem.clear(),
            Self::Timeouts => server.timeouts = None,
            Self::Quotas => limits.quotas.clear(),
            Self::Reserves => {
                limits.reserve_for_humans = 0;
                limits.reserves.clear();
            }
            Self::Interval => limits.interval = None,
            Self::Pace => limits.pace = None,
            Self::Batch => limits.batch = None,
            Self::Retry => settings.retry = None,
        }
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

fn set_list<T>(field: &mut Vec<T>, values: Vec<T>) {
    if !values.is_empty() {
        *field = values;
    }
}

fn set_some<T>(field: &mut Option<T>, value: Option<T>) {
    if value.is_some() {
        *field = value;
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

fn proto_duration(length: Duration) -> prost_types::Duration {
    prost_types::Duration::try_from(length).expect("lengths of time are read up to 100 years")
}

#[cfg(test)]
mod tests {
    use hikyaku_client::proto::Account;

    use super::*;

    fn signed_in() -> AccountSettings {
        let method = PasswordSignIn { user: "shop".to_owned(), allow_plaintext: true, ..PasswordSignIn::default() };
        let sign_in = Some(SignIn { method: Some(Method::Password(method)) });
        AccountSettings { sign_in, ..Account::default().settings.unwrap_or_default() }
    }

    #[test]
    fn what_is_not_named_stays() {
        let mut settings = signed_in();
        let limits = LimitArgs { connections: Some(3), ..LimitArgs::default() };
        SettingsArgs { limits, ..SettingsArgs::default() }.apply(&mut settings).unwrap();
        assert_eq!(settings.sign_in, signed_in().sign_in);
        assert_eq!(settings.limits.unwrap().connections_max, 3);
    }

    #[test]
    fn a_first_sign_in_needs_name_and_password() {
        let with = |sign_in: SignInArgs| {
            SettingsArgs { sign_in, ..SettingsArgs::default() }.apply(&mut AccountSettings::default())
        };
        let user = SignInArgs { user: Some("shop".to_owned()), ..SignInArgs::default() };
        assert!(matches!(with(user), Err(Failure::Usage(_))));
        let mechanism = SignInArgs { mechanism: Some(MechanismName::Plain), ..SignInArgs::default() };
        assert!(matches!(with(mechanism), Err(Failure::Usage(_))));
    }

    #[test]
    fn clearing_puts_the_default_back() {
        let mut settings = signed_in();
        Clear::SignIn.apply(&mut settings);
        assert_eq!(settings.sign_in, None);
    }
}
