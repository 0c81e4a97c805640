//! What each number means, in plain words.

/// Precision of a class.
pub const PRECISION: &str = "Precision: of all pictures that the model called this class, how many are of it. Low precision \
                             means false alarms. Click to see them.";
/// Recall of a class.
pub const RECALL: &str = "Recall: of all pictures of this class, how many the model found. Low recall means misses. Click \
                          to see them.";
/// F1 of a class.
pub const F1: &str = "F1: precision and recall in one number (their harmonic mean); it is high only when both are. Click to \
                      see all mistakes about the class.";
/// Dice of a class's pixels.
pub const DICE: &str = "Dice: twice the pixels that are of the class and called so, over those of it and those called so. It is F1 \
                        counted in pixels.";
/// IoU of a class's pixels.
pub const IOU: &str =
    "Intersection over union: the pixels that are of the class and called so, over those that are either.";
/// Pictures of a class.
pub const SUPPORT: &str = "How many of the measured pictures are of this class. Scores of few pictures say little. Click to \
                           see them.";
/// The mean over classes.
pub const MACRO: &str = "The mean of the classes' F1: every class counts alike, however few pictures it has. Below it the \
                         same with every picture counting alike.";
/// The loss.
pub const LOSS: &str = "What training makes small: minus the logarithm of the probability that the true class got, averaged. \
                        It punishes being sure and wrong. Click to see the pictures with the largest loss.";
/// The calibration error.
pub const ECE: &str = "How far the model's confidence is from the truth, on average (expected calibration error, 15 bins): at \
                       5 %, a model that says 90 % is right about 85 or 95 times in a hundred. The worst bin stands below.";
/// The reliability curve.
pub const RELIABILITY: &str = "Pictures are sorted by how sure the model is. A bar says how many of them are right: on the \
                               diagonal the model knows what it knows, below it is too sure, above it is too modest. Click a \
                               bar to see its pictures.";
/// The curves of a detector.
pub const CURVES: &str = "Of a class: how many of the found objects are right (precision) against how many of the true ones are \
                          found (recall), while the detector may be less and less sure. Each dot is at the chosen confidence, \
                          for which matrix, table and pictures stand. Click a curve to choose another one.";
/// The confidence of a detector.
pub const CONFIDENCE: &str = "Only objects that the detector is at least so sure of count on this page, except in AP, which looks \
                              at all. It starts where the mean F1 is best.";
/// The confusion matrix.
pub const MATRIX: &str = "Rows are the true classes, columns what the model said. What is right stands on the diagonal. Click a \
                          cell to see its pictures.";

/// A metric by its key.
pub fn metric(name: &str) -> String {
    let key = name.rsplit('/').next().unwrap_or(name);
    let text = match key {
        "top1" => "Top-1 accuracy: how many pictures got their true class. Click to see the others.",
        "top5" => {
            "Top-5 accuracy: how many pictures have their true class among the five that the model finds most likely. Click \
             to see the others."
        }
        "map" => "Mean average precision: how well each label's probability tells pictures with it from others.",
        "f1" => "F1 over all labels of all pictures. Click to see the pictures with a wrong label.",
        "f1_macro" => "The mean of the labels' F1: every label counts alike, however rare it is.",
        "subset" => "How many pictures got exactly their labels. Click to see the others.",
        "hamming" => "How many of all labels, given or not, are wrong.",
        "ap" => "AP: COCO's average precision, the mean over classes and over IoU 0.50 to 0.95.",
        "ap50" => {
            "AP50: average precision where boxes count from an IoU of 0.50 on. Click to see pictures with mistakes."
        }
        "ap75" => "AP75: average precision where boxes must fit well, from an IoU of 0.75 on.",
        "ar100" => "AR100: how many objects are found by the hundred surest boxes, the mean over IoU 0.50 to 0.95.",
        "miou" => {
            "Mean intersection over union: how much the predicted and the true areas overlap, averaged over classes; over \
             objects where masks are asked for."
        }
        "dice" => "Dice: twice the overlap over the sum of both areas, averaged over classes or objects as the IoU is.",
        "pixel_accuracy" => "How many pixels got their true class.",
        _ => "",
    };
    text.to_owned()
}
