//! Kernel objects for suites: maps of every type, programs of many, links,
//! BTF. All are held by what these functions return and gone with it.

pub mod links;
pub mod maps;
pub mod progs;
pub mod types;
pub mod world;
