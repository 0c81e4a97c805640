//! The annotations in COCO's form: absolute `[x, y, width, height]` boxes, mask areas and run-length masks.

use serde::Serialize;

use super::{Scene, World, classes};

/// Gathers the annotations of one split.
#[derive(Debug, Serialize)]
pub(super) struct Annotations {
    info: Info,
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
}

#[derive(Debug, Serialize)]
struct Info {
    description: &'static str,
}

#[derive(Debug, Serialize)]
struct Image {
    id: usize,
    file_name: String,
    width: u32,
    height: u32,
}

#[derive(Debug, Serialize)]
struct Annotation {
    id: usize,
    image_id: usize,
    category_id: usize,
    bbox: [u32; 4],
    area: u32,
    iscrowd: u8,
    segmentation: Runs,
}

/// Uncompressed run lengths of a mask, down the columns, the first run counting zeros.
#[derive(Debug, Serialize)]
struct Runs {
    size: [u32; 2],
    counts: Vec<u32>,
}

#[derive(Debug, Serialize)]
struct Category {
    id: usize,
    name: &'static str,
}

impl Annotations {
    /// No images yet; categories are numbered from 1 as in the masks.
    pub(super) fn new(world: World) -> Self {
        let categories = classes(world).iter().zip(1..).map(|(name, id)| Category { id, name }).collect();
        let info = Info { description: "Drawn by frostline; every picture, box and mask is generated" };
        Self { info, images: Vec::new(), annotations: Vec::new(), categories }
    }

    /// Adds a scene that lies in `file_name`, relative to the set's root.
    pub(super) fn add(&mut self, file_name: String, scene: &Scene) {
        let image_id = self.images.len() + 1;
        self.images.push(Image { id: image_id, file_name, width: scene.size_px, height: scene.size_px });
        for (index, object) in scene.objects.iter().enumerate() {
            let [x0, y0, x1, y1] = object.xyxy.map(|edge| edge as u32);
            self.annotations.push(Annotation {
                id: self.annotations.len() + 1,
                image_id,
                category_id: object.class + 1,
                bbox: [x0, y0, x1 - x0, y1 - y0],
                area: object.area_px,
                iscrowd: 0,
                segmentation: runs(scene, index),
            });
        }
    }
}

/// Run lengths of object `index` of the scene.
fn runs(scene: &Scene, index: usize) -> Runs {
    let side = scene.size_px as usize;
    let (mut counts, mut run, mut inside) = (Vec::new(), 0, false);
    for x in 0..side {
        for y in 0..side {
            let here = scene.instances.get(y * side + x).is_some_and(|&id| usize::from(id) == index + 1);
            if here != inside {
                counts.push(run);
                (run, inside) = (0, here);
            }
            run += 1;
        }
    }
    counts.push(run);
    Runs { size: [scene.size_px, scene.size_px], counts }
}
