//! A split drawn from a seed: the same part of every class, and equal files always on the same side.

use std::collections::BTreeMap;

use crate::rng::{Rng, fnv1a};

/// One picture as far as the split is concerned.
pub(crate) struct Candidate<'a> {
    /// Name of its class; pictures without one are a class of their own.
    pub class: Option<&'a str>,
    /// Equal for equal files.
    pub digest: [u8; 32],
}

/// For each picture, whether it goes to validation. `fraction` (0-1) of each class, rounded, at least one picture of a
/// class with two or more, and never all. A class's draw depends on its name, its pictures' order and the seed alone,
/// so a new class does not move the pictures of the others.
pub(crate) fn draw(pictures: &[Candidate<'_>], fraction: f32, seed: u64) -> Vec<bool> {
    let mut classes: BTreeMap<Option<&str>, Vec<usize>> = BTreeMap::new();
    for (index, picture) in pictures.iter().enumerate() {
        classes.entry(picture.class).or_default().push(index);
    }
    let mut val = vec![false; pictures.len()];
    for (class, members) in classes {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let mut group_of: BTreeMap<[u8; 32], usize> = BTreeMap::new();
        for index in &members {
            let Some(picture) = pictures.get(*index) else { continue };
            let group = *group_of.entry(picture.digest).or_insert(groups.len());
            match groups.get_mut(group) {
                Some(group) => group.push(*index),
                None => groups.push(vec![*index]),
            }
        }
        let mut rng = Rng::from_words(0, &[seed, fnv1a(class.unwrap_or_default().as_bytes())]);
        rng.shuffle(&mut groups);
        let wanted = (members.len() as f64 * f64::from(fraction)).round() as usize;
        let wanted = wanted.clamp(usize::from(members.len() > 1), members.len().saturating_sub(1));
        let mut taken = 0;
        for group in groups.iter().take(groups.len().saturating_sub(1)) {
            if taken >= wanted {
                break;
            }
            taken += group.len();
            for index in group {
                if let Some(place) = val.get_mut(*index) {
                    *place = true;
                }
            }
        }
    }
    val
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set<'a>(classes: &[(&'a str, usize)]) -> Vec<Candidate<'a>> {
        let mut pictures = Vec::new();
        for (class, count) in classes {
            for _ in 0..*count {
                let mut digest = [0; 32];
                digest[..8].copy_from_slice(&(pictures.len() as u64).to_le_bytes());
                pictures.push(Candidate { class: Some(class), digest });
            }
        }
        pictures
    }

    fn counts(val: &[bool], sizes: &[usize]) -> Vec<usize> {
        let mut rest = val;
        sizes
            .iter()
            .map(|n| {
                let (class, after) = rest.split_at(*n);
                rest = after;
                class.iter().filter(|v| **v).count()
            })
            .collect()
    }

    #[test]
    fn every_class_gives_its_part() {
        let val = draw(&set(&[("a", 100), ("b", 11), ("c", 2), ("d", 1)]), 0.2, 7);
        // 20; round(2.2); at least 1; the only picture stays for training
        assert_eq!(counts(&val, &[100, 11, 2, 1]), [20, 2, 1, 0]);
        let most = draw(&set(&[("a", 3)]), 0.99, 7);
        assert_eq!(counts(&most, &[3]), [2]);
    }

    #[test]
    fn seed_and_class_alone_decide() {
        let one = draw(&set(&[("a", 50)]), 0.2, 1);
        let with_more = draw(&set(&[("a", 50), ("b", 50)]), 0.2, 1);
        assert_eq!(one, with_more[..50]);
        assert_ne!(one, draw(&set(&[("a", 50)]), 0.2, 2));
        assert_ne!(with_more[..50], with_more[50..]);
    }

    #[test]
    fn equal_files_stay_together() {
        for seed in 0..20 {
            let mut pictures = set(&[("a", 20)]);
            pictures[13].digest = pictures[4].digest;
            let val = draw(&pictures, 0.5, seed);
            assert_eq!(val[13], val[4], "seed {seed}");
        }
    }
}
