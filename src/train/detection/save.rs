//! What a detector found in pictures as files: pictures with boxes, YOLO text, COCO results and a COCO data set.

use super::found::xywh;
use super::write::whole;
use super::{Detection, LabelFolder, overlay, write_coco_results, write_png};
use crate::data::{ImageSource, image};
use crate::train::prediction::{Answer, BoxScore, Boxes, Choice, Prediction};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavedBoxes {
    /// Pictures with boxes drawn into them.
    pub overlays: usize,
    /// Objects.
    pub objects: usize,
    /// Pictures of which no overlay could be made, with the reason.
    pub failed: Vec<String>,
}

#[derive(Serialize)]
struct CocoImage {
    id: u64,
    file_name: String,
    width: u32,
    height: u32,
}

#[derive(Serialize)]
struct CocoCategory<'a> {
    id: u64,
    name: &'a str,
}

#[derive(Serialize)]
struct CocoAnnotation {
    id: u64,
    image_id: u64,
    category_id: u64,
    bbox: [f64; 4],
    area: f64,
    iscrowd: u8,
    score: f64,
}

#[derive(Serialize)]
struct CocoSet<'a> {
    images: Vec<CocoImage>,
    categories: Vec<CocoCategory<'a>>,
    annotations: Vec<CocoAnnotation>,
}

/// The boxes of a prediction.
fn boxes_of(prediction: &Prediction) -> Option<&Boxes> {
    prediction.heads.iter().find_map(|head| match &head.answer {
        Answer::Boxes(boxes) => Some(boxes.as_ref()),
        _ => None,
    })
}

fn detection(one: &BoxScore) -> Detection {
    Detection { class: one.class, xywh: xywh(one.xyxy), score: f64::from(one.score) }
}

/// Numbers of pictures: COCO's own where every file's name is one, else from 1.
fn image_ids(predictions: &[Prediction]) -> Vec<u64> {
    let stem = |prediction: &Prediction| Path::new(&prediction.image).file_stem()?.to_str()?.parse::<u64>().ok();
    let own: Option<Vec<u64>> = predictions.iter().map(stem).collect();
    let distinct = |ids: &Vec<u64>| ids.iter().collect::<BTreeSet<_>>().len() == ids.len();
    own.filter(distinct).unwrap_or_else(|| (1..=predictions.len() as u64).collect())
}

/// Writes into `folder`: `overlays/NAME.png`, `labels/NAME.txt` (YOLO), `coco_results.json` (for an evaluator) and
/// `coco_dataset.json` (a data set with these boxes, to be corrected and trained on). `choice` says which objects count; the
/// detector's own choice where there is none. `go_on` is told how many of how many pictures are done. None when it broke off.
///
/// # Errors
/// A sentence, when a file cannot be written. A picture that cannot be read any more is named in the result.
pub fn save_boxes(
    predictions: &[Prediction],
    choice: &dyn Fn(&Boxes) -> Choice,
    folder: &Path,
    go_on: &mut dyn FnMut(usize, usize) -> bool,
) -> Result<Option<SavedBoxes>, String> {
    let overlays = folder.join("overlays");
    std::fs::create_dir_all(&overlays).map_err(|error| format!("Cannot write {}: {error}.", overlays.display()))?;
    let mut labels = LabelFolder::new(&folder.join("labels"));
    let ids = image_ids(predictions);
    let (mut saved, mut taken, mut known) = (SavedBoxes::default(), BTreeSet::new(), BTreeSet::new());
    let mut found: Vec<(u64, Vec<Detection>)> = Vec::new();
    let mut set = CocoSet { images: Vec::new(), categories: Vec::new(), annotations: Vec::new() };
    for (done, (prediction, &id)) in predictions.iter().zip(&ids).enumerate() {
        if !go_on(done, predictions.len()) {
            return Ok(None);
        }
        let Some(boxes) = boxes_of(prediction) else { continue };
        // A picture that was given twice is one picture.
        if !known.insert(prediction.image.as_str()) {
            continue;
        }
        if set.categories.is_empty() {
            set.categories = (1..).zip(boxes.classes.iter()).map(|(id, name)| CocoCategory { id, name }).collect();
        }
        let detections: Vec<Detection> = boxes.chosen(choice(boxes)).iter().map(detection).collect();
        let name = PathBuf::from(Path::new(&prediction.image).file_name().unwrap_or_default());
        let [width, height] = prediction.size_px;
        labels.write(&name, &detections, width, height)?;
        match image::load(&ImageSource::File(PathBuf::from(&prediction.image))) {
            Ok(picture) => {
                let drawn = overlay(&picture, &[], &detections, &boxes.classes);
                write_png(&drawn, &overlays.join(free_name(&name, &mut taken)))?;
                saved.overlays += 1;
            }
            Err(error) => saved.failed.push(error.to_string()),
        }
        set.images.push(CocoImage { id, file_name: prediction.image.clone(), width, height });
        for one in &detections {
            saved.objects += 1;
            set.annotations.push(CocoAnnotation {
                id: saved.objects as u64,
                image_id: id,
                category_id: u64::from(one.class) + 1,
                bbox: one.xywh,
                area: one.xywh[2] * one.xywh[3],
                iscrowd: 0,
                score: one.score,
            });
        }
        found.push((id, detections));
    }
    let category_ids: Vec<u64> = set.categories.iter().map(|category| category.id).collect();
    let pictures = found.iter().map(|(id, detections)| (*id, detections.as_slice()));
    write_coco_results(&folder.join("coco_results.json"), pictures, &category_ids)?;
    whole(&folder.join("coco_dataset.json"), |out| {
        serde_json::to_writer(&mut *out, &set).map_err(|error| error.to_string())
    })?;
    Ok(Some(saved))
}

/// `NAME.png`, with a number where another picture has that name, whatever the case: some disks do not tell it apart.
pub(in crate::train) fn free_name(name: &Path, taken: &mut BTreeSet<PathBuf>) -> PathBuf {
    let stem = name.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let numbered = (2..).map(|n| PathBuf::from(format!("{stem}_{n}.png")));
    let mut names = std::iter::once(PathBuf::from(format!("{stem}.png"))).chain(numbered);
    let lower = |name: &Path| PathBuf::from(name.to_string_lossy().to_lowercase());
    names.find(|name| taken.insert(lower(name))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{HeadKind, Tells};
    use crate::train::detection::Candidates;
    use crate::train::prediction::HeadPrediction;
    use std::sync::Arc;

    fn prediction(image: &Path) -> Prediction {
        let candidates = Candidates {
            boxes: vec![[2.0, 1.0, 12.0, 9.0], [3.0, 1.0, 12.0, 9.0], [0.0, 0.0, 4.0, 4.0]],
            scores: vec![0.9, 0.8, 0.2],
            classes: vec![1, 1, 0],
        };
        let classes = Arc::new(vec!["ant".to_owned(), "bee".to_owned()]);
        let own = Choice { confidence: 0.3, overlap: 0.5 };
        let heads = vec![HeadPrediction {
            head: "class".to_owned(),
            kind: HeadKind::Detect { classes: 2, tells: Tells::Class },
            answer: Answer::Boxes(Arc::new(Boxes { candidates, classes, own })),
        }];
        Prediction { image: image.display().to_string(), size_px: [20, 10], heads, error: None }
    }

    #[test]
    fn all_files_say_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("000000000139.png"), dir.path().join("7.png"));
        for path in [&a, &b] {
            ::image::RgbImage::new(20, 10).save(path).unwrap();
        }
        let out = dir.path().join("out");
        let all = [prediction(&a), prediction(&b)];
        let saved = save_boxes(&all, &|boxes| boxes.own, &out, &mut |_, _| true).unwrap().unwrap();
        // 0.8 overlaps 0.9 by 72 of 80; 0.2 is not sure enough.
        assert_eq!(saved, SavedBoxes { overlays: 2, objects: 2, failed: Vec::new() });
        let text = std::fs::read_to_string(out.join("labels/7.txt")).unwrap();
        assert!(text.starts_with("1 0.350000 0.500000 0.500000 0.800000 "), "{text}");
        let results: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(out.join("coco_results.json")).unwrap()).unwrap();
        assert_eq!((&results[0]["image_id"], &results[1]["image_id"]), (&139.into(), &7.into()));
        assert_eq!(results[0]["bbox"], serde_json::json!([2.0, 1.0, 10.0, 8.0]));
        let set: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(out.join("coco_dataset.json")).unwrap()).unwrap();
        assert_eq!((&set["categories"][1]["name"], &set["annotations"][1]["category_id"]), (&"bee".into(), &2.into()));
        assert_eq!(::image::open(out.join("overlays/7.png")).unwrap().width(), 20);
        assert!(save_boxes(&all, &|boxes| boxes.own, &out, &mut |_, _| false).unwrap().is_none());
        // Twice the same picture, and three of one name.
        let names = ["x/a.png", "y/a.png", "z/A.png"].map(|name| dir.path().join(name));
        for path in &names {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            ::image::RgbImage::new(20, 10).save(path).unwrap();
        }
        let all: Vec<Prediction> = [&names[0], &names[0], &names[1], &names[2]].map(|path| prediction(path)).into();
        let out = dir.path().join("again");
        let saved = save_boxes(&all, &|boxes| boxes.own, &out, &mut |_, _| true).unwrap().unwrap();
        assert_eq!(saved, SavedBoxes { overlays: 3, objects: 3, failed: Vec::new() });
        let count = |folder: &str| std::fs::read_dir(out.join(folder)).unwrap().count();
        assert_eq!((count("overlays"), count("labels")), (3, 3));
        let set: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(out.join("coco_dataset.json")).unwrap()).unwrap();
        let told: Vec<&str> =
            set["images"].as_array().unwrap().iter().map(|one| one["file_name"].as_str().unwrap()).collect();
        assert_eq!(told, names.each_ref().map(|path| path.to_str().unwrap()));
        assert_eq!(set["annotations"].as_array().unwrap().len(), 3);
    }
}
