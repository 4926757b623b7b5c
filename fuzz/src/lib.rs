//! What the fuzz targets share.

pub mod meter;
pub mod said;
