//! The small backbone that comes with the program: pretrained by it on a generated set (`frostline sample --pretrain`).

use crate::models::{catalogue, find};
use crate::weights::Checkpoint;
use std::io::Write as _;
use std::path::PathBuf;

/// The file, part of the binary.
const BYTES: &[u8] = include_bytes!("../../assets/backbone.safetensors");

/// Opens the built-in backbone for `model`.
///
/// # Errors
/// A sentence, when the model is another one or no temporary file can be written.
pub fn checkpoint(model: &str) -> Result<Checkpoint, String> {
    if !find(model)?.built_in {
        let fits: Vec<&str> =
            catalogue().iter().filter(|variant| variant.built_in).map(|variant| variant.name).collect();
        return Err(format!("The built-in weights fit {} only, not {model}.", fits.join(", ")));
    }
    let fail = |error: std::io::Error| format!("Cannot unpack the built-in weights: {error}.");
    let path = unpack_path();
    let current = std::fs::metadata(&path).is_ok_and(|file| file.len() == BYTES.len() as u64);
    if !current {
        let part = path.with_extension(format!("part{}", std::process::id()));
        let mut file = std::fs::File::create(&part).map_err(fail)?;
        file.write_all(BYTES).and_then(|()| file.sync_all()).map_err(fail)?;
        std::fs::rename(&part, &path).map_err(fail)?;
    }
    Checkpoint::open(&path).map_err(|error| error.to_string())
}

fn unpack_path() -> PathBuf {
    let user = std::env::var("USER").unwrap_or_default();
    std::env::temp_dir().join(format!("frostline-{user}-backbone-{}.safetensors", env!("CARGO_PKG_VERSION")))
}
