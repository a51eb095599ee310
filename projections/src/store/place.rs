//! Where a set of tables stands: in use, or being made beside those in use.

/// Which of the two sets of tables that a file may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// In use.
    Live,
    /// Being made beside the live ones, which they will replace.
    Next,
}

/// What the names of replaced tables end in until they are gone.
pub(crate) const OLD: &str = "__old";

impl Place {
    /// The word in the file.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Next => "next",
        }
    }

    /// What the names of its tables end in.
    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Self::Live => "",
            Self::Next => "__next",
        }
    }

    /// A table's name there.
    pub(crate) fn table(self, name: &str) -> String {
        format!("{name}{}", self.suffix())
    }
}
