//! How much there is of each class, and whether that is enough to train on.

use super::{Dataset, LabelColumn, Sample, Split, Task};

impl Dataset {
    /// Pictures (of masks, those with a pixel of it; for boxes, objects) per class of the first column in one split.
    #[must_use]
    pub fn class_counts(&self, split: Split) -> Vec<usize> {
        let mut counts = self.label_counts(0, split);
        for sample in self.samples.iter().filter(|s| s.split == split) {
            let boxes = sample.target.boxes.iter().flatten().map(|one| one.class);
            for class in boxes.chain(sample.target.mask_classes()) {
                if let Some(count) = counts.get_mut(class as usize) {
                    *count += 1;
                }
            }
        }
        counts
    }

    /// Pictures per class of a column in one split.
    #[must_use]
    pub fn label_counts(&self, column: usize, split: Split) -> Vec<usize> {
        let mut counts = vec![0; self.columns.get(column).map_or(0, |column| column.classes.len())];
        for sample in self.samples.iter().filter(|s| s.split == split) {
            for class in sample.target.label(column).classes() {
                if let Some(count) = counts.get_mut(class as usize) {
                    *count += 1;
                }
            }
        }
        counts
    }

    /// Pixels per class in the masks of one split, before any augmentation; zeros for sets without masks.
    #[must_use]
    pub fn pixel_counts(&self, split: Split) -> Vec<u64> {
        let mut counts = vec![0; self.classes().len()];
        for sample in self.samples.iter().filter(|s| s.split == split) {
            for (count, own) in counts.iter_mut().zip(&sample.target.mask_px) {
                *count += own;
            }
        }
        counts
    }

    /// Whether the set can be trained on.
    ///
    /// # Errors
    /// Every reason why not, each a sentence.
    pub fn usable(&self) -> Result<(), Vec<String>> {
        let mut reasons = Vec::new();
        // Asked in every frame of the window: nothing is counted that need only be found.
        let has = |split| self.samples.iter().any(|s| s.split == split);
        if let (Task::Classify, [LabelColumn { classes, multi: false, .. }]) = (self.task, self.columns.as_slice())
            && let [class] = classes.as_slice()
        {
            reasons.push(format!("there is only one class ({class}); a classifier needs at least two"));
        }
        let object =
            |s: &Sample| s.split == Split::Train && s.target.boxes.as_ref().is_some_and(|boxes| !boxes.is_empty());
        if self.task == Task::Detect && has(Split::Train) && !self.samples.iter().any(object) {
            reasons.push("no picture to train on has an object".to_owned());
        }
        if self.task == Task::Segment && has(Split::Train) {
            reasons.extend(self.one_class_of_pixels());
        }
        if self.samples.is_empty() {
            reasons.push("no picture can be used".to_owned());
        } else if !has(Split::Train) {
            reasons.push("no picture to train on".to_owned());
        } else if !has(Split::Val) && self.suggested_split {
            reasons.push("no picture is left for validation: every class has fewer than 2 pictures".to_owned());
        } else if !has(Split::Val) {
            reasons.push("no picture to validate on".to_owned());
        }
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    }
    /// Why masks of one class only teach nothing.
    fn one_class_of_pixels(&self) -> Option<String> {
        let pixels = self.pixel_counts(Split::Train);
        let mut shown = self.classes().iter().zip(&pixels).filter(|(_, count)| **count > 0).map(|(name, _)| name);
        // Masks in memory may not have been counted.
        let counted = self.samples.iter().any(|sample| !sample.target.mask_px.is_empty());
        match (shown.next(), shown.next(), counted) {
            (_, _, false) | (Some(_), Some(_), _) => None,
            (Some(only), None, _) => Some(format!("no mask to train on shows anything but {only}")),
            (None, ..) => Some("no pixel of a mask to train on has a class".to_owned()),
        }
    }
}
