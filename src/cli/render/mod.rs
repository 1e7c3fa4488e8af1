//! How text reaches the terminal: columns, color, redrawing, and the status screen.

pub mod fitted;
pub mod hints;
pub mod jsonpath;
pub mod output;
pub mod paint;
pub mod printable;
pub mod progress;
pub mod redraw;
pub mod report;
pub mod screen;
pub mod table;
pub mod waiting;
