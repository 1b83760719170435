//! rbpftool
