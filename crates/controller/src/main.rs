//! The `chains-controller` program.

fn main() {}
