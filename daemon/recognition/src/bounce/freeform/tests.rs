//! Formats, each in a message of our own.
