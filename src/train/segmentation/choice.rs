//! Which losses train a head that tells a class for each pixel, as a plan names them.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// One loss of a mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MaskTerm {
    /// Cross-entropy of each pixel.
    CrossEntropy,
    /// One minus the Dice coefficient of each class, soft (Milletari et al. 2016, arXiv:1606.04797).
    Dice,
    /// One minus the intersection over union of each class, soft (Rahman & Wang 2016).
    Jaccard,
    /// Cross-entropy that counts pixels less which are told apart already (Lin et al. 2017, arXiv:1708.02002), with γ = 2.
    Focal,
    /// The convex extension of the intersection over union (Berman et al. 2018, arXiv:1705.08790).
    Lovasz,
    /// Cross-entropy that weighs the gaps between neighboring objects (Ronneberger et al. 2015, arXiv:1505.04597, eq. 2).
    Border,
}

impl MaskTerm {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::CrossEntropy, Self::Dice, Self::Jaccard, Self::Focal, Self::Lovasz, Self::Border];

    /// Its name in commands, files and news.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CrossEntropy => "ce",
            Self::Dice => "dice",
            Self::Jaccard => "jaccard",
            Self::Focal => "focal",
            Self::Lovasz => "lovasz",
            Self::Border => "border",
        }
    }
}

/// A weighted sum of losses, each at most once: `ce+dice`, `ce+0.5*lovasz`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MaskLoss {
    parts: Vec<(MaskTerm, f64)>,
}

impl Default for MaskLoss {
    /// Cross-entropy, which learns fast, and Dice, which does not let small classes go.
    fn default() -> Self {
        Self { parts: vec![(MaskTerm::CrossEntropy, 1.0), (MaskTerm::Dice, 1.0)] }
    }
}

impl MaskLoss {
    /// The losses with their weights.
    #[must_use]
    pub fn parts(&self) -> &[(MaskTerm, f64)] {
        &self.parts
    }

    /// Whether it is what is used if nobody says otherwise.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for MaskLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (term, weight)) in self.parts.iter().enumerate() {
            let plus = if at == 0 { "" } else { "+" };
            match *weight {
                1.0 => write!(f, "{plus}{}", term.name())?,
                weight => write!(f, "{plus}{weight}*{}", term.name())?,
            }
        }
        Ok(())
    }
}

impl FromStr for MaskLoss {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts: Vec<(MaskTerm, f64)> = Vec::new();
        for part in text.split('+').map(str::trim) {
            let (weight, name) = match part.split_once('*') {
                Some((weight, name)) => (weight.trim(), name.trim()),
                None => ("1", part),
            };
            let known = || MaskTerm::ALL.map(MaskTerm::name).join(", ");
            let term = MaskTerm::ALL.into_iter().find(|term| term.name() == name);
            let term = term.ok_or_else(|| format!("there is no mask loss named {name:?}; there are {}", known()))?;
            let value: f64 = weight.parse().map_err(|_| format!("{weight:?} is no weight of the mask loss {name}"))?;
            if !value.is_finite() || value <= 0.0 {
                return Err(format!("the weight of the mask loss {name} must be positive, not {weight}"));
            }
            if parts.iter().any(|known| known.0 == term) {
                return Err(format!("the mask loss {name} is there twice"));
            }
            parts.push((term, value));
        }
        Ok(Self { parts })
    }
}

impl TryFrom<String> for MaskLoss {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<MaskLoss> for String {
    fn from(loss: MaskLoss) -> Self {
        loss.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_read_and_written() {
        for text in ["ce+dice", "ce", "2*ce+0.5*lovasz", "border+focal+jaccard"] {
            assert_eq!(text.parse::<MaskLoss>().unwrap().to_string(), text);
        }
        let loose: MaskLoss = " 1.0 * ce + 3*dice ".parse().unwrap();
        assert_eq!(loose.parts(), [(MaskTerm::CrossEntropy, 1.0), (MaskTerm::Dice, 3.0)]);
        assert!(MaskLoss::default().is_default() && "ce+dice".parse::<MaskLoss>().unwrap().is_default());
        let json = serde_json::to_string(&loose).unwrap();
        assert_eq!((json.as_str(), serde_json::from_str::<MaskLoss>(&json).unwrap()), ("\"ce+3*dice\"", loose));
        for (text, word) in [
            ("", "no mask loss named"),
            ("ce+bce", "\"bce\""),
            ("ce+ce", "twice"),
            ("-1*ce", "positive"),
            ("x*ce", "no weight"),
        ] {
            let refused = text.parse::<MaskLoss>().unwrap_err();
            assert!(refused.contains(word), "{text}: {refused}");
        }
    }
}
