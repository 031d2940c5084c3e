//! Connections to servers that do not come about, and those that do in the end.
