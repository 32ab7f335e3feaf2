//! Lower a bootstrap to running workers; the command line shared by both binaries.
