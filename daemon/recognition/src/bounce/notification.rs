//! Bounces and complaints that Amazon SES tells of in JSON, as Amazon SNS sends it by mail.

use serde::Deserialize;

use super::{
    address::{clean, is_address},
    complaint,
    dsn::{RECIPIENTS_MAX, Reported},
    finding::{Action, Finding},
    mail::Mail,
};

/// What a notification tells.
#[derive(Clone, Debug)]
pub(super) enum Notification {
    /// What became of recipients.
    Report(Vec<Reported>),
    /// Who complained.
    Complaint(Vec<Finding>),
}

/// Amazon SES developer guide, "Amazon SNS notification contents for Amazon SES" and "event publishing".
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(alias = "eventType")]
    notification_type: String,
    bounce: Option<Bounce>,
    complaint: Option<Complaint>,
    delivery: Option<Delivery>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bounce {
    #[serde(default)]
    bounced_recipients: Vec<Recipient>,
    #[serde(default)]
    bounce_sub_type: String,
    #[serde(rename = "reportingMTA")]
    reporting_mta: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Complaint {
    #[serde(default)]
    complained_recipients: Vec<Recipient>,
    complaint_feedback_type: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Delivery {
    #[serde(default)]
    recipients: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recipient {
    email_address: String,
    action: Option<String>,
    status: Option<String>,
    diagnostic_code: Option<String>,
}

/// What SNS wraps around an event when it is not told to deliver it raw.
#[derive(Debug, Deserialize)]
struct Wrapped {
    #[serde(rename = "Message")]
    message: String,
}

/// The notification in a mail of Amazon SNS, if it is one.
pub(super) fn read(mail: &Mail, text: &str) -> Option<Notification> {
    let is_from_sns =
        mail.headers.has("x-amz-sns-message-id") || mail.headers.lower("from").contains("sns.amazonaws.com");
    if !is_from_sns {
        return None;
    }
    // Long lines were broken on the way, with a mark at the end of each (RFC 821's line limit).
    let text = text.replace("!\n ", "").replace("!\n", "");
    let event = event_in(&text)?;
    Some(match event.notification_type.as_str() {
        "Bounce" => {
            let bounce = event.bounce?;
            let server = bounce.reporting_mta.map(|name| clean(&name).trim_start_matches("dns;").trim().to_owned());
            let reported = bounce.bounced_recipients.into_iter().take(RECIPIENTS_MAX);
            let mut reported: Vec<_> = reported.filter_map(|one| reported_of(one, server.as_deref())).collect();
            // Amazon's documentation of bounce types: the address could not be told from the report, or was dead before.
            let is_dead = matches!(&*bounce.bounce_sub_type, "NoEmail" | "Suppressed" | "OnAccountSuppressionList");
            for one in reported.iter_mut().filter(|one| is_dead && one.status.is_none() && one.diagnostic.is_empty()) {
                one.diagnostic = format!("550 5.1.1 {}", bounce.bounce_sub_type);
            }
            Notification::Report(reported)
        }
        "Complaint" => {
            let complaint = event.complaint?;
            let recipients: Vec<&str> = complaint
                .complained_recipients
                .iter()
                .map(|one| clean(&one.email_address))
                .take(RECIPIENTS_MAX)
                .collect();
            let feedback = complaint.complaint_feedback_type.unwrap_or_else(|| "abuse".into());
            Notification::Complaint(complaint::findings(&recipients, &feedback, Some("amazonses.com")))
        }
        _ => {
            let recipients = event.delivery.map(|delivery| delivery.recipients).unwrap_or_default();
            let delivered =
                |recipient: String| Reported { recipient, action: Some(Action::Delivered), ..Reported::default() };
            Notification::Report(recipients.into_iter().take(RECIPIENTS_MAX).map(delivered).collect())
        }
    })
}

/// The first JSON value in a text that is an event, bare or wrapped.
fn event_in(text: &str) -> Option<Event> {
    let text = &text[text.find('{')?..];
    let first = |text: &str| serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>().next()?.ok();
    let value = first(text)?;
    let value = match Wrapped::deserialize(&value) {
        Ok(wrapped) => serde_json::from_str(&wrapped.message).ok()?,
        Err(_) => value,
    };
    Event::deserialize(value).ok()
}

fn reported_of(one: Recipient, server: Option<&str>) -> Option<Reported> {
    let recipient = clean(&one.email_address);
    let diagnostic = one.diagnostic_code.unwrap_or_default();
    let diagnostic = diagnostic.trim_start_matches("smtp;").trim_start_matches("SMTP;").trim();
    is_address(recipient).then(|| Reported {
        recipient: recipient.to_owned(),
        action: Some(match one.action.as_deref() {
            Some("delayed") => Action::Delayed,
            _ => Action::Failed,
        }),
        status: one.status.and_then(|status| status.parse().ok()),
        diagnostic: diagnostic.to_owned(),
        reporting_server: server.map(str::to_owned),
        ..Reported::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_body(body: &str) -> Option<Notification> {
        let mail = format!(
            "From: AWS Notifications <no-reply@sns.amazonaws.com>\nSubject: AWS Notification Message\n\n{body}\n"
        );
        let mail = Mail::read(mail.as_bytes());
        let text = mail.text();
        read(&mail, &text)
    }

    const BOUNCE: &str = r#"{"notificationType":"Bounce","bounce":{"bounceType":"Permanent","reportingMTA":"dns; a.example",
        "bouncedRecipients":[{"emailAddress":"taro@example.jp","action":"failed","status":"5.1.1",
        "diagnosticCode":"smtp; 550 5.1.1 user unknown"}]},"mail":{"messageId":"x"}}"#;

    #[test]
    fn bounces_are_read_bare_and_wrapped() {
        let wrapped = serde_json::json!({ "Type": "Notification", "Message": BOUNCE }).to_string();
        for body in
            [format!("{BOUNCE}\n\n--\nTo stop this, click.\n"), wrapped, BOUNCE.replace("\"bounce\"", "!\n \"bounce\"")]
        {
            let Some(Notification::Report(reported)) = read_body(&body) else { panic!("{body}") };
            let [one] = reported.as_slice() else { panic!("{reported:?}") };
            assert_eq!((one.recipient.as_str(), one.action), ("taro@example.jp", Some(Action::Failed)));
            assert_eq!(one.diagnostic, "550 5.1.1 user unknown");
            assert_eq!(one.reporting_server.as_deref(), Some("a.example"));
        }
    }

    #[test]
    fn complaints_and_deliveries_are_told_apart() {
        let complaint = r#"{"eventType":"Complaint","complaint":{"complainedRecipients":[{"emailAddress":"a@b.jp"}]}}"#;
        assert!(matches!(read_body(complaint), Some(Notification::Complaint(all)) if all.len() == 1));
        let delivery = r#"{"notificationType":"Delivery","delivery":{"recipients":["a@b.jp"]}}"#;
        let Some(Notification::Report(reported)) = read_body(delivery) else { panic!("no report") };
        assert_eq!(reported[0].action, Some(Action::Delivered));
        assert!(read_body("hello").is_none());
        assert!(read_body("{\"a\": 1}").is_none());
    }
}
