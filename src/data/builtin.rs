//! The built-in sample as a data set: pictures that the program carries in itself.

use super::{DataError, Dataset, ImageSource, LabelColumn, Sample, Split, Target, Task, image, sample};
use std::path::PathBuf;
use std::sync::Arc;

/// Opens the built-in sample; nothing is read from disk.
///
/// # Errors
/// When the program's own archive is damaged.
pub fn open_builtin() -> Result<Dataset, DataError> {
    let broken = |why: String| DataError::Decode { name: "the built-in sample".to_owned(), why };
    let files = sample::embedded().map_err(|error| broken(error.to_string()))?;
    let classes: Vec<String> = sample::classes(sample::World::Sample).iter().map(|&name| name.to_owned()).collect();
    let mut samples = Vec::new();
    for (name, bytes) in files {
        let parts: Vec<&str> = name.split('/').collect();
        let [split, class, _] = parts[..] else { continue };
        let (Some(id), true) = (classes.iter().position(|known| known == class), name.ends_with(".jpg")) else {
            continue;
        };
        let split = if split == "train" { Split::Train } else { Split::Val };
        let picture = image::decode(&bytes, &name)?;
        samples.push(Sample {
            image: ImageSource::Memory { name, bytes: Arc::clone(&bytes) },
            split,
            size_px: [picture.width, picture.height],
            target: Target::of_class(u32::try_from(id).ok()),
        });
    }
    Ok(Dataset {
        root: PathBuf::new(),
        name: "built-in sample".to_owned(),
        task: Task::Classify,
        format: "built-in".to_owned(),
        columns: vec![LabelColumn::single(classes)],
        category_ids: Vec::new(),
        found: samples.len(),
        samples,
        issues: Vec::new(),
        suggested_split: false,
        unnamed: Vec::new(),
    })
}
