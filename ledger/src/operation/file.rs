//! Files that an operation carries: the modules of a script.

/// One file, byte for byte as it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OperationFile<'a> {
    /// Its name among the files.
    pub name: &'a str,
    /// Its media type.
    pub media_type: &'a str,
    /// Its bytes.
    pub content: &'a [u8],
}

/// The files of one param, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationFiles<'a> {
    /// The param that holds them.
    pub param: &'static str,
    /// The files.
    pub files: Vec<OperationFile<'a>>,
}
