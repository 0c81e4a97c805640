//! `evaluation.jsonl` of a run: what the best epoch says of each picture. A line that describes it, then a line for each
//! picture and head. Written whole or not at all.

use super::super::detection::{BoxResult, FoundBox};
use super::super::segmentation::{ClassPixels, MaskResult};
use super::results::{HeadResults, LabelResult, PictureResult, Told};
use super::{Evaluation, TOP};
use crate::data::{self, BoxTarget, Dataset, ImageSource, LabelColumn, MaskTarget, Sample, Split, Target, Task};
use crate::graph::HeadKind;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file's name in a run's folder.
pub const FILE: &str = "evaluation.jsonl";

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    model: String,
    #[serde(default)]
    epoch: Option<u32>,
    set: String,
    /// Empty for the built-in sample.
    root: PathBuf,
    #[serde(default)]
    split: Option<Split>,
    metrics: BTreeMap<String, f64>,
    losses: BTreeMap<String, f64>,
    images: usize,
    seconds: f64,
    heads: Vec<HeadLine>,
}

#[derive(Serialize, Deserialize)]
struct HeadLine {
    name: String,
    kind: HeadKind,
    classes: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct PictureLine {
    /// Below the root where it lies there.
    image: String,
    size: [u32; 2],
    /// Position in the header's heads.
    head: usize,
    loss: f32,
    /// Where it has one class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    class: Option<ClassPart>,
    /// Where it has several labels: those that are given or true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<Told>>,
    /// Where objects are found in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    boxes: Option<BoxPart>,
    /// Where each pixel has a class, for each that is there or said: class, hits, pixels said, pixels there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pixels: Option<Vec<ClassPixels>>,
    /// The file of the true mask, below the root where it lies there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mask: Option<PathBuf>,
}

#[derive(Serialize, Deserialize)]
struct BoxPart {
    found: Vec<FoundBox>,
    truth: Vec<TrueBox>,
}

#[derive(Serialize, Deserialize)]
struct TrueBox {
    class: u32,
    xyxy: [f32; 4],
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    crowd: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    difficult: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    area_px: Option<f32>,
}

#[derive(Serialize, Deserialize)]
struct ClassPart {
    truth: u32,
    rank: u32,
    score: f32,
    top: Vec<(u32, f32)>,
}

impl BoxPart {
    fn targets(&self) -> Vec<BoxTarget> {
        let target = |one: &TrueBox| BoxTarget {
            class: one.class,
            xyxy: one.xyxy,
            crowd: one.crowd,
            difficult: one.difficult,
            area_px: one.area_px,
        };
        self.truth.iter().map(target).collect()
    }
}

impl Evaluation {
    /// Writes the file whole or not at all.
    ///
    /// # Errors
    /// A sentence, when it cannot be written.
    pub fn save(&self, to: &Path) -> Result<(), String> {
        let fail = |error: std::io::Error| format!("Cannot write {}: {error}.", to.display());
        let part = to.with_extension("jsonl.part");
        let mut out = BufWriter::new(std::fs::File::create(&part).map_err(fail)?);
        write(&mut out, &self.header())
            .and_then(|()| self.picture_lines().try_for_each(|line| write(&mut out, &line)))
            .and_then(|()| out.flush())
            .and_then(|()| out.get_ref().sync_all())
            .map_err(fail)?;
        std::fs::rename(&part, to).map_err(fail)
    }

    fn header(&self) -> Header {
        let head = |head: &HeadResults| HeadLine {
            name: head.name.clone(),
            kind: head.kind.clone(),
            classes: head.classes.clone(),
        };
        Header {
            version: VERSION,
            model: self.model.clone(),
            epoch: self.epoch,
            set: self.set.name.clone(),
            root: self.set.root.clone(),
            split: self.split,
            metrics: self.metrics.clone(),
            losses: self.losses.clone(),
            images: self.images,
            seconds: self.seconds,
            heads: self.heads.iter().map(head).collect(),
        }
    }

    fn picture_lines(&self) -> impl Iterator<Item = PictureLine> {
        let line = |head: usize, index: u32, loss: f32| {
            let sample = self.set.samples.get(index as usize)?;
            let below = sample.image.path().and_then(|path| path.strip_prefix(&self.set.root).ok());
            let image = below.map_or_else(|| sample.image.name(), |path| path.display().to_string());
            let (class, labels, boxes, pixels, mask) = (None, None, None, None, None);
            Some(PictureLine { image, size: sample.size_px, head, loss, class, labels, boxes, pixels, mask })
        };
        let of_class = move |head: usize, picture: &PictureResult| {
            let top = picture.top().to_vec();
            let class = ClassPart { truth: picture.truth, rank: picture.rank, score: picture.truth_score, top };
            Some(PictureLine { class: Some(class), ..line(head, picture.index, picture.loss)? })
        };
        let of_labels = move |head: usize, picture: &LabelResult| {
            Some(PictureLine { labels: Some(picture.told.clone()), ..line(head, picture.index, picture.loss)? })
        };
        let of_boxes = move |head: usize, picture: &BoxResult| {
            let sample = self.set.samples.get(picture.index as usize)?;
            let truth = sample.target.boxes.iter().flatten();
            let truth = truth.map(|one| TrueBox {
                class: one.class,
                xyxy: one.xyxy,
                crowd: one.crowd,
                difficult: one.difficult,
                area_px: one.area_px,
            });
            let truth = truth.collect();
            let boxes = BoxPart { found: picture.found.clone(), truth };
            Some(PictureLine { boxes: Some(boxes), ..line(head, picture.index, 0.0)? })
        };
        let of_pixels = move |head: usize, picture: &MaskResult| {
            let mask = match &self.set.samples.get(picture.index as usize)?.target.mask {
                Some(MaskTarget::File(path)) => Some(path.strip_prefix(&self.set.root).unwrap_or(path).to_owned()),
                _ => None,
            };
            let pixels = Some(picture.classes.clone());
            Some(PictureLine { pixels, mask, ..line(head, picture.index, 0.0)? })
        };
        self.heads.iter().enumerate().flat_map(move |(at, head)| {
            let classes = head.pictures.iter().filter_map(move |picture| of_class(at, picture));
            let labels = head.labelled.iter().filter_map(move |picture| of_labels(at, picture));
            let boxes = head.boxes.iter().filter_map(move |picture| of_boxes(at, picture));
            let pixels = head.masks.iter().filter_map(move |picture| of_pixels(at, picture));
            classes.chain(labels).chain(boxes).chain(pixels)
        })
    }

    /// Reads what [`Evaluation::save`] wrote in a run's folder. None where there is no such file.
    ///
    /// # Errors
    /// A sentence with the file and the line, when it is damaged.
    pub fn read(run: &Path) -> Result<Option<Self>, String> {
        let path = run.join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let file = std::fs::File::open(&path).map_err(|error| format!("Cannot read {}: {error}.", path.display()))?;
        let mut lines = BufReader::new(file).lines().enumerate();
        let fail = |line: usize, cause: &dyn std::fmt::Display| {
            format!("{} is damaged in line {}: {cause}.", path.display(), line + 1)
        };
        let first = lines.next().ok_or_else(|| fail(0, &"it is empty"))?.1.map_err(|error| fail(0, &error))?;
        let header: Header = serde_json::from_str(&first).map_err(|error| fail(0, &error))?;
        if header.version > VERSION {
            return Err(format!("{} was written by a newer version of Frostline.", path.display()));
        }
        let mut build = Build::new(header)?;
        for (at, line) in lines {
            let line = line.map_err(|error| fail(at, &error))?;
            let line: PictureLine = serde_json::from_str(&line).map_err(|error| fail(at, &error))?;
            build.take(&line).map_err(|cause| fail(at, &cause))?;
        }
        Ok(Some(build.finish(run)))
    }
}

fn write(out: &mut impl std::io::Write, line: &impl Serialize) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

/// An evaluation that is being read.
struct Build {
    header: Header,
    heads: Vec<HeadResults>,
    set: Dataset,
    /// Places of pictures in the set, by name.
    known: HashMap<String, usize>,
    /// Whether the set is the built-in sample.
    whole: bool,
}

impl Build {
    fn new(mut header: Header) -> Result<Self, String> {
        let head = |head: HeadLine| HeadResults::new(&head.name, head.kind, head.classes);
        let heads: Vec<HeadResults> = std::mem::take(&mut header.heads).into_iter().map(head).collect();
        let whole = header.root.as_os_str().is_empty();
        let set = if whole {
            data::open_builtin().map_err(|error| error.to_string())?
        } else {
            Dataset {
                root: header.root.clone(),
                name: header.set.clone(),
                task: match heads.first().map(|head| &head.kind) {
                    Some(HeadKind::Detect { .. }) => Task::Detect,
                    Some(HeadKind::PixelClassify { .. }) => Task::Segment,
                    _ => Task::Classify,
                },
                format: "as it was evaluated".to_owned(),
                columns: heads.first().map(|head| LabelColumn::single(head.classes.clone())).into_iter().collect(),
                category_ids: Vec::new(),
                samples: Vec::new(),
                issues: Vec::new(),
                found: header.images,
                suggested_split: false,
                unnamed: Vec::new(),
            }
        };
        let known = set.samples.iter().enumerate().map(|(at, sample)| (sample.image.name(), at)).collect();
        Ok(Self { header, heads, set, known, whole })
    }

    /// Takes a picture in.
    fn take(&mut self, line: &PictureLine) -> Result<(), &'static str> {
        let head = self.heads.get_mut(line.head).ok_or("it names a head that is not there")?;
        let known = |class: u32| (class as usize) < head.classes.len();
        let classes = line.class.iter().flat_map(|class| class.top.iter().map(|top| top.0).chain([class.truth]));
        let boxes = line
            .boxes
            .iter()
            .flat_map(|boxes| boxes.found.iter().map(|one| one.class).chain(boxes.truth.iter().map(|one| one.class)));
        let pixels = line.pixels.iter().flatten().map(|own| own.class);
        let mut classes = classes.chain(line.labels.iter().flatten().map(|told| told.class)).chain(boxes).chain(pixels);
        if !classes.all(known) || line.class.as_ref().is_some_and(|class| class.top.len() > TOP) {
            return Err("it names a class that is not there");
        }
        let at = match self.known.get(&line.image) {
            Some(&at) => at,
            None if self.whole => return Err("the built-in sample has no such picture"),
            None => {
                let at = self.set.samples.len();
                let class = line.class.as_ref().filter(|_| line.head == 0).map(|class| class.truth);
                self.set.samples.push(Sample {
                    image: ImageSource::File(self.header.root.join(&line.image)),
                    split: self.header.split.unwrap_or(Split::Val),
                    size_px: line.size,
                    target: Target {
                        boxes: line.boxes.as_ref().map(BoxPart::targets),
                        mask: line.mask.as_ref().map(|path| MaskTarget::File(self.header.root.join(path))),
                        ..Target::of_class(class)
                    },
                });
                self.known.insert(line.image.clone(), at);
                at
            }
        };
        let at = u32::try_from(at).map_err(|_| "there are too many pictures")?;
        match (&line.class, &line.labels, &line.boxes, &line.pixels) {
            (Some(class), ..) => {
                let result = PictureResult::new(at, class.truth, class.rank, class.score, line.loss, &class.top);
                head.pictures.push(result.ok_or("it has no class")?);
            }
            (None, Some(told), ..) => {
                head.labelled.push(LabelResult { index: at, loss: line.loss, told: told.clone() });
            }
            (None, None, Some(boxes), _) => head.boxes.push(BoxResult { index: at, found: boxes.found.clone() }),
            (None, None, None, Some(classes)) => {
                head.masks.push(MaskResult { index: at, classes: classes.clone() });
            }
            (None, None, None, None) => return Err("it says nothing"),
        }
        Ok(())
    }

    fn finish(mut self, run: &Path) -> Evaluation {
        for head in &mut self.heads {
            head.pictures.sort_by_key(|picture| picture.index);
            head.labelled.sort_by_key(|picture| picture.index);
            head.boxes.sort_by_key(|picture| picture.index);
            head.masks.sort_by_key(|picture| picture.index);
        }
        Evaluation {
            source: run.to_path_buf(),
            epoch: self.header.epoch,
            model: self.header.model,
            set: Arc::new(self.set),
            split: self.header.split,
            metrics: self.header.metrics,
            losses: self.header.losses,
            images: self.header.images,
            heads: self.heads,
            seconds: self.header.seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluation(root: &Path) -> Evaluation {
        let sample = |name: &str, class: u32| Sample {
            image: ImageSource::File(root.join(name)),
            split: Split::Val,
            size_px: [40, 30],
            target: Target::of_class(Some(class)),
        };
        let set = Dataset {
            root: root.to_path_buf(),
            name: "set".to_owned(),
            task: Task::Classify,
            format: "class folders".to_owned(),
            columns: vec![LabelColumn::single(vec!["a".to_owned(), "b".to_owned()])],
            category_ids: Vec::new(),
            samples: vec![sample("train/a/0.png", 0), sample("val/a/1.png", 0), sample("val/b/2.png", 1)],
            issues: Vec::new(),
            found: 3,
            suggested_split: false,
            unnamed: Vec::new(),
        };
        let pictures = [(1, 0), (2, 1)]
            .map(|(index, truth)| PictureResult::of_logits(index, &[0.123_456_79, 1.0], truth).unwrap());
        let head = HeadResults {
            name: "cls".to_owned(),
            kind: HeadKind::Classify { classes: 2 },
            classes: set.classes().to_vec(),
            pictures: pictures.to_vec(),
            ..HeadResults::new("", HeadKind::Classify { classes: 2 }, Vec::new())
        };
        let labelled = [1, 2].map(|index| LabelResult::of_logits(index, &[0.5, -1.5], |class| class == 1).unwrap());
        let names = vec!["x".to_owned(), "y".to_owned()];
        let tags = HeadResults {
            labelled: labelled.to_vec(),
            ..HeadResults::new("tags", HeadKind::MultiLabel { classes: 2 }, names)
        };
        Evaluation {
            source: root.to_path_buf(),
            epoch: Some(3),
            model: "m".to_owned(),
            set: Arc::new(set),
            split: Some(Split::Val),
            metrics: BTreeMap::from([("top1".to_owned(), 0.5)]),
            losses: BTreeMap::from([("total".to_owned(), 0.7)]),
            images: 2,
            heads: vec![head, tags],
            seconds: 1.5,
        }
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let home = tempfile::tempdir().unwrap();
        assert!(Evaluation::read(home.path()).unwrap().is_none());
        let written = evaluation(home.path());
        written.save(&home.path().join(FILE)).unwrap();
        let read = Evaluation::read(home.path()).unwrap().unwrap();
        assert_eq!((read.epoch, read.images, &read.metrics), (Some(3), 2, &written.metrics));
        let (before, after) = (&written.heads[0], &read.heads[0]);
        assert_eq!(
            (&before.classes, &before.kind, before.confusion()),
            (&after.classes, &after.kind, after.confusion())
        );
        for (before, after) in before.pictures.iter().zip(&after.pictures) {
            assert_eq!((before.top(), before.loss, before.truth), (after.top(), after.loss, after.truth));
            let image = |set: &Dataset, index: u32| set.samples[index as usize].image.clone();
            assert_eq!(image(&written.set, before.index), image(&read.set, after.index));
        }
        let tags = |read: &Evaluation| read.heads[1].labelled.iter().map(|one| one.told.clone()).collect::<Vec<_>>();
        assert_eq!((tags(&written), written.heads[1].scores()), (tags(&read), read.heads[1].scores()));
        assert_eq!(read.set.samples.len(), 2, "only the pictures that were looked at");
        assert!(!home.path().join("evaluation.jsonl.part").exists());
    }

    #[test]
    fn damage_is_named_by_line() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(FILE);
        evaluation(home.path()).save(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let said = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Evaluation::read(home.path()).unwrap_err()
        };
        assert!(said("").contains("evaluation.jsonl is damaged in line 1: it is empty"));
        assert!(said(&text.replace("\"truth\":1", "\"truth\":7")).contains("line 3: it names a class"));
        assert!(said(text.get(..text.len() - 9).unwrap()).contains("damaged in line 5: EOF"));
        assert!(said(&text.replace("\"version\":1", "\"version\":9")).contains("newer version"));
    }
}
