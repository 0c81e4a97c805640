//! Detections as files that other programs read: COCO results and YOLO text.

use super::boxes::Detection;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Component, Path, PathBuf};

/// One entry of a results file, as <https://cocodataset.org/#format-results> has it.
#[derive(Serialize)]
struct CocoResult {
    image_id: u64,
    category_id: u64,
    /// Left, top, width and height in pixels of the picture.
    bbox: [f64; 4],
    score: f64,
}

/// Writes a COCO results file, whole or not at all: `pictures` are image ids with their detections, `category_ids` the
/// ids of the classes by their position. Numbers keep all their digits, so that another evaluator gives the same AP. Returns
/// how many detections it has.
///
/// # Errors
/// A sentence: the file cannot be written, a class has no category id, a number is not finite.
pub fn write_coco_results<'a>(
    to: &Path,
    pictures: impl IntoIterator<Item = (u64, &'a [Detection])>,
    category_ids: &[u64],
) -> Result<usize, String> {
    let mut count = 0;
    whole(to, |out| {
        out.write_all(b"[").map_err(|error| error.to_string())?;
        for (image_id, detections) in pictures {
            for detection in detections {
                let &category_id = category_ids
                    .get(detection.class as usize)
                    .ok_or_else(|| format!("class {} of image {image_id} has no category id", detection.class))?;
                if !is_finite(detection) {
                    return Err(format!("a detection of image {image_id} has a number that is not finite"));
                }
                let entry = CocoResult { image_id, category_id, bbox: detection.xywh, score: detection.score };
                out.write_all(if count == 0 { b"\n" } else { b",\n" }).map_err(|error| error.to_string())?;
                serde_json::to_writer(&mut *out, &entry).map_err(|error| error.to_string())?;
                count += 1;
            }
        }
        out.write_all(b"\n]\n").map_err(|error| error.to_string())
    })?;
    Ok(count)
}

/// The lines of a YOLO text file: `class center-x center-y width height confidence`, all but the class from 0 to 1 of a
/// picture of `width_px` by `height_px`. What reaches over the picture's edge is cut there, since readers refuse it.
///
/// # Errors
/// A sentence without the file's name, when the picture has no pixels or a number is not finite.
pub fn label_lines(detections: &[Detection], width_px: u32, height_px: u32) -> Result<String, String> {
    if width_px == 0 || height_px == 0 {
        return Err(format!("a picture of {width_px}x{height_px} pixels has no places"));
    }
    let mut text = String::new();
    for detection in detections {
        if !is_finite(detection) {
            return Err("a detection has a number that is not finite".to_owned());
        }
        let [x, y, w, h] = detection.xywh;
        let part = |from: f64, length: f64, whole_px: u32| {
            let ends = [from, from + length].map(|end| (end / f64::from(whole_px)).clamp(0.0, 1.0));
            (f64::midpoint(ends[0], ends[1]), ends[1] - ends[0])
        };
        let ((cx, w), (cy, h)) = (part(x, w, width_px), part(y, h, height_px));
        let (class, score) = (detection.class, detection.score);
        writeln!(text, "{class} {cx:.6} {cy:.6} {w:.6} {h:.6} {score:.6}").map_err(|error| error.to_string())?;
    }
    Ok(text)
}

/// A folder of YOLO text files, one for each picture, in the sub-folders of the pictures.
#[derive(Debug)]
pub struct LabelFolder {
    root: PathBuf,
    written: BTreeSet<PathBuf>,
}

impl LabelFolder {
    /// Writes into `root`, which need not exist yet.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), written: BTreeSet::new() }
    }

    /// Writes the file of a picture, whole or not at all; `picture` is its path in the data set. A picture in which nothing is
    /// found has an empty file. Where another picture has the same name but for the ending, the ending is kept
    /// (`a.png.txt`), with a number where that is taken too. Returns the file's path.
    ///
    /// # Errors
    /// A sentence: the file cannot be written, the path leads out of the folder, or as [`label_lines`].
    pub fn write(
        &mut self,
        picture: &Path,
        detections: &[Detection],
        width_px: u32,
        height_px: u32,
    ) -> Result<PathBuf, String> {
        let inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        if !picture.components().all(inside) || picture.file_name().is_none() {
            return Err(format!("{} does not lie in the folder of the pictures.", picture.display()));
        }
        let ended = |end: String| {
            let mut name = picture.as_os_str().to_owned();
            name.push(end);
            self.root.join(name)
        };
        let numbered = (2..).map(|n| ended(format!(".{n}.txt")));
        let plain = [self.root.join(picture.with_extension("txt")), ended(".txt".to_owned())];
        let lower = |path: &Path| PathBuf::from(path.to_string_lossy().to_lowercase());
        let mut names = plain.into_iter().chain(numbered);
        let to = names.find(|name| self.written.insert(lower(name))).unwrap_or_default();
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder).map_err(|error| cannot(folder, &error.to_string()))?;
        }
        let text = label_lines(detections, width_px, height_px).map_err(|why| cannot(&to, &why))?;
        whole(&to, |out| out.write_all(text.as_bytes()).map_err(|error| error.to_string()))?;
        Ok(to)
    }
}

fn is_finite(detection: &Detection) -> bool {
    detection.score.is_finite() && detection.xywh.iter().all(|value| value.is_finite())
}

fn cannot(path: &Path, why: &str) -> String {
    format!("Cannot write {}: {why}.", path.display())
}

/// Fills a file under another name first, so that a failure leaves no half of one.
pub(in crate::train) fn whole(
    to: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> Result<(), String>,
) -> Result<(), String> {
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let filled = File::create(&part).map_err(|error| error.to_string()).and_then(|file| {
        let mut out = BufWriter::new(file);
        fill(&mut out)?;
        out.flush().and_then(|()| out.get_ref().sync_all()).map_err(|error| error.to_string())
    });
    let done = filled.and_then(|()| std::fs::rename(&part, to).map_err(|error| error.to_string()));
    done.map_err(|why| {
        // What is left of the attempt helps nobody; that it cannot be removed is not the news.
        drop(std::fs::remove_file(&part));
        cannot(to, &why)
    })
}
