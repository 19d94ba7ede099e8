//! What was asked for on the command line and in the environment?

use std::path::PathBuf;

use clap::Parser;

use crate::recorder::Recorder;

/// Kills under load, and power cuts, of the full proof.
const PROOF_KILLS: [(&str, u64); 3] = [("kill-resend", 200), ("kill-hold", 200), ("kill-open", 100)];
const PROOF_CUTS: u64 = 100;

/// Breaks hikyakud on purpose, and lets an independent checker compare what clients were told, what the mail server
/// received and what the store says.
#[derive(Clone, Debug, Parser)]
#[command(name = "crash")]
pub(crate) struct Options {
    /// Scenarios; all of them when none is named.
    pub(crate) scenarios: Vec<String>,
    /// How often a scenario kills, damages or restarts.
    #[arg(long, env = "CRASH_KILLS", default_value_t = 20)]
    pub(crate) kills: u64,
    /// How often the power is cut; as often as it kills when unset.
    #[arg(long, env = "CRASH_CUTS")]
    cuts: Option<u64>,
    /// The full proof: 500 kills in all (200 each of kill-resend and kill-hold, 100 of kill-open) and 100 power cuts.
    #[arg(long, env = "CRASH_PROOF", conflicts_with = "cuts")]
    proof: bool,
    /// Seed of all random choices.
    #[arg(long, env = "CRASH_SEED", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Full windows and more load, for minutes instead of seconds.
    #[arg(long, env = "CRASH_LONG")]
    pub(crate) long: bool,
    /// Sends to this server instead of one in this process.
    #[arg(long, value_name = "HOST:PORT", requires = "records", value_parser = host_and_port)]
    smtp: Option<(String, u16)>,
    /// Where that server appends a line of JSON for each message.
    #[arg(long, value_name = "FILE.jsonl")]
    records: Option<PathBuf>,
    /// The first port of a laboratory of faulty servers, for the scenario `lab`; needs its records.
    #[arg(long, value_name = "HOST:PORT", requires = "records", value_parser = host_and_port, conflicts_with = "smtp")]
    pub(crate) lab: Option<(String, u16)>,
    /// The certificate authority of that laboratory.
    #[arg(long, value_name = "FILE.pem", requires = "lab")]
    pub(crate) lab_ca: Option<PathBuf>,
    /// Keeps the folder of each scenario.
    #[arg(long)]
    pub(crate) keep: bool,
}

impl Options {
    /// The recorder that was asked for.
    pub(crate) async fn recorder(&self) -> anyhow::Result<Recorder> {
        match (self.smtp.as_ref().or(self.lab.as_ref()), &self.records) {
            (Some((host, port)), Some(file)) => {
                Ok(Recorder::Outside { host: host.clone(), port: *port, file: file.clone() })
            }
            _ => Recorder::inside().await,
        }
    }

    /// How often a scenario kills.
    pub(crate) fn kills_of(&self, scenario: &str) -> u64 {
        let proof = PROOF_KILLS.iter().find(|(name, _)| self.proof && *name == scenario);
        proof.map_or(self.kills, |(_, kills)| *kills)
    }

    /// How often the power is cut.
    pub(crate) fn cuts(&self) -> u64 {
        if self.proof { PROOF_CUTS } else { self.cuts.unwrap_or(self.kills) }
    }
}

fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let (host, port) = text.rsplit_once(':').ok_or("write HOST:PORT")?;
    Ok((host.to_owned(), port.parse().map_err(|_| "the port is no number")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_full_proof_kills_five_hundred_times() {
        let options = Options::parse_from(["crash", "--proof", "--kills", "3"]);
        let kills: u64 = PROOF_KILLS.iter().map(|(name, _)| options.kills_of(name)).sum();
        assert_eq!((kills, options.cuts(), options.kills_of("damage")), (500, 100, 3));
        let options = Options::parse_from(["crash", "--kills", "3"]);
        assert_eq!((options.kills_of("kill-open"), options.cuts()), (3, 3));
    }
}
