//! Is everything that was acknowledged still there after a power cut?

use std::{fs, path::Path, time::Duration};

use anyhow::Context as _;
use hikyaku_client::proto::InDoubtPolicy;
use tokio::time::sleep;

use super::{Faults, Outcome, outcome, progress};
use crate::{
    chance::Chance,
    daemon::Space,
    load::Load,
    mount::{Mount, cannot_mount, make_image},
    options::Options,
    world::{House, World},
};

const IMAGE_BYTES: u64 = 192 << 20;
/// How long the daemon serves at most before a cut.
const SERVING_MILLIS_MAX: u64 = 900;
/// Leave for submissions between two cuts.
const JOBS_A_CUT: u64 = 200;

/// Kills the daemon, and goes on with what the disk below its file system holds.
pub(super) async fn cut(options: &Options) -> anyhow::Result<Outcome> {
    let folder = tempfile::Builder::new().prefix("hikyaku-power-").tempdir().context("no temporary folder")?;
    if let Some(why) = cannot_mount(folder.path()) {
        return Ok(Outcome::Skipped(why));
    }
    let (image, point) = (folder.path().join("image"), folder.path().join("disk"));
    make_image(&image, IMAGE_BYTES)?;
    let mut disk = match Mount::image(&point, &image) {
        Ok(disk) => disk,
        Err(error) => return Ok(Outcome::Skipped(format!("no loop device: {error:#}"))),
    };
    let store = point.join("store");
    let house = House { in_doubt: InDoubtPolicy::Resend, quotas: &[], store: Some(&store), space: Space::default() };
    let mut world = World::new("power-cut", options, &house).await?;
    let load = Load::begin(&world, options.seed);
    let mut chance = Chance::new(options.seed, "power-cut");
    for round in 0..options.cuts() {
        progress("power-cut", round, options.cuts(), &world);
        load.allow(usize::try_from(chance.below(JOBS_A_CUT)).unwrap_or_default() + 1);
        sleep(chance.shorter_than(Duration::from_millis(SERVING_MILLIS_MAX))).await;
        world.daemon.kill().await?;
        disk = swap(disk, folder.path(), &point, round)?;
        world.daemon.start().await?;
    }
    load.end(Duration::from_secs(30)).await;
    let client = world.daemon.serving().await?;
    world.tie_up(&client).await?;
    world.drain(&client).await?;
    let client = world.restart_at_rest().await?;
    let findings = world.check(&client).await?;
    let faults = Faults { cuts: options.cuts(), ..Faults::default() };
    let outcome = outcome(&format!("{} power cuts", options.cuts()), faults, &findings, world, options);
    drop(disk);
    Ok(outcome)
}

/// Copies the image while its file system still holds what was not synced, and mounts the copy in its place.
fn swap(old: Mount, folder: &Path, point: &Path, round: u64) -> anyhow::Result<Mount> {
    let (image, copy) = (folder.join("image"), folder.join(format!("image-{round}")));
    fs::copy(&image, &copy).context("cannot copy the image")?;
    drop(old);
    fs::rename(&copy, &image).context("cannot put the copy in place")?;
    Mount::image(point, &image)
}
