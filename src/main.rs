//! The llm-permission-proxy binary.
fn main() {}
