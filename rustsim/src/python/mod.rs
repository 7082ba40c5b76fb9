//! The only room that names the Python binding: it translates and never decides.
