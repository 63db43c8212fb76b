//! Variables, by value or by file.

use std::path::Path;

/// Where variables come from. A closure, so that a test has its own.
pub struct Environment<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
}

impl<'a> Environment<'a> {
    /// Variables by this look-up.
    pub const fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup }
    }

    /// A variable; an empty one is as good as none.
    pub fn get(&self, name: &str) -> Option<String> {
        (self.lookup)(name)
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    }

    /// A variable, or what stands in the file that `<name>_FILE` names.
    pub(crate) fn get_or_file(&self, name: &str, faults: &mut Vec<String>) -> Option<String> {
        let by_file = format!("{name}_FILE");
        match (self.get(name), self.get(&by_file)) {
            (Some(_), Some(_)) => {
                faults.push(format!("{by_file}: found {name} too; set one of them"));
                None
            }
            (Some(value), None) => Some(value),
            (None, Some(path)) => match std::fs::read_to_string(Path::new(&path)) {
                Ok(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
                Ok(_) => {
                    faults.push(format!("{by_file}: the file {path} is empty"));
                    None
                }
                Err(error) => {
                    faults.push(format!("{by_file}: cannot read {path}: {}", error.kind()));
                    None
                }
            },
            (None, None) => None,
        }
    }
}
