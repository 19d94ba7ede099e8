//! Does recognition stand mutated mail, and how fast is it? `cargo run --release --example mutate -- 10000 FILE…`
//!
//! Reads the files as seeds (and a few mails of its own), flips and cuts their bytes, doubles their parts, nests them, and
//! prints how many mails a second are read and how long the slowest took.

#![expect(clippy::print_stdout, reason = "a measurement prints what it measured")]

use std::{
    env, fs, panic,
    time::{Duration, Instant},
};

use hikyaku_recognition::{bounce::recognise, classify::rules::Rules};

const REPORT: &str = "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.net\nSubject: Undelivered Mail Returned to Sender\n\
    Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\n\n--b\n\nThis is the mail system at host \
    mx.example.net.\n\n<taro@example.jp>: host mx said: 550 5.1.1 unknown user (in reply to RCPT TO command)\n--b\n\
    Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx\n\nFinal-Recipient: rfc822; taro@example.jp\nAction: \
    failed\nStatus: 5.1.1\n--b\nContent-Type: message/rfc822\n\nMessage-ID: <1@x>\nTo: taro@example.jp\n\nHello\n--b--\n";
const QMAIL: &str = "From: MAILER-DAEMON@mx.example.net\nSubject: failure notice\n\nHi. This is the qmail-send program at \
    mx.example.net.\n\n<taro@example.jp>:\nSorry, no mailbox here by that name. (#5.1.1)\n\n--- Below this line is a copy\n";

/// A small generator of numbers (xorshift): the same seeds give the same mails.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (bound.max(1) as u64)).unwrap_or(0)
    }
}

fn main() {
    let mut args = env::args().skip(1);
    let count: usize = args.next().and_then(|count| count.parse().ok()).unwrap_or(10_000);
    let mut seeds: Vec<Vec<u8>> = args.filter_map(|path| fs::read(path).ok()).collect();
    seeds.extend([REPORT.into(), QMAIL.into()]);
    let rules = Rules::built_in();
    let plain = measure(&rules, &seeds);
    println!("{} seeds as they are: {:.0} mails/s", seeds.len(), seeds.len() as f64 / plain.total.as_secs_f64());
    let mut chance = Chance(0x9E37_79B9_7F4A_7C15);
    let mails: Vec<Vec<u8>> = (0..count).map(|_| mutated(&seeds, &mut chance)).collect();
    let result = measure(&rules, &mails);
    let rate = mails.len() as f64 / result.total.as_secs_f64();
    println!("{count} mutated mails: {rate:.0} mails/s, slowest {:?}, {} panics", result.slowest, result.panics);
    let deep = measure(&rules, &giants());
    println!("giants: slowest {:?}, {} panics", deep.slowest, deep.panics);
}

struct Measure {
    total: Duration,
    slowest: Duration,
    panics: usize,
}

fn measure(rules: &Rules, mails: &[Vec<u8>]) -> Measure {
    let mut measure = Measure { total: Duration::ZERO, slowest: Duration::ZERO, panics: 0 };
    for mail in mails {
        let start = Instant::now();
        if panic::catch_unwind(|| recognise(rules, mail)).is_err() {
            measure.panics += 1;
        }
        let took = start.elapsed();
        measure.total += took;
        measure.slowest = measure.slowest.max(took);
    }
    measure
}

fn mutated(seeds: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    let mut mail = seeds[chance.below(seeds.len())].clone();
    for _ in 0..=chance.below(4) {
        match chance.below(7) {
            0 => mail.truncate(chance.below(mail.len() + 1)),
            1 => {
                for _ in 0..chance.below(40) {
                    let at = chance.below(mail.len());
                    if let Some(byte) = mail.get_mut(at) {
                        *byte = u8::try_from(chance.below(256)).unwrap_or(0);
                    }
                }
            }
            2 => {
                let from = chance.below(mail.len());
                let part = mail[from..(from + chance.below(2_000)).min(mail.len())].to_vec();
                for _ in 0..chance.below(30) {
                    let at = chance.below(mail.len());
                    mail.splice(at..at, part.iter().copied());
                }
            }
            3 => {
                let other = &seeds[chance.below(seeds.len())];
                let at = chance.below(mail.len());
                mail.splice(at..at, other.iter().copied());
            }
            4 => {
                let head = "Content-Type: message/rfc822\n\n".repeat(chance.below(1_000));
                mail.splice(0..0, head.bytes());
            }
            5 => {
                let head: String = (0..chance.below(1_000))
                    .map(|n| format!("Content-Type: multipart/mixed; boundary=n{n}\n\n--n{n}\n"))
                    .collect();
                mail.splice(0..0, head.bytes());
            }
            _ => mail.retain(|byte| *byte != b'\n' || chance.below(8) > 0),
        }
    }
    mail
}

/// Mails that are made to be slow: of two mebibytes each.
fn giants() -> Vec<Vec<u8>> {
    let head = "From: MAILER-DAEMON@mx.example.net\nSubject: failure notice\n";
    let filled = |unit: &str| format!("{head}\n{}", unit.repeat(2_097_152 / unit.len())).into_bytes();
    let of_type = |kind: &str, unit: &str| {
        format!("{head}Content-Type: {kind}\n\n{}", unit.repeat(2_097_152 / unit.len())).into_bytes()
    };
    vec![
        filled("<taro@example.jp>:\n550 5.1.1 unknown user\n\n"),
        filled("a"),
        filled("a@"),
        filled("<"),
        filled("\n"),
        filled("> <a@b.jp> 550 "),
        filled("Final-Recipient: rfc822; a@b.jp\nAction: failed\n\n"),
        of_type("text/html", "<a href=\"mailto:a@b.jp\">"),
        of_type("text/html", "<"),
        of_type("text/html", "<pre>\n"),
        of_type("text/html", "</td>"),
        filled("taro@example.jp, "),
        filled("Unknown user: <taro@example.jp>, <jiro@example.jp>, "),
        filled("<a@b.jp> (expanded from <c@d.jp>): "),
        filled("550-5.1.1 no 550 5.1.1 "),
        of_type("multipart/mixed; boundary=b", "--b\n"),
        of_type("multipart/mixed; boundary=b", "--b\nContent-Type: multipart/mixed; boundary=b\n\n"),
        of_type(
            "message/delivery-status",
            "Final-Recipient: rfc822; a@b.jp\nDiagnostic-Code: smtp; 550 user unknown host\n\n",
        ),
        "Content-Type: message/rfc822\n\n".repeat(70_000).into_bytes(),
        "X: y\n".repeat(400_000).into_bytes(),
        format!("Subject: {}\n\n", "=?utf-8?Q?a?= ".repeat(100_000)).into_bytes(),
    ]
}
