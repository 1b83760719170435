//! bpfsys
