//! Nothing: what any process costs.

fn main() {}
