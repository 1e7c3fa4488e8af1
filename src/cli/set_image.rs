//! set_image
