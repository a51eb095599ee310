//! The params of an operation as a table, for what is written about them before there are any: conditions of
//! policies.

/// A param in the accepted form of an operation ([`Effect::to_json`](super::Effect::to_json)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// What stands there, where it does.
    pub param_type: ParamType,
}

impl Param {
    /// A param.
    #[must_use]
    pub const fn new(name: &'static str, param_type: ParamType) -> Self {
        Self { name, param_type }
    }
}

/// What stands in a param.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamType {
    /// True or false.
    Bool,
    /// A whole number.
    Int,
    /// A text.
    Text,
    /// A list of values of one type.
    List(&'static ParamType),
    /// An object of which these fields are known. It may have others.
    Object(&'static [Param]),
    /// What this version does not know.
    Any,
}
