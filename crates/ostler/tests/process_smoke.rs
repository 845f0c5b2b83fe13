//! Real-process tests of the whole server (filled in with the server).
