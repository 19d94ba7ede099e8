//! Compiles the API without a system protoc, and keeps the descriptor set for reflection.
use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    let mut files =
        fs::read_dir("hikyaku/v1")?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>, std::io::Error>>()?;
    files.sort();
    println!("cargo:rerun-if-changed=hikyaku");

    let descriptors = protox::compile(&files, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("hikyaku.bin"), descriptors.encode_to_vec())?;
    // In order, so that the same request is always the same bytes.
    let ordered = [".hikyaku.v1.MergeRecipient.variables", ".hikyaku.v1.StatisticsCounts.reasons"];
    let builder = tonic_prost_build::configure().bytes(".hikyaku.v1");
    ordered.into_iter().fold(builder, |builder, field| builder.btree_map(field)).compile_fds(descriptors)?;
    Ok(())
}
