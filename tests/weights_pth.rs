//! A `.pth` written here, read by the reader of torch's files (torch itself was tried by hand: `weights_only=True`, strict).

mod common;

use burn::tensor::Device;
use common::tiny;
use frostline::models::Network;
use frostline::weights::{Checkpoint, save_pth};
use std::sync::Arc;

#[test]
fn what_is_written_is_read_back_and_every_tensor_begins_at_a_multiple_of_64() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pth");
    let network = Network::new(Arc::new(tiny::two_heads()), 5, &Device::flex()).unwrap();
    let tensors = network.tensors().unwrap();
    save_pth(&path, &tensors).unwrap();
    let checkpoint = Checkpoint::open(&path).unwrap();
    assert_eq!(checkpoint.entries.len(), tensors.len());
    let bytes = std::fs::read(&path).unwrap();
    for tensor in &tensors {
        assert_eq!(checkpoint.read_f32(&tensor.spec.name).unwrap(), tensor.values, "{}", tensor.spec.name);
        assert_eq!(checkpoint.entries[&tensor.spec.name].shape, tensor.spec.shape);
    }
    for (i, tensor) in tensors.iter().enumerate() {
        let name = format!("archive/data/{i}FB");
        let at = bytes.windows(name.len()).position(|window| window == name.as_bytes()).unwrap() + name.len();
        let start = at + 2 + usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
        assert_eq!(start % 64, 0);
        assert_eq!(bytes[start..start + 4], tensor.values[0].to_le_bytes());
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays");
}
