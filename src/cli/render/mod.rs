//! How text reaches the terminal, whatever it says.

pub mod output;
pub mod paint;
pub mod printable;
pub mod redraw;
pub mod table;
