//! The one binary: controller, CLI and kubectl plugin.

fn main() {}
