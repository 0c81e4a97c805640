//! Objects as annotation files give them, drawn into a class-id map when a picture is needed: a set of a hundred
//! thousand pictures is some megabytes of outlines and not terabytes of pixels.

use super::InstancePixels;
use super::raster::{each_pixel, polygon_runs};
use crate::data::{IGNORE_ID, MaskPixels};

/// The objects of a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Shapes {
    /// Width and height of the picture in pixels.
    pub size_px: [u32; 2],
    /// The class id of what no object covers.
    pub background: u8,
    /// The objects in the order of the file.
    pub shapes: Vec<Shape>,
}

/// One object.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Its class id.
    pub class: u8,
    /// Its pixels.
    pub region: Region,
    /// Stands for a group of objects (COCO's `iscrowd`).
    pub crowd: bool,
}

/// Which pixels belong to an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Region {
    /// Outlines `x1 y1 x2 y2 …` in pixels, which belong together.
    Polygons(Vec<Vec<f64>>),
    /// COCO's runs down the columns, the first counting zeros.
    Runs(Vec<u32>),
}

impl Region {
    /// Calls `paint` with the row-major position of each pixel, more than once where outlines overlap.
    fn each_pixel(&self, size_px: [u32; 2], mut paint: impl FnMut(usize)) {
        match self {
            Self::Polygons(all) => {
                for corners in all {
                    each_pixel(&polygon_runs(corners, size_px), size_px, &mut paint);
                }
            }
            Self::Runs(runs) => each_pixel(runs, size_px, paint),
        }
    }
}

impl Shapes {
    /// The class-id map. Where objects overlap the smaller one is in front, and of equal ones the later.
    #[must_use]
    pub fn paint(&self) -> MaskPixels {
        let [width, height] = self.size_px;
        let mut ids = vec![self.background; width as usize * height as usize];
        for (_, shape) in self.back_to_front() {
            self.fill(shape, &mut ids, shape.class);
        }
        MaskPixels { width, height, ids }
    }

    /// The number of the object (from 1, in the order of the file) at each pixel. Crowds are no objects.
    #[must_use]
    pub fn paint_instances(&self) -> InstancePixels {
        let [width, height] = self.size_px;
        let mut ids = vec![0; width as usize * height as usize];
        for (number, shape) in self.back_to_front().into_iter().filter(|(_, shape)| !shape.crowd) {
            self.fill(shape, &mut ids, u16::try_from(number + 1).unwrap_or(u16::MAX));
        }
        InstancePixels { width, height, ids }
    }

    /// The class-id map, and for each object its pixels before others were drawn over it.
    pub(crate) fn paint_and_count(&self) -> (MaskPixels, Vec<u64>) {
        let mut areas = vec![0; self.shapes.len()];
        for (number, area) in self.back_to_front_with_areas() {
            if let Some(place) = areas.get_mut(number) {
                *place = area;
            }
        }
        (self.paint(), areas)
    }

    /// The objects in a picture of this width and height; `relative` says that corners are parts (0-1) of it.
    ///
    /// # Errors
    /// Where runs are those of a picture of another size.
    pub(crate) fn placed(&self, size_px: [u32; 2], relative: bool) -> Result<Self, String> {
        let [width, height] = size_px.map(f64::from);
        let mut shapes = Self { size_px, ..self.clone() };
        for shape in &mut shapes.shapes {
            match &mut shape.region {
                Region::Polygons(all) if relative => {
                    for [x, y] in all.iter_mut().flat_map(|corners| corners.as_chunks_mut::<2>().0) {
                        (*x, *y) = (*x * width, *y * height);
                    }
                }
                Region::Polygons(_) => {}
                Region::Runs(runs) => {
                    let pixels: u64 = runs.iter().map(|run| u64::from(*run)).sum();
                    let size = u64::from(size_px[0]) * u64::from(size_px[1]);
                    if pixels != size {
                        return Err(format!("runs of {pixels} pixels for a picture of {width}x{height}"));
                    }
                }
            }
        }
        Ok(shapes)
    }

    /// The same objects with other class ids: `new[old]`; one without is ignored.
    #[must_use]
    pub fn renumbered(&self, new: &[u8]) -> Self {
        let id = |old: u8| new.get(usize::from(old)).copied().unwrap_or(IGNORE_ID);
        let mut shapes = Self { background: id(self.background), ..self.clone() };
        shapes.shapes.iter_mut().for_each(|shape| shape.class = id(shape.class));
        shapes
    }

    fn fill<T: Copy>(&self, shape: &Shape, pixels: &mut [T], value: T) {
        shape.region.each_pixel(self.size_px, |at| {
            if let Some(pixel) = pixels.get_mut(at) {
                *pixel = value;
            }
        });
    }

    fn back_to_front(&self) -> Vec<(usize, &Shape)> {
        let order = self.back_to_front_with_areas().into_iter();
        order.filter_map(|(number, _)| Some((number, self.shapes.get(number)?))).collect()
    }

    /// Numbers of objects and their areas in pixels, larger ones first; an overlap of an object's own outlines counts
    /// twice, which only their order feels.
    fn back_to_front_with_areas(&self) -> Vec<(usize, u64)> {
        let area = |shape: &Shape| {
            let mut area = 0;
            shape.region.each_pixel(self.size_px, |_| area += 1);
            area
        };
        let mut order: Vec<(usize, u64)> = self.shapes.iter().map(area).enumerate().collect();
        order.sort_by(|(_, a), (_, b)| b.cmp(a));
        order
    }
}
