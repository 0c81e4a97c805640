//! Values of arguments: from a word to what it means, or why it means nothing.

use crate::data::Split;
use crate::session::{BoxForm, Parts, Which};
use crate::train::DeviceChoice;

pub(super) fn device(text: &str) -> Result<DeviceChoice, String> {
    let known = || format!("{text} is none of auto, cpu, wgpu, wgpu:N and remote:HOST:PORT");
    match text {
        "auto" => Ok(DeviceChoice::Auto),
        "cpu" => Ok(DeviceChoice::Cpu),
        "wgpu" => Ok(DeviceChoice::Wgpu(None)),
        _ => match (text.strip_prefix("wgpu:").map(str::parse), text.strip_prefix("remote:")) {
            (Some(Ok(index)), _) => Ok(DeviceChoice::Wgpu(Some(index))),
            (None, Some(address)) => address.parse().map(DeviceChoice::Remote),
            _ => Err(known()),
        },
    }
}

pub(super) fn box_form(text: &str) -> Result<BoxForm, String> {
    let known = || format!("{text} is none of raw, decoded and objects");
    BoxForm::ALL.into_iter().find(|form| form.name() == text).ok_or_else(known)
}

pub(super) fn tile(text: &str) -> Result<Parts, String> {
    match text {
        "auto" => Ok(Parts::Auto),
        "whole" => Ok(Parts::Whole),
        _ => match text.parse() {
            Ok(px @ 16..=100_000) => Ok(Parts::Of(px)),
            _ => Err(format!("{text} is none of auto, whole and a number of pixels from 16 on")),
        },
    }
}

pub(super) fn share(text: &str) -> Result<f32, String> {
    let value: f32 = text.parse().map_err(|_| format!("{text} is no number"))?;
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err(format!("{text} does not lie between 0 and 1")) }
}

pub(super) fn freeze_at(text: &str) -> Result<(u32, String), String> {
    let (epoch, words) = text.split_once('=').ok_or("expected EPOCH=WORDS")?;
    match epoch.parse() {
        Ok(epoch @ 2..) => Ok((epoch, words.to_owned())),
        _ => Err(format!("{epoch} is not an epoch from 2 on; epoch 1 belongs to --freeze")),
    }
}

pub(super) fn which(text: &str) -> Result<Which, String> {
    Ok(match text {
        "auto" => Which::Auto,
        "all" => Which::All,
        "train" => Which::Only(Split::Train),
        "val" => Which::Only(Split::Val),
        "test" => Which::Only(Split::Test),
        _ => return Err(format!("{text} is none of auto, all, train, val and test")),
    })
}

pub(super) fn stage_lr(text: &str) -> Result<(String, f64), String> {
    let (stage, factor) = text.split_once('=').ok_or("expected NAME=FACTOR")?;
    let factor: f64 = factor.parse().map_err(|_| format!("{factor} is not a number"))?;
    if factor.is_finite() && factor >= 0.0 {
        Ok((stage.to_owned(), factor))
    } else {
        Err(format!("{factor} is not a factor of 0 or more"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_and_tiles_are_read() {
        assert_eq!(device("wgpu:2"), Ok(DeviceChoice::Wgpu(Some(2))));
        assert_eq!(device("wgpu"), Ok(DeviceChoice::Wgpu(None)));
        assert!(device("cuda").is_err() && device("wgpu:x").is_err());
        assert!(device("remote:gpu").unwrap_err().contains("the port is missing"));
        for choice in [
            DeviceChoice::Auto,
            DeviceChoice::Cpu,
            DeviceChoice::Wgpu(None),
            DeviceChoice::Wgpu(Some(1)),
            device("remote:[::1]:7733").unwrap(),
        ] {
            assert_eq!(device(&choice.to_string()), Ok(choice));
        }
        assert_eq!((tile("whole"), tile("auto"), tile("512")), (Ok(Parts::Whole), Ok(Parts::Auto), Ok(Parts::Of(512))));
        assert!(tile("8").is_err() && tile("big").is_err());
    }
}
