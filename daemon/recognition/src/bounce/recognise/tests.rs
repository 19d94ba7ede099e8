//! Whole mails, each of our own.
