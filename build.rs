//! Compiles the Protobuf contracts, without `protoc`.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

const FOLDER: &str = "proto/goodfaith/v1";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={FOLDER}");
    let files = fs::read_dir(FOLDER)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>, std::io::Error>>()?;
    let mut contracts: Vec<PathBuf> = files
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "proto"))
        .collect();
    contracts.sort();
    prost_build::Config::new().compile_fds(protox::compile(contracts, ["proto"])?)?;
    Ok(())
}
