//! What is a folder of a mailbox?

/// A folder as its server tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Its name as the server writes it: what it is called by on the wire.
    pub name: String,
    /// Its name for people, decoded from modified UTF-7 (RFC 3501 5.1.3).
    pub decoded_name: String,
    /// What stands between the levels of its name; nothing when the server knows no levels.
    pub delimiter: Option<char>,
    /// What the server says it is for.
    pub special_use: Option<SpecialUse>,
    /// Whether it can be opened.
    pub is_selectable: bool,
}

/// What a folder is for (RFC 6154 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecialUse {
    /// All messages of the mailbox.
    All,
    /// Messages that are kept out of the way.
    Archive,
    /// Messages that are not sent yet.
    Drafts,
    /// Messages that were marked as important.
    Flagged,
    /// Messages that are held to be junk.
    Junk,
    /// Copies of messages that were sent.
    Sent,
    /// Messages that were deleted.
    Trash,
}
