//! stub
/// stub
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Code(String);
impl std::fmt::Debug for Code { fn fmt(&self, f:&mut std::fmt::Formatter<'_>)->std::fmt::Result{f.write_str("Code")} }
