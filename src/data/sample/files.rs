//! The generated set as files: in a folder of the user's, and as the archive that the program carries.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;

use crate::data::png;

use super::{SampleError, Scene, World, classes, coco::Annotations, scene, tar};

/// Side of the carried pictures in pixels.
pub const ASSET_SIZE_PX: u32 = 96;
/// Carried training pictures per class.
pub const ASSET_TRAIN: usize = 40;
/// Carried validation pictures per class.
pub const ASSET_VAL: usize = 20;
/// Seed of the carried pictures.
pub const ASSET_SEED: u64 = 2026;

/// JPEG quality of the written pictures.
const JPEG_QUALITY: u8 = 90;

/// The carried archive.
static ARCHIVE: &[u8] = include_bytes!("../../../assets/sample.tar");

/// Validation scenes are numbered from here, so that they stay the same when the training split grows.
const VAL_START: u64 = 1 << 32;

/// Path below the set's root, and the file's bytes.
type File = (String, Vec<u8>);

/// Carried files in the archive's order: a name with `/` between folders, and the bytes.
pub type CarriedFiles = Vec<(String, Arc<[u8]>)>;

/// Draws a whole set: `{train,val}/<class>/<class>_NNN.jpg`,
/// `masks/{train,val}/<class>_NNN.png`, `annotations/{train,val}.json`.
fn draw(
    world: World,
    per_class: [usize; 2],
    size_px: u32,
    seed: u64,
    progress: &dyn Fn(usize, usize),
) -> Result<Vec<File>, SampleError> {
    let total = per_class.iter().sum::<usize>() * classes(world).len();
    let (mut pictures, mut masks, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    for (split, count, start) in [("train", per_class[0], 0), ("val", per_class[1], VAL_START)] {
        let mut annotations = Annotations::new(world);
        for (class, name) in classes(world).iter().enumerate() {
            for number in 0..count {
                let drawn = scene(world, class, start + number as u64, seed, size_px);
                let path = format!("{split}/{name}/{name}_{number:03}.jpg");
                pictures.push((path.clone(), jpeg(&drawn)?));
                masks.push((format!("masks/{split}/{name}_{number:03}.png"), png::indexed(&drawn.mask, drawn.size_px)));
                annotations.add(path, &drawn);
                progress(pictures.len(), total);
            }
        }
        let json = serde_json::to_vec(&annotations).map_err(|e| SampleError::Archive(e.to_string()))?;
        notes.push((format!("annotations/{split}.json"), json));
    }
    Ok([notes, masks, pictures].concat())
}

/// The scene's picture as a JPEG file.
fn jpeg(scene: &Scene) -> Result<Vec<u8>, SampleError> {
    let mut file = Vec::new();
    JpegEncoder::new_with_quality(&mut file, JPEG_QUALITY)
        .encode(&scene.pixels, scene.size_px, scene.size_px, ExtendedColorType::Rgb8)
        .map_err(SampleError::Encode)?;
    Ok(file)
}

/// Writes a generated set to the folder `root`, whole or not at all.
///
/// `root` gets `train/<class>/*.jpg`, `val/<class>/*.jpg`, `annotations/{train,val}.json` (COCO) and
/// `masks/{train,val}/*.png` (indexed: 0 = background, class + 1 elsewhere; named like the pictures).
/// `progress` is told how many pictures are drawn, and of how many.
///
/// # Errors
/// When `root` exists already and is not an empty folder, or something cannot be written.
pub fn write_folder(
    world: World,
    root: &Path,
    per_class_train: usize,
    per_class_val: usize,
    size_px: u32,
    seed: u64,
    progress: &dyn Fn(usize, usize),
) -> Result<(), SampleError> {
    refuse_occupied(root)?;
    let files = draw(world, [per_class_train, per_class_val], size_px, seed, progress)?;
    write_whole(root, files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())))
}

/// The carried sample: path in the set (`train/leaf/leaf_003.jpg`) and bytes of every file.
///
/// # Errors
/// When the archive in the program is damaged.
pub fn embedded() -> Result<CarriedFiles, SampleError> {
    tar::unpack(ARCHIVE)
}

/// The carried COCO annotations: `("train", json)` and `("val", json)`.
///
/// # Errors
/// When the archive in the program is damaged.
pub fn embedded_annotations() -> Result<CarriedFiles, SampleError> {
    let split = |path: &str| Some(path.strip_prefix("annotations/")?.strip_suffix(".json")?.to_owned());
    Ok(embedded()?.into_iter().filter_map(|(path, bytes)| Some((split(&path)?, bytes))).collect())
}

/// Unpacks the carried sample to the folder `root`, whole or not at all.
///
/// # Errors
/// When `root` exists already and is not an empty folder, or something cannot be written.
pub fn unpack_embedded(root: &Path) -> Result<(), SampleError> {
    refuse_occupied(root)?;
    let files = embedded()?;
    write_whole(root, files.iter().map(|(path, bytes)| (path.as_str(), &bytes[..])))
}

/// The bytes of `assets/sample.tar` for a seed; the carried one has [`ASSET_SEED`].
///
/// # Errors
/// When a picture cannot be encoded.
pub fn archive(seed: u64) -> Result<Vec<u8>, SampleError> {
    tar::pack(&draw(World::Sample, [ASSET_TRAIN, ASSET_VAL], ASSET_SIZE_PX, seed, &|_, _| {})?)
}

/// Writes `sample.tar` into the repository's `assets` folder, replacing the one that is there.
///
/// # Errors
/// When the folder cannot be written.
pub fn write_assets(assets_dir: &Path, seed: u64) -> Result<(), SampleError> {
    let bytes = archive(seed)?;
    let (part, path) = (assets_dir.join("sample.tar.part"), assets_dir.join("sample.tar"));
    fs::create_dir_all(assets_dir).map_err(at(assets_dir))?;
    fs::write(&part, bytes).map_err(at(&part))?;
    fs::rename(&part, &path).map_err(at(&path))
}

/// Puts the path into an I/O error.
fn at(path: &Path) -> impl FnOnce(std::io::Error) -> SampleError {
    let path = path.to_owned();
    move |source| SampleError::Write { path, source }
}

/// A folder with something in it is the user's: leave it alone.
fn refuse_occupied(root: &Path) -> Result<(), SampleError> {
    match fs::read_dir(root) {
        Ok(mut entries) => entries.next().map_or(Ok(()), |_| Err(SampleError::Occupied(root.to_owned()))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(at(root)(e)),
    }
}

/// Writes all files to a folder beside `root` and renames it at the end.
fn write_whole<'a>(root: &Path, files: impl Iterator<Item = (&'a str, &'a [u8])>) -> Result<(), SampleError> {
    let name = root.file_name().ok_or_else(|| SampleError::Occupied(root.to_owned()))?;
    let parent = root.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let staging = parent.join(format!(".{}.{}.part", name.to_string_lossy(), std::process::id()));
    let done = fill(&staging, files).and_then(|()| {
        if root.exists() {
            fs::remove_dir(root).map_err(at(root))?; // empty: checked before
        }
        fs::rename(&staging, root).map_err(at(root))
    });
    if done.is_err() {
        // The first error is the one to report; what is left over is only our own staging folder.
        let _ = fs::remove_dir_all(&staging);
    }
    done
}

/// Writes the files below `folder`.
fn fill<'a>(folder: &Path, files: impl Iterator<Item = (&'a str, &'a [u8])>) -> Result<(), SampleError> {
    fs::create_dir_all(folder).map_err(at(folder))?;
    for (path, bytes) in files {
        let target: PathBuf = folder.join(path);
        if let Some(above) = target.parent() {
            fs::create_dir_all(above).map_err(at(above))?;
        }
        fs::write(&target, bytes).map_err(at(&target))?;
    }
    Ok(())
}
