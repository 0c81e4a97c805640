//! What is taken for what: the confusion matrix of a detector, with the background as one more class.

use super::boxes::{ImageBoxes, Overlaps};

/// A detection, a truth, or both, that stand in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The picture's position.
    pub picture: usize,
    /// The truth's position in the picture; none where there is only background.
    pub truth: Option<usize>,
    /// The detection's position in the picture; none where the truth is missed.
    pub detection: Option<usize>,
}

/// Rows are truths and columns are detections, each of the classes `0..classes` and then the background: the last row has what
/// was seen where nothing is, the last column what was missed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DetectionConfusion {
    classes: usize,
    /// Row-major.
    cells: Vec<Vec<Hit>>,
    /// Truths and detections of classes that there are not: they stand in no cell.
    pub strangers: usize,
}

impl DetectionConfusion {
    /// Counts detections with at least `confidence`. Whatever their class, detections and truths form pairs where they cover
    /// each other by at least `least_iou`, the best covered first (of equal ones those of one class, then the surer);
    /// each is in one pair at most. Detections without a pair that lie on a crowd or an ignored object count for nothing.
    #[must_use]
    pub fn new(images: &[ImageBoxes], classes: usize, confidence: f64, least_iou: f64) -> Self {
        let mut confusion = Self { classes, cells: vec![Vec::new(); (classes + 1) * (classes + 1)], strangers: 0 };
        for (picture, image) in images.iter().enumerate() {
            confusion.add(picture, image, confidence, least_iou);
        }
        confusion
    }

    fn add(&mut self, picture: usize, image: &ImageBoxes, confidence: f64, least_iou: f64) {
        let class_of_truth = |i: usize| image.truths[i].class as usize;
        let class_of = |i: usize| image.detections[i].class as usize;
        let known = |class: u32| (class as usize) < self.classes;
        let shown: Vec<usize> = (0..image.detections.len())
            .filter(|&i| image.detections[i].score >= confidence && known(image.detections[i].class))
            .collect();
        let there: Vec<usize> = (0..image.truths.len()).filter(|&i| known(image.truths[i].class)).collect();
        let strange_truths = image.truths.len() - there.len();
        let strange = image.detections.iter().filter(|d| d.score >= confidence && !known(d.class)).count();
        let overlaps = Overlaps::new(image.detections.iter(), &image.truths);
        let mut pairs: Vec<(f64, usize, usize)> = Vec::new();
        for &detection in &shown {
            let near = there.iter().map(|&truth| (overlaps.iou(detection, truth), detection, truth));
            pairs.extend(near.filter(|pair| image.truths[pair.2].is_asked() && pair.0 > 0.0 && pair.0 >= least_iou));
        }
        let differs = |pair: &(f64, usize, usize)| class_of(pair.1) != class_of_truth(pair.2);
        let score = |pair: &(f64, usize, usize)| image.detections[pair.1].score;
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then(differs(a).cmp(&differs(b))).then(score(b).total_cmp(&score(a))));
        let mut hits = Vec::new();
        let mut paired = (vec![false; image.detections.len()], vec![false; image.truths.len()]);
        for (_, detection, truth) in pairs {
            if !paired.0[detection] && !paired.1[truth] {
                (paired.0[detection], paired.1[truth]) = (true, true);
                hits.push((Some(truth), Some(detection)));
            }
        }
        let missed = there.iter().filter(|&&truth| image.truths[truth].is_asked() && !paired.1[truth]);
        hits.extend(missed.map(|&truth| (Some(truth), None)));
        let excused = |detection: usize| {
            let on = |&truth: &usize| !image.truths[truth].is_asked() && overlaps.iou(detection, truth) >= least_iou;
            there.iter().any(on)
        };
        let seen = shown.iter().filter(|&&detection| !paired.0[detection] && !excused(detection));
        hits.extend(seen.map(|&detection| (None, Some(detection))));
        for (truth, detection) in hits {
            let row = truth.map_or(self.classes, class_of_truth);
            let column = detection.map_or(self.classes, class_of);
            if let Some(cell) = self.cells.get_mut(row * (self.classes + 1) + column) {
                cell.push(Hit { picture, truth, detection });
            }
        }
        self.strangers += strange_truths + strange;
    }

    /// The position of the background, which is the number of classes.
    #[must_use]
    pub fn background(&self) -> usize {
        self.classes
    }

    /// What stands in a cell, by picture.
    #[must_use]
    pub fn hits(&self, truth: usize, said: usize) -> &[Hit] {
        let inside = truth <= self.classes && said <= self.classes;
        let cell = if inside { self.cells.get(truth * (self.classes + 1) + said) } else { None };
        cell.map_or(&[], Vec::as_slice)
    }

    /// Positions of the pictures of a cell, ascending, each once.
    #[must_use]
    pub fn pictures(&self, truth: usize, said: usize) -> Vec<usize> {
        let mut pictures: Vec<usize> = self.hits(truth, said).iter().map(|hit| hit.picture).collect();
        pictures.dedup();
        pictures
    }

    /// Counts `[truth][detection]`, the background last in both.
    #[must_use]
    pub fn counts(&self) -> Vec<Vec<u32>> {
        let count = |cell: &Vec<Hit>| u32::try_from(cell.len()).unwrap_or(u32::MAX);
        self.cells.chunks(self.classes + 1).map(|row| row.iter().map(count).collect()).collect()
    }
}
