//! stub
/// stub
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Assurance {
/// a
A }
