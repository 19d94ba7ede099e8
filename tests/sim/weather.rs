//! What breaks and when: the daemon, the providers, and the network between them.

use std::{collections::BTreeMap, time::Duration};

use hikyaku_daemon::domain::time::Timestamp;
use turmoil::Sim;

use crate::{
    chance::Chance,
    daemon::{DAEMON, Estate},
    log::Log,
    plan::{self, SILENT},
};

/// All that is going to break and to be mended.
#[derive(Debug)]
pub(crate) struct Weather {
    forecast: BTreeMap<(Timestamp, u64), Gust>,
    /// When the daemon was down: from, and until if it is up again.
    pub(crate) outages: Vec<(Timestamp, Option<Timestamp>)>,
    /// How often something broke.
    pub(crate) gusts: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gust {
    /// The daemon is killed.
    Kill,
    /// It is asked to stop.
    Stop,
    Start,
    /// What goes to and from a provider is lost.
    Part(usize),
    Mend(usize),
    /// What goes to and from a provider is late.
    Hold(usize),
    Release(usize),
    /// A provider crashes.
    Fell(usize),
    Raise(usize),
}

impl Weather {
    /// The weather until `calm_from`; then everything is mended.
    pub(crate) fn new(seed: u64, providers: usize, calm_from: Timestamp) -> Self {
        let chance = Chance::new(seed, "weather");
        let mut weather = Self { forecast: BTreeMap::new(), outages: Vec::new(), gusts: 0 };
        let mut at = plan::BEGIN;
        loop {
            at = at.after(chance.seconds(600..=90 * 60));
            if at >= calm_from {
                return weather;
            }
            let moody = SILENT + 1 + usize::try_from(chance.below((providers - SILENT - 1) as u64)).expect("small");
            let (gust, end, lasts) = match chance.below(9) {
                0..=2 => (Gust::Kill, Gust::Start, chance.pick(&[1, 5, 60, 600])),
                3 => (Gust::Stop, Gust::Start, chance.among(60..=300)),
                4..=5 => (Gust::Part(moody), Gust::Mend(moody), chance.among(10..=3_600)),
                // So short that nothing is given up meanwhile: a message is then never taken after its attempt has ended.
                6 => (Gust::Hold(moody), Gust::Release(moody), chance.among(2..=60)),
                _ => (Gust::Fell(moody), Gust::Raise(moody), chance.among(1..=1_800)),
            };
            weather.expect(at, gust);
            weather.expect(at.after(Duration::from_secs(lasts)).min(calm_from), end);
        }
    }

    /// Lets everything break and be mended that is due.
    pub(crate) fn act(&mut self, now: Timestamp, sim: &mut Sim<'_>, estate: &Estate, log: &Log) {
        while let Some(entry) = self.forecast.first_entry() {
            if entry.key().0 > now {
                return;
            }
            let gust = entry.remove();
            log.line(now, format_args!("weather: {gust:?}"));
            self.blow(gust, now, sim, estate);
        }
    }

    fn expect(&mut self, at: Timestamp, gust: Gust) {
        let order = self.forecast.len() as u64;
        self.forecast.insert((at, order), gust);
    }

    fn blow(&mut self, gust: Gust, now: Timestamp, sim: &mut Sim<'_>, estate: &Estate) {
        let name = plan::provider_name;
        if !matches!(gust, Gust::Start | Gust::Mend(_) | Gust::Release(_) | Gust::Raise(_)) {
            self.gusts += 1;
        }
        match gust {
            Gust::Kill => {
                sim.crash(DAEMON);
                self.outages.push((now, None));
            }
            Gust::Stop => {
                estate.stop();
                self.outages.push((now, None));
            }
            Gust::Start => {
                sim.bounce(DAEMON);
                for outage in self.outages.iter_mut().filter(|(_, end)| end.is_none()) {
                    outage.1 = Some(now);
                }
            }
            Gust::Part(provider) => sim.partition(DAEMON, name(provider)),
            Gust::Mend(provider) => sim.repair(DAEMON, name(provider)),
            Gust::Hold(provider) => sim.hold(DAEMON, name(provider)),
            Gust::Release(provider) => sim.release(DAEMON, name(provider)),
            Gust::Fell(provider) => sim.crash(name(provider)),
            Gust::Raise(provider) => sim.bounce(name(provider)),
        }
    }
}
